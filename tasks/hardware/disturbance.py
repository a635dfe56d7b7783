"""Measures what else a host does while something is timed.

Each `Reading` holds counters of the kernel, and `disturbance` the difference of two. In a container,
/proc/stat and /proc/loadavg are those of the whole host, which is what counts here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from paddle_int8.tasks.contracts.evidence import Disturbance
from paddle_int8.tasks.hardware.topology import siblings
from paddle_int8.tasks.process.limits import groups, read

BUSY = (0, 1, 2, 5, 6)
"""Positions of user, nice, system, irq and softirq time in a line of /proc/stat; see proc(5)."""
ALL_BUT_GUEST, STEAL = 8, 7
"""Time of guests is part of user time already, so the fields behind the steal time are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Seconds of CPU time since the host started, summed over some CPUs."""

    busy: float
    steal: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Counters of the kernel at one moment.

    own_s: CPU time of this process, all of its threads. host, cores, cpus: times of all CPUs, of the cores on
    which this process runs (with their other hyper-threads), and of its CPUs alone.
    throttled_s: time in which a cgroup's quota held its processes back. pressure_s: time in which some
    process waited for a CPU; None where the kernel does not tell.
    """

    at_s: float
    own_s: float
    host: CpuTimes
    cores: CpuTimes
    cpus: CpuTimes
    throttled_s: float
    pressure_s: float | None
    load: float
    mhz: tuple[float, ...]


def reading(root: Path = Path("/"), cpus: Collection[int] | None = None) -> Reading:
    """The counters now. cpus: the CPUs that count as this process's, by default those it is pinned to."""
    used = os.sched_getaffinity(0) if cpus is None else cpus
    topology = root / "sys/devices/system/cpu"
    cores = set(used).union(*(siblings(cpu, topology) for cpu in used))
    lines = dict(_cpu_lines(read(root / "proc/stat")))
    return Reading(
        at_s=time.monotonic(),
        own_s=time.process_time(),
        host=_sum(lines.values()),
        cores=_sum(times for cpu, times in lines.items() if cpu in cores),
        cpus=_sum(times for cpu, times in lines.items() if cpu in used),
        throttled_s=max(map(_throttled_s, groups(root, "cpu")), default=0.0),
        pressure_s=_pressure_s(read(root / "proc/pressure/cpu")),
        load=float(next(iter(read(root / "proc/loadavg").split()), "0")),
        mhz=tuple(_mhz(topology, used)),
    )


def disturbance(spans: Sequence[tuple[Reading, Reading]], *, waited_share: float) -> Disturbance:
    """What the host did in all spans of time together, each given by the readings at its ends.

    waited_share: share of the timed calls that their threads waited for a CPU.
    """
    seconds = sum(last.at_s - first.at_s for first, last in spans)
    readings = list(chain.from_iterable(spans))
    pressures = [
        last.pressure_s - first.pressure_s
        for first, last in spans
        if first.pressure_s is not None and last.pressure_s is not None
    ]
    clocks = [mhz for each in readings for mhz in each.mhz]
    return Disturbance(
        seconds=seconds,
        others_share=max(_others_share(spans, "host"), _others_share(spans, "cores")),
        steal_share=_share(
            sum(last.cpus.steal - first.cpus.steal for first, last in spans),
            sum(last.cpus.total - first.cpus.total for first, last in spans),
        ),
        waited_share=waited_share,
        throttled_share=_share(sum(last.throttled_s - first.throttled_s for first, last in spans), seconds),
        pressure_share=_share(sum(pressures), seconds) if pressures else None,
        load=sum(each.load for each in readings) / max(1, len(readings)),
        lowest_mhz=min(clocks, default=None),
        highest_mhz=max(clocks, default=None),
    )


def _others_share(spans: Iterable[tuple[Reading, Reading]], where: str) -> float:
    others = total = 0.0
    for first, last in spans:
        before, after = getattr(first, where), getattr(last, where)
        others += after.busy - before.busy - (last.own_s - first.own_s)
        total += after.total - before.total
    return _share(others, total)


def _share(part: float, whole: float) -> float:
    """A share between 0 and 1. The counters tick, so a short span may seem to hold more than there is."""
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0


def _cpu_lines(stat: str) -> Iterator[tuple[int, CpuTimes]]:
    """The times of each CPU in /proc/stat, without the line of their sum."""
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    for line in stat.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            values = [int(field) / ticks_per_s for field in fields[:ALL_BUT_GUEST]]
            values += [0.0] * (ALL_BUT_GUEST - len(values))
            busy = sum(values[place] for place in BUSY)
            yield (
                int(name.removeprefix("cpu")),
                CpuTimes(busy=busy, steal=values[STEAL], total=sum(values)),
            )


def _sum(times: Iterable[CpuTimes]) -> CpuTimes:
    each = list(times)
    return CpuTimes(
        busy=sum(cpu.busy for cpu in each),
        steal=sum(cpu.steal for cpu in each),
        total=sum(cpu.total for cpu in each),
    )


def _throttled_s(group: Path) -> float:
    """How long a cgroup was held back: `throttled_usec` of version 2, `throttled_time` in ns of version 1."""
    fields = dict(line.split() for line in read(group / "cpu.stat").splitlines() if len(line.split()) == 2)
    return int(fields.get("throttled_usec", 0)) / 1e6 + int(fields.get("throttled_time", 0)) / 1e9


def _pressure_s(text: str) -> float | None:
    """Example: 25.6 for the line `some avg10=3.49 avg60=6.52 avg300=4.14 total=25645710`."""
    for line in text.splitlines():
        if line.startswith("some "):
            return int(line.rpartition("=")[2]) / 1e6
    return None


def _mhz(topology: Path, cpus: Iterable[int]) -> Iterator[float]:
    for cpu in cpus:
        if (kilohertz := read(topology / f"cpu{cpu}/cpufreq/scaling_cur_freq")).isdigit():
            yield int(kilohertz) / 1e3
