"""Every mistake in a configuration is reported in the words of YAML, with its key and its line."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from paddle_int8.tasks.config.fields import members
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.messages import config_error, shown
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.promotion.request import PromoteRequest, checked
from paddle_int8.tasks.published.request import TableRequest
from paddle_int8.tasks.validation.audit_model import audit_isolated
from tests.installed_package import install
from tests.unit.test_config import changed

TECHNICAL = re.compile(
    r"\b(valid|tuple|dictionary|discriminator|literal|pattern|regular|instance|parse|NoneType|str|int|float|input|"
    r"pydantic|union|tag|None|True|False)\b|Value error|[\^\\]"
)
"""Words of the library that checks, and of Python."""
WRONG: dict[str, Any] = {
    "nothing": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "half": 1.5,
    "huge": 10**400,
    "endless": float("inf"),
    "no number": float("nan"),
    "empty text": "",
    "text": "a text, of words",
    "lines": "two\nlines",
    "empty list": [],
    "list of nothing": [None],
    "list of texts": ["a", "b", "c"],
    "list of lists": [[1]],
    "empty mapping": {},
    "mapping": {"x": 1},
    "mapping of numbers": {1: 2},
    "date": datetime.date(2026, 1, 31),
    "bytes": b"\xff",
    "set": {1},
}
"""One value of each sort that YAML has."""
MODELS = {"files": {"path": "a"}, "trained": {"train": "a:b"}, "registered": {"registered": "models:/a@b"}}


def load(raw: object, folder: Path) -> ReleaseConfig:
    path = folder / "release.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return load_config(path)


def refusal(raw: object, folder: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(raw, folder)
    return caught.value


def keys(
    kind: type[Section], path: tuple[str, ...] = (), made: Any = None
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every key of a configuration with a value for the section around it, which says of which kind it is."""
    for name, field in kind.model_fields.items():
        yield (*path, name), made
        kinds = members(field.annotation)
        for tag, section in kinds.items():
            yield from keys(
                section, (*path, name), MODELS.get(tag, {"kind": tag}) if len(kinds) > 1 else None
            )


def with_value(path: tuple[str, ...], made: Any, value: Any) -> dict[str, Any]:
    """The smallest configuration with `value` at `path`, and `made` around it."""
    raw = changed("")
    target = raw
    for part in path[:-1]:
        target = target.setdefault(part, {})
    if made:
        target.clear()
        target |= made
    target[path[-1]] = value
    return raw


def refusal_of(raw: dict[str, Any]) -> tuple[ConfigError, ValidationError] | None:
    try:
        ReleaseConfig.model_validate(raw)
    except ValidationError as error:
        return config_error(error, ReleaseConfig, ""), error
    return None


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG.keys())
def test_message_of_any_wrong_value_at_any_key_has_no_word_of_the_validator(value: Any) -> None:
    told = {path: refusal_of(with_value(path, made, value)) for path, made in keys(ReleaseConfig)}
    refused = {path: each for path, each in told.items() if each}
    assert len(refused) > 20
    for path, (said, error) in refused.items():
        words = f"{said.found} {said.required}".replace(shown(value), "")
        assert not TECHNICAL.search(words)
        assert not [item for item in error.errors() if item["type"] != "value_error" and item["msg"] in words]
        assert path[0] in said.found


