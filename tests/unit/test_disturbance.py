"""What else a host does while something is timed, from the kernel's files."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.evidence import Disturbance
from paddle_int8.tasks.hardware.disturbance import Reading, disturbance, reading
from paddle_int8.tasks.hardware.topology import siblings

TICK = 1 / os.sysconf("SC_CLK_TCK")
SECONDS = 10.0


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def stat(*cpus: tuple[int, int, int]) -> str:
    """A /proc/stat of CPUs with these ticks of (busy, idle, steal), part of the busy ones in interrupts."""
    lines = [f"cpu{n} {busy - 3} 1 1 {idle} 0 1 0 {steal} 99 0" for n, (busy, idle, steal) in enumerate(cpus)]
    sums = [sum(part) for part in zip(*cpus, strict=True)]
    return "\n".join((f"cpu {sums[0]} 0 0 {sums[1]} 0 0 0 {sums[2]} 0 0", *lines, "intr 5", "ctxt 7"))


def span(
    root: Path, before: dict[str, str], after: dict[str, str], *, own_s: float, cpus: set[int] | None = None
) -> tuple[Reading, Reading]:
    """The readings before and after `SECONDS`, in which this process used `own_s` of CPU time."""
    first = reading(written(root, {"proc/loadavg": "1.0 1 1 1/1 1"} | before), cpus or {0})
    last = reading(written(root, after), cpus or {0})
    start = dataclasses.replace(first, at_s=0.0, own_s=0.0)  # real clocks would round the differences
    return start, dataclasses.replace(last, at_s=SECONDS, own_s=own_s)


def found(*spans: tuple[Reading, Reading], waited_share: float = 0.0) -> Disturbance:
    return disturbance(spans, waited_share=waited_share)


def ticks(seconds: float) -> int:
    return round(seconds / TICK)


IDLE = (5, ticks(0), 0)


def test_a_process_that_is_alone_takes_nothing(tmp_path: Path) -> None:
    after = stat((5 + ticks(10), 0, 0), (5, ticks(10), 0))
    alone = found(span(tmp_path, {"proc/stat": stat(IDLE, IDLE)}, {"proc/stat": after}, own_s=10))
    assert (alone.others_share, alone.steal_share, alone.taken_share) == (0, 0, 0)
    assert alone.described() == "the host was taken for 0 % of the time"
    assert (alone.seconds, alone.load) == (SECONDS, 1.0)


def test_other_processes_on_another_core_take_their_share_of_the_host(tmp_path: Path) -> None:
    after = stat((5 + ticks(10), 0, 0), (5 + ticks(8), ticks(2), 0))
    busy = found(span(tmp_path, {"proc/stat": stat(IDLE, IDLE)}, {"proc/stat": after}, own_s=10))
    assert busy.others_share == pytest.approx(0.4)


def test_another_process_on_the_same_core_counts_as_if_the_core_were_the_host(tmp_path: Path) -> None:
    siblings_of_one = {
        f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": "0,2" if cpu % 2 == 0 else "1,3"
        for cpu in range(4)
    }
    idle = (5, ticks(10), 0)
    after = stat((5 + ticks(10), 0, 0), idle, (5 + ticks(10), 0, 0), idle)
    before = {"proc/stat": stat(IDLE, IDLE, IDLE, IDLE)} | siblings_of_one
    busy = found(span(tmp_path, before, {"proc/stat": after}, own_s=10))
    assert busy.others_share == pytest.approx(0.5)


def test_what_the_hypervisor_takes_is_counted_on_the_cpus_that_time(tmp_path: Path) -> None:
    after = stat((5 + ticks(5.3), 0, ticks(4.7)), (5, ticks(10), 0))
    stolen = found(span(tmp_path, {"proc/stat": stat(IDLE, IDLE)}, {"proc/stat": after}, own_s=5.3))
    assert stolen.steal_share == pytest.approx(0.47)
    assert stolen.described() == "the host was taken for 47 % of the time (the hypervisor 47 %)"


@pytest.mark.parametrize(
    ("cgroup", "name", "before", "after"),
    [
        pytest.param(
            "0::/pod", "pod/cpu.stat", "usage_usec 5\nthrottled_usec 1000", "throttled_usec 5001000", id="v2"
        ),
        pytest.param(
            "1:cpu:/pod",
            "cpu/pod/cpu.stat",
            "nr_throttled 1\nthrottled_time 1000000",
            "throttled_time 5001000000",
            id="v1",
        ),
    ],
)
def test_a_quota_that_holds_the_process_back_is_seen(
    tmp_path: Path, cgroup: str, name: str, before: str, after: str
) -> None:
    files = {"proc/self/cgroup": cgroup, "proc/stat": stat(IDLE), f"sys/fs/cgroup/{name}": before}
    changed = {"proc/stat": stat((5 + ticks(5), ticks(5), 0)), f"sys/fs/cgroup/{name}": after}
    throttled = found(span(tmp_path, files, changed, own_s=5))
    assert throttled.throttled_share == pytest.approx(0.5)
    assert throttled.taken_share == pytest.approx(0.5)
    assert "the CPU quota 50 %" in throttled.described()


def test_run_queue_and_clock_are_told_where_the_kernel_tells_them(tmp_path: Path) -> None:
    pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 total=0\n"
    clock = "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
    before = {"proc/stat": stat(IDLE), "proc/pressure/cpu": pressure.format(0), clock: "2600000"}
    after = {"proc/stat": stat((5, ticks(10), 0)), "proc/pressure/cpu": pressure.format(2_500_000)}
    told = found(span(tmp_path, before, after | {clock: "2100000", "proc/loadavg": "3.0 1 1 1/1 1"}, own_s=0))
    assert told.pressure_share == pytest.approx(0.25)
    assert (told.lowest_mhz, told.highest_mhz, told.load) == (2100, 2600, 2.0)


def test_a_kernel_that_tells_nothing_gives_no_disturbance(tmp_path: Path) -> None:
    silent = found(span(tmp_path, {}, {}, own_s=1))
    assert (silent.taken_share, silent.pressure_share, silent.lowest_mhz) == (0, None, None)


def test_spans_are_put_together_by_their_length(tmp_path: Path) -> None:
    quiet = span(
        tmp_path / "a",
        {"proc/stat": stat(IDLE)},
        {"proc/stat": stat((5 + ticks(10), 0, 0))},
        own_s=10,
    )
    busy = span(
        tmp_path / "b", {"proc/stat": stat(IDLE)}, {"proc/stat": stat((5 + ticks(10), 0, 0))}, own_s=4
    )
    assert found(quiet, busy, waited_share=0.1).others_share == pytest.approx(0.3)


def test_reading_of_this_host_has_its_counters() -> None:
    now = reading()
    assert 0 < now.cpus.total <= now.host.total
    assert now.own_s > 0


@pytest.mark.parametrize(
    ("text", "expected"), [("0-1", {0, 1}), ("0,4", {0, 4}), (None, {0})], ids=["range", "list", "unknown"]
)
def test_siblings_are_read_as_the_kernel_lists_them(
    tmp_path: Path, text: str | None, expected: set[int]
) -> None:
    if text is not None:
        written(tmp_path, {"cpu0/topology/thread_siblings_list": text})
    assert siblings(0, tmp_path) == expected
