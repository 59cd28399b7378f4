"""Processes that are started, measured and stopped."""

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO

PATIENCE_SECONDS = 20.0


def start(
    command: list[str], core: int, log: IO[bytes] | int, stack: ExitStack, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Starts a program on one core; `stack` stops it. It gets a session of its own, so that Ctrl-C reaches only us."""
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(core), *command],
        stdin=stdin,
        stdout=log,
        stderr=subprocess.STDOUT if log != subprocess.PIPE else subprocess.DEVNULL,
        start_new_session=True,
    )
    stack.callback(stop, process)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """Asks the program to end, and ends it and its children when it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        tasks = Path(f"/proc/{parent}/task")
        for task in tasks.iterdir() if tasks.exists() else ():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """On-CPU time of a process tree: user and system time of all threads, ended ones too, in nanosecond steps."""
    return sum(time.clock_gettime(_cpu_clock(member)) for member in tree(pid))


def _cpu_clock(pid: int) -> int:
    """The clock id of a process's CPU time, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def resident_kib(pid: int, peak: bool = False) -> int:
    """Resident memory of a process tree."""
    field = "VmHWM:" if peak else "VmRSS:"
    return sum(_status_kib(member, field) for member in tree(pid))


def reset_peak(pid: int) -> None:
    """The peak starts again from what is resident now."""
    for member in tree(pid):
        Path(f"/proc/{member}/clear_refs").write_text("5")


def _status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def thread_seconds(pid: int, name: str) -> float:
    """On-CPU time of those threads of a process whose name begins so."""
    tasks = [task for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().startswith(name)]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def let_roam(pid: int) -> None:
    """Lets a process that was started on one core use all of them."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), range(os.cpu_count() or 1))