@pytest.mark.parametrize(
    ("section", "values", "found", "required"),
    [
        pytest.param(
            "data.preprocessing",
            {"resize": 224},
            "`data.preprocessing.resize` is 224",
            "[height, width] in pixels, such as `resize: [224, 224]`",
            id="one number for a size",
        ),
        pytest.param(
            "data.preprocessing",
            {"resize": "256x128"},
            "`data.preprocessing.resize` is 256x128",
            "[height, width] in pixels, such as `resize: [256, 128]`",
            id="size in a text",
        ),
        pytest.param(
            "data.preprocessing",
            {"resize": [224]},
            "is [224]",
            "such as `resize: [224, 224]`",
            id="size of one",
        ),
        pytest.param(
            "data.preprocessing", {"resize": [1, 2, 3]}, "is [1, 2, 3]", "[height, width]", id="of three"
        ),
        pytest.param(
            "data.preprocessing",
            {"resize": [0, 8]},
            "`data.preprocessing.resize.0` is 0",
            "from 1",
            id="no height",
        ),
        pytest.param(
            "data.preprocessing",
            {"resize_shorter": 0},
            "resize_shorter` is 0",
            "a whole number from 1",
            id="zero",
        ),
        pytest.param(
            "data.preprocessing",
            {"mean": [0.5, 0.5], "std": [1, 1, 1]},
            "`mean` has 2 numbers and `std` 3",
            "one number for each channel in both",
            id="channels of mean and std",
        ),
        pytest.param(
            "data.preprocessing",
            {"mean": [0.5, 0.5, 0.5], "grayscale": True},
            "`mean` has several numbers, and `grayscale` leaves one channel",
            "or no `grayscale`",
            id="channels of grayscale",
        ),
        pytest.param(
            "data.preprocessing", {"mean": 0.5}, "is 0.5", "such as `mean: [0.5]`", id="number for a list"
        ),
        pytest.param(
            "data.preprocessing",
            {"mean": "0.5, 0.4"},
            "is 0.5, 0.4",
            "`mean: [0.5, 0.4]`",
            id="text for a list",
        ),
        pytest.param(
            "data.preprocessing",
            {"layout": "nchw"},
            "did you mean `NCHW`?",
            "one of NCHW, NHWC, as_is",
            id="case",
        ),
        pytest.param(
            "data.calibration",
            {"kind": "imagefolder"},
            "`data.calibration.kind` is imagefolder, did you mean `image_folder`?",
            "one of image_folder, npz, idx, tagged_text, callable",
            id="kind of source",
        ),
        pytest.param(
            "",
            {"name": "my classifier/1"},
            "`name` is my classifier/1",
            "letters, digits, `_`, `.` and `-`, the first of them a letter or a digit, "
            "at most 100 characters, such as `name: my-classifier-1`",
            id="name",
        ),
        pytest.param("", {"name": 2026}, "`name` is 2026", '`name: "2026"`', id="number for a text"),
        pytest.param("", {"name": True}, "`name` is true", '`name: "true"`', id="yes for a text"),
        pytest.param(
            "quantization",
            {"algorithms": ["hst"]},
            "is hst, did you mean `hist`?",
            "one of abs_max, adaround, avg",
            id="algorithm",
        ),
        pytest.param(
            "quantization", {"algorithms": ["kl"]}, "did you mean `KL`?", "one of abs_max", id="case of KL"
        ),
        pytest.param(
            "quantization", {"algorithms": "KL"}, "is KL", "such as `algorithms: [KL]`", id="one for a list"
        ),
        pytest.param(
            "quantization", {"algorithms": []}, "is empty", "an algorithm, or a model", id="empty list"
        ),
        pytest.param(
            "quantization",
            {"layouts": ["Offline-7bit"]},
            "did you mean `offline_7bit`?",
            "one of",
            id="layout",
        ),
        pytest.param(
            "hardware",
            {"minimum_isa": "AVX512-VNNI"},
            "did you mean `avx512_core_vnni`?",
            "one of sse41",
            id="instruction set",
        ),
        pytest.param(
            "validation",
            {"metrics": ["Top-5", "f1"]},
            "unknown metric Top-5, did you mean `top5`?; unknown metric f1",
            "a list of `agreement`, `top1`, `top5` or `package.module:function`",
            id="metrics",
        ),
        pytest.param(
            "gate",
            {"metric": "top 1"},
            "did you mean `top1`?",
            "one of `validation.metrics`",
            id="gated metric",
        ),
        pytest.param("gate", {"confidence": 95}, "is 95", "a number above 0.5 and below 1", id="percent"),
        pytest.param(
            "gate", {"max_drop_pp": "one"}, "is one", "a number above 0 and up to 100", id="text for number"
        ),
        pytest.param("data", {"seed": 2**32}, "is 4294967296", "from 0 and up to 4294967295", id="seed"),
        pytest.param("registry", {"enabled": "maybe"}, "is maybe", "true or false", id="neither yes nor no"),
        pytest.param("", {"gate": None}, "`gate` is empty", "or no `gate` at all", id="empty section"),
        pytest.param(
            "", {"gate": [1]}, "`gate` is [1]", "a section of the keys metric, max_drop_pp", id="list"
        ),
        pytest.param(
            "", {"model": "a/b"}, "`model` is a/b", "such as `model: {path: a/b}`", id="path for a model"
        ),
        pytest.param(
            "", {"model": {"train": "no colon"}}, "is no colon", "`package.module:function`", id="function"
        ),
        pytest.param(
            "",
            {"model": {"registered": "x"}},
            "is x",
            "`models:/name@alias` or `models:/name/version`",
            id="model",
        ),
        pytest.param(
            "",
            {"model": {}},
            "missing key `model.path`",
            "a path, as `model` is a section with `path`, `train` or `registered`",
            id="empty model",
        ),
        pytest.param(
            "", {"task_runner": "Dask"}, "did you mean `dask`?", "one of threads, dask", id="runner"
        ),
    ],
)
def test_message_says_what_was_found_and_what_to_write(
    section: str, values: dict[str, Any], found: str, required: str, tmp_path: Path
) -> None:
    said = refusal(changed(section, **values), tmp_path)
    assert found in said.found
    assert required in said.required
    assert "release.yaml" in said.remedy


