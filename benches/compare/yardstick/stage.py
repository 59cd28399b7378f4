"""Everything that runs during a comparison, and its end."""

import http.client
import json
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from . import build, processes
from .load import SUBMIT_BODY, Failed, Generator
from .machine import LOAD_CORE
from .proxies import Kitchen, Proxy, Recipe, answers, free_port
from .workloads import Upload, Workload

FILES = 65_536
# Uploads run through the relay, and webhooks may go to this machine.
EVERYTHING = f"""
[uploads]
through_relay = true
max_bytes = {1 << 50}
[webhooks]
allow_targets = ["127.0.0.0/8"]
"""
REWRITING = {"relay", "nginx"}


@dataclass
class Stage:
    """The stub, the load generator, and what proxies are made of."""

    folder: Path
    stub_port: int
    generator: Generator
    kitchen: Kitchen
    stack: ExitStack
    key: str = ""
    recipes: dict[str, Recipe] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)

    def prepare(self, names: list[str], binary: Path) -> None:
        """Recipes for the proxies, all with the same tenant's key."""
        relay, self.key = self.kitchen.relay(binary, sections=EVERYTHING)
        known = {
            "relay": lambda: relay,
            "nginx": lambda: self.kitchen.nginx(self.key),
            "haproxy": lambda: self.kitchen.haproxy(self.key),
        }
        self.recipes = {name: known[name]() for name in names}

    def start(self) -> None:
        """Starts all proxies."""
        self.proxies = {name: recipe.start(self.stack) for name, recipe in self.recipes.items()}
        for proxy in self.proxies.values():
            self._check(proxy)

    def _check(self, proxy: Proxy) -> None:
        """The proxies must do the same work: refuse a stranger, and rewrite fal's addresses where they can."""
        path = f"/bench/image/requests/{self._owned('bench/image', proxy, self.key)}/status"
        status, _ = ask(proxy.port, "GET", path, "fr_live_stranger")
        if status != 401:
            raise Failed(f"{proxy.name} answered a stranger with {status}")
        status, body = ask(proxy.port, "GET", path, self.key)
        rewritten = b'"http://relay.test/bench/image/requests/' in body and b"queue.fal.run" not in body
        if status != 202 or (proxy.name in REWRITING and not rewritten):
            raise Failed(f"{proxy.name} did not answer a poll as it must: {status}")

    def request(self, workload: Workload, proxy: Proxy, key: str | None = None) -> Path:
        """The file with `workload`'s request for `proxy`, whose tenant owns what it asks after."""
        key = key or self.key
        if isinstance(workload, Upload):
            return workload.request(self.generator, proxy, key, self._address(workload, proxy, key))
        owned = self._owned(workload.endpoint, proxy, key) if workload.method == "GET" else ""
        return workload.request(self.generator, proxy, key, owned)

    def _address(self, workload: Upload, proxy: Proxy, key: str) -> str:
        """Where this proxy takes an upload: path and query of the address that it gave to our tenant."""
        name = f"{proxy.name}-{proxy.port}-{workload.name}"
        if name not in self._ids:
            path = "/storage/upload/initiate-multipart" if workload.parts else "/storage/upload/initiate"
            status, body = ask(proxy.port, "POST", path, key, b'{"content_type":"image/png","file_name":"a.png"}')
            if status != 200:
                raise Failed(f"{proxy.name} answered the beginning of an upload with {status}")
            address = urlsplit(json.loads(body)["upload_url"])
            if proxy.name == "relay" and address.hostname != "relay.test":
                raise Failed("the relay did not take the upload upon itself")
            self._ids[name] = f"{address.path}?{address.query}"
        return self._ids[name]

    def _owned(self, endpoint: str, proxy: Proxy, key: str) -> str:
        """A request id that this proxy gave to our tenant. Every proxy gets its own."""
        name = f"{proxy.name}-{proxy.port}-{endpoint}"
        if name not in self._ids:
            status, body = ask(proxy.port, "POST", f"/{endpoint}", key, SUBMIT_BODY)
            if status != 200:
                raise Failed(f"{proxy.name} answered a submit with {status}")
            self._ids[name] = json.loads(body)["request_id"]
        return self._ids[name]


def ask(port: int, method: str, path: str, key: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request of our own, and its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"host": "relay.test", "authorization": f"Key {key}", "content-type": "application/json"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def opened(parent: Path) -> Iterator[Stage]:
    """A stage with its stub running. Whatever happens, everything is stopped and the folder is removed."""
    signal.signal(signal.SIGTERM, _interrupt)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    tool = build.tools()
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="compare-", dir=parent)).resolve()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        port = free_port()
        log = stack.enter_context(open(folder / "stub.log", "wb"))
        processes.start([str(tool), "stub", "--listen", f"127.0.0.1:{port}"], LOAD_CORE, log, stack)
        _wait(port)
        yield Stage(folder, port, Generator(tool, folder), Kitchen.open(folder, port), stack)


def _wait(port: int) -> None:
    for _ in range(1000):
        if answers(port):
            return
        time.sleep(0.005)
    raise Failed("the stub upstream did not start")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
