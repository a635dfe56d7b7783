"""The instruction sets that decide INT8 speed and accuracy, in order from the weakest to the strongest."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from paddle_int8.tasks.contracts.artifacts import SpeedBand
from paddle_int8.tasks.contracts.vocabulary import IsaLevel

FULL_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
REQUIRED_FLAGS: dict[IsaLevel, frozenset[str]] = {
    IsaLevel.SSE41: frozenset({"sse4_1"}),
    IsaLevel.AVX: frozenset({"avx"}),
    IsaLevel.AVX2: frozenset({"avx2"}),
    IsaLevel.AVX2_VNNI: frozenset({"avx2", "avx_vnni"}),
    IsaLevel.AVX512_CORE: FULL_AVX512,
    IsaLevel.AVX512_CORE_VNNI: FULL_AVX512 | {"avx512_vnni"},
    IsaLevel.AVX512_CORE_BF16: FULL_AVX512 | {"avx512_vnni", "avx512_bf16"},
    IsaLevel.AVX512_CORE_AMX: FULL_AVX512 | {"avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8"},
}
"""CPU flags that each level needs, as /proc/cpuinfo spells them. The table's order is that of the levels."""
ORDER = tuple(REQUIRED_FLAGS)

VNNI = frozenset(
    {
        IsaLevel.AVX2_VNNI,
        IsaLevel.AVX512_CORE_VNNI,
        IsaLevel.AVX512_CORE_BF16,
        IsaLevel.AVX512_CORE_AMX,
    }
)
"""Levels that multiply and add bytes in one instruction. Others sum in 16 bits first, which can saturate."""
VNNI_BAND = SpeedBand(
    low=3.0,
    high=3.7,
    source="published for Cascade Lake (avx512_vnni), image models; language models 1.5-3x",
)
AVX512_BAND = SpeedBand(low=1.5, high=1.5, source="published for Skylake-SP (AVX-512 without VNNI)")


def isa_level(flags: AbstractSet[str]) -> IsaLevel:
    """The strongest level whose flags are all present; at least SSE4.1, which oneDNN always assumes."""
    return max((level for level in ORDER if REQUIRED_FLAGS[level] <= flags), key=rank, default=ORDER[0])


def rank(level: IsaLevel) -> int:
    """The position of a level in the order; 0 is the weakest."""
    return ORDER.index(level)


def emulated_levels(host: IsaLevel, flags: AbstractSet[str]) -> tuple[IsaLevel, ...]:
    """Levels below `host` to which oneDNN can be limited on this CPU, weakest first.

    A stronger level does not always include a weaker one: an AVX-512 server without AVX-VNNI cannot emulate
    a client processor that has it.
    """
    return tuple(level for level in ORDER[: rank(host)] if REQUIRED_FLAGS[level] <= flags)


def environment_for(level: IsaLevel) -> dict[str, str]:
    """The environment that limits oneDNN to `level`. oneDNN reads it once, when it first runs in a process.

    Paddle's own kernels, outside oneDNN, still use all instructions of the CPU.
    """
    return {"ONEDNN_MAX_CPU_ISA": level.value.upper()}


def published_band(level: IsaLevel) -> SpeedBand | None:
    """The speed-up that the published procedure promises; None for levels that it calls "not a target"."""
    if rank(level) < rank(IsaLevel.AVX512_CORE):
        return None
    return AVX512_BAND if level is IsaLevel.AVX512_CORE else VNNI_BAND


def environment(isa: IsaLevel, *, limited: bool, threads: int) -> dict[str, str]:
    """The environment for an isolated process that runs predictors on `threads` threads.

    limited: whether oneDNN must be limited to `isa`, since the host has more.
    """
    counts = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    return counts | (environment_for(isa) if limited else {})