def test_message_has_a_part_with_the_line_of_each_mistake(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(
        "name: a b\nmodel: {path: x}\ndata:\n  calibration: {kind: np, path: a}\n"
        "  validation:\n    kind: npz\n  preprocessing:\n    resize: 8\ngates: {}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.found == (
        "`name` is a b (line 1); `data.calibration.kind` is np, did you mean `npz`? (line 4); "
        "missing key `data.validation.path` (line 5); `data.preprocessing.resize` is 8 (line 8); "
        "unknown key `gates`, did you mean `gate`? (line 9)"
    )
    for key in ("`name`", "`data.calibration.kind`", "`data.validation.path`", "`data.preprocessing.resize`"):
        assert f"for {key} " in caught.value.required


@pytest.mark.parametrize(
    "example",
    ["resize: [224, 224]", "mean: [0.5]", "algorithms: [KL]", "name: my-classifier-1", "model: {path: a/b}"],
)
def test_message_example_written_as_told_is_accepted(example: str, tmp_path: Path) -> None:
    homes = {"resize": "data.preprocessing", "mean": "data.preprocessing", "algorithms": "quantization"}
    values = yaml.safe_load(example)
    assert load(changed(homes.get(next(iter(values)), "")) | {}, tmp_path)
    assert load(changed(homes.get(next(iter(values)), ""), **values), tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("name: a\n\tmodel: b\n", "line 2 has a tab", id="tab"),
        pytest.param("name: [a\nmodel: b\n", "line 2 has ", id="open bracket"),
        pytest.param('name: "a\n', "quotes that are not closed", id="open quotes"),
        pytest.param("name: a: b\n", "line 1 has a `:` where none may stand", id="two colons"),
        pytest.param("name: a\nmodel\ndata: b\n", "line 3 has a key without `:` behind it", id="no colon"),
        pytest.param(
            "name: @a\n", "line 1 has a text that begins with `@`: put it into quotes", id="at sign"
        ),
        pytest.param(
            "name: %a\n", "line 1 has a text that begins with `%`: put it into quotes", id="percent"
        ),
        pytest.param("name: *a\n", "`*a`, which is defined nowhere", id="alias"),
        pytest.param("model: &a {path: *a}\n", "an alias inside of what it stands for", id="endless alias"),
        pytest.param('name: "C:\\data"\n', "a `\\` in double quotes", id="backslash"),
        pytest.param(
            "name: !!python/object/apply:os.system ['true']\n", "line 1 has a tag with `!`", id="code"
        ),
        pytest.param("name: a\n---\nname: b\n", "a second document", id="two documents"),
        pytest.param(
            "gate: {}\nname: a\ngate: {}\n", "line 3: key `gate` comes twice, first in line 1", id="twice"
        ),
        pytest.param("name: a\n  model: b\n", "line 2 has a `:` where none may stand", id="indentation"),
        pytest.param("data:\n    a: 1\n  b: 2\n", "line 3 has an indentation that fits none", id="outdented"),
        pytest.param("name: \x07\n", "a character that no text has", id="bell"),
        pytest.param("name: - a\n", "line 1 has a `-` where none may stand", id="dash"),
        pytest.param("name: 'a' b\n", "line 1 has a text behind closing quotes", id="behind quotes"),
        pytest.param("name: > a\n", "line 1 has a text behind `|` or `>`", id="folded"),
        pytest.param("? [a]\n: b\n", "line 1 has a key of several values", id="list for a key"),
        pytest.param("name: 2026-13-45\n", "a date that does not exist", id="date"),
        pytest.param("name: !!timestamp a\n", "a date that does not exist", id="no date"),
        pytest.param("name: !!int a\n", "a number or a date that does not exist", id="no number"),
        pytest.param("name: a\nmodel: {}\ndata: {}\nnull: 1\n", "unknown key `null`", id="null for a key"),
        pytest.param("name: a\nmodel: {}\ndata: {}\ntrue: 1\n", "unknown key `true`", id="true for a key"),
        pytest.param("", "holds nothing", id="empty"),
        pytest.param("# a comment\n", "holds nothing", id="comment"),
        pytest.param("- a\n- b\n", "holds a list", id="list"),
        pytest.param("models/resnet50\n", "holds a text without keys", id="text"),
        pytest.param("[" * 5000, "brackets", id="brackets"),
    ],
)
def test_message_of_what_is_no_yaml_has_its_line_and_plain_words(
    content: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert said in caught.value.found
    assert "release.yaml" in caught.value.remedy


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-16", "is UTF-16 text"), ("gbk", "another encoding than UTF-8, from line 2 on")],
)
def test_message_of_another_encoding_calls_it_by_its_name(encoding: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_bytes("name: a\nmodel: {path: 训练模型}\n".encode(encoding))
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "release.yaml")
    assert said in caught.value.found
    assert "iconv" in caught.value.remedy


