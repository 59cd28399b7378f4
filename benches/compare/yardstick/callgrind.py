"""User-space instructions of the relay per request, counted by valgrind: the same whatever else the machine does.

In one process N requests are counted, then 2N; the two counts differ by N requests and nothing else. The start is not
counted: the cryptography library gathers entropy there, and how long that takes is chance.
"""

import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from .load import Failed
from .machine import find
from .measure import say
from .stage import Stage
from .workloads import Workload

# Keys and open jobs are looked after by the clock and not by the request, so under valgrind that is put off.
SETTINGS = "key_check_ms = 3600000\nwatch_after_seconds = 3600"
WARM_UP = 100


def per_request(stage: Stage, binary: Path, workload: Workload, requests: int, profile: Path | None) -> float:
    """Instructions per unit of work, and the profile of the 2N requests when a place for it is given."""
    out = stage.folder / f"{workload.name}.callgrind"
    recipe, key = stage.kitchen.relay(binary, f"valgrind-{workload.name}", SETTINGS)
    valgrind = [find("valgrind"), "--tool=callgrind", f"--callgrind-out-file={out}"]
    with ExitStack() as stack:
        proxy = recipe.start(stack, before=valgrind)
        request = stage.request(workload, proxy, key)
        # One connection: which requests meet in one wake-up would depend on the machine.
        for count in (WARM_UP, requests, 2 * requests):
            stage.generator.run(proxy.port, request, 1, requests=count, flags=workload.flags())
            _dump(proxy.pid)
            say(f"{workload.name}: {count} requests under valgrind")
    _, short, long = (out.with_name(f"{out.name}.{number}") for number in (1, 2, 3))
    if profile:
        shutil.copy(long, profile)
    return (_total(long) - _total(short)) / requests / workload.units


def _dump(pid: int) -> None:
    """Writes what was counted since the last dump to a file, and counts from zero."""
    done = subprocess.run([find("callgrind_control"), "--dump", str(pid)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"valgrind did not write its counts: {done.stderr.strip()}")


def _total(out: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)$", out.read_text(), re.MULTILINE)
    if found is None:
        raise Failed("valgrind wrote no total")
    return int(found.group(1))
