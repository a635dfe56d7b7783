"""Reads /proc/cpuinfo as lscpu does, and translates family and model numbers into names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

INTEL, AMD = "GenuineIntel", "AuthenticAMD"
INTEL_FAMILY_6: dict[int, str] = {
    60: "Haswell",
    63: "Haswell",
    69: "Haswell",
    70: "Haswell",
    61: "Broadwell",
    71: "Broadwell",
    79: "Broadwell",
    86: "Broadwell",
    78: "Skylake (client)",
    94: "Skylake (client)",
    106: "Ice Lake-SP",
    108: "Ice Lake-D",
    125: "Ice Lake (client)",
    126: "Ice Lake (client)",
    140: "Tiger Lake",
    141: "Tiger Lake",
    142: "Kaby Lake",
    143: "Sapphire Rapids",
    151: "Alder Lake",
    154: "Alder Lake",
    158: "Coffee Lake",
    167: "Rocket Lake",
    170: "Meteor Lake",
    172: "Meteor Lake",
    173: "Granite Rapids",
    174: "Granite Rapids-D",
    175: "Sierra Forest",
    183: "Raptor Lake",
    186: "Raptor Lake",
    189: "Lunar Lake",
    191: "Raptor Lake",
    197: "Arrow Lake",
    198: "Arrow Lake",
    207: "Emerald Rapids",
}
SKYLAKE_SP_MODEL = 85
WITH_AMX = frozenset({"Sapphire Rapids", "Emerald Rapids", "Granite Rapids", "Granite Rapids-D"})
AMD_MODELS: dict[int, tuple[tuple[range, str], ...]] = {
    23: ((range(0x30), "Zen"), (range(0x30, 0x100), "Zen 2")),
    25: (
        (range(0x10), "Zen 3"),
        (range(0x10, 0x20), "Zen 4"),
        (range(0x20, 0x60), "Zen 3"),
        (range(0x60, 0x80), "Zen 4"),
        (range(0xA0, 0xB0), "Zen 4"),
    ),
    26: ((range(0x50), "Zen 5"), (range(0x60, 0x80), "Zen 5")),
}
"""Names of AMD's models by family. Sources, for Intel too: Linux arch/x86/include/asm/intel-family.h and
arch/x86/kernel/cpu/amd.c."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuInfo:
    """The first processor of /proc/cpuinfo, and the number of processors."""

    vendor: str
    model_name: str
    family: int
    model: int
    flags: tuple[str, ...]
    processors: int


def parse_cpuinfo(text: str) -> CpuInfo:
    """The CPU that /proc/cpuinfo describes. Missing fields, as in some containers, are empty or 0."""
    processors = list(_processors(text))
    first = processors[0] if processors else {}
    return CpuInfo(
        vendor=first.get("vendor_id", ""),
        model_name=first.get("model name", "unknown"),
        family=_number(first.get("cpu family", "")),
        model=_number(first.get("model", "")),
        flags=tuple(sorted(first.get("flags", "").split())),
        processors=len(processors),
    )


def microarchitecture(cpu: CpuInfo) -> str:
    """The name that a data sheet uses, such as "Cascade Lake"; family and model where it is unknown."""
    if cpu.vendor == INTEL and cpu.family == 6:
        name = _skylake_sp(cpu) if cpu.model == SKYLAKE_SP_MODEL else INTEL_FAMILY_6.get(cpu.model)
        if "amx_int8" in cpu.flags and name not in WITH_AMX:  # a hypervisor's made-up model number
            return "Sapphire Rapids or newer"
    elif cpu.vendor == AMD:
        models = AMD_MODELS.get(cpu.family, ())
        name = next((name for numbers, name in models if cpu.model in numbers), None)
    else:
        name = None
    return name or f"unknown ({cpu.vendor or 'no vendor'} family {cpu.family} model {cpu.model})"


def _skylake_sp(cpu: CpuInfo) -> str:
    """The generation of a CPU of model 85, which three of them share.

    Hypervisors hide the stepping that tells them apart, but not the instructions that each generation added.
    """
    if "avx512_bf16" in cpu.flags:
        return "Cooper Lake"
    return "Cascade Lake" if "avx512_vnni" in cpu.flags else "Skylake-SP"


def _processors(text: str) -> Iterator[dict[str, str]]:
    for block in text.strip().split("\n\n"):
        pairs = (line.split(":", 1) for line in block.splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in pairs}
        if "processor" in fields:
            yield fields


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