@pytest.mark.parametrize("word", ["AVX2", "avx-2", "Avx2"])
def test_message_of_an_option_suggests_the_instruction_set_in_any_case(word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(PromoteRequest, {"model": "a", "isa": word})
    assert caught.value.found == f"`isa` is {word}, did you mean `avx2`?"
    assert caught.value.required == f"one of {', '.join(level.value for level in IsaLevel)}"


def test_message_of_an_option_suggests_the_row_of_the_table() -> None:
    with pytest.raises(ConfigError, match="did you mean `resnet50`"):
        checked(TableRequest, {"only": ("ResNet-50",)})


def test_message_of_a_variable_of_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PADDLE_INT8_PARALLEL_CANDIDATES", "two")
    with pytest.raises(ConfigError) as caught:
        Settings()
    assert caught.value.found == "`PADDLE_INT8_PARALLEL_CANDIDATES` is two"
    assert caught.value.required == "a whole number from 1"


def test_message_of_a_layout_to_audit_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="layout Offline7bit, did you mean `offline_7bit`"):
        audit_isolated(tmp_path, "Offline7bit")


def test_message_of_a_layout_that_a_worker_must_not_load_says_how_to_allow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "someones-package", {"paddle_int8.layouts": {"theirs": "someones_package:LAYOUT"}})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "started-by-a-server")
    with pytest.raises(ConfigError) as caught:
        checked(QuantizationConfig, {"layouts": ("theirs",)})
    assert "someones_package:LAYOUT" in caught.value.found
    assert "PADDLE_INT8_ALLOWED_CALLABLES" in caught.value.required


def test_message_of_an_unknown_name_in_a_registry_suggests_the_nearest_in_any_case() -> None:
    with pytest.raises(ConfigError, match=r"`layouts\.0` is QDQ, did you mean `qdq`") as caught:
        checked(QuantizationConfig, {"layouts": ("QDQ",)})
    assert caught.value.required == "one of offline, offline_7bit, qdq, recurrent, recurrent_7bit"
