"""The three proxies, each doing the same: check the tenant's key, put the upstream's in its place, keep connections."""

import os
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .load import Failed
from .machine import PROXY_CORE, find

KEYS = 1000
CONNECTIONS = 20_000
LARGEST_BODY_BYTES = 512 * 1024 * 1024
READY_WITHIN_SECONDS = 60.0


@dataclass
class Proxy:
    """A proxy that runs."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    started_ms: float

    @property
    def pid(self) -> int:
        return self.process.pid


@dataclass(frozen=True)
class Recipe:
    """How a proxy is started: its command, and a question that it answers once it is ready."""

    name: str
    port: int
    command: list[str]
    ready: Callable[[], bool]
    log: Path

    def start(self, stack: ExitStack, before: list[str] | None = None) -> Proxy:
        """Starts it and waits until it is ready. `before` is a program to run it in."""
        log = stack.enter_context(open(self.log, "ab"))
        began = time.monotonic()
        process = processes.start([*(before or []), *self.command], PROXY_CORE, log, stack)
        while not self.ready():
            if process.poll() is not None or time.monotonic() - began > READY_WITHIN_SECONDS:
                raise Failed(f"{self.name} did not start; see {self.log}")
            time.sleep(0.0005)
        return Proxy(self.name, self.port, process, (time.monotonic() - began) * 1000)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Kitchen:
    """What recipes are made of: a folder, the stub's port, and made-up credentials."""

    folder: Path
    stub_port: int
    upstream_key: str
    other_keys: list[str]

    @classmethod
    def open(cls, folder: Path, stub_port: int) -> "Kitchen":
        others = [f"fr_live_{secrets.token_hex(20)}" for _ in range(KEYS - 1)]
        return cls(folder, stub_port, f"made-up:{secrets.token_hex(16)}", others)

    def write(self, name: str, text: str) -> Path:
        """A file that holds keys: for nobody else's eyes."""
        file = self.folder / name
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)
        return file

    def relay(self, binary: Path, name: str = "relay", settings: str = "", sections: str = "") -> tuple[Recipe, str]:
        """The relay with a store of its own, and a tenant's key for it. `settings` are lines of `[relay]`."""
        port, admin = free_port(), free_port()
        upstream = f"http://127.0.0.1:{self.stub_port}"
        config = self.write(
            f"{name}.toml",
            f"""[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin}"
workers = 1
max_connections = {CONNECTIONS}
[upstream]
queue_url = "{upstream}"
run_url = "{upstream}"
rest_url = "{upstream}"
cdn_url = "{upstream}"
[[accounts]]
name = "bench"
key = "{self.upstream_key}"
[pricing]
sync = "off"
[store]
url = "sqlite:///{self.folder}/{name}.db"
[relay]
max_body_bytes = {LARGEST_BODY_BYTES}
{settings}
{sections}
[log]
format = "json"
level = "info"
""",
        )
        place = ["--config", str(config)]
        create = [str(binary), "key", "create", "--tenant", "bench", *place]
        made = subprocess.run(create, capture_output=True, text=True, timeout=30)
        if made.returncode != 0:
            raise Failed(f"no key could be made: {made.stderr.strip()}")
        command = [str(binary), "serve", *place]
        log = self.folder / f"{name}.log"
        return Recipe(name, port, command, lambda: _ready(port), log), made.stdout.strip()

    def nginx(self, key: str) -> Recipe:
        """nginx with a map of keys, a header swap, `sub_filter` for the addresses, and kept upstream connections."""
        port = free_port()
        keys = "\n".join(f'        "Key {known}" "Key {self.upstream_key}";' for known in [*self.other_keys, key])
        config = self.write(
            "nginx.conf",
            f"""daemon off;
worker_processes 1;
pid {self.folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {CONNECTIONS // 2}; }}
http {{
    access_log off;
    client_body_temp_path {self.folder}/nginx-body;
    proxy_temp_path {self.folder}/nginx-proxy;
    fastcgi_temp_path {self.folder}/nginx-fastcgi;
    uwsgi_temp_path {self.folder}/nginx-uwsgi;
    scgi_temp_path {self.folder}/nginx-scgi;
    tcp_nodelay on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_max_body_size 0;
    map_hash_max_size 4096;
    map_hash_bucket_size 256;
    map $http_authorization $upstream_key {{
        default "";
{keys}
    }}
    upstream stub {{
        server 127.0.0.1:{self.stub_port};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        if ($upstream_key = "") {{ return 401; }}
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Authorization $upstream_key;
        proxy_set_header Accept-Encoding "";
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        sub_filter_types application/json text/event-stream;
        sub_filter_once off;
        location / {{
            sub_filter "https://queue.fal.run/" "http://$http_host/";
            proxy_pass http://stub;
        }}
        location ~ /status/stream$ {{
            sub_filter "https://queue.fal.run/" "http://$http_host/";
            proxy_buffering off;
            proxy_pass http://stub;
        }}
        location /put/ {{ client_body_buffer_size 64k; proxy_pass http://stub; }}
        location ~ /realtime$ {{
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Authorization $upstream_key;
            proxy_read_timeout 600s;
            proxy_pass http://stub;
        }}
        # A result is the model's own output, in which nothing is rewritten.
        location ~ /requests/[^/]+$ {{ proxy_pass http://stub; }}
    }}
}}
""",
        )
        command = [find("nginx"), "-c", str(config), "-p", str(self.folder)]
        return Recipe("nginx", port, command, lambda: answers(port), self.folder / "nginx.log")

    def haproxy(self, key: str) -> Recipe:
        """HAProxy with a list of keys, a header swap and kept upstream connections. It does not rewrite bodies."""
        port = free_port()
        keys = self.write("haproxy.keys", "\n".join(f"Key {known}" for known in [*self.other_keys, key]) + "\n")
        config = self.write(
            "haproxy.cfg",
            f"""global
    nbthread 1
    maxconn {CONNECTIONS // 2 - 200}
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    timeout tunnel 600s
    option http-keep-alive
    http-reuse always
frontend tenants
    bind 127.0.0.1:{port}
    http-request deny deny_status 401 unless {{ req.hdr(authorization) -f {keys} }}
    http-request set-header Authorization "Key {self.upstream_key}"
    use_backend streams if {{ path_end /status/stream }}
    default_backend stub
backend stub
    server stub 127.0.0.1:{self.stub_port} pool-max-conn 64
backend streams
    option http-no-delay
    server stub 127.0.0.1:{self.stub_port} pool-max-conn 64
""",
        )
        command = [find("haproxy"), "-db", "-f", str(config)]
        return Recipe("haproxy", port, command, lambda: answers(port), self.folder / "haproxy.log")


def _ready(port: int) -> bool:
    if not answers(port):
        return False
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
        return bool(answer.status == 200)
