"""Requests as bytes, and the calls of the load generator."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .machine import LOAD_CORE

SUBMIT_BODY = json.dumps({"prompt": "a lighthouse at dusk, oil on canvas", "num_images": 1, "seed": 7}).encode()


@dataclass(frozen=True)
class Outcome:
    """What the load generator saw."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Failed(RuntimeError):
    """Something did not run as it must."""


@dataclass(frozen=True)
class Generator:
    """The load generator, and the folder for its requests. They hold a key, so they are files and never arguments."""

    tool: Path
    folder: Path

    def request(self, name: str, key: str, method: str, path: str, body: bytes = b"") -> Path:
        """A file with one request."""
        return self.requests(name, key, [(method, path, body)])

    def requests(self, name: str, key: str, requests: list[tuple[str, str, bytes]]) -> Path:
        """A file with requests that are sent in turn."""
        return self._file(name, [_head(key, *request) + request[2] for request in requests])

    def handshake(self, name: str, key: str, path: str) -> Path:
        """A file with the handshake of a socket. Its key is the one whose answer the stub knows."""
        fields = ["upgrade: websocket", "connection: Upgrade", "sec-websocket-version: 13"]
        fields += ["sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]
        return self._file(name, [_head(key, "GET", path, b"", fields)])

    def _file(self, name: str, requests: list[bytes]) -> Path:
        file = self.folder / f"{name}.http"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.writelines(requests)
        return file

    def run(
        self,
        port: int,
        request: Path,
        connections: int,
        seconds: float = 60,
        requests: int | None = None,
        rate: int | None = None,
        flags: Sequence[str] = (),
    ) -> Outcome:
        """Load until the time or the requests are over. One failed request fails the whole run."""
        command = self._command("load", port, request, connections) + ["--seconds", str(seconds)]
        command += ["--requests", str(requests)] if requests else []
        command += flags
        command += ["--rate", str(rate)] if rate else []
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 90, start_new_session=True)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        said = json.loads(done.stdout)
        if said["errors"] or not said["requests"]:
            raise Failed(f"{request.stem}: {said['errors']} requests failed, the last with: {said['last_error']}")
        return Outcome(said["requests"], said["seconds"], said["p50_us"], said["p99_us"])

    @contextmanager
    def hold(
        self, port: int, request: Path, connections: int, until: str, flags: Sequence[str] = ()
    ) -> Iterator[None]:
        """Open connections, for as long as the block lasts."""
        command = self._command("hold", port, request, connections)[3:] + ["--until", until, *flags]
        with ExitStack() as stack:
            holder = processes.start(command, LOAD_CORE, subprocess.PIPE, stack, stdin=subprocess.PIPE)
            if not holder.stdout or not holder.stdout.readline().startswith(b"holding"):
                raise Failed(f"{request.stem}: the connections could not be opened")
            yield

    def _command(self, verb: str, port: int, request: Path, connections: int) -> list[str]:
        pinned = ["taskset", "--cpu-list", str(LOAD_CORE)]
        where = ["--to", f"127.0.0.1:{port}", "--request", str(request), "--connections", str(connections)]
        return [*pinned, str(self.tool), verb, *where]


def _head(key: str, method: str, path: str, body: bytes, fields: Sequence[str] = ()) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "host: relay.test", f"authorization: Key {key}", "accept: */*"]
    head += ["user-agent: fal-client/0.8 (python)", *fields]
    if method in {"POST", "PUT"}:
        kind = "application/json" if method == "POST" else "application/octet-stream"
        head += [f"content-type: {kind}", f"content-length: {len(body)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n"
