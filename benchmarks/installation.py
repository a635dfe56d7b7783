"""Times the ways of installing, each from an empty cache, in turns: `python -m benchmarks.installation`.

Every installation is made in a fresh clone of this repository, by the command that a person types there, and
is deleted afterwards. In each round each way has its turn, so that a slow hour of the host or of the package
index meets all of them; the ratios of one round compare like with like, which the times alone do not.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEFORE = "174d252"
"""The last commit whose `make demo` installed the development tools too, with pip."""
WITH_PIP = (
    "python3.11 -m venv .venv && .venv/bin/python -m pip install --no-cache-dir --require-hashes --no-deps "
    "--requirement requirements/{lock}.lock"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A command that installs, in a clone at `commit`."""

    command: str
    commit: str = "HEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One installation: its wall-clock time, the CPU time of its processes, its size, and the host's load."""

    wall_s: float
    cpu_s: float
    size_bytes: int
    load: float


WAYS = {
    "`make install`: `release.lock` with uv": Way(command="make install"),
    "`release.lock` with pip": Way(command=WITH_PIP.format(lock="release")),
    "`make .venv/.developed`, before `make test`: `dev.lock` with uv": Way(command="make .venv/.developed"),
    "`dev.lock` with pip": Way(command=WITH_PIP.format(lock="dev")),
    f"what `make demo` did at {BEFORE}: one lock of everything, with pip": Way(
        command="make .venv/.installed", commit=BEFORE
    ),
}
"""The first one is what the others are compared with."""


def installed(way: Way, folder: Path) -> Installed:
    """Installs in `folder`, which is empty. Raises: CalledProcessError when the way ends in an error."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    subprocess.run(["git", "checkout", "--quiet", way.commit], cwd=clone, check=True)
    # `make` tells the targets of a `make` inside it about itself in the variables that begin with MAKE
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    empty_caches = {"UV_CACHE_DIR": str(folder / "cache"), "PIP_NO_CACHE_DIR": "1"}
    began, used = time.monotonic(), _children_s()
    with (folder / "log.txt").open("wb") as log:
        subprocess.run(
            way.command,
            shell=True,
            cwd=clone,
            env=inherited | empty_caches,
            stdout=log,
            stderr=log,
            check=True,
        )
    wall_s, cpu_s = time.monotonic() - began, _children_s() - used
    files = (clone / ".venv").rglob("*")
    size_bytes = sum(file.lstat().st_blocks * 512 for file in files if not file.is_symlink())
    return Installed(wall_s=wall_s, cpu_s=cpu_s, size_bytes=size_bytes, load=os.getloadavg()[1])


def _children_s() -> float:
    """The CPU time of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def row(name: str, times: Installed, first: Installed) -> str:
    size = f"{times.size_bytes / 2**20:,.0f} MiB"
    return (
        f"| {name} | {times.wall_s:.0f} s | {times.wall_s / first.wall_s:.1f} | {times.cpu_s:.0f} s "
        f"| {times.cpu_s / first.cpu_s:.1f} | {size} | {times.load:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="on a disk with 6 GB free; the default is the system's")
    asked = parser.parse_args()
    for number in range(1, asked.rounds + 1):
        sys.stdout.write(
            f"\nRound {number}\n\n"
            "| way | time | times the first | CPU time | times the first | on disk | load |\n"
            "|---|---|---|---|---|---|---|\n"
        )
        first: Installed | None = None
        for name, way in WAYS.items():
            with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
                times = installed(way, Path(folder))
            first = first or times
            sys.stdout.write(row(name, times, first) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
