"""Cache keys of steps hold the inputs that decide their results, and no others."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import pytest

from paddle_int8.tasks.algorithms import section as quantization
from paddle_int8.tasks.algorithms.task import finetune, quantize
from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.config.quantization import ConversionConfig, QatConfig, QuantizationConfig
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.artifacts import (
    BaselineOutputsArtifact,
    Candidate,
    HostProfile,
    ModelArtifact,
)
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, OutputKind
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts import section as conversion
from paddle_int8.tasks.layouts.task import convert
from paddle_int8.tasks.steps import step as task
from paddle_int8.tasks.training.task import train
from paddle_int8.tasks.validation.load import LoadEvidence
from paddle_int8.tasks.validation.section import baseline_section
from paddle_int8.tasks.validation.task import baseline_outputs, measure_baselines, validate
from tests.installed_package import install
from tests.release_factory import build_artifacts, build_dataset, build_host, build_model

ISA = IsaLevel.AVX512_CORE
HIST, KL = (Candidate(algorithm=each, layout="qdq") for each in ("hist", "KL"))
DATA, MODEL, HOST = build_dataset(64, "data"), build_model(), build_host()


def _key(step: Any, **parameters: Any) -> str:
    made: str = step.cache_key_fn(SimpleNamespace(task=step), parameters)
    return made


def _quantize_key(config: QuantizationConfig, candidate: Candidate = KL, batch_size: int = 8) -> str:
    """As a release asks for it."""
    return _key(
        quantize,
        model=MODEL,
        calibration=DATA,
        candidate=candidate,
        config=quantization.own_section(config, candidate),
        batch_size=batch_size,
        finetuned=None,
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"algorithms": ("KL", "avg")}, id="another algorithm"),
        pytest.param({"layouts": ("offline", "qdq", "offline_7bit")}, id="another layout"),
        pytest.param({"timeout_s": 7200}, id="a longer limit"),
        pytest.param({"hist_percent": 0.99}, id="a setting of another algorithm"),
        pytest.param(
            {
                "algorithms": ("KL", "qat"),
                "qat": {"data": {"kind": "npz", "path": "training.npz"}, "timeout_s": 60},
            },
            id="training",
        ),
    ],
)
def test_quantize_key_ignores_other_candidates_and_limits(changes: dict[str, Any]) -> None:
    assert _quantize_key(QuantizationConfig(**changes)) == _quantize_key(
        QuantizationConfig(algorithms=["KL"])
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"op_types": ("conv2d",)},
        {"skip_tensors": ("scores",)},
        {"keep_fp32": ("conv2d_0",)},
        {"round_type": "adaround"},
        {"bias_correction": True},
        {"weight_quantize_type": "abs_max"},
        {"hist_percent": 0.99},
        {"fast_calibration": False},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_quantize_key_holds_each_setting_that_its_candidate_is_made_with(changes: dict[str, Any]) -> None:
    assert _quantize_key(QuantizationConfig(**changes), HIST) != _quantize_key(QuantizationConfig(), HIST)


@pytest.mark.parametrize(
    ("algorithm", "sets"),
    [("adaround", {"round_type": "adaround"}), ("bias_correction", {"bias_correction": True})],
)
def test_rounding_of_weights_is_that_of_one_candidate(algorithm: str, sets: dict[str, Any]) -> None:
    both, own = (
        QuantizationConfig(algorithms=(algorithm, "hist")),
        Candidate(algorithm=algorithm, layout="qdq"),
    )
    assert quantization.own_section(both, own) == quantization.own_section(QuantizationConfig(**sets), HIST)
    assert quantization.own_section(both, HIST) == QuantizationConfig()


def test_quantize_key_of_a_recurrent_candidate_holds_nothing_that_only_paddleslim_reads() -> None:
    candidate = Candidate(algorithm="hist", layout="recurrent")
    plain = _quantize_key(QuantizationConfig(), candidate)
    slim = QuantizationConfig(round_type="adaround", op_types=("mul",), fast_calibration=False)
    assert _quantize_key(slim, candidate) == plain
    assert _quantize_key(QuantizationConfig(hist_percent=0.9), candidate) != plain
    assert _quantize_key(QuantizationConfig(), candidate, batch_size=4) != plain


def test_quantize_key_holds_the_operators_that_stay_in_fp32_in_any_order() -> None:
    one, other = ("conv2d_0.tmp_0", "fp32"), ("conv2d_1.tmp_0", "fp32")
    keys = {
        _quantize_key(QuantizationConfig(), replace(KL, overrides=overrides))
        for overrides in ((), (one,), (one, other), (other, one))
    }
    assert len(keys) == 3
    assert replace(KL, overrides=(one, other)).name == replace(KL, overrides=(other, one)).name
    assert replace(KL, overrides=(one,)).name.startswith("KL-qdq-1kept-")


def test_quantize_key_holds_the_code_of_an_algorithm_of_another_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = "from paddle_int8.tasks.algorithms.algorithm import Algorithm\n"
    record += "ALGORITHM = Algorithm(name='of_keys', description='None.', slim='avg')\n"
    install(tmp_path, "of-keys", {"paddle_int8.algorithms": {"of_keys": "algorithm_of_keys:ALGORITHM"}})
    monkeypatch.syspath_prepend(tmp_path)
    keys = []
    for edit in ("", "# edited\n"):
        (tmp_path / "algorithm_of_keys.py").write_text(record + edit)
        task.code_digest.cache_clear()
        keys.append(_quantize_key(QuantizationConfig(), replace(KL, algorithm="of_keys")))
    assert keys[0] != keys[1]


def _finetune_key(model: ModelArtifact, op_types: tuple[str, ...] = ("conv2d",), **changes: Any) -> str:
    source = {"kind": "npz", "path": "training.npz"}
    return _key(
        finetune,
        model=model,
        training=DATA,
        config=QatConfig.model_validate({"data": source} | changes),
        op_types=op_types,
        skip_tensors=(),
        keep_fp32=(),
        weight_quantize_type="abs_max",
    )


def test_finetune_key_ignores_limits_checkpoints_and_where_the_data_lay() -> None:
    plain = _finetune_key(MODEL)
    assert _finetune_key(MODEL, timeout_s=48 * 3600) == plain
    assert _finetune_key(MODEL, checkpoint_every_s=5) == plain
    assert _finetune_key(MODEL, data={"kind": "npz", "path": "moved.npz"}) == plain
    assert _finetune_key(replace(MODEL, source="moved", source_digest="of other files")) == plain


def test_finetune_key_holds_what_decides_the_training() -> None:
    plain = _finetune_key(MODEL)
    changed = [
        _finetune_key(MODEL, epochs=2),
        _finetune_key(MODEL, learning_rate=1e-3),
        _finetune_key(MODEL, seed=1),
        _finetune_key(MODEL, ("mul",)),
        _finetune_key(replace(MODEL, digest="another")),
    ]
    assert len({plain, *changed}) == 1 + len(changed)


def _convert_key(folder: Path, layout: str, seconds: float = 1.0, **changes: Any) -> str:
    candidate = Candidate(algorithm="KL", layout=layout)
    quantized, _ = build_artifacts(folder, candidate)
    return _key(
        convert,
        quantized=replace(quantized, seconds=seconds, log=Path(f"{seconds}.log")),
        config=conversion.own_section(ConversionConfig(**changes), layout),
    )


def test_convert_key_ignores_how_long_the_quantization_took_and_limits(tmp_path: Path) -> None:
    plain = _convert_key(tmp_path, "offline")
    assert _convert_key(tmp_path, "offline", seconds=2.0, timeout_s=60) == plain


def test_convert_key_holds_the_operators_of_the_layout_that_reads_them(tmp_path: Path) -> None:
    skipped = {"op_ids_to_skip": (3,)}
    plain = {layout: _convert_key(tmp_path, layout) for layout in LAYOUTS.names()}
    changed = {
        layout for layout in LAYOUTS.names() if _convert_key(tmp_path, layout, **skipped) != plain[layout]
    }
    assert changed == {"offline", "offline_7bit"}


def _validate_key(
    tmp_path: Path,
    confidence: float = 0.95,
    outputs: str = "o",
    host: HostProfile = HOST,
    **changes: Any,
) -> str:
    """As a release asks for it: of the gate, a validation is given the confidence alone."""
    _, deployable = build_artifacts(tmp_path, KL)
    answers = BaselineOutputsArtifact(folder=StoredPath("/o"), digest=outputs, log=Path("log"))
    return _key(
        validate,
        model=MODEL,
        deployable=deployable,
        validation=DATA,
        baselines={ISA: LoadEvidence(load_ms=1.0, peak_memory_bytes=1)},
        outputs={ISA: answers},
        config=ValidationConfig(**changes),
        confidence=confidence,
        host=host,
    )


def _baselines_key(host: HostProfile = HOST, **changes: Any) -> str:
    """As a release asks for it."""
    return _key(
        measure_baselines,
        model=MODEL,
        calibration=DATA,
        validation=DATA,
        config=baseline_section(ValidationConfig(**changes)),
        host=host,
    )


def test_validate_key_ignores_limits_and_warnings(tmp_path: Path) -> None:
    plain = _validate_key(tmp_path)
    assert _validate_key(tmp_path, timeout_s=60) == plain
    assert _validate_key(tmp_path, host=replace(HOST, warnings=("below the required level",))) == plain


def test_keys_of_measurements_ignore_the_name_of_the_host_and_hold_its_cpu(tmp_path: Path) -> None:
    for key in (partial(_validate_key, tmp_path), _baselines_key):
        assert key(host=replace(HOST, hostname="a container made anew")) == key()
        assert key(host=replace(HOST, cpu_model="another")) != key()
        assert key(host=replace(HOST, usable_cores=0.5)) != key()


@pytest.mark.parametrize(
    "changes",
    [{"warmup": 1}, {"repeats": 400}, {"processes": 2}, {"references": ()}, {"timeout_s": 60}],
    ids=lambda changes: next(iter(changes)),
)
def test_baselines_key_ignores_how_candidates_are_timed(changes: dict[str, Any]) -> None:
    assert _baselines_key(**changes) == _baselines_key()


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": ("top1",)},
        {"outputs": {"scores": OutputKind.CLASSES}},
        {"labelled_output": "scores"},
        {"deploy_isas": (IsaLevel.AVX2,)},
        {"max_isa": IsaLevel.AVX2},
        {"batch_size": 2},
        {"accuracy_batch_size": 8},
        {"threads": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_baselines_key_holds_what_the_baseline_is_measured_with(changes: dict[str, Any]) -> None:
    assert _baselines_key(**changes) != _baselines_key()


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": 0.99},
        {"outputs": "others"},
        {"repeats": 400},
        {"processes": 7},
        {"metrics": ("top1",)},
        {"threads": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_validate_key_holds_what_is_measured_and_compared_with(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert _validate_key(tmp_path, **changes) != _validate_key(tmp_path)


def test_validate_key_holds_the_code_of_a_metric_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "own_metrics_of_keys"
    package.mkdir()
    (package / "words.py").write_text("from own_metrics_of_keys import letters\n")
    monkeypatch.syspath_prepend(tmp_path)
    metrics = {"metrics": ("own_metrics_of_keys.words:accuracy",)}
    keys = []
    for text in ("", "# edited\n"):
        (package / "letters.py").write_text(text)
        task.code_digest.cache_clear()
        keys.append(_validate_key(tmp_path, **metrics))
    assert keys[0] != keys[1]


def _outputs_key(
    batch_size: int = 16, threads: int = 1, isa: IsaLevel = ISA, limited: bool = False, timeout_s: float = 60
) -> str:
    return _key(
        baseline_outputs,
        model=MODEL,
        validation=DATA,
        batch_size=batch_size,
        threads=threads,
        isa=isa,
        limited=limited,
        timeout_s=timeout_s,
    )


def test_baseline_outputs_key_holds_what_decides_them(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _outputs_key()
    assert _outputs_key(timeout_s=7200) == plain
    changed = [
        _outputs_key(batch_size=8),
        _outputs_key(threads=2),
        _outputs_key(isa=IsaLevel.AVX2),
        _outputs_key(limited=True),
    ]
    monkeypatch.setattr(task, "version", lambda name: f"{name} of tomorrow")
    assert len({plain, *changed, _outputs_key()}) == 2 + len(changed)


def test_step_that_was_pickled_to_another_host_has_the_same_key_there() -> None:
    inputs = {
        "config": TrainedModel(train="paddle_int8.zoo.ernie:train_ernie"),
        "source": "s",
        "data": "",
    }
    there = cloudpickle.loads(cloudpickle.dumps(train))
    assert _key(there, **inputs, shares=True) == _key(train, **inputs, shares=False)


def test_training_key_ignores_what_trains_beside_it() -> None:
    recipe = TrainedModel(train="paddle_int8.zoo.ernie:train_ernie")
    alone, beside = (_key(train, config=recipe, source="s", data="", shares=each) for each in (False, True))
    assert alone == beside
