"""The hardware check, on the flags of real processors."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle_int8.tasks.config.hardware import HardwareConfig, HardwarePolicy
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import HardwareError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.hardware.cpuinfo import CpuInfo, microarchitecture, parse_cpuinfo
from paddle_int8.tasks.hardware.levels import (
    ORDER,
    emulated_levels,
    environment_for,
    isa_level,
    published_band,
    rank,
)
from paddle_int8.tasks.hardware.onednn import OneDnnReport
from paddle_int8.tasks.hardware.policy import enforce
from paddle_int8.tasks.hardware.profile import describe, host_profile
from paddle_int8.tasks.hardware.task import check_hardware
from paddle_int8.tasks.process import limits
from paddle_int8.tasks.process.limits import memory_limit, usable_cores
from paddle_int8.tasks.process.progress import listen

AVX2 = "sse4_1 sse4_2 avx avx2 fma"
AVX512 = f"{AVX2} avx512f avx512dq avx512cd avx512bw avx512vl"
CASCADE_LAKE = f"{AVX512} avx512_vnni"
COOPER_LAKE = f"{CASCADE_LAKE} avx512_bf16"
SAPPHIRE_RAPIDS = f"{COOPER_LAKE} avx_vnni avx512_fp16 amx_bf16 amx_tile amx_int8"
INTEL, AMD = "GenuineIntel", "AuthenticAMD"

HOSTS = {
    "skylake": (INTEL, 6, 85, AVX512, IsaLevel.AVX512_CORE, "Skylake-SP"),
    "cascade_lake": (INTEL, 6, 85, CASCADE_LAKE, IsaLevel.AVX512_CORE_VNNI, "Cascade Lake"),
    "cooper_lake": (INTEL, 6, 85, COOPER_LAKE, IsaLevel.AVX512_CORE_BF16, "Cooper Lake"),
    "ice_lake": (INTEL, 6, 106, CASCADE_LAKE, IsaLevel.AVX512_CORE_VNNI, "Ice Lake-SP"),
    "sapphire_rapids": (INTEL, 6, 143, SAPPHIRE_RAPIDS, IsaLevel.AVX512_CORE_AMX, "Sapphire Rapids"),
    "emerald_rapids": (INTEL, 6, 207, SAPPHIRE_RAPIDS, IsaLevel.AVX512_CORE_AMX, "Emerald Rapids"),
    "granite_rapids": (INTEL, 6, 173, SAPPHIRE_RAPIDS, IsaLevel.AVX512_CORE_AMX, "Granite Rapids"),
    "alder_lake": (INTEL, 6, 151, f"{AVX2} avx_vnni", IsaLevel.AVX2_VNNI, "Alder Lake"),
    "haswell": (INTEL, 6, 63, AVX2, IsaLevel.AVX2, "Haswell"),
    "rome": (AMD, 23, 49, AVX2, IsaLevel.AVX2, "Zen 2"),
    "milan": (AMD, 25, 1, AVX2, IsaLevel.AVX2, "Zen 3"),
    "genoa": (AMD, 25, 17, COOPER_LAKE, IsaLevel.AVX512_CORE_BF16, "Zen 4"),
    "turin": (AMD, 26, 2, f"{COOPER_LAKE} avx_vnni", IsaLevel.AVX512_CORE_BF16, "Zen 5"),
    "sandy_bridge": (INTEL, 6, 45, "sse4_1 avx", IsaLevel.AVX, "unknown (GenuineIntel family 6 model 45)"),
    "made_up_model": (INTEL, 6, 167, SAPPHIRE_RAPIDS, IsaLevel.AVX512_CORE_AMX, "Sapphire Rapids or newer"),
    "no_flags": ("", 0, 0, "", IsaLevel.SSE41, "unknown (no vendor family 0 model 0)"),
}
hosts = pytest.mark.parametrize(
    ("vendor", "family", "model", "flags", "level", "name"), HOSTS.values(), ids=HOSTS
)


def cpuinfo(vendor: str, family: int, model: int, flags: str, processors: int = 2) -> str:
    block = (
        "processor\t: {}\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\n"
        "model name\t: Some CPU @ 2.60GHz\nflags\t\t: {}\nbogomips\t: 5200.00\n"
    )
    return "\n".join(block.format(number, vendor, family, model, flags) for number in range(processors))


def host(tmp_path: Path, flags: str = CASCADE_LAKE, *, onednn: IsaLevel | None = None) -> HostProfile:
    """The profile of an Intel server whose /proc holds `flags`."""
    files = {
        "proc/cpuinfo": cpuinfo(INTEL, 6, 85, flags),
        "proc/meminfo": "MemTotal:       65536 kB\n",
        "proc/self/cgroup": "0::/\n",
    }
    _write(tmp_path, files)
    report = OneDnnReport(isa=onednn or isa_level(set(flags.split())), version="3.2.1")
    return describe(tmp_path, report, affinity=2)


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


@hosts
def test_processor_of_known_flags_gets_its_level_and_name(
    vendor: str, family: int, model: int, flags: str, level: IsaLevel, name: str
) -> None:
    cpu = parse_cpuinfo(cpuinfo(vendor, family, model, flags))
    assert (isa_level(set(cpu.flags)), microarchitecture(cpu), cpu.processors) == (level, name, 2)


@pytest.mark.parametrize("missing", ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])
def test_level_without_one_avx512_flag_is_avx2(missing: str) -> None:
    assert isa_level(set(SAPPHIRE_RAPIDS.split()) - {missing, "avx_vnni"}) is IsaLevel.AVX2


def test_amx_without_int8_is_the_bf16_level() -> None:
    assert isa_level(set(SAPPHIRE_RAPIDS.split()) - {"amx_int8"}) is IsaLevel.AVX512_CORE_BF16


def test_order_covers_every_level_once() -> None:
    assert sorted(ORDER) == sorted(IsaLevel)
    assert rank(IsaLevel.AVX2) < rank(IsaLevel.AVX2_VNNI) < rank(IsaLevel.AVX512_CORE)


def test_cascade_lake_emulates_what_it_contains_only() -> None:
    flags = set(CASCADE_LAKE.split())
    assert emulated_levels(isa_level(flags), flags) == (
        IsaLevel.SSE41,
        IsaLevel.AVX,
        IsaLevel.AVX2,
        IsaLevel.AVX512_CORE,
    )


def test_sapphire_rapids_emulates_every_level_below() -> None:
    flags = set(SAPPHIRE_RAPIDS.split())
    assert emulated_levels(isa_level(flags), flags) == ORDER[:-1]


def test_environment_is_spelled_as_onednn_reads_it() -> None:
    assert environment_for(IsaLevel.AVX512_CORE_VNNI) == {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}


@pytest.mark.parametrize(
    ("level", "band"),
    [
        (IsaLevel.AVX2, None),
        (IsaLevel.AVX2_VNNI, None),
        (IsaLevel.AVX512_CORE, (1.5, 1.5)),
        (IsaLevel.AVX512_CORE_VNNI, (3.0, 3.7)),
        (IsaLevel.AVX512_CORE_AMX, (3.0, 3.7)),
    ],
)
def test_band_is_the_published_one(level: IsaLevel, band: tuple[float, float] | None) -> None:
    found = published_band(level)
    assert (found and (found.low, found.high)) == band


def test_profile_of_vnni_server_has_no_warning(tmp_path: Path) -> None:
    profile = host(tmp_path)
    assert profile.full_avx512
    assert profile.warnings == ()
    assert profile.memory_bytes == 64 << 20


def test_profile_below_avx512_says_not_a_target_and_why(tmp_path: Path) -> None:
    profile = host(tmp_path, AVX2)
    assert not profile.full_avx512
    assert profile.band is None
    assert "not a target" in profile.warnings[0]
    assert "avx512bw" in profile.warnings[0]


def test_profile_of_capped_onednn_takes_its_level_and_warns(tmp_path: Path) -> None:
    profile = host(tmp_path, SAPPHIRE_RAPIDS, onednn=IsaLevel.AVX512_CORE)
    assert (profile.isa, profile.onednn_isa) == (IsaLevel.AVX512_CORE, "avx512_core")
    assert profile.band is not None
    assert profile.band.high == 1.5
    assert any("ONEDNN_MAX_CPU_ISA" in warning for warning in profile.warnings)


@pytest.mark.parametrize("minimum", [IsaLevel.AVX512_CORE, IsaLevel.AVX512_CORE_VNNI], ids=["above", "equal"])
def test_required_level_at_or_below_host_passes(tmp_path: Path, minimum: IsaLevel) -> None:
    config = HardwareConfig(policy=HardwarePolicy.REQUIRE, minimum_isa=minimum)
    assert enforce(host(tmp_path), config) == ()


def test_required_level_above_host_stops(tmp_path: Path) -> None:
    config = HardwareConfig(policy=HardwarePolicy.REQUIRE, minimum_isa=IsaLevel.AVX512_CORE_BF16)
    with pytest.raises(HardwareError) as caught:
        enforce(host(tmp_path), config)
    assert "Cascade Lake" in caught.value.found
    assert "avx512_core_bf16" in caught.value.required


@pytest.mark.parametrize(("policy", "warnings"), [(HardwarePolicy.WARN, 2), (HardwarePolicy.IGNORE, 0)])
def test_lower_host_warns_unless_ignored(tmp_path: Path, policy: HardwarePolicy, warnings: int) -> None:
    assert len(enforce(host(tmp_path, AVX2), HardwareConfig(policy=policy))) == warnings


CGROUPS = {
    "no_limit": ({"proc/self/cgroup": "0::/\n"}, 8.0, 64 << 20),
    "v2_in_container": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/memory.max": "33554432\n",
        },
        1.5,
        32 << 20,
    ),
    "v2_limit_of_outer_group": (
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/pod/container/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/container/memory.max": "max\n",
        },
        4.0,
        64 << 20,
    ),
    "v1": (
        {
            "proc/self/cgroup": "4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "16777216\n",
        },
        2.0,
        16 << 20,
    ),
    "v1_unlimited_in_container": (
        {
            "proc/self/cgroup": "4:memory:/host/path\n3:cpu:/host/path\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
        8.0,
        64 << 20,
    ),
}


@pytest.mark.parametrize(("files", "cores", "memory"), CGROUPS.values(), ids=CGROUPS)
def test_limits_follow_the_cgroup(tmp_path: Path, files: dict[str, str], cores: float, memory: int) -> None:
    _write(tmp_path, {"proc/meminfo": "MemTotal: 65536 kB\n", **files})
    assert (usable_cores(8, tmp_path), memory_limit(tmp_path)) == (cores, memory)


def test_affinity_below_the_quota_wins(tmp_path: Path) -> None:
    _write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "800000 100000\n"})
    assert usable_cores(3, tmp_path) == 3.0


def test_cpuinfo_without_fields_is_unknown() -> None:
    assert parse_cpuinfo("") == CpuInfo(
        vendor="", model_name="unknown", family=0, model=0, flags=(), processors=0
    )


@pytest.mark.paddle
def test_profile_of_this_host_agrees_with_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    native = host_profile()
    assert native.onednn_version == "3.2.1"
    assert native.isa not in native.emulates
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    capped = host_profile()
    assert (capped.isa, capped.emulates) == (IsaLevel.SSE41, ())


@pytest.mark.paddle
def test_profile_says_whose_work_a_measurement_here_does_not_exclude(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paddle_int8.tasks.process.host_lock.not_excluded", lambda: "others do not wait")
    assert host_profile().warnings[-1] == "others do not wait"


@pytest.mark.paddle
@pytest.mark.parametrize("policy", HardwarePolicy)
def test_release_says_so_in_log_and_report_under_every_policy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policy: HardwarePolicy
) -> None:
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path))
    monkeypatch.setattr("paddle_int8.tasks.process.host_lock.not_excluded", lambda: "others do not wait")
    logged: list[str] = []
    with listen(lambda event: logged.append(event.note)):
        profile = check_hardware.fn(HardwareConfig(policy=policy, minimum_isa=IsaLevel.SSE41))
    assert profile.warnings[-1] == "others do not wait"
    assert "others do not wait" in logged[-1]


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "1"), ({"OMP_NUM_THREADS": "3"}, "3")], ids=["quota", "own"]
)
def test_threads_of_a_process_follow_the_quota_unless_they_are_set(
    given: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "own_cores", lambda: 0.5)
    assert (limits.default_threads() | given)["OMP_NUM_THREADS"] == expected
