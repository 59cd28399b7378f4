"""User-space instructions of the relay per request, counted by valgrind: the same whatever else the machine does.

A run of N requests and one of 2N differ by N requests and nothing else: the start and the end fall out.
"""

import re
import shutil
from contextlib import ExitStack
from pathlib import Path

from .load import Failed
from .machine import find
from .measure import say
from .processes import stop
from .stage import Stage
from .workloads import Workload

# Keys are asked for by the clock and not by the request, so under valgrind that question is put off.
SETTINGS = "key_check_ms = 3600000"
WARM_UP = 100


def per_request(stage: Stage, binary: Path, workload: Workload, requests: int, profile: Path | None) -> float:
    """Instructions per request, and the profile of the longer run when a place for it is given."""
    short = _run(stage, binary, workload, requests, None)
    long = _run(stage, binary, workload, 2 * requests, profile)
    return (long - short) / requests


def _run(stage: Stage, binary: Path, workload: Workload, requests: int, profile: Path | None) -> int:
    name = f"valgrind-{workload.name}-{requests}"
    out = stage.folder / f"{name}.callgrind"
    recipe, key = stage.kitchen.relay(binary, name, SETTINGS)
    valgrind = [find("valgrind"), "--tool=callgrind", f"--callgrind-out-file={out}"]
    with ExitStack() as stack:
        proxy = recipe.start(stack, before=valgrind)
        request = stage.request(workload, proxy, key)
        # One connection: which requests meet in one wake-up would depend on the machine.
        for count in (WARM_UP, requests):
            stage.generator.run(proxy.port, request, 1, requests=count)
        stop(proxy.process)
    say(f"{workload.name}: {requests} requests under valgrind")
    if profile:
        shutil.copy(out, profile)
    return _total(out)


def _total(out: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)$", out.read_text(), re.MULTILINE)
    if found is None:
        raise Failed("valgrind wrote no total: the relay did not end as it must")
    return int(found.group(1))
