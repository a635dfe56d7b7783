"""A release with bad input gives one clear message and failed records, and leaves nothing half-written."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from paddle_int8.tasks.contracts.errors import (
    DataError,
    HardwareError,
    IsolatedProcessError,
    MeasurementError,
    ModelFormatError,
    RegistryError,
    StorageError,
)
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.hardware.levels import rank
from paddle_int8.tasks.hardware.profile import host_profile
from paddle_int8.tasks.process import progress
from tests.e2e.command_line import new_home, release_command
from tests.e2e.failing_metrics import CGROUP_VARIABLE
from tests.e2e.ground import Ground
from tests.e2e.records import embedded_flow_states, read_run
from tests.e2e.small_inputs import CLASSES, SIDE, SmallInputs, labels, noise, save_data
from tests.patience import allowed

pytestmark = pytest.mark.paddle

METRICS = "tests.e2e.failing_metrics"
HOST = {"isa", "cpu_model"}
MODEL = HOST | {"model_digest"}
DATA = MODEL | {"calibration_digest", "validation_digest"}
BASELINES = {"models", "data", "baselines"}
CONVERTED = BASELINES | {"observed", "quantized", "deployable"}


def _npz(source: Path) -> dict[str, str]:
    return {"kind": "npz", "path": str(source)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"gates": {}}, "unknown key `gates`, did you mean `gate`?", id="unknown section"),
        pytest.param(
            {"gate": {"min_speadup": 1.5}},
            "unknown key `gate.min_speadup`, did you mean `min_speedup`?",
            id="mistyped key",
        ),
        pytest.param(
            {"quantization": {"algorithms": ["histt"]}},
            "`quantization.algorithms.0` is histt, did you mean `hist`?",
            id="unknown algorithm",
        ),
    ],
)
def test_release_with_bad_config_ends_with_status_2_before_anything_is_made(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    config = SmallInputs(folder=tmp_path).config(tmp_path / "release.yaml", "bad-config", **changes)
    ended = _command_line(config, tmp_path / "home")
    assert ended.returncode == 2
    _require_one_message(ended.stderr, "ConfigError")
    assert said in ended.stderr
    assert not (tmp_path / "home").exists()


def test_command_with_a_wrong_variable_of_the_environment_ends_with_status_2(tmp_path: Path) -> None:
    config = SmallInputs(folder=tmp_path).config(tmp_path / "release.yaml", "bad-variable")
    environment = new_home(tmp_path / "home") | {"PADDLE_INT8_PARALLEL_CANDIDATES": "two"}
    ended = subprocess.run(
        release_command(config), env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 2
    _require_one_message(ended.stderr, "ConfigError")
    assert "`PADDLE_INT8_PARALLEL_CANDIDATES` is two" in ended.stderr


def test_release_command_that_fails_ends_with_status_1_and_both_records(
    inputs: SmallInputs, tmp_path: Path
) -> None:
    config = inputs.config(tmp_path / "release.yaml", "no-model", model={"path": str(tmp_path / "nowhere")})
    home = tmp_path / "home"
    ended = _command_line(config, home)
    assert ended.returncode == 1
    _require_one_message(ended.stderr, "ModelFormatError")
    assert read_run(f"sqlite:///{home / 'mlflow.db'}", "no-model").info.status == "FAILED"
    assert embedded_flow_states(home) == ["FAILED"]


def _command_line(config: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        release_command(config), env=new_home(home), capture_output=True, text=True, timeout=allowed(300)
    )


def _require_one_message(printed: str, error: str) -> None:
    """The error's three parts, once, and no traceback."""
    message = printed[printed.index(error) :]
    starts = [line.split()[0] for line in message.splitlines() if line.startswith("  ")]
    assert starts == ["found", "required", "remedy"]
    assert "Traceback" not in printed


def _missing(model: Path) -> str:
    (model / "model.pdmodel").unlink()
    return "no Paddle program"


def _truncated_program(model: Path) -> str:
    program = model / "model.pdmodel"
    program.write_bytes(program.read_bytes()[:-1000])
    return "is truncated or not a Paddle program"


def _not_a_program(model: Path) -> str:
    (model / "model.pdmodel").write_text("This is a letter to my aunt.\n" * 100)
    return "not a Paddle program"


def _truncated_params(model: Path) -> str:
    params = model / "model.pdiparams"
    params.write_bytes(params.read_bytes()[:-100])
    return "truncated, 100 bytes are missing"


def _other_params(model: Path) -> str:
    shutil.copyfile(model.parent / "other_model" / "model.pdiparams", model / "model.pdiparams")
    return "where the program has parameter"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_missing, id="missing program"),
        pytest.param(_truncated_program, id="truncated program"),
        pytest.param(_not_a_program, id="a text file"),
        pytest.param(_truncated_params, id="truncated parameters"),
        pytest.param(_other_params, id="parameters of another model"),
    ],
)
def test_release_with_bad_model_fails_in_load_model(ground: Ground, spoil: Callable[[Path], str]) -> None:
    shutil.copytree(ground.inputs.folder, ground.folder / "inputs")
    model = ground.folder / "inputs" / "model"
    said = spoil(model)
    error = ground.failure(model={"path": str(model)})
    assert isinstance(error, ModelFormatError)
    assert said in error.found
    ground.require_failed(error, task="load model", tags=HOST)
    assert ground.kinds() == set()


