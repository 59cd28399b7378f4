"""Builds what is measured and what measures."""

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
REPOSITORY = HERE.parent.parent
TARGET = REPOSITORY / "target"

# Symbols stay in, so that one build serves both the clock and valgrind; they change no instruction.
UNSTRIPPED = ["--config", "profile.dist.strip=false"]


def relay(given: Path | None) -> Path:
    """The relay in the `dist` profile, built unless a binary is given."""
    if given is not None:
        return given.resolve(strict=True)
    _cargo(["build", "--locked", "--profile", "dist", *UNSTRIPPED], REPOSITORY)
    return TARGET / "dist" / "fal-relay"


def tools() -> Path:
    """The stub upstream and the load generator."""
    _cargo(["build", "--locked", "--release", "--target-dir", str(TARGET / "compare-tools")], HERE / "tools")
    return TARGET / "compare-tools" / "release" / "compare-tools"


def _cargo(arguments: list[str], folder: Path) -> None:
    subprocess.run(["cargo", *arguments], cwd=folder, check=True)
