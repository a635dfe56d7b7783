"""Asks the oneDNN library in Paddle's wheel for its version and instruction set, and switches its log.

These functions run in isolated processes only, since oneDNN reads ONEDNN_MAX_CPU_ISA once per process.
"""

from __future__ import annotations

import ctypes
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from paddle_int8.tasks.contracts.errors import HardwareError, MeasurementError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel

LIBRARY = "libs/libdnnl.so.3"
ISA_CODES: dict[int, IsaLevel] = {
    0x1: IsaLevel.SSE41,
    0x3: IsaLevel.AVX,
    0x7: IsaLevel.AVX2,
    0xF: IsaLevel.AVX2_VNNI,
    0x1F: IsaLevel.AVX2_VNNI,  # avx2_vnni_2
    0x27: IsaLevel.AVX512_CORE,
    0x67: IsaLevel.AVX512_CORE_VNNI,
    0xE7: IsaLevel.AVX512_CORE_BF16,
    0x1EF: IsaLevel.AVX512_CORE_BF16,  # avx512_core_fp16
    0xFEF: IsaLevel.AVX512_CORE_AMX,
    0x1FEF: IsaLevel.AVX512_CORE_AMX,  # avx512_core_amx_fp16
}
"""Values of `dnnl_cpu_isa_t` in oneDNN 3.2 (oneapi/dnnl/dnnl_types.h). A level without INT8 kernels of its
own stands for the level below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDnnReport:
    """The instruction set that oneDNN will use in this process, and its version."""

    isa: IsaLevel
    version: str


class _Version(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
        ("patch", ctypes.c_int),
        ("hash", ctypes.c_char_p),
        ("cpu_runtime", ctypes.c_uint),
        ("gpu_runtime", ctypes.c_uint),
    )


def report() -> OneDnnReport:
    """What oneDNN reports about itself in this process.

    Raises: HardwareError when the library is missing or reports an unknown instruction set.
    """
    dnnl = library()
    dnnl.dnnl_version.restype = ctypes.POINTER(_Version)
    version = dnnl.dnnl_version().contents
    return OneDnnReport(isa=effective_isa(), version=f"{version.major}.{version.minor}.{version.patch}")


def effective_isa() -> IsaLevel:
    """The level that oneDNN uses in this process, as limited by ONEDNN_MAX_CPU_ISA.

    Raises: HardwareError when oneDNN reports an unknown instruction set.
    """
    code = library().dnnl_get_effective_cpu_isa()
    if code not in ISA_CODES:
        raise HardwareError(
            found=f"oneDNN reports instruction set {code:#x}",
            required=f"one of {', '.join(dict.fromkeys(ISA_CODES.values()))}",
            remedy="set ONEDNN_MAX_CPU_ISA to a level from that list, e.g. AVX512_CORE_AMX",
        )
    return ISA_CODES[code]


def require_isa(asked: IsaLevel, *, used: IsaLevel | None = None, by: str = "oneDNN") -> None:
    """Evidence must not carry the name of an instruction set that did not run.

    used: what ran `by` an engine; None asks oneDNN.
    Raises: MeasurementError when it is another one than asked.
    """
    used = used or effective_isa()
    if used is not asked:
        raise MeasurementError(
            found=f"{by} uses {used}",
            required=f"{asked}, which was asked for",
            remedy="remove ONEDNN_MAX_CPU_ISA from the environment; list in `validation.deploy_isas` only "
            "levels that `paddle-int8 hardware` says this host can emulate",
        )


def set_verbose(level: int) -> None:
    """Switches oneDNN's log: 0 is silent, 1 prints a line for each executed primitive to standard output."""
    library().dnnl_set_verbose(level)


@cache
def library() -> ctypes.CDLL:
    """The oneDNN library that Paddle uses. It is found by its path, so Paddle need not be imported.

    Raises: HardwareError when Paddle's wheel does not contain it.
    """
    spec = importlib.util.find_spec("paddle")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((Path(folder) / LIBRARY for folder in folders if (Path(folder) / LIBRARY).exists()), None)
    if path is None:
        raise HardwareError(
            found=f"no {LIBRARY} in the installed Paddle",
            required="paddlepaddle for Linux x86, which ships oneDNN",
            remedy="install the versions of requirements/release.lock on a Linux x86 host",
        )
    return ctypes.CDLL(str(path))
