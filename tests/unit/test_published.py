"""The published table: its plan, its records, and how it shows figures that are reached, missed or absent."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.promotion.request import checked
from paddle_int8.tasks.published.figures import EXTRAS, IMAGES, PUBLISHED, RowKey
from paddle_int8.tasks.published.measured import Extra, Measured, Row, Unmeasured, measured
from paddle_int8.tasks.published.origin import model_origin, without_folders
from paddle_int8.tasks.published.plan import fitted, planned
from paddle_int8.tasks.published.records import read_record, record_key, write_record
from paddle_int8.tasks.published.request import Column, TableRequest
from paddle_int8.tasks.published.table import SPEED_HEADS, Table, speed_cells, to_csv, to_html, to_markdown
from tests.release_factory import build_config, build_host, build_release

CONFIGS = Path(__file__).parents[2] / "configs" / "published"
GONE = Unmeasured(reason="found: no file <weights>\nrequired: | a file\nremedy: fetch it")
DONE = measured(build_release(run_id="0123"), build_config())
MOBILENET = IMAGES[0]


def table(*rows: Row) -> Table:
    return Table(
        rows=rows,
        host=build_host(),
        versions={"paddlepaddle": "2.6.2"},
        date="2026-01-01 00:00 UTC",
        command="paddle-int8 published-table",
        quick=False,
    )


def row(speed: Measured | Unmeasured = DONE, accuracy: Measured | Unmeasured = DONE) -> Row:
    return Row(published=MOBILENET, speed=speed, accuracy=accuracy)


def with_ratio(ratio: float) -> Measured:
    native = replace(DONE.per_isa[0], ratio=ratio)
    return replace(DONE, per_isa=(native, *DONE.per_isa[1:]))


@pytest.mark.parametrize(
    ("ratio", "said"), [(MOBILENET.ratio, "reached"), (MOBILENET.ratio - 1e-6, "missed")], ids=["at", "below"]
)
def test_speed_target_is_the_published_ratio_itself(ratio: float, said: str) -> None:
    judged = row(with_ratio(ratio))
    assert speed_cells(judged)[SPEED_HEADS.index("target")] == said
    assert bool([miss for miss in judged.misses if MOBILENET.title not in miss and "wanted" in miss]) == (
        said == "missed"
    )


@pytest.mark.parametrize(
    ("native_baseline", "said"), [(True, "reached"), (False, "missed")], ids=["native", "oneDNN"]
)
def test_speed_is_judged_over_the_kind_of_fp32_that_was_published(native_baseline: bool, said: str) -> None:
    native = DONE.per_isa[0]
    slow = replace(native.int8, p50_ms=native.int8.p50_ms * 10)
    timed = replace(native, native_fp32=slow, ratio=1.0)
    published = replace(MOBILENET, native_baseline=native_baseline)
    judged = replace(row(replace(DONE, per_isa=(timed,))), published=published)
    assert speed_cells(judged)[SPEED_HEADS.index("target")] == said
    assert any("wanted" in miss for miss in judged.misses) == (said == "missed")


def test_miss_carries_the_audits_reason() -> None:
    (miss, *_) = row(with_ratio(1.0)).misses
    assert "1.00x" in miss
    assert "convolution int8" in miss


def test_accuracy_whose_bound_is_beyond_the_margin_is_a_miss() -> None:
    assert not row(with_ratio(9.0)).misses
    assert any("top1" in miss for miss in row(with_ratio(9.0), replace(DONE, margin_pp=0.01)).misses)


def test_each_level_shows_its_own_fastest_candidate() -> None:
    release = build_release()
    for place, speed in enumerate(DONE.per_isa):
        ratios = {item.candidate.name: item.per_isa[place].latency.speedup.ratio for item in release.evidence}
        assert speed.ratio == max(ratios.values())
        assert ratios[speed.candidate] == speed.ratio
        (shown,) = [item for item in release.evidence if item.candidate.name == speed.candidate]
        assert speed.size_ratio == shown.size_bytes / shown.baseline_size_bytes


def test_markdown_names_every_gap_and_stays_a_table() -> None:
    text = to_markdown(table(row(GONE, GONE), row()))
    grid = [line for line in text.splitlines() if line.startswith("| MobileNet-V1")]
    widths = {line.replace("\\|", "").count("|") for line in grid if "1 thread" in line}
    assert widths == {16}
    assert "not measured: no file &lt;weights>" in text
    assert "remedy: fetch it" in text
    assert f"**{DONE.per_isa[0].ratio:.2f}x**" in text


def test_reasons_come_without_the_end_of_a_log() -> None:
    gone = Unmeasured(
        reason="found: load failed\nlast lines of /home/me/x.log:\nboom\nrequired: a model\nremedy: y"
    )
    text = to_markdown(table(row(gone)))
    assert "found: load failed required: a model remedy: y" in text
    assert "boom" not in text


SECRET = "/srv/people/me/models"


@pytest.mark.parametrize("document", [to_markdown, to_csv, to_html])
def test_no_document_names_a_folder_of_this_machine(document: Callable[[Table], str], tmp_path: Path) -> None:
    config = config_of(tmp_path)
    assert tmp_path.is_absolute()
    done = measured(build_release(), config)
    gone = Unmeasured(reason=f"found: no file {SECRET}/resnet50.pdparams\nremedy: see '{SECRET}/x y'")
    failed = replace(done, failed=(f"hist at quantize: {SECRET}/log.txt",))
    text = document(table(row(done, done), row(gone, failed), row(failed, gone)))
    assert "resnet50.pdparams" in text
    assert f"{tmp_path.name}/data.npz" in text
    assert not [part for part in (str(tmp_path.parent), SECRET, "/srv", "people") if part in text]


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:5000/api/2.0", "zoo/ernie.py", "2 / 3", "a/b"],
    ids=["address", "relative path", "fraction", "two words"],
)
def test_what_is_no_absolute_path_is_left_alone(text: str) -> None:
    assert without_folders(text) == text


def test_origin_says_how_a_model_was_trained() -> None:
    recipe = {"name": "resnet50", "epochs": 1, "weights": "/srv/me/resnet50.pdparams", "digest": "ab"}
    trained = TrainedModel(train="paddle_int8.zoo.fashion_mnist:train_classifier", arguments=recipe)
    said = "fashion_mnist.train_classifier (name resnet50, epochs 1, weights me/resnet50.pdparams)"
    assert model_origin(trained) == said


def test_every_accuracy_names_its_source_weights_margin_and_date() -> None:
    text = to_markdown(table(row()))
    line = next(line for line in text.splitlines() if f"samples of {DONE.validation}" in line)
    native = DONE.metrics[0]
    for said in (DONE.model, DONE.finished, f"| {DONE.margin_pp:g} |", f"| {native.drop_upper_pp:.2f} |"):
        assert said in line


def test_quick_table_does_not_deny_the_accuracies_that_it_shows() -> None:
    text = to_markdown(replace(table(row()), quick=True))
    assert "no accuracy" not in text
    assert f"samples of {DONE.validation}" in text


@pytest.mark.parametrize("half", [DONE, GONE], ids=["measured", "not measured"])
def test_accuracy_that_was_not_published_is_called_so(half: Measured | Unmeasured) -> None:
    shown = replace(table(row()), extras=(Extra(row=EXTRAS[0], accuracy=half),))
    lines = [line for line in to_markdown(shown).splitlines() if line.startswith(f"| {EXTRAS[0].title}")]
    assert lines
    assert all("| not published |" in line for line in lines)
    assert EXTRAS[0].key in {line["key"] for line in csv.DictReader(io.StringIO(to_csv(shown)))}


def test_html_shows_published_beside_measured_and_escapes_reasons() -> None:
    page = to_html(table(row(), row(GONE, GONE)))
    assert "<weights>" not in page
    assert page.count('class="chart"') == 1
    assert f"{MOBILENET.ratio:.2f}x" in page
    assert f"{DONE.per_isa[1].ratio:.2f}x" in page
    assert "<script" not in page


def test_csv_has_a_full_line_for_every_level_metric_and_gap() -> None:
    lines = list(csv.reader(io.StringIO(to_csv(table(row(), row(GONE, GONE))))))
    assert {len(line) for line in lines} == {len(lines[0])}
    columns = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert [float(each["ratio"]) for each in columns if each["ratio"]] == [
        speed.ratio for speed in DONE.per_isa
    ]
    assert [each["metric"] for each in columns if each["metric"]] == ["top1", "top5"]
    assert [each["reason"].split(":")[0] for each in columns if each["reason"]] == ["speed", "accuracy"]


def test_plan_holds_every_published_row_and_names_missing_releases(tmp_path: Path) -> None:
    items = planned(tmp_path, TableRequest())
    assert len(items) == len(Column) * len(PUBLISHED) + len(EXTRAS)
    assert all(isinstance(item.config, Unmeasured) for item in items)


def test_plan_unknown_row_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="mobilenet_v1"):
        checked(TableRequest, {"only": ("mobilenet_v9",)})


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_release_belongs_to_a_row(path: Path) -> None:
    key, _, column = path.stem.rpartition("_")
    assert key in {row.key for row in (*PUBLISHED, *EXTRAS)}
    assert column in list(Column)
    assert load_config(path).name.startswith("published-")


def test_quick_run_measures_speeds_alone_with_one_algorithm() -> None:
    runs = [
        item for item in planned(CONFIGS, TableRequest(quick=True)) if isinstance(item.config, ReleaseConfig)
    ]
    assert {item.row.key for item in runs} >= {row.key for row in IMAGES}
    assert {item.skipped for item in runs if item.column is Column.ACCURACY} == {"not run with --quick"}
    for item in (each for each in runs if each.column is Column.SPEED):
        assert isinstance(item.config, ReleaseConfig)
        assert not item.skipped
        assert len(item.config.quantization.algorithms) == 1
        assert (item.config.validation.repeats, item.config.validation.processes) == (20, 3)
        assert (item.config.data.validation_samples or 0) >= item.config.validation.batch_size
        assert len(item.config.quantization.layouts) == 1


def test_plan_skips_what_is_not_asked_for_and_still_knows_its_release() -> None:
    items = planned(CONFIGS, TableRequest(only=(RowKey.RESNET50,), column=Column.ACCURACY))
    asked = [item for item in items if not item.skipped]
    assert [(item.row.key, item.column) for item in asked] == [("resnet50", Column.ACCURACY)]
    skipped = [item for item in items if item.row.key == "vgg16"]
    assert all(isinstance(item.config, ReleaseConfig) for item in skipped)


def test_fitted_drops_levels_that_the_host_cannot_emulate() -> None:
    validation = build_config().validation.model_copy(
        update={"deploy_isas": (IsaLevel.AVX512_CORE_AMX, IsaLevel.AVX512_CORE)}
    )
    config = build_config().model_copy(update={"validation": validation})
    assert fitted(config, build_host()).validation.deploy_isas == (IsaLevel.AVX512_CORE,)


def test_fitted_times_what_the_table_shows() -> None:
    assert fitted(build_config(), build_host()).validation.references == ("native_fp32",)


def test_fitted_takes_no_more_threads_than_cores() -> None:
    validation = build_config().validation.model_copy(update={"threads": 20})
    host = replace(build_host(), usable_cores=4.0)
    config = build_config().model_copy(update={"validation": validation})
    assert fitted(config, host).validation.threads == 4


def config_of(folder: Path, **data: object) -> ReleaseConfig:
    np.savez(folder / "data.npz", image=np.zeros((2, 3)), labels=np.zeros(2, np.int64))
    source = {"kind": "npz", "path": "data.npz"}
    (folder / "release.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "r",
                "model": {"path": "m"},
                "data": {"calibration": source, "validation": source} | data,
            }
        )
    )
    return load_config(folder / "release.yaml")


def test_record_is_found_again_for_the_same_release_only(tmp_path: Path) -> None:
    config, host = config_of(tmp_path), build_host()
    key = record_key(config, host, "code")
    write_record(tmp_path / "records", "r", key, DONE)
    assert read_record(tmp_path / "records", "r", key) == DONE
    others = {
        record_key(config_of(tmp_path, calibration_samples=3), host, "code"),
        record_key(config, replace(host, cpu_model="another"), "code"),
        record_key(config, host, "other code"),
    }
    (tmp_path / "data.npz").write_bytes(b"other data")
    others.add(record_key(config, host, "code"))
    assert len(others) == 4
    assert key not in others
    assert all(read_record(tmp_path / "records", "r", other) is None for other in others)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"key": "k", "measured": {"release": 1}}'], ids=["empty", "no key", "old"]
)
def test_record_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    assert read_record(tmp_path, "r", "k") is None
