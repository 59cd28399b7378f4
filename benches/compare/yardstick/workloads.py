"""What is asked of the proxies."""

import json
from dataclasses import dataclass
from pathlib import Path

from .load import SUBMIT_BODY, Generator
from .proxies import Proxy

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Workload:
    """One kind of request, sent over some connections. `goal` is the issue's, as a ratio to nginx."""

    name: str
    title: str
    connections: int
    goal: float
    method: str = "GET"
    endpoint: str = "bench/image"
    suffix: str = ""
    body_bytes: int = 0
    # What the goal counts, and how many of them one turn of a connection is.
    unit: str = "request"
    units: float = 1
    group: str = ""

    def flags(self) -> list[str]:
        """What the load generator is told beside the request."""
        return []

    def request(self, generator: Generator, proxy: Proxy, key: str, request_id: str) -> Path:
        """The request for one proxy. It names a request of the tenant's own, except when it makes one."""
        if self.method == "POST":
            path, body = f"/{self.endpoint}", _body(self.body_bytes)
        else:
            path, body = f"/{self.endpoint}/requests/{request_id}{self.suffix}", b""
        return generator.request(f"{proxy.name}-{self.name}", key, self.method, path, body)


@dataclass(frozen=True)
class Messages(Workload):
    """Messages on open sockets, and their echoes."""

    unit: str = "message"
    message_bytes: int = KIB
    together: int = 1
    group: str = "sockets"

    def flags(self) -> list[str]:
        return ["--message", str(self.message_bytes), "--together", str(self.together)]

    def request(self, generator: Generator, proxy: Proxy, key: str, request_id: str) -> Path:
        return generator.handshake(f"{proxy.name}-{self.name}", key, f"/run/{self.endpoint}/realtime")


@dataclass(frozen=True)
class Upload(Workload):
    """A file to an address that the proxy gave out: whole, or in parts with the list of them at the end."""

    unit: str = "MiB"
    parts: int = 0
    group: str = "uploads"

    def request(self, generator: Generator, proxy: Proxy, key: str, request_id: str) -> Path:
        path, _, query = request_id.partition("?")
        name, body = f"{proxy.name}-{self.name}", b"A" * self.body_bytes
        if not self.parts:
            return generator.requests(name, key, [("PUT", request_id, body)])
        pieces = [("PUT", f"{path}/{number}?{query}", body) for number in range(1, self.parts + 1)]
        marks = [{"partNumber": number, "etag": "bench"} for number in range(1, self.parts + 1)]
        end = ("POST", f"{path}/complete?{query}", json.dumps({"parts": marks}).encode())
        return generator.requests(name, key, [*pieces, end])


def _body(size: int) -> bytes:
    if not size:
        return SUBMIT_BODY
    frame = len(json.dumps({"image": ""}))
    return json.dumps({"image": "A" * (size - frame)}).encode()


POLL = Workload("poll", "status poll, passed through", 32, 0.85, suffix="/status")
SUBMIT = Workload("submit", "submit, row durable before and after", 32, 1.4, method="POST")
# The same journey without the ledger: what admission, the hold and the two writes add is the difference to a submit.
PASS = Workload("pass", "call that is not billed, passed through", 32, 0, method="POST", endpoint="storage/upload/initiate")
CLOCKED = [
    POLL,
    SUBMIT,
    Workload("result-64k", "result of 64 KiB", 8, 0.95, endpoint=f"bench/size-{64 * KIB}"),
    Workload("result-10m", "result of 10 MiB", 4, 0.9, endpoint=f"bench/size-{10 * MIB}"),
    Workload("submit-2m", "submit of 2 MiB", 4, 0.5, method="POST", body_bytes=2 * MIB),
    Messages("messages", "1 KiB messages, one after the other", 32, 1.5, units=2),
    Messages("bursts", "1 KiB messages, 16 together", 32, 1.5, units=32, together=16),
    Upload("upload", "upload of 10 MiB", 4, 1.1, body_bytes=10 * MIB, units=10),
    Upload("upload-parts", "upload of 90 MiB in 9 parts", 4, 1.1, body_bytes=10 * MIB, parts=9, units=90),
]
STREAM = Workload("stream", "open event stream", 2000, 0, suffix="/status/stream")
DOWN = Workload("down", "result of 200 MiB", 1, 0, endpoint=f"bench/size-{200 * MIB}")
UP = Workload("up", "submit of 200 MiB", 1, 0, method="POST", body_bytes=200 * MIB)
UPLOAD = Upload("upload-200m", "upload of 200 MiB", 1, 0, body_bytes=200 * MIB)
SOCKETS = Messages("socket", "open socket", 2000, 0)
MESSAGES = next(workload for workload in CLOCKED if workload.name == "messages")
# A job that ends at once and has a webhook.
HOOKED = Workload("hooked", "submit with a webhook", 32, 0, method="POST", endpoint="bench/done")

NAMES = list(dict.fromkeys(workload.group or workload.name for workload in CLOCKED))
NAMES += ["webhooks", "latency", "syscalls", "memory", "start"]