def _wrong_shape(folder: Path) -> dict[str, Any]:
    np.savez(folder / "bad.npz", image=noise(16, seed=1)[:, :, :-1], labels=labels(16))
    return {"calibration": _npz(folder / "bad.npz")}


def _wrong_dtype(folder: Path) -> dict[str, Any]:
    np.savez(folder / "bad.npz", image=noise(16, seed=1).astype(np.float64), labels=labels(16))
    preprocessing = {"layout": "as_is", "dtype": "as_is"}
    return {"calibration": _npz(folder / "bad.npz"), "preprocessing": preprocessing}


def _empty(folder: Path) -> dict[str, Any]:
    return {"calibration": _npz(save_data(folder / "bad.npz", 0, seed=1))}


def _nan(folder: Path) -> dict[str, Any]:
    images = noise(8, seed=1)
    images[5, 0, 0, 0] = np.nan
    np.savez(folder / "bad.npz", image=images, labels=labels(8))
    return {"calibration": _npz(folder / "bad.npz")}


def _corrupt_image(folder: Path) -> dict[str, Any]:
    pictures = folder / "pictures"
    pictures.mkdir()
    for index in range(8):
        pixels = np.random.default_rng(index).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{index}.png")
    whole = (pictures / "5.png").read_bytes()
    (pictures / "5.png").write_bytes(whole[: len(whole) // 2])
    return {"calibration": {"kind": "image_folder", "root": str(pictures)}, "preprocessing": {}}


def _list_of_two_files(folder: Path) -> dict[str, Any]:
    data = _corrupt_image(folder)
    (folder / "pairs.txt").write_text("".join(f"{index}.png mask/{index}.png\n" for index in range(8)))
    data["calibration"]["list_file"] = str(folder / "pairs.txt")
    return data


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(_wrong_shape, "[1, 3, 15, 16] for input image", id="wrong shape"),
        pytest.param(_wrong_dtype, "float64", id="wrong type"),
        pytest.param(_empty, "no samples in", id="no samples"),
        pytest.param(_nan, "in sample 5 of", id="NaN"),
        pytest.param(_corrupt_image, "5.png cannot be read as an image", id="corrupt image among good ones"),
        pytest.param(_list_of_two_files, "'mask/0.png', which is a second file", id="list of two files"),
    ],
)
def test_release_with_bad_calibration_data_fails_in_its_draw(
    ground: Ground, spoil: Callable[[Path], dict[str, Any]], said: str
) -> None:
    error = ground.failure(data=spoil(ground.folder))
    assert isinstance(error, DataError)
    assert said in error.found
    ground.require_failed(error, task="calibration data", tags=MODEL)
    assert ground.kinds() == {"models"}


def test_release_whose_data_function_dies_fails_in_its_draw(ground: Ground) -> None:
    source = {"kind": "callable", "function": f"{METRICS}:segfault_while_reading"}
    error = ground.failure(data={"calibration": source})
    assert isinstance(error, IsolatedProcessError)
    assert "killed by SIGSEGV" in error.found
    ground.require_failed(error, task="calibration data", tags=MODEL)
    assert ground.kinds() == {"models"}


def _label_out_of_range(folder: Path) -> Path:
    np.savez(folder / "bad.npz", image=noise(12, seed=3), labels=np.arange(12) % CLASSES + 1)
    return folder / "bad.npz"


def _shared_samples(folder: Path) -> Path:
    images = np.concatenate([noise(10, seed=3), noise(16, seed=1)])  # seed 1 is the calibration data
    np.savez(folder / "bad.npz", image=images, labels=labels(26))
    return folder / "bad.npz"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(_label_out_of_range, "label 10 in", id="label out of range"),
        pytest.param(_shared_samples, "8 validation samples were calibrated on", id="overlap"),
    ],
)
def test_release_with_unfit_validation_data_fails_in_check_data(
    ground: Ground, spoil: Callable[[Path], Path], said: str
) -> None:
    error = ground.failure(data={"validation": _npz(spoil(ground.folder))})
    assert isinstance(error, DataError)
    assert said in error.found
    ground.require_failed(error, task="check data", tags=DATA)
    assert ground.kinds() == {"models", "data"}


def test_release_with_an_unfit_metric_fails_before_anything_is_quantized(ground: Ground) -> None:
    error = ground.failure(validation={"metrics": [f"{METRICS}:unfit"]})
    assert isinstance(error, MeasurementError)
    assert "raised KeyError" in error.found
    ground.require_failed(error, task="measure baselines", tags=DATA)
    assert ground.kinds() == {"models", "data"}


