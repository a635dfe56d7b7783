"""How much of the host this process may use, by CPU affinity and the limits of cgroups, version 1 and 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def own_cores() -> float:
    """How many CPUs this process may use at once at the moment."""
    return usable_cores(len(os.sched_getaffinity(0)), Path("/"))


def own_threads() -> int:
    """How many threads can compute at once; more would share CPUs or be paused by a quota."""
    return max(1, int(own_cores()))


def default_threads() -> dict[str, str]:
    """Environment variables by which a process starts as many threads as can compute at once.

    OpenMP and OpenBLAS by themselves go by the CPU affinity alone. Under a quota of half a CPU on two CPUs
    they would start two threads, which then wait for one another.
    """
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(own_threads()))


def threads_each(processes: int) -> int:
    """How many threads each of `processes` processes may use, when they work on this host together."""
    return max(1, own_threads() // processes)


def usable_cores(affinity: int, root: Path) -> float:
    """How many CPUs this process may use at once: its affinity, or the cgroup quota when that is lower.

    root: the root of the file system. The quota of an outer cgroup also limits the groups inside it.
    """
    quotas = [quota for folder in groups(root, "cpu") if (quota := _cpu_quota(folder)) is not None]
    return min([float(affinity), *quotas])


def memory_limit(root: Path) -> int:
    """Bytes of memory that this process may use: the host's, or the cgroup limit when that is lower."""
    limits = [limit for folder in groups(root, "memory") if (limit := _memory_limit(folder)) is not None]
    return min([_memory_total(root), *limits])


def _cpu_quota(folder: Path) -> float | None:
    if (fields := read(folder / "cpu.max").split()) and fields[0].isdigit():
        return int(fields[0]) / int(fields[1])
    quota, period = read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _memory_limit(folder: Path) -> int | None:
    text = read(folder / "memory.max") or read(folder / "memory.limit_in_bytes")
    return int(text) if text.isdigit() else None


def _memory_total(root: Path) -> int:
    for line in read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def groups(root: Path, controller: str) -> Iterator[Path]:
    """Every cgroup folder that limits this process's `controller`, innermost first.

    In a container, the path in /proc is often that of the host and does not exist here. The mount point
    itself is then the container's own group, so the search goes up to it.
    """
    mount = root / "sys/fs/cgroup"
    for line in read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            bases = [mount, mount / "unified"]
        elif controller in controllers.split(","):
            bases = [mount / controllers, mount / controller]
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        for base in bases:
            yield from (base / part for part in (inner, *inner.parents))


def read(path: Path) -> str:
    """The text of one of the kernel's files; "" where it does not exist or may not be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
