"""The measurements. Each returns numbers, one for each proxy and round."""

import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .load import Failed
from .machine import find
from .proxies import Proxy
from .stage import Stage
from .workloads import DOWN, POLL, SOCKETS, STREAM, SUBMIT, UP, UPLOAD, Workload

RATE_PER_SECOND = 1000
OPEN_LOOP_CONNECTIONS = 64
SYSCALL_REQUESTS = 4000
IDLE_CONNECTIONS = 5000
SETTLE_SECONDS = 2.0
STARTS = 5
MEMORY_ROUNDS = 2

BEGAN = time.monotonic()

Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Clocked:
    """CPU microseconds per unit of work and units per second, per proxy, one value a round."""

    cpu_us: Samples
    per_second: Samples


def say(line: str) -> None:
    """Progress, apart from the results."""
    print(f"[{time.monotonic() - BEGAN:4.0f}s] {line}", file=sys.stderr, flush=True)


def in_turn(stage: Stage, number: int) -> list[Proxy]:
    """All proxies, each round beginning with another."""
    proxies = list(stage.proxies.values())
    first = number % len(proxies)
    return proxies[first:] + proxies[:first]


def clocked(stage: Stage, workload: Workload, rounds: int, seconds: float) -> Clocked:
    """The closed loop: as fast as the proxy answers. A short round before the first warms everything up."""
    result = Clocked({name: [] for name in stage.proxies}, {name: [] for name in stage.proxies})
    for number in range(-1, rounds):
        for proxy in in_turn(stage, number):
            request = stage.request(workload, proxy)
            lasts = seconds if number >= 0 else 0.3
            before = processes.cpu_seconds(proxy.pid)
            outcome = stage.generator.run(
                proxy.port, request, workload.connections, lasts, flags=workload.flags()
            )
            spent = processes.cpu_seconds(proxy.pid) - before
            if number >= 0:
                result.cpu_us[proxy.name].append(spent / outcome.requests / workload.units * 1e6)
                result.per_second[proxy.name].append(outcome.per_second * workload.units)
        say(f"{workload.name}: round {number + 1} of {rounds}")
    return result


def latency(stage: Stage, workload: Workload, rounds: int, seconds: float) -> dict[str, Samples]:
    """The open loop at a fixed rate: what a proxy adds to the median and the 99th percentile of the direct way."""
    added: dict[str, Samples] = {name: {"p50": [], "p99": []} for name in stage.proxies}
    for number in range(rounds):
        proxies = in_turn(stage, number)
        request = stage.request(workload, proxies[0])
        direct = stage.generator.run(stage.stub_port, request, OPEN_LOOP_CONNECTIONS, seconds, rate=RATE_PER_SECOND)
        for proxy in proxies:
            request = stage.request(workload, proxy)
            through = stage.generator.run(proxy.port, request, OPEN_LOOP_CONNECTIONS, seconds, rate=RATE_PER_SECOND)
            added[proxy.name]["p50"].append(through.p50_us - direct.p50_us)
            added[proxy.name]["p99"].append(through.p99_us - direct.p99_us)
        say(f"latency of {workload.name}: round {number + 1} of {rounds}")
    return added


def syscalls(stage: Stage, workload: Workload) -> dict[str, float]:
    """System calls of the whole process tree per unit of work, by strace, over a bounded number of turns."""
    return {proxy.name: _traced(stage, workload, proxy) for proxy in stage.proxies.values()}


def _traced(stage: Stage, workload: Workload, proxy: Proxy) -> float:
    counts = stage.folder / f"{proxy.name}-{workload.name}.strace"
    request = stage.request(workload, proxy)
    stage.generator.run(proxy.port, request, workload.connections, requests=200, flags=workload.flags())
    attach = [argument for pid in processes.tree(proxy.pid) for argument in ("-p", str(pid))]
    command = [find("strace"), "-c", "-f", "-o", str(counts), *attach]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        if not tracer.stderr or "attached" not in tracer.stderr.readline():
            raise Failed("strace could not attach: it needs the right to trace processes")
        time.sleep(0.3)
        stage.generator.run(
            proxy.port, request, workload.connections, requests=SYSCALL_REQUESTS, flags=workload.flags()
        )
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(timeout=20)
    return _total_calls(counts) / SYSCALL_REQUESTS / workload.units


