"""Measuring a real candidate, in a real process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.validation import Reference, ValidationConfig
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import ConfigError, DataError, MeasurementError, ModelFormatError
from paddle_int8.tasks.contracts.evidence import IsaEvidence
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.paddle.switches import QDQ
from paddle_int8.tasks.gate.diagnosis import CONVERSION_LOSS_DB
from paddle_int8.tasks.hardware.levels import VNNI
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.audit_model import audit_isolated
from paddle_int8.tasks.validation.baseline import OUTPUTS
from paddle_int8.tasks.validation.comparison import read_outputs, write_outputs
from tests.integration.small_release import SAMPLES, SLIM, SmallRelease, measured

pytestmark = pytest.mark.paddle

UNLIKE_ANY_SERVER = IsaLevel.SSE41
"""A level below every host's own, so that emulation is tested wherever the tests run."""


@pytest.fixture(scope="module")
def evidence(
    small_release: SmallRelease, host: HostProfile, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, IsaEvidence]:
    folder = tmp_path_factory.mktemp("evidence")
    return {layout: measured(small_release, layout, folder / layout, isa=host.isa) for layout in SLIM}


@pytest.mark.parametrize("layout", SLIM)
def test_candidate_of_each_layout_ran_in_int8(evidence: dict[str, IsaEvidence], layout: str) -> None:
    audit, baseline = evidence[layout].audit, evidence[layout].baseline_audit
    assert audit.compute_primitives == baseline.compute_primitives == 28
    assert audit.int8_share_by_count > 0.9
    assert audit.int8_share_by_time > 0.5
    assert audit.reorders >= 1
    assert baseline.int8_primitives == 0
    assert audit.isa == baseline.isa != ""


def test_candidate_is_compared_with_the_operators_of_the_fp32_model(
    small_release: SmallRelease, evidence: dict[str, IsaEvidence], host: HostProfile, tmp_path: Path
) -> None:
    model = small_release.model
    assert (model.census.quantizable, evidence["qdq"].audit.outside_onednn) == (28, 0)
    larger = replace(small_release, model=replace(model, census=replace(model.census, quantizable=30)))
    found = measured(larger, "qdq", tmp_path, isa=host.isa)
    assert (found.audit.compute_primitives, found.audit.outside_onednn) == (28, 2)
    assert found.audit.int8_share_by_count == pytest.approx(found.audit.int8_primitives / 30)
    assert found.baseline_audit.outside_onednn == 0


@pytest.mark.parametrize("layout", SLIM)
def test_accuracy_is_of_every_sample_and_both_models(evidence: dict[str, IsaEvidence], layout: str) -> None:
    found = evidence[layout]
    top1 = found.metrics[0]
    assert (top1.name, top1.samples, top1.baseline) == ("top1", SAMPLES, 1.0)
    assert top1.candidate == found.agreement  # the labels are the baseline's own answers
    assert 0.3 < found.agreement <= 1.0  # chance is 0.1
    assert 3.0 < found.sqnr_db < 100.0
    assert (found.non_finite_outputs, found.baseline_non_finite_outputs) == (0, 0)
    assert found.worst_class is not None
    assert found.worst_class.drop_pp >= top1.drop_pp


@pytest.mark.parametrize("layout", SLIM)
def test_int8_is_held_against_its_simulation_on_the_same_samples(
    evidence: dict[str, IsaEvidence], layout: str
) -> None:
    found = evidence[layout].simulation
    assert found is not None
    assert found.samples == 4
    assert 3.0 < found.simulated_sqnr_db < 100.0
    if evidence[layout].isa in VNNI:
        assert found.int8_sqnr_db == pytest.approx(found.simulated_sqnr_db, abs=CONVERSION_LOSS_DB)


