"""The hardware check: which CPU this is, what oneDNN uses of it, and what speed-up to expect from INT8."""

from __future__ import annotations

import logging
import os
import platform
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from paddle_int8.tasks.config.hardware import HardwareConfig
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.hardware import onednn
from paddle_int8.tasks.hardware.cpuinfo import CpuInfo, microarchitecture, parse_cpuinfo
from paddle_int8.tasks.hardware.levels import (
    FULL_AVX512,
    emulated_levels,
    isa_level,
    published_band,
    rank,
)
from paddle_int8.tasks.hardware.onednn import OneDnnReport
from paddle_int8.tasks.hardware.policy import enforce
from paddle_int8.tasks.process import host_lock, temporary
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.process.limits import memory_limit, usable_cores
from paddle_int8.tasks.process.pace import slowness

QUERY_TIMEOUT_S = 120
"""Limit of the query on the reference host of `tasks/process/pace.py`."""

logger = logging.getLogger(__name__)


def host_profile(log: Path | None = None, config: HardwareConfig | None = None) -> HostProfile:
    """The profile of this host. oneDNN is queried in an isolated process, whose output goes to `log`.

    config: what a release requires of the host. Its policy decides which warnings on the CPU are given;
    that others may disturb the measurements is said in any case.
    Raises: HardwareError when `config` requires more than this CPU has; HardwareError or IsolatedProcessError
    when oneDNN cannot be queried.
    """
    own_folder = nullcontext("") if log else tempfile.TemporaryDirectory(prefix=temporary.prefix())
    with own_folder as folder:
        report = run_isolated(
            onednn.report,
            step="hardware check",
            log=log or Path(folder) / "hardware.log",
            timeout_s=QUERY_TIMEOUT_S * slowness(),
            doing="importing Paddle, and asking oneDNN what this CPU can do",
        )
    profile = describe(Path("/"), report, affinity=len(os.sched_getaffinity(0)))
    warnings = enforce(profile, config) if config else profile.warnings
    others = filter(None, [host_lock.not_excluded()])
    profile = replace(profile, warnings=(*warnings, *others))
    logger.info(
        "%s (%s), %s, %.1f of %d cores",
        profile.cpu_model,
        profile.microarchitecture,
        profile.isa,
        profile.usable_cores,
        profile.cores,
    )
    return profile


def describe(root: Path, report: OneDnnReport, *, affinity: int) -> HostProfile:
    """The profile made of the files below `root` (/proc, /sys) and of oneDNN's report.

    `isa` is the level that will run: that of oneDNN, when it is lower than what the CPU's flags promise.
    """
    cpu = parse_cpuinfo((root / "proc/cpuinfo").read_text(encoding="utf-8"))
    flags = frozenset(cpu.flags)
    promised = isa_level(flags)
    isa = min(promised, report.isa, key=rank)
    return HostProfile(
        hostname=platform.node(),
        cpu_model=cpu.model_name,
        microarchitecture=microarchitecture(cpu),
        flags=cpu.flags,
        isa=isa,
        onednn_isa=report.isa.value,
        onednn_version=report.version,
        full_avx512=flags >= FULL_AVX512,
        cores=cpu.processors,
        usable_cores=usable_cores(affinity, root),
        memory_bytes=memory_limit(root),
        band=published_band(isa),
        emulates=emulated_levels(isa, flags),
        warnings=_warnings(cpu, isa, promised, report),
    )


def _warnings(cpu: CpuInfo, isa: IsaLevel, promised: IsaLevel, report: OneDnnReport) -> tuple[str, ...]:
    warnings: list[str] = []
    if published_band(isa) is None:
        missing = sorted(FULL_AVX512 - frozenset(cpu.flags))
        lack = f"without {', '.join(missing)}" if missing else f"with oneDNN held to {report.isa}"
        warnings.append(
            f"not a target: {cpu.model_name} {lack} is below the full AVX-512 that the published INT8 "
            "speed-ups need; INT8 may still be faster here, and the measurement will tell"
        )
    if report.isa is not promised:
        warnings.append(
            f"the CPU's flags promise {promised}, but oneDNN uses {report.isa}: look at "
            "ONEDNN_MAX_CPU_ISA and at what the hypervisor passes through"
        )
    return tuple(warnings)
