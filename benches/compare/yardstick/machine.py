"""What this machine is, and which programs it lacks."""

import os
import platform
import shutil
from datetime import date
from pathlib import Path

PROXY_CORE = 0
LOAD_CORE = 1

PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "strace": "strace", "valgrind": "valgrind", "cargo": "cargo"}


def missing(programs: list[str]) -> list[str]:
    """The Debian packages of those `programs` that are not installed."""
    paths = f"{os.environ.get('PATH', '')}:/usr/sbin"
    return [PACKAGES[name] for name in programs if shutil.which(name, path=paths) is None]


def find(program: str) -> str:
    """The path of an installed program; Debian keeps servers outside of a user's PATH."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise FileNotFoundError(f"{program} is not installed (Debian package {PACKAGES.get(program, program)})")
    return found


def describe(store: Path) -> dict[str, str]:
    """The machine without its name."""
    return {
        "date": date.today().isoformat(),
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "store": f"{_file_system(store)} on a real disk",
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(path: Path) -> str:
    """The type of the file system with the longest mount point above `path`."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    real = path.resolve()
    above = [(len(at), kind) for _, at, kind, *_ in mounts if real.is_relative_to(at)]
    return max(above)[1]


def refuse_memory(store: Path) -> None:
    """A row in memory is not durable: such a folder would flatter the relay."""
    kind = _file_system(store)
    if kind in {"tmpfs", "ramfs"}:
        raise RuntimeError(f"{store} is on {kind}; name a folder on a real disk with --folder")
