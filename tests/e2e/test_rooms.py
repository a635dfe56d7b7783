"""Whoever adds a record from one file of their own package releases a model with it, and edits no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.algorithms.algorithm import PrepareRequest
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.tracking.connection import connection
from tests.e2e.ground import Ground
from tests.e2e.small_inputs import LENIENT, SmallInputs, noise
from tests.e2e.small_inputs import SAMPLES as SAMPLES_TAUGHT
from tests.e2e.someones_algorithm import FACTOR, rescale
from tests.e2e.someones_source import LABELS, SAMPLES
from tests.installed_package import install
from tests.release_factory import build_dataset

pytestmark = pytest.mark.paddle

RECORDS = {
    "paddle_int8.algorithms": {
        "rescaled": "tests.e2e.someones_algorithm:ALGORITHM",
        "halved": "tests.e2e.someones_threshold:ALGORITHM",
    },
    "paddle_int8.metrics": {"reciprocal_rank": "tests.e2e.someones_metric:METRIC"},
    "paddle_int8.sources": {"arrays": "tests.e2e.someones_source:SOURCE"},
    "paddle_int8.strategies": {
        "first_kept": "tests.e2e.someones_strategy:STRATEGY",
        "first_kept_learning": "tests.e2e.someones_strategy:LEARNING",
    },
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brings one record of each kind."""
    install(tmp_path / "site", "someones-package", RECORDS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def arrays(source: Path, folder: Path) -> dict[str, str]:
    """The samples of an `.npz` as the kind of source of the other package."""
    folder.mkdir()
    with np.load(source) as archive:
        np.save(folder / SAMPLES, archive["image"])
        np.save(folder / LABELS, archive["labels"])
    return {"kind": "arrays", "folder": str(folder)}


def released(ground: Ground, **changes: Any) -> Release:
    from paddle_int8.flows.release import release

    config = ground.inputs.approvable(ground.folder / "release.yaml", ground.name, **changes)
    return release(load_config(config))


def outputs_and_weights(folder: Path, changed: Path) -> dict[str, Any]:
    """Answers of a model before and after `rescale`, and by how much each parameter grew. Runs isolated."""
    from paddle.static.io import is_persistable

    from paddle_int8.tasks.config.model import ModelFiles
    from paddle_int8.tasks.engines.paddle.files import find_model
    from paddle_int8.tasks.engines.paddle.load import prepare_model
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
    from paddle_int8.tasks.engines.paddle.program import load_program
    from paddle_int8.tasks.engines.paddle.switches import NATIVE_FP32

    original = changed.with_name("original")
    model = prepare_model(find_model(ModelFiles(path=folder)), original)
    rescale(
        PrepareRequest(
            model=original,
            inputs=model.inputs,
            calibration=build_dataset(8, "none"),
            batch_size=8,
            config=QuantizationConfig(),
            folder=changed,
        )
    )
    answers, weights = [], []
    for each in (original, changed):
        answers += open_predictor(spec_of(each, NATIVE_FP32, 1)).run({"image": noise(16, seed=9)})
        loaded = load_program(find_model(ModelFiles(path=each)))
        names = [each.name for each in loaded.program.list_vars() if is_persistable(each)]
        weights.append({name: np.array(loaded.scope.find_var(name).get_tensor()) for name in names})
    first, second = weights
    pairs = [(np.abs(first[name]).max(), np.abs(second[name]).max()) for name in first if first[name].any()]
    return {"answers": answers, "grew": sorted({float(after / before) for before, after in pairs})}


def test_algorithm_of_another_package_changes_weights_and_no_answer_in_fp32(
    inputs: SmallInputs, tmp_path: Path
) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    found = run_isolated(
        outputs_and_weights,
        inputs.folder / "model",
        changed,
        step="rescale",
        log=tmp_path / "log",
        timeout_s=300,
    )
    np.testing.assert_array_equal(*found["answers"])
    assert found["grew"] == [1 / FACTOR, 1.0, FACTOR]


def test_release_with_an_algorithm_of_another_package(warm_ground: Ground, installed: None) -> None:
    grid = {"algorithms": ["rescaled", "abs_max"], "layouts": ["offline", "qdq"]}
    release = released(warm_ground, quantization=grid)
    assert not release.failed
    names = [each.candidate.name for each in release.evidence]
    assert names == ["rescaled-offline", "rescaled-qdq", "abs_max-offline", "abs_max-qdq"]
    assert len({each.digest for each in release.evidence}) == len(names)  # it is another INT8 model
    assert {each.baseline_digest for each in release.evidence} == {release.model.digest}


def test_release_with_thresholds_of_another_package(warm_ground: Ground, installed: None) -> None:
    grid = {"algorithms": ["abs_max", "halved"], "layouts": ["offline", "qdq"]}
    release = released(warm_ground, quantization=grid)
    assert not release.failed, release.failed
    scales = {run.data.tags["candidate"]: logged_scales(release, run) for run in candidate_runs(release)}
    for layout in ("offline", "qdq"):
        theirs, ours = scales[f"halved-{layout}"], scales[f"abs_max-{layout}"]
        assert theirs.keys() == ours.keys()
        activations = [name for name, scale in ours.items() if isinstance(scale, float)]
        assert len(activations) > 3
        for name in activations:
            assert theirs[name] == pytest.approx(ours[name] / 2, rel=1e-5), name


def candidate_runs(release: Release) -> list[Any]:
    with connection(release.tracking_uri) as client:
        experiment = client.get_experiment_by_name(release.name)
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
    return [run for run in runs if "candidate" in run.data.tags]


def logged_scales(release: Release, run: Any) -> dict[str, float | list[float]]:
    with connection(release.tracking_uri) as client:
        path = Path(client.download_artifacts(run.info.run_id, "scales.json"))
    scales: dict[str, float | list[float]] = json.loads(path.read_text(encoding="utf-8"))
    return scales


def test_release_with_a_strategy_of_another_package_keeps_an_operator_in_fp32(
    warm_ground: Ground, installed: None
) -> None:
    grid = {"algorithms": ["abs_max"], "layouts": ["offline", "qdq"], "strategy": "first_kept"}
    release = released(warm_ground, quantization=grid)
    assert not release.failed, release.failed
    plain, kept = release.evidence[:2], release.evidence[2:]
    assert [each.candidate.layout for each in kept] == ["offline", "qdq"]
    for before, after in zip(plain, kept, strict=True):
        (override,) = after.candidate.overrides
        assert override[1] == "fp32"
        assert after.candidate.name.startswith(f"{before.candidate.name}-1kept-")
        ours, theirs = after.per_isa[0].audit, before.per_isa[0].audit
        assert ours.int8_primitives == theirs.int8_primitives - 1
        assert ours.compute_primitives == theirs.compute_primitives
    params = {run.data.tags["candidate"]: run.data.params for run in candidate_runs(release)}
    tensor, _ = kept[0].candidate.overrides[0]
    assert params[kept[0].candidate.name]["overrides"] == f"{tensor}: fp32"


def test_release_with_a_strategy_that_learns_is_confirmed_on_samples_that_it_did_not_see(
    warm_ground: Ground, installed: None
) -> None:
    grid = {"algorithms": ["abs_max"], "layouts": ["offline", "qdq"], "strategy": "first_kept_learning"}
    release = released(warm_ground, quantization=grid)
    assert release.outcome is Outcome.APPROVED, [verdict.results for verdict in release.verdicts]
    assert release.registered is not None
    (confirmed,) = [each for each in release.evidence if each.candidate == release.chosen]
    searched = [each for each in release.evidence if each.candidate != release.chosen]
    assert confirmed.validation_digest == release.validation.digest
    assert len(searched) == 3
    assert {each.validation_digest for each in searched}.isdisjoint({confirmed.validation_digest})
    assert release.validation.samples + searched[0].per_isa[0].metrics[0].samples == SAMPLES_TAUGHT
    approved = [each.candidate for each in release.verdicts if each.outcome is Outcome.APPROVED]
    assert approved == [release.chosen]
    assert release.looks is not None
    assert release.looks.candidates == 1


def test_release_with_an_algorithm_a_source_and_a_metric_of_another_package(
    warm_ground: Ground, installed: None, tmp_path: Path
) -> None:
    data = {
        "calibration": arrays(warm_ground.inputs.folder / "calibration.npz", tmp_path / "calibration"),
        "validation": arrays(warm_ground.inputs.folder / "taught.npz", tmp_path / "validation"),
    }
    release = released(
        warm_ground,
        data=data,
        quantization={"algorithms": ["rescaled"], "layouts": ["offline", "offline_7bit", "qdq"]},
        validation={"metrics": ["reciprocal_rank"]},
        gate=LENIENT | {"metric": "reciprocal_rank"},
    )
    assert not release.failed, release.failed
    assert release.outcome is Outcome.APPROVED, [verdict.results for verdict in release.verdicts]
    assert release.validation.source == f"the arrays in {tmp_path / 'validation'}"
    for each in release.evidence:
        (metric,) = each.per_isa[0].metrics
        assert (metric.name, metric.samples, metric.baseline) == ("reciprocal_rank", SAMPLES_TAUGHT, 1.0)
    assert release.bundle is not None
    assert release.registered is not None


def test_override_of_an_operator_that_the_model_lacks_names_near_ones(
    warm_ground: Ground, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.e2e import someones_strategy

    def misspelt(self: Any, tried: Any) -> tuple[Candidate, ...]:
        wrong = (("conv2d_7.tmp_0", "fp32"),)
        candidate = Candidate(algorithm="abs_max", layout="offline")
        asked = (candidate, Candidate(algorithm="abs_max", layout="offline", overrides=wrong))
        return () if tried else asked

    monkeypatch.setattr(someones_strategy.FirstKept, "next_candidates", misspelt)
    grid = {"algorithms": ["abs_max"], "layouts": ["offline"], "strategy": "first_kept"}
    (failed,) = released(warm_ground, quantization=grid).failed
    assert failed.step == "quantize"
    assert "no operator writes conv2d_7.tmp_0, did you mean `conv2d_" in failed.error
