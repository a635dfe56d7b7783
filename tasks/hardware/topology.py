"""Which CPUs share a core."""

from __future__ import annotations

from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")


def siblings(cpu: int, topology: Path = TOPOLOGY) -> frozenset[int]:
    """The hyper-threads of the core that `cpu` belongs to, including `cpu` itself.

    A virtual machine may show one for each core although two of its CPUs share a core of the host.
    """
    try:
        text = (topology / f"cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return frozenset({cpu})
    ends = [part.split("-") for part in text.strip().split(",")]
    return frozenset(number for end in ends for number in range(int(end[0]), int(end[-1]) + 1))
