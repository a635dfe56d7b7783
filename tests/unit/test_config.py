"""The release configuration: what is accepted, and what a mistake is answered with."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.hardware import HardwarePolicy
from paddle_int8.tasks.config.model import ModelFiles, TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.data.sources.image_folder import ImageFolderSource
from paddle_int8.tasks.data.sources.npz import NpzSource

FIXTURES = Path(__file__).parents[1] / "fixtures" / "configs"
RELEASES = Path(__file__).parents[2] / "configs"
SMALLEST: dict[str, Any] = yaml.safe_load((FIXTURES / "smallest.yaml").read_text(encoding="utf-8"))


def changed(section: str, **values: Any) -> dict[str, Any]:
    """The smallest configuration with values of one section (dotted path) replaced."""
    raw = copy.deepcopy(SMALLEST)
    target = raw
    for part in filter(None, section.split(".")):
        target = target.setdefault(part, {})
    target.update(values)
    return raw


def load(raw: object, folder: Path) -> ReleaseConfig:
    path = folder / "release.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize("path", sorted(RELEASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_config_every_release_of_the_project_loads(path: Path) -> None:
    assert load_config(path).name == path.stem.replace("_", "-")


def test_config_smallest_has_the_documented_defaults() -> None:
    config = load_config(FIXTURES / "smallest.yaml")
    assert config.gate.max_drop_pp == 1.0
    assert config.gate.confidence == 0.95
    assert config.hardware.policy is HardwarePolicy.WARN
    assert config.validation.deploy_isas == ()
    assert [candidate.name for candidate in config.quantization.candidates()] == [
        "hist-offline",
        "hist-qdq",
        "KL-offline",
        "KL-qdq",
        "avg-offline",
        "avg-qdq",
    ]


def test_config_image_folder_keeps_every_value() -> None:
    config = load_config(FIXTURES / "image_folder.yaml")
    assert config.hardware.minimum_isa is IsaLevel.AVX2
    assert config.data.preprocessing.mean == (0.485, 0.456, 0.406)
    assert config.validation.deploy_isas == (IsaLevel.AVX512_CORE,)
    assert config.registry.register_as == "classifier"
    names = [(candidate.algorithm, candidate.layout) for candidate in config.quantization.candidates()]
    assert names == [("KL", "qdq"), ("hist", "qdq")]


def test_config_relative_paths_are_taken_from_the_files_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(FIXTURES / "image_folder.yaml")
    calibration, validation = config.data.calibration, config.data.validation
    assert isinstance(config.model, ModelFiles)
    assert isinstance(calibration, ImageFolderSource)
    assert isinstance(validation, ImageFolderSource)
    assert config.model.path == Path("/models/resnet50")
    assert calibration.root == FIXTURES / "images/train"
    assert calibration.list_file is not None
    assert calibration.list_file.resolve() == FIXTURES.parent / "lists/train.txt"
    assert validation.root == Path.home() / "images/validation"


def test_config_models_quantized_elsewhere_are_named_after_their_folders(tmp_path: Path) -> None:
    paths = ["act", "deep/slim_infer/inference.pdmodel", "my models #1?", "__model__"]
    config = load(changed("") | {"candidates": [{"path": path} for path in paths]}, tmp_path)
    assert [each.called for each in config.candidates[:3]] == ["act", "slim_infer", "my-models-1"]
    assert all(each.path.is_absolute() for each in config.candidates)
    assert config.number_of_candidates == len(config.quantization.candidates()) + 4


def test_config_models_of_one_name_are_refused_until_one_is_named(tmp_path: Path) -> None:
    two = [{"path": "one/int8"}, {"path": "two/int8"}]
    with pytest.raises(ConfigError, match="several models named int8"):
        load(changed("") | {"candidates": two}, tmp_path)
    named = [two[0], two[1] | {"name": "second"}]
    assert len(load(changed("") | {"candidates": named}, tmp_path).candidates) == 2


def test_config_needs_no_algorithm_beside_a_model_that_is_quantized(tmp_path: Path) -> None:
    given = changed("quantization", algorithms=[]) | {"candidates": [{"path": "int8"}]}
    assert load(given, tmp_path).number_of_candidates == 1


def test_config_loaded_by_relative_name_still_has_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(SMALLEST, tmp_path)
    monkeypatch.chdir(tmp_path)
    calibration = load_config(Path("release.yaml")).data.calibration
    assert isinstance(calibration, NpzSource)
    assert calibration.path == tmp_path / "data/calibration.npz"


def test_config_path_below_the_fetched_data_follows_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_INT8_DATA", str(tmp_path / "elsewhere"))
    config = load(changed("model", path="$PADDLE_INT8_DATA/lac/model"), tmp_path)
    assert isinstance(config.model, ModelFiles)
    assert config.model.path == tmp_path / "elsewhere" / "lac" / "model"


def test_config_trained_model_takes_its_arguments(tmp_path: Path) -> None:
    raw = changed("") | {"model": {"train": "package.module:train", "arguments": {"epochs": 3}}}
    assert load(raw, tmp_path).model == TrainedModel(train="package.module:train", arguments={"epochs": 3})


def test_config_once_loaded_cannot_be_changed() -> None:
    config = load_config(FIXTURES / "smallest.yaml")
    with pytest.raises(ValidationError, match="frozen"):
        config.gate.max_drop_pp = 5.0  # type: ignore[misc] # the point of the test


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("", "qantization"),
        ("hardware", "minimum_level"),
        ("data", "calibration_sample"),
        ("data.preprocessing", "centre_crop"),
        ("quantization", "algorithm"),
        ("conversion", "ops"),
        ("validation", "metric"),
        ("gate", "max_drop"),
        ("serving", "strict_isa"),
        ("registry", "name"),
    ],
)
def test_config_unknown_key_is_named_in_full(section: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(changed(section, **{key: 1}), tmp_path)
    assert f"unknown key `{f'{section}.{key}'.lstrip('.')}`" in caught.value.found
    assert "release.yaml" in caught.value.remedy


@pytest.mark.parametrize(
    ("section", "values", "named"),
    [
        pytest.param("quantization", {"algorithms": ["kl2"]}, "quantization.algorithms.0", id="algorithm"),
        pytest.param("quantization", {"algorithms": []}, "quantization.algorithms", id="no algorithm"),
        pytest.param("quantization", {"layouts": ["onnx"]}, "quantization.layouts.0", id="layout"),
        pytest.param("quantization", {"hist_percent": 1.01}, "hist_percent", id="percent above 1"),
        pytest.param("hardware", {"minimum_isa": "avx1024"}, "hardware.minimum_isa", id="isa"),
        pytest.param("data", {"calibration_samples": 0}, "calibration_samples", id="no samples"),
        pytest.param("data", {"seed": -1}, "data.seed", id="negative seed"),
        pytest.param("data.calibration", {"kind": "csv"}, "data.calibration", id="source kind"),
        pytest.param("data.preprocessing", {"std": [1, 0, 1]}, "std", id="std of zero"),
        pytest.param(
            "data.preprocessing", {"resize": [8, 8], "resize_shorter": 8}, "exclude", id="two resizes"
        ),
        pytest.param("data.preprocessing", {"resize": [8]}, "resize", id="resize of one number"),
        pytest.param("gate", {"confidence": 1.0}, "gate.confidence", id="certainty"),
        pytest.param("gate", {"confidence": 0.5}, "gate.confidence", id="coin toss"),
        pytest.param("gate", {"max_drop_pp": 0}, "gate.max_drop_pp", id="no margin"),
        pytest.param("gate", {"metric": "f1"}, "gate.metric", id="gate on what is not measured"),
        pytest.param(
            "",
            {"gate": {"min_native_speedup": 1.1}, "validation": {"references": ["bf16"]}},
            "native_fp32",
            id="gate on a reference that is not timed",
        ),
        pytest.param("validation", {"references": ["int4"]}, "validation.references", id="reference"),
        pytest.param("validation", {"repeats": 19}, "validation.repeats", id="too few repeats"),
        pytest.param("", {"name": "a/b"}, "name", id="slash in the name"),
        pytest.param("", {"model": {}}, "model", id="empty model"),
        pytest.param("", {"model": {"train": "no colon"}}, "model", id="entry without a function"),
    ],
)
def test_config_value_out_of_range_is_named(
    section: str, values: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(changed(section, **values), tmp_path)
    assert named in caught.value.found


@pytest.mark.parametrize(
    ("section", "values"),
    [
        pytest.param("quantization", {"hist_percent": 1.0}, id="percent of 1"),
        pytest.param("data", {"calibration_samples": 1}, id="one sample"),
        pytest.param("gate", {"confidence": 0.51}, id="just above a coin toss"),
        pytest.param("validation", {"repeats": 20, "warmup": 0}, id="fewest repeats"),
    ],
)
def test_config_value_at_the_edge_of_its_range_is_accepted(
    section: str, values: dict[str, Any], tmp_path: Path
) -> None:
    loaded = load(changed(section, **values), tmp_path).model_dump()[section]
    assert {key: loaded[key] for key in values} == values


@pytest.mark.parametrize("section", ["name", "model", "data"])
def test_config_missing_section_is_named(section: str, tmp_path: Path) -> None:
    raw = {key: value for key, value in SMALLEST.items() if key != section}
    with pytest.raises(ConfigError, match=f"`{section}`"):
        load(raw, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"name: [unclosed", id="not YAML"),
        pytest.param(b"- a\n- b\n", id="a list"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe\x00name", id="not text"),
        pytest.param(b"name: !!python/object/apply:os.system ['true']", id="code"),
    ],
)
def test_config_file_that_is_no_mapping_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        load_config(path)


def test_config_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        load_config(tmp_path / "absent.yaml")


def refusal(raw: object, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(raw, folder)
    return caught.value.found


@pytest.mark.parametrize("path", [*RELEASES.glob("*.yaml"), *FIXTURES.glob("*.yaml")], ids=lambda p: p.stem)
def test_config_survives_json(path: Path) -> None:
    config, adapter = load_config(path), TypeAdapter(ReleaseConfig)
    assert adapter.validate_json(adapter.dump_json(config)) == config


def test_config_repeated_algorithm_is_one_candidate_a_layout(tmp_path: Path) -> None:
    raw = changed("quantization", algorithms=["KL", "avg", "KL"], layouts=["qdq", "qdq"])
    candidates = load(raw, tmp_path).quantization.candidates()
    assert [candidate.name for candidate in candidates] == ["KL-qdq", "avg-qdq"]


@pytest.mark.parametrize(
    ("section", "key", "said"),
    [
        ("", "quantisation", "unknown key `quantisation`, did you mean `quantization`?"),
        ("gate", "max_drops_pp", "unknown key `gate.max_drops_pp`, did you mean `max_drop_pp`?"),
        (
            "gate",
            "drop_pp",
            "unknown key `gate.drop_pp`, did you mean `max_drop_pp` or `max_worst_class_drop_pp`?",
        ),
        (
            "gate",
            "batch_size",
            "unknown key `gate.batch_size`, which belongs in `quantization.qat` or `validation`",
        ),
        ("", "resize", "unknown key `resize`, which belongs in `data.preprocessing`"),
        ("", "npz", "unknown key `npz`"),
        ("model", "trian", "unknown key `model.trian`, did you mean `train`?"),
        ("gate", "colour", "unknown key `gate.colour`"),
        ("data.calibration", "root", "unknown key `data.calibration.root`, which `kind: image_folder` has"),
    ],
)
def test_config_unknown_key_is_all_that_is_said(section: str, key: str, said: str, tmp_path: Path) -> None:
    assert re.fullmatch(rf"{re.escape(said)} \(line \d+\)", refusal(changed(section, **{key: 1}), tmp_path))


def test_config_unknown_key_of_the_model_says_nothing_of_the_other_kind_of_model(tmp_path: Path) -> None:
    raw = changed("") | {"model": {"path": "x", "params": "y"}}
    assert refusal(raw, tmp_path).startswith("unknown key `model.params`")
    assert "train" not in refusal(raw, tmp_path)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        pytest.param("gate", {"max_drop_pp": float("inf")}, id="endless margin"),
        pytest.param("gate", {"max_drop_pp": 100.1}, id="margin of more than all"),
        pytest.param("gate", {"min_speedup": float("nan")}, id="speed-up of NaN"),
        pytest.param("gate", {"max_drop_pp": "one"}, id="text for a number"),
        pytest.param("data", {"calibration_samples": 1.5}, id="half a sample"),
        pytest.param("data.preprocessing", {"resize": [0, 8]}, id="no height"),
        pytest.param("data.preprocessing", {"mean": 0.5}, id="number for a list"),
        pytest.param("data.preprocessing", {"mean": [float("nan")]}, id="mean of NaN"),
        pytest.param("validation", {"metrics": ["top3"]}, id="unknown metric"),
        pytest.param("quantization", {"algorithms": ["entropy"]}, id="unknown algorithm alone"),
        pytest.param("", {"gate": 3}, id="number for a section"),
        pytest.param("", {"model": "path"}, id="path for a section"),
    ],
)
def test_config_wrong_value_is_said_once_with_its_key(
    section: str, values: dict[str, Any], tmp_path: Path
) -> None:
    (key,) = values
    found = refusal(changed(section, **values), tmp_path)
    assert found.startswith(f"`{f'{section}.{key}'.lstrip('.')}")
    assert "; `" not in found


def test_config_unknown_algorithm_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(changed("quantization", algorithms=["KL", "entropy"]), tmp_path)
    assert "is entropy" in caught.value.found
    assert caught.value.required == f"one of {', '.join(ALGORITHMS.names())}"


@pytest.mark.parametrize(
    ("resize", "crop", "fits"),
    [
        pytest.param({"resize_shorter": 8}, 8, True, id="all of the shorter side"),
        pytest.param({"resize_shorter": 8}, 9, False, id="more than the shorter side"),
        pytest.param({"resize": [9, 8]}, 9, False, id="more than the width"),
        pytest.param({}, 9, True, id="unknown size"),
    ],
)
def test_config_crop_must_fit_what_the_resize_leaves(
    resize: dict[str, Any], crop: int, fits: bool, tmp_path: Path
) -> None:
    raw = changed("data.preprocessing", **resize, center_crop=crop)
    if fits:
        assert load(raw, tmp_path).data.preprocessing.center_crop == crop
    else:
        assert "more than the 8 pixels" in refusal(raw, tmp_path)


@pytest.mark.parametrize(
    ("section", "source", "said"),
    [
        ("calibration", {"path": "x"}, "missing key `data.calibration.kind`"),
        ("validation", {"kind": "npz"}, "missing key `data.validation.path`"),
    ],
)
def test_config_missing_key_of_a_source_is_named(
    section: str, source: dict[str, Any], said: str, tmp_path: Path
) -> None:
    assert re.fullmatch(rf"{said} \(line \d+\)", refusal(changed("data", **{section: source}), tmp_path))


def test_config_two_mistakes_are_both_named(tmp_path: Path) -> None:
    found = refusal(changed("gate", max_drop=1, confidence=2), tmp_path)
    assert "`gate.max_drop`" in found
    assert "`gate.confidence`" in found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("gate: {max_drop_pp: 1}\nname: a\ngate: {}\n", id="section"),
        pytest.param("data:\n  gate: 1\n  gate: 2\n", id="key of a section"),
    ],
)
def test_config_key_that_comes_twice_is_refused_and_not_the_last_taken(text: str, tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="`gate` comes twice"):
        load_config(path)


@pytest.mark.parametrize(
    "section",
    [{"algorithms": ["qat"]}, {"qat": {"data": {"kind": "npz", "path": "training.npz"}}}],
    ids=["algorithm alone", "section alone"],
)
def test_config_qat_algorithm_and_section_need_each_other(tmp_path: Path, section: dict[str, object]) -> None:
    assert "need each other" in refusal(changed("quantization", **section), tmp_path)


def test_config_qat_of_a_recurrent_layout_is_refused_with_what_would_work(tmp_path: Path) -> None:
    qat = {"data": {"kind": "npz", "path": "training.npz"}}
    said = refusal(
        changed("quantization", algorithms=["abs_max", "qat"], qat=qat, layouts=["recurrent"]), tmp_path
    )
    assert "`qat` trains for the layouts `offline` and `qdq`" in said


@pytest.mark.parametrize("objective", ["hinge", "module:", ":loss"])
def test_config_qat_objective_is_the_built_in_or_a_function(tmp_path: Path, objective: str) -> None:
    qat = {"data": {"kind": "npz", "path": "training.npz"}, "objective": objective}
    assert "quantization.qat.objective" in refusal(
        changed("quantization", algorithms=["qat"], qat=qat), tmp_path
    )
