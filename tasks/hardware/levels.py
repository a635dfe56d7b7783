"""The instruction sets that decide INT8's speed and accuracy, in their one order, weakest first."""

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
"""Flags as Linux spells them in /proc/cpuinfo. The order of this table is the order of the levels."""
ORDER = tuple(REQUIRED_FLAGS)

VNNI = frozenset(
    {
        IsaLevel.AVX2_VNNI,
        IsaLevel.AVX512_CORE_VNNI,
        IsaLevel.AVX512_CORE_BF16,
        IsaLevel.AVX512_CORE_AMX,
    }
)
"""Levels that multiply and add bytes in one instruction, without sums of 16 bits in between."""
VNNI_BAND = SpeedBand(
    low=3.0,
    high=3.7,
    source="published for Cascade Lake (avx512_vnni), image models; language models 1.5-3x",
)
AVX512_BAND = SpeedBand(low=1.5, high=1.5, source="published for Skylake-SP (AVX-512 without VNNI)")


def isa_level(flags: AbstractSet[str]) -> IsaLevel:
    """The strongest level whose flags are all there; SSE4.1 is the floor that oneDNN assumes."""
    return max((level for level in ORDER if REQUIRED_FLAGS[level] <= flags), key=rank, default=ORDER[0])


def rank(level: IsaLevel) -> int:
    """Place in the order, 0 for the weakest."""
    return ORDER.index(level)


def emulated_levels(host: IsaLevel, flags: AbstractSet[str]) -> tuple[IsaLevel, ...]:
    """Levels below `host` that oneDNN can be held to here, weakest first.

    The order is not a chain of subsets: an AVX-512 server without AVX-VNNI cannot stand in for a
    client processor that has it.
    """
    return tuple(level for level in ORDER[: rank(host)] if REQUIRED_FLAGS[level] <= flags)


def environment_for(level: IsaLevel) -> dict[str, str]:
    """Environment that holds oneDNN to `level`; read once per process, when oneDNN first runs.

    Paddle's own kernels, outside oneDNN, still use everything the CPU has.
    """
    return {"ONEDNN_MAX_CPU_ISA": level.value.upper()}


def published_band(level: IsaLevel) -> SpeedBand | None:
    """The speed-up that the published procedure promises; None where it says "not a target"."""
    if rank(level) < rank(IsaLevel.AVX512_CORE):
        return None
    return AVX512_BAND if level is IsaLevel.AVX512_CORE else VNNI_BAND


def environment(isa: IsaLevel, *, emulated: bool, threads: int) -> dict[str, str]:
    """What an isolated process that runs predictors needs before it starts."""
    counts = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    return counts | (environment_for(isa) if emulated else {})
