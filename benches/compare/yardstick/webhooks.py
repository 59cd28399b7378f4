"""How fast webhooks leave, and what that does to polls. Nothing stands beside the relay here: no other proxy sends any.

The relay may use both cores, as it would: what is asked is whether its calls suffer from what it does beside them.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .load import SUBMIT_BODY, Failed, Outcome
from .measure import OPEN_LOOP_CONNECTIONS, RATE_PER_SECOND, Samples, say
from .proxies import Proxy
from .stage import Stage, ask
from .workloads import HOOKED, POLL

WEBHOOKS = 10_000
PATIENCE_SECONDS = 120.0
# A drain has begun when so many have arrived.
BEGUN = 50

Note = Callable[[str, float], None]


@dataclass(frozen=True)
class Hall:
    """A relay whose outbox is filled, and its receiver."""

    stage: Stage
    proxy: Proxy
    store: Path

    def arrived(self) -> int:
        """Webhooks that have arrived since the receiver was started."""
        _, body = ask(self.stage.stub_port, "GET", "/count", "nobody")
        return int(json.loads(body)["hooks"])

    def wait(self, count: int) -> float:
        """Waits until so many have arrived; says when that was."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.arrived() < count:
            if time.monotonic() > end:
                raise Failed(f"{count - self.arrived()} webhooks have not arrived after {PATIENCE_SECONDS:.0f} s")
            time.sleep(0.02)
        return time.monotonic()

    def begin_anew(self) -> None:
        """Makes all webhooks due again, as an operator's redelivery would."""
        with closing(sqlite3.connect(self.store, timeout=30)) as store, store:
            now = time.time_ns() // 1000
            set_due = "UPDATE deliveries SET state = 'waiting', due_at = ?, ended_at = NULL, tries = 0"
            if store.execute(set_due, (now,)).rowcount != WEBHOOKS:
                raise Failed("the outbox does not hold what was put into it")

    def settle(self) -> None:
        """Waits until the outcome of each is written down."""
        with closing(sqlite3.connect(self.store, timeout=30)) as store:
            waiting = "SELECT count(*) FROM deliveries WHERE state = 'waiting'"
            while store.execute(waiting).fetchone() != (0,):
                time.sleep(0.02)

    def polls(self, seconds: float) -> tuple[Outcome, float]:
        """Polls at a fixed rate, and the workers' CPU microseconds for each."""
        request = self.stage.request(POLL, self.proxy)
        before = processes.thread_seconds(self.proxy.pid, "worker-")
        outcome = self.stage.generator.run(
            self.proxy.port, request, OPEN_LOOP_CONNECTIONS, seconds, rate=RATE_PER_SECOND
        )
        spent = processes.thread_seconds(self.proxy.pid, "worker-") - before
        return outcome, spent / outcome.requests * 1e6


def measured(stage: Stage, rounds: int, seconds: float) -> Samples:
    """All that is measured of webhooks, one value a round."""
    found: Samples = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    with ExitStack() as stack:
        proxy = stage.recipes["relay"].start(stack)
        processes.let_roam(proxy.pid)
        hall = Hall(stage, proxy, stage.folder / "relay.db")
        began, before = time.monotonic(), processes.cpu_seconds(proxy.pid)
        request = stage.generator.request("relay-hooked", stage.key, "POST", _hooked(stage), SUBMIT_BODY)
        stage.generator.run(proxy.port, request, HOOKED.connections, requests=WEBHOOKS)
        note("from submit to webhook, jobs/s", WEBHOOKS / (hall.wait(WEBHOOKS) - began))
        hall.settle()
        note("from submit to webhook, CPU µs/job", (processes.cpu_seconds(proxy.pid) - before) / WEBHOOKS * 1e6)
        hall.polls(0.3)
        for number in range(rounds):
            _drain(hall, note)
            _beside_polls(hall, note, seconds)
            say(f"webhooks: round {number + 1} of {rounds}")
    return found


def _hooked(stage: Stage) -> str:
    return f"/{HOOKED.endpoint}?fal_webhook=http://127.0.0.1:{stage.stub_port}/hook"


def _drain(hall: Hall, note: Note) -> None:
    """An outbox of 10,000, alone."""
    arrived, before = hall.arrived(), processes.cpu_seconds(hall.proxy.pid)
    hall.begin_anew()
    began = time.monotonic()
    hall.wait(arrived + BEGUN)
    note("outbox, seconds to the first", time.monotonic() - began)
    began, first = time.monotonic(), hall.arrived()
    note("outbox, webhooks/s", (arrived + WEBHOOKS - first) / (hall.wait(arrived + WEBHOOKS) - began))
    hall.settle()
    note("outbox, CPU µs/webhook", (processes.cpu_seconds(hall.proxy.pid) - before) / WEBHOOKS * 1e6)


def _beside_polls(hall: Hall, note: Note, seconds: float) -> None:
    """Polls without a drain, then the same during one."""
    alone, alone_us = hall.polls(seconds)
    arrived = hall.arrived()
    hall.begin_anew()
    hall.wait(arrived + BEGUN)
    began, first = time.monotonic(), hall.arrived()
    beside, beside_us = hall.polls(seconds)
    rate = (hall.arrived() - first) / (time.monotonic() - began)
    if hall.arrived() >= arrived + WEBHOOKS:
        raise Failed("the outbox was empty before the polls had ended; measure for fewer --seconds")
    hall.wait(arrived + WEBHOOKS)
    hall.settle()
    note("webhooks/s beside 1,000 polls/s", rate)
    for name, quiet, busy in (
        ("p50 µs", alone.p50_us, beside.p50_us),
        ("p99 µs", alone.p99_us, beside.p99_us),
        ("CPU µs", alone_us, beside_us),
    ):
        note(f"poll, {name}, without a drain", quiet)
        note(f"poll, {name}, during a drain", busy)
        note(f"poll, {name}, ratio", busy / quiet)
