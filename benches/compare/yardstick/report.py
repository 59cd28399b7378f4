"""Medians, spreads and ratios, and the table in which they are printed."""

from statistics import median, quantiles
from typing import Any

from .measure import Clocked
from .workloads import CLOCKED

REFERENCE = "nginx"


def middle(values: list[float]) -> dict[str, float]:
    """The median and half of the distance between the quartiles."""
    if len(values) < 2:
        return {"median": median(values), "spread": 0.0}
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return {"median": median(values), "spread": (upper - lower) / 2}


def clocked(measured: Clocked) -> dict[str, Any]:
    """Per proxy: CPU per request, its ratio to nginx formed inside each round, requests per second."""
    result: dict[str, Any] = {}
    for name, cpu in measured.cpu_us.items():
        result[name] = {"cpu_us": middle(cpu), "per_second": middle(measured.per_second[name])}
        if REFERENCE in measured.cpu_us:
            ratios = [own / other for own, other in zip(cpu, measured.cpu_us[REFERENCE], strict=True)]
            result[name]["ratio"] = middle(ratios)
    return result


def markdown(results: dict[str, Any]) -> str:
    """All results as Markdown tables."""
    parts = [_machine(results["machine"])]
    if results["clocked"]:
        parts.append(_clocked(results["clocked"]))
    for name, table in (("webhooks", _webhooks), ("socket_memory", _socket_memory), ("upload_growth", _upload_growth)):
        if results.get(name):
            parts.append(table(results[name]))
    for name, table in (("latency", _latency), ("syscalls", _syscalls), ("memory", _memory), ("start", _start)):
        if results.get(name):
            parts.append(table(results[name]))
    return "\n\n".join(parts)


def _machine(machine: dict[str, str]) -> str:
    return (
        f"{machine['date']}, {machine['cores']} cores of {machine['cpu']}, {machine['kernel']}, "
        f"store on {machine['store']}; {machine['rounds']} rounds of {machine['seconds']} s"
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _with_spread(value: dict[str, float], digits: int) -> str:
    return f"{value['median']:,.{digits}f} ± {value['spread']:,.{digits}f}"


def _clocked(results: dict[str, Any]) -> str:
    titles = {workload.name: workload for workload in CLOCKED}
    rows = []
    for workload, proxies in results.items():
        for name, found in proxies.items():
            goal = f"{titles[workload].goal:g}" if name == "relay" else ""
            ratio = _with_spread(found["ratio"], 2) if "ratio" in found else ""
            numbers = [_with_spread(found["cpu_us"], 1), ratio, goal, _with_spread(found["per_second"], 0)]
            rows.append([titles[workload].title, titles[workload].unit, name, *numbers])
    return _table(["work", "unit", "proxy", "CPU µs/unit", "ratio to nginx", "goal", "units/s"], rows)


def _socket_memory(results: dict[str, dict[str, float]]) -> str:
    rows = [[name, _with_spread(found, 1)] for name, found in results.items()]
    return _table(["proxy", "KiB per open socket"], rows)


def _upload_growth(results: dict[str, dict[str, float]]) -> str:
    rows = [[name, _with_spread(found, 1)] for name, found in results.items()]
    return _table(["proxy", "growth over an upload of 200 MiB, MiB"], rows)


def _webhooks(results: dict[str, dict[str, float]]) -> str:
    fine = ("ratio", "seconds")
    rows = [
        [what, _with_spread(found, 2 if any(word in what for word in fine) else 0)] for what, found in results.items()
    ]
    return _table(["webhooks", "measured"], rows)


def _latency(results: dict[str, Any]) -> str:
    rows = [
        [workload, name, _with_spread(found["p50"], 0), _with_spread(found["p99"], 0)]
        for workload, proxies in results.items()
        for name, found in proxies.items()
    ]
    return _table(["work at 1,000/s", "proxy", "added p50 µs", "added p99 µs"], rows)


def _syscalls(results: dict[str, dict[str, float]]) -> str:
    proxies = list(next(iter(results.values())))
    rows = [[workload, *(f"{found[name]:.2f}" for name in proxies)] for workload, found in results.items()]
    return _table(["system calls/unit", *proxies], rows)


def _memory(results: dict[str, dict[str, float]]) -> str:
    rows = [
        [
            name,
            f"{found['idle'] / 1024:.1f}",
            f"{found['per_idle']:.1f}",
            f"{found['per_stream']:.1f}",
            f"{found['growth_down'] / 1024:.1f}",
            f"{found['growth_up'] / 1024:.1f}",
        ]
        for name, found in results.items()
    ]
    head = ["proxy", "idle MiB", "KiB per idle connection", "KiB per open stream"]
    return _table([*head, "growth over 200 MiB down, MiB", "up, MiB"], rows)


def _start(results: dict[str, dict[str, float]]) -> str:
    rows = [[name, _with_spread(found, 0)] for name, found in results.items()]
    return _table(["proxy", "start to ready, ms"], rows)
