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

    def request(self, generator: Generator, proxy: Proxy, key: str, request_id: str) -> Path:
        """The request for one proxy. It names a request of the tenant's own, except when it makes one."""
        if self.method == "POST":
            path, body = f"/{self.endpoint}", _body(self.body_bytes)
        else:
            path, body = f"/{self.endpoint}/requests/{request_id}{self.suffix}", b""
        return generator.request(f"{proxy.name}-{self.name}", key, self.method, path, body)


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
]
STREAM = Workload("stream", "open event stream", 2000, 0, suffix="/status/stream")
DOWN = Workload("down", "result of 200 MiB", 1, 0, endpoint=f"bench/size-{200 * MIB}")
UP = Workload("up", "submit of 200 MiB", 1, 0, method="POST", body_bytes=200 * MIB)

NAMES = [workload.name for workload in CLOCKED] + ["latency", "syscalls", "memory", "start"]