def test_a_fault_of_the_conversion_is_seen_beside_the_simulation(
    small_release: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    fp32 = StoredPath(small_release.model.folder)  # what loses nothing
    deployable = replace(small_release.deployables["qdq"], quantized=fp32)
    found = measured(small_release, "qdq", tmp_path, isa=host.isa, deployable=deployable).simulation
    assert found is not None
    assert found.simulated_sqnr_db - found.int8_sqnr_db > CONVERSION_LOSS_DB


def test_outcomes_on_disk_are_those_of_the_evidence(evidence: dict[str, IsaEvidence]) -> None:
    found = evidence["qdq"]
    with np.load(found.outcomes) as stored:
        assert stored["candidate/top1"].mean() == pytest.approx(found.metrics[0].candidate)
        assert stored["candidate/agreement"].mean() == pytest.approx(found.agreement)
        assert (stored["candidate/output 0"] == stored["candidate/agreement"]).all()
        assert stored["baseline/agreement"].all()
        assert len(stored["label"]) == SAMPLES
        assert ((stored["decided/candidate"] == stored["label"]) == stored["candidate/top1"]).all()
        assert (stored["sureness/candidate"] <= 1).all()


def test_latency_has_every_subject_in_every_round(
    evidence: dict[str, IsaEvidence], host: HostProfile
) -> None:
    latency = evidence["offline"].latency
    assert {"baseline", "candidate", "native_fp32"} <= latency.samples_ms.keys()
    assert ("bf16" in latency.samples_ms) != ("bf16" in latency.skipped)
    assert {len(samples) for samples in latency.samples_ms.values()} == {20}
    assert min(min(samples) for samples in latency.samples_ms.values()) > 0
    assert latency.summaries.keys() == latency.samples_ms.keys()
    assert latency.native_speedup is not None
    assert latency.speedup.processes == latency.native_speedup.processes == 2
    assert latency.disturbance is not None
    assert latency.disturbance.seconds > 0


def test_only_the_references_asked_for_are_timed(
    small_release: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    config = ValidationConfig(repeats=20, warmup=0, processes=2, references=(Reference.NATIVE_FP32,))
    latency = measured(small_release, "qdq", tmp_path, isa=host.isa, config=config).latency
    assert latency.samples_ms.keys() == {"baseline", "candidate", "native_fp32"}
    assert not latency.skipped


def test_load_and_memory_are_of_the_process_that_serves(evidence: dict[str, IsaEvidence]) -> None:
    found = evidence["qdq"]
    assert found.load_ms > max(found.latency.samples_ms["candidate"])
    assert found.baseline_load_ms > 0
    assert 50 << 20 < found.peak_memory_bytes < 2 << 30
    assert 50 << 20 < found.baseline_peak_memory_bytes < 2 << 30


def test_qdq_without_its_switch_is_seen_to_run_in_fp32(
    small_release: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    found = measured(small_release, "qdq", tmp_path, isa=host.isa, switches=replace(QDQ, onednn_int8=False))
    assert (found.audit.int8_primitives, found.audit.int8_share_by_time) == (0, 0.0)
    assert len(found.audit.fp32_layers) == found.audit.compute_primitives
    assert "enable_mkldnn_int8" in found.audit.fp32_layers[0].reason


def test_emulated_level_is_the_one_that_onednn_ran(small_release: SmallRelease, tmp_path: Path) -> None:
    found = measured(
        small_release,
        "offline",
        tmp_path,
        isa=UNLIKE_ANY_SERVER,
        emulated=True,
    )
    assert (found.isa, found.emulated, found.audit.isa) == (UNLIKE_ANY_SERVER, True, "Intel SSE4.1")
    assert found.latency.samples_ms.keys() == {"baseline", "candidate"}
    assert found.simulation is None


def test_level_that_did_not_take_effect_is_refused(small_release: SmallRelease, tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="oneDNN uses"):
        measured(small_release, "qdq", tmp_path, isa=UNLIKE_ANY_SERVER, emulated=False)


def test_candidate_is_compared_with_the_stored_baseline_outputs_which_must_be_whole(
    small_release: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    outputs = tmp_path / OUTPUTS
    zeros = [[np.zeros((rows, 10), dtype=np.float32)] for rows in (16, 16, 16, 2)]
    write_outputs(outputs, iter(zeros))
    found = measured(small_release, "qdq", tmp_path, isa=host.isa)
    assert found.sqnr_db == -200.0  # the stored answers were used: no signal
    write_outputs(outputs, iter(list(read_outputs(outputs, 1))[:2]))
    with pytest.raises(MeasurementError, match=f"32 of {SAMPLES}"):
        measured(small_release, "qdq", tmp_path, isa=host.isa)


def test_labels_counted_from_one_are_refused(
    small_release: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    shifted = tmp_path / "shifted"
    shifted.mkdir()
    for path in small_release.validation.folder.iterdir():
        (shifted / path.name).write_bytes(path.read_bytes())
    np.save(shifted / "labels.npy", np.arange(SAMPLES) % 10 + 1)
    release = replace(small_release, validation=replace(small_release.validation, folder=shifted))
    with pytest.raises(DataError, match="labels from 1 to 10"):
        measured(release, "qdq", tmp_path, isa=host.isa)


def test_more_threads_than_the_host_has_are_refused(
    small_release: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    config = ValidationConfig(threads=host.cores + 1)
    with pytest.raises(MeasurementError, match=r"validation\.threads"):
        measured(small_release, "qdq", tmp_path, isa=host.isa, config=config)


def test_candidate_whose_parameters_vanished_is_named(
    small_release: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    deployable = small_release.deployables["qdq"]
    program = deployable.folder / "model.pdmodel"
    (tmp_path / "model.pdmodel").write_bytes(program.read_bytes())
    with pytest.raises(ModelFormatError, match=r"model\.pdiparams"):
        measured(
            small_release, "qdq", tmp_path, isa=host.isa, deployable=replace(deployable, folder=tmp_path)
        )


@pytest.mark.parametrize("layout", SLIM)
def test_audit_of_a_quantized_directory_finds_its_layout(small_release: SmallRelease, layout: str) -> None:
    audit = audit_isolated(small_release.deployables[layout].folder, None)
    assert audit.int8_primitives / audit.compute_primitives > 0.9


def test_audit_of_an_fp32_directory_finds_no_int8(small_release: SmallRelease) -> None:
    audit = audit_isolated(small_release.model.folder, None)
    assert (audit.int8_primitives, audit.compute_primitives, audit.fp32_layers) == (0, 28, ())


def test_audit_of_qdq_as_fp32_shows_the_fallback(small_release: SmallRelease) -> None:
    assert audit_isolated(small_release.deployables["qdq"].folder, "fp32").int8_primitives == 0


def export_loop(folder: Path) -> None:
    import paddle
    from paddle import nn

    class Loop(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.again = nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, values: Any) -> Any:
            values, turn = self.first(values), paddle.zeros([1], "int32")
            while turn < 5:
                values, turn = paddle.tanh(self.again(values)), turn + 1
            return values

    spec = paddle.static.InputSpec([None, 16], "float32", "values")
    paddle.jit.save(paddle.jit.to_static(Loop(), [spec], full_graph=True), str(folder / "model"))


def test_audit_counts_the_body_of_a_loop_which_onednn_never_executes(tmp_path: Path) -> None:
    run_isolated(export_loop, tmp_path, step="export", log=tmp_path / "log", timeout_s=120)
    audit = audit_isolated(tmp_path, "offline")
    assert (audit.compute_primitives, audit.outside_onednn) == (1, 1)
    assert audit.announced_fp32 == {"looped operator": 1}
    fp32 = audit_isolated(tmp_path, None)
    assert (fp32.compute_primitives, fp32.outside_onednn, fp32.announced_fp32) == (1, 0, {})


def test_audit_with_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="offline"):
        audit_isolated(tmp_path, "int4")


def test_audit_input_without_the_models_input_is_refused(small_release: SmallRelease, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", other=np.zeros(3))
    with pytest.raises(DataError, match="image"):
        audit_isolated(small_release.model.folder, None, input_npz=tmp_path / "other.npz")
