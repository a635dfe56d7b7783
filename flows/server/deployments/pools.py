"""Names the work pool of each instruction set, so that a release is measured where its model will serve."""

from __future__ import annotations

from pathlib import Path

from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.hardware.cpuinfo import parse_cpuinfo
from paddle_int8.tasks.hardware.levels import isa_level

POOLS = {
    IsaLevel.SSE41: "avx2",
    IsaLevel.AVX: "avx2",
    IsaLevel.AVX2: "avx2",
    IsaLevel.AVX2_VNNI: "alderlake",
    IsaLevel.AVX512_CORE: "skylake",
    IsaLevel.AVX512_CORE_VNNI: "cascadelake",
    IsaLevel.AVX512_CORE_BF16: "cascadelake",
    IsaLevel.AVX512_CORE_AMX: "sapphirerapids",
}
"""Each pool is named after the first CPUs with its instruction set. BF16 by itself does not change INT8, so
it has no pool of its own."""
NAMES = tuple(dict.fromkeys(POOLS.values()))


def host_pool() -> str:
    """The pool that this host's CPU belongs to."""
    cpu = parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return POOLS[isa_level(frozenset(cpu.flags))]


def require_pool(name: str) -> str:
    """Returns `name`.

    Raises: ConfigError when there is no such pool.
    """
    if name not in NAMES:
        raise ConfigError(found=f"work pool {name!r}", required=", ".join(NAMES), remedy="correct `--pool`")
    return name