def test_release_with_too_few_samples_says_so_before_anything_is_quantized(ground: Ground) -> None:
    heard: list[progress.Progress] = []
    with progress.listen(heard.append):
        ground.failure(gate={"max_drop_pp": 0.5}, quantization={"timeout_s": 0.01})
    said = [event.note for event in heard if event.step == "check number of samples" and event.ended]
    assert len(said) == 1
    assert "40 validation samples cannot decide `gate.max_drop_pp: 0.5`" in said[0]
    assert "at least 598 samples" in said[0]


def test_release_on_host_below_required_isa_fails_in_hardware_check(ground: Ground) -> None:
    required = IsaLevel.AVX512_CORE_AMX
    if rank(host_profile().isa) >= rank(required):
        pytest.skip(f"needs a host below {required}")
    error = ground.failure(hardware={"policy": "require", "minimum_isa": required.value})
    assert isinstance(error, HardwareError)
    ground.require_failed(error, task="hardware check", tags=set())


def test_release_with_mlflow_unreachable_fails_before_anything_is_computed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    error = ground.failure()
    assert isinstance(error, RegistryError)
    assert str(port) in error.found
    flow = ground.flow()
    assert flow.state == "FAILED"
    assert [*flow.tasks] == ["open MLflow run"]
    assert ground.kinds() == set()


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        pytest.param("segfault", "killed by SIGSEGV", id="segmentation fault"),
        pytest.param("abort", "killed by SIGABRT", id="abort"),
        pytest.param("hang", "still running after 8 s", id="hang"),
    ],
)
def test_release_whose_process_dies_fails_in_its_step(warm_ground: Ground, metric: str, said: str) -> None:
    error = warm_ground.failure(
        validation={"metrics": [f"{METRICS}:{metric}"], "timeout_s": 8 if metric == "hang" else 600}
    )
    assert isinstance(error, IsolatedProcessError)
    assert said in error.found
    assert "last lines of" in error.found
    warm_ground.require_failed(error, task="validate abs_max-offline", tags=DATA)
    assert warm_ground.kinds() == CONVERTED


@dataclass(frozen=True, slots=True)
class MemoryCgroup:
    folder: Path

    @property
    def killed(self) -> int:
        """Processes that the kernel ended for memory."""
        counted = ("memory.events", "memory.oom_control")
        (text,) = [(self.folder / name).read_text() for name in counted if (self.folder / name).exists()]
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])


@pytest.fixture
def memory_cgroup() -> Iterator[MemoryCgroup]:
    """One of 64 MiB, of either version."""
    versions = {"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"}
    root = next((Path(each) for each in versions if (Path(each) / "cgroup.procs").exists()), None)
    if root is None or not os.access(root, os.W_OK):
        pytest.skip("needs a memory cgroup that may be written")
    folder = root / f"paddle-int8-test-{os.getpid()}"
    folder.mkdir()
    try:
        limit = folder / versions[str(root)]
        if not limit.exists():
            pytest.skip("needs the memory controller in the root cgroup's `cgroup.subtree_control`")
        limit.write_text(str(64 << 20))
        yield MemoryCgroup(folder)
    finally:
        folder.rmdir()


def test_release_whose_process_takes_too_much_memory_fails_in_its_step(
    warm_ground: Ground, memory_cgroup: MemoryCgroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CGROUP_VARIABLE, str(memory_cgroup.folder))
    error = warm_ground.failure(validation={"metrics": [f"{METRICS}:take_too_much_memory"]})
    assert isinstance(error, IsolatedProcessError)
    assert "killed by SIGKILL" in error.found
    assert "kills for memory" in error.remedy
    assert memory_cgroup.killed == 1
    warm_ground.require_failed(error, task="validate abs_max-offline", tags=DATA)


def test_release_whose_quantization_takes_too_long_fails_in_it(ground: Ground) -> None:
    error = ground.failure(quantization={"timeout_s": 0.01})
    assert isinstance(error, IsolatedProcessError)
    assert "still running after 0.01 s" in error.found
    ground.require_failed(error, task="calibrate magnitudes", tags=DATA)
    assert ground.kinds() == BASELINES


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    ("left_bytes", "task", "tags"),
    [
        pytest.param(0, "hardware check", set(), id="full"),
        pytest.param(16 << 10, "load model", HOST, id="16 KiB left"),
    ],
)
def test_release_on_full_disk_fails_in_the_step_that_saves(
    ground_at: Callable[[Path], Ground], small_disk: Path, left_bytes: int, task: str, tags: set[str]
) -> None:
    ground = ground_at(small_disk / "home")
    ground.home.mkdir()
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - left_bytes))
    error = ground.failure()
    assert isinstance(error, StorageError)
    assert "No space left" in error.found
    ground.require_failed(error, task=task, tags=tags)
    assert ground.kinds() == set()


def test_release_command_on_full_disk_says_so_before_it_starts(small_disk: Path, tmp_path: Path) -> None:
    config = SmallInputs(folder=tmp_path).config(tmp_path / "release.yaml", "no-room")
    ended = _command_line(config, small_disk / "home")
    assert ended.returncode == 1
    _require_one_message(ended.stderr, "StorageError")
    assert list((small_disk / "home").iterdir()) == []