def _total_calls(counts: Path) -> int:
    total = re.search(r"^\s*100\.00\s+\S+\s+\S+\s+(\d+)\s.*total$", counts.read_text(), re.MULTILINE)
    if total is None:
        raise Failed("strace printed no total")
    return int(total.group(1))


def memory(stage: Stage) -> dict[str, dict[str, float]]:
    """Resident KiB of fresh proxies: idle, per idle connection, per open stream, growth while 200 MiB pass."""
    return {name: _memory_of(stage, name) for name in stage.recipes}


def _memory_of(stage: Stage, name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    with ExitStack() as stack:
        proxy = stage.recipes[name].start(stack)
        time.sleep(SETTLE_SECONDS)
        say(f"memory of {name}: idle")
        found["idle"] = processes.resident_kib(proxy.pid)
        for what, workload in (("growth_down", DOWN), ("growth_up", UP)):
            found[what] = _growth(stage, proxy, workload)
    with ExitStack() as stack:
        proxy = stage.recipes[name].start(stack)
        found["per_idle"] = _per_connection(stage, proxy, POLL, IDLE_CONNECTIONS, "answered")
    with ExitStack() as stack:
        proxy = stage.recipes[name].start(stack)
        found["per_stream"] = _per_connection(stage, proxy, STREAM, STREAM.connections, "event")
    return found


def _growth(stage: Stage, proxy: Proxy, workload: Workload) -> float:
    """The peak while one large body passes, over what was resident after small ones had."""
    stage.generator.run(proxy.port, stage.request(POLL, proxy), 4, requests=400)
    stage.generator.run(proxy.port, stage.request(SUBMIT, proxy), 4, requests=400)
    say(f"memory of {proxy.name}: {workload.title}")
    request = stage.request(workload, proxy)
    before = processes.resident_kib(proxy.pid)
    processes.reset_peak(proxy.pid)
    stage.generator.run(proxy.port, request, 1, requests=1)
    request.unlink()
    return processes.resident_kib(proxy.pid, peak=True) - before


def _per_connection(stage: Stage, proxy: Proxy, workload: Workload, connections: int, until: str) -> float:
    """What each held connection adds, once it has answered and nothing moves any more."""
    say(f"memory of {proxy.name}: {connections} connections")
    request = stage.request(workload, proxy)
    stage.generator.run(proxy.port, stage.request(POLL, proxy), 4, requests=400)
    before = processes.resident_kib(proxy.pid)
    with stage.generator.hold(proxy.port, request, connections, until, workload.flags()):
        time.sleep(SETTLE_SECONDS)
        return (processes.resident_kib(proxy.pid) - before) / connections


def per_socket(stage: Stage) -> Samples:
    """Resident KiB of an open socket that has carried a message each way, in fresh proxies; two each."""
    result: Samples = {name: [] for name in stage.recipes}
    for _ in range(MEMORY_ROUNDS):
        for name, recipe in stage.recipes.items():
            with ExitStack() as stack:
                proxy = recipe.start(stack)
                per_socket = _per_connection(stage, proxy, SOCKETS, SOCKETS.connections, "echoed")
                result[name].append(per_socket)
    return result


def upload_growth(stage: Stage) -> Samples:
    """The peak while 200 MiB pass in one upload, over what was resident before, in MiB; fresh proxies, two each."""
    result: Samples = {name: [] for name in stage.recipes}
    for _ in range(MEMORY_ROUNDS):
        for name, recipe in stage.recipes.items():
            with ExitStack() as stack:
                result[name].append(_growth(stage, recipe.start(stack), UPLOAD) / 1024)
    return result


def starts(stage: Stage) -> Samples:
    """Milliseconds from the start of the process until it is ready, with a store that exists."""
    result: Samples = {name: [] for name in stage.recipes}
    for _ in range(STARTS):
        for name, recipe in stage.recipes.items():
            with ExitStack() as stack:
                result[name].append(recipe.start(stack).started_ms)
    return result
