"""Models of sequences: recurrent operators run in INT8, and lengths go from the data set to the bundle."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import (
    Bundle,
    DatasetArtifact,
    HostProfile,
    ModelArtifact,
    TensorSpec,
)
from paddle_int8.tasks.contracts.errors import PipelineError, QuantizationError
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, IsaEvidence, NativeComparison
from paddle_int8.tasks.contracts.sequences import LENGTHS, padded
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.paddle.conversion.offline import OfflineRequest
from paddle_int8.tasks.engines.paddle.conversion.save_quant_model import convert_by_form
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model
from paddle_int8.tasks.engines.paddle.quantization.recurrent import quantize_recurrent
from paddle_int8.tasks.engines.paddle.serving import filled
from paddle_int8.tasks.engines.paddle.switches import (
    BASELINE,
    LENGTH_BUCKETS,
    NATIVE_FP32,
    RECURRENT,
    Switches,
)
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.hardware.levels import environment_for
from paddle_int8.tasks.layouts.bundled import bundle_inputs
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.promotion.assessment import assess_promotion, settle
from paddle_int8.tasks.promotion.comparison import MEASURED_ANEW, compare
from paddle_int8.tasks.promotion.decision import DecisionOutcome
from paddle_int8.tasks.promotion.lookup import fetch
from paddle_int8.tasks.promotion.request import PromoteRequest
from paddle_int8.tasks.validation.audit_model import audit_isolated
from paddle_int8.tasks.validation.fault import Fault, find_fault
from paddle_int8.tasks.validation.load import SEQUENCE_BATCHES
from paddle_int8.tasks.validation.native import NativeRequest, compare_with_native
from tests import databases
from tests.cpu import SATURATES
from tests.integration.registry_ground import LENIENT, Packed, RegistryGround, write
from tests.integration.small_release import SmallRelease, measured, prepare
from tests.integration.small_sequences import (
    SAMPLES,
    TAGS,
    WORDS,
    SmallTaggers,
    append,
    build,
    export,
    release_gru,
    request,
)
from tests.integration.test_bundle import PYFUNC, python, run

pytestmark = pytest.mark.paddle
METRIC = "paddle_int8.tasks.data.metrics.sequences:label_accuracy"
CONFIG = ValidationConfig(metrics=(METRIC,), repeats=20, warmup=5, processes=2)
isolated = partial(run_isolated, step="test", timeout_s=120)


@pytest.fixture(scope="module")
def taggers(tmp_path_factory: pytest.TempPathFactory) -> SmallTaggers:
    folder = tmp_path_factory.mktemp("taggers")
    return run_isolated(build, folder, step="build", log=folder / "build.log", timeout_s=300)


@pytest.fixture(scope="module")
def evidence(
    taggers: SmallTaggers, host: HostProfile, tmp_path_factory: pytest.TempPathFactory
) -> IsaEvidence:
    folder = tmp_path_factory.mktemp("measured")
    return measured(taggers.gru, "recurrent", folder, isa=host.isa, config=CONFIG)


@pytest.fixture(scope="module")
def packed(
    taggers: SmallTaggers, evidence: IsaEvidence, host: HostProfile, tmp_path_factory: pytest.TempPathFactory
) -> Packed:
    model, deployable = taggers.gru.model, taggers.gru.deployables["recurrent"]
    proof = CandidateEvidence(
        candidate=deployable.candidate,
        digest=deployable.digest,
        size_bytes=deployable.size_bytes,
        baseline_digest=model.digest,
        baseline_size_bytes=model.size_bytes,
        validation_digest=taggers.gru.validation.digest,
        host=host,
        per_isa=(evidence,),
    )
    bundle = write(taggers.gru, proof, tmp_path_factory.mktemp("bundle"))
    lenient = LENIENT.model_copy(update={"metric": METRIC, "min_int8_share": 0.01})
    return Packed(bundle=bundle, evidence=proof, verdict=judge(proof, lenient))


@pytest.fixture(scope="module")
def bundle(packed: Packed) -> Bundle:
    return packed.bundle


def hold_to_native(model: ModelArtifact, data: DatasetArtifact) -> tuple[NativeComparison, Fault | None]:
    """The baseline beside native, and what a search finds in a model without a fault."""
    folder = baseline_folder(model.folder)
    request = NativeRequest(folder=folder, inputs=model.inputs, data=data, batch_size=4, threads=1)
    feed = next(BatchReader(data, model.inputs).batches(4))
    outputs = [output.name for output in model.outputs]
    return compare_with_native(request), find_fault(folder, feed, 1, outputs)


def test_baseline_of_sequences_is_held_to_native(taggers: SmallTaggers, tmp_path: Path) -> None:
    arguments = (taggers.gru.model, taggers.gru.validation)
    found, fault = run_isolated(
        hold_to_native, *arguments, step="native", log=tmp_path / "log.txt", timeout_s=120
    )
    assert found.samples == 16
    assert [output.greatest_difference < 1e-4 for output in found.outputs] == [True]
    assert fault is None


def test_sequence_inputs_and_outputs_are_told_apart(taggers: SmallTaggers) -> None:
    model = taggers.gru.model
    assert model.inputs == (TensorSpec(name="words", shape=(-1, 1), dtype="int64", sequence=True),)
    assert [spec.sequence for spec in model.outputs] == [True]


def test_both_directions_and_layers_of_a_gru_fuse_into_one_operator(taggers: SmallTaggers) -> None:
    assert taggers.gru.deployables["recurrent"].int8_ops == {"multi_gru": 1}
    assert taggers.lstm.deployables["recurrent"].int8_ops == {"fusion_lstm": 1}


def test_every_gru_ran_in_int8_and_decides_as_fp32(evidence: IsaEvidence) -> None:
    rnn = {(share.kind, share.dtype): share.count for share in evidence.audit.shares if share.kind == "rnn"}
    assert rnn == {("rnn", "int8"): 4}
    assert [layer.kind for layer in evidence.audit.fp32_layers] == ["inner_product"]
    assert evidence.baseline_audit.int8_primitives == 0
    assert evidence.audit.outside_onednn == 0  # of 4 GRUs, each with the layer before it, and one more layer
    (metric,) = evidence.metrics
    assert metric.samples == SAMPLES
    assert metric.baseline == 1.0
    assert metric.candidate > 0.95
    assert evidence.sqnr_db > 20


def test_latency_is_measured_on_sequences_of_several_lengths(
    taggers: SmallTaggers, evidence: IsaEvidence
) -> None:
    lengths = np.load(Path(taggers.gru.validation.folder) / "words.lengths.npy")
    assert len(set(lengths[:SEQUENCE_BATCHES].tolist())) > 1
    assert {"baseline", "candidate", "native_fp32"} <= evidence.latency.samples_ms.keys()


def test_lstm_runs_in_int8(taggers: SmallTaggers, host: HostProfile, tmp_path: Path) -> None:
    found = measured(taggers.lstm, "recurrent", tmp_path, isa=host.isa, config=CONFIG)
    assert {(share.kind, share.dtype) for share in found.audit.shares if share.kind == "rnn"} == {
        ("rnn", "int8")
    }
    assert found.metrics[0].candidate > 0.9  # random weights: many scores are almost equal


def test_audit_of_a_sequence_bundle_finds_its_layout(bundle: Bundle) -> None:
    assert audit_isolated(bundle.folder, None).int8_primitives == 4


def test_bundle_has_its_switches(bundle: Bundle) -> None:
    deployment = json.loads((bundle.folder / "deployment.json").read_text())
    assert deployment["layout"] == "recurrent"
    assert deployment["switches"]["length_buckets"] == list(LENGTH_BUCKETS)
    assert deployment["switches"]["max_isa"] == ""
    assert deployment["switches"]["onednn_cache_capacity"] == RECURRENT.onednn_cache_capacity
    assert not (bundle.folder / "examples" / "predict.cpp").exists()


def test_python_example_on_sequences_gives_the_validated_output(bundle: Bundle) -> None:
    assert "equal to the validated output" in run(sys.executable, bundle.folder / "examples" / "predict.py")


SERVE = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1] + "/examples")
import predict
predictor = predict.open_bundle(predict.Path(sys.argv[1]))
for lengths in ([1], [10_000], [3, 0]):
    words = np.ones((len(lengths), max(lengths), 1), "int64")
    try:
        (scores,) = predictor.run({"words": words, "words.lengths": np.array(lengths)})
        print(scores.shape, bool(np.isfinite(scores).all()))
    except ValueError as error:
        print(error)
"""


def test_bundle_serves_one_step_and_ten_thousand_and_refuses_none(bundle: Bundle, tmp_path: Path) -> None:
    said = python(SERVE, bundle.folder, cwd=tmp_path, env={}).splitlines()
    assert said[-3:] == [
        f"(1, 1, {TAGS}) True",
        f"(1, 10000, {TAGS}) True",
        "sequence 1 is empty: leave it out of the batch",
    ]


SERVE_LISTS = """
import importlib.util, sys, types
import numpy as np, pandas as pd
spec = importlib.util.spec_from_file_location("pyfunc_model", sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
model = module.Int8Model()
model.load_context(types.SimpleNamespace(artifacts={"bundle": sys.argv[1]}))
sentences = [[1, 2, 3], [4]]
(lists,) = model.predict(None, {"words": sentences}).values()
(frame,) = model.predict(None, pd.DataFrame({"words": sentences})).values()
print(lists.shape, bool((lists == frame).all()), bool(lists[1, 1:].any()))
try:
    model.predict(None, {"words": [[1], []]})
except ValueError as error:
    print(error)
"""


def test_pyfunc_takes_lists_of_sequences(bundle: Bundle, tmp_path: Path) -> None:
    said = python(SERVE_LISTS, bundle.folder, PYFUNC, cwd=tmp_path, env={}).splitlines()
    assert said[-2:] == [
        f"(2, 3, {TAGS}) True False",
        "sequence 1 of words has shape (0, 1), the model takes [length, *[1]]",
    ]


def each_and_all(release: SmallRelease, switches: Switches) -> tuple[list[Array], Array]:
    """Outputs of each sentence alone, and of all in one batch."""
    (int8,) = release.deployables.values()
    folder = int8.folder if switches == RECURRENT else release.model.folder
    predictor = open_predictor(spec_of(folder, switches, 1))
    reader = BatchReader(release.validation, release.model.inputs)
    return [predictor.run(feed)[0] for feed in reader.batches(1)], predictor.run(
        next(iter(reader.batches(SAMPLES)))
    )[0]


@pytest.mark.parametrize("switches", [BASELINE, RECURRENT])
def test_a_sentence_is_answered_alike_alone_and_in_a_batch(
    taggers: SmallTaggers, switches: Switches, tmp_path: Path
) -> None:
    """The recurrent layout runs the batch in length buckets, with fillers."""
    alone, together = isolated(each_and_all, taggers.gru, switches, log=tmp_path / "log")
    for single, row in zip(alone, together, strict=True):
        np.testing.assert_allclose(single[0], row[: single.shape[1]], atol=1e-5)
        assert not row[single.shape[1] :].any()


def in_turn(folder: Path, switches: Switches, batches: list[list[int]]) -> tuple[list[Array], list[Array]]:
    """Outputs for batches of sequences of these lengths, from one predictor and from one each."""
    random = np.random.default_rng(0)
    feeds = [
        {
            "words": random.integers(0, WORDS, (len(lengths), max(lengths), 1)),
            f"words{LENGTHS}": np.array(lengths),
        }
        for lengths in batches
    ]
    spec = spec_of(folder, switches, 1)
    predictor = open_predictor(spec)
    return [predictor.run(feed)[0] for feed in feeds], [open_predictor(spec).run(feed)[0] for feed in feeds]


def test_batches_of_other_numbers_are_answered_by_kernels_of_their_own(
    taggers: SmallTaggers, tmp_path: Path
) -> None:
    """With those of the first batch the process ends."""
    batches = [[10, 6], [10, 3, 3], [16]]
    found, wanted = isolated(in_turn, taggers.gru.model.folder, BASELINE, batches, log=tmp_path / "log")
    for each, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(each, right)


def test_filled_group_and_one_sequence_of_as_many_steps_have_kernels_of_their_own(
    taggers: SmallTaggers, tmp_path: Path
) -> None:
    """Without VNNI prepared weights fit one number of sequences; with those of another the process ends."""
    several = [9, 5, 12, 8, 11, 16]
    ((_, fillers),) = filled(np.array(several), LENGTH_BUCKETS)
    found, wanted = isolated(
        in_turn,
        taggers.gru.deployables["recurrent"].folder,
        RECURRENT,
        [[sum(several) + sum(fillers)], several],
        log=tmp_path / "log",
        environment=environment_for(IsaLevel.AVX512_CORE),
    )
    for each, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(each, right)


def noise_db(folder: Path, spread: float, layout: str) -> float:
    """FP32 signal over INT8 noise in the scores of a GRU on words of this spread."""
    release = release_gru(folder, spread, layout)
    signal, found = (each_and_all(release, switches)[1] for switches in (NATIVE_FP32, RECURRENT))
    return float(10 * np.log10((signal**2).sum() / ((signal - found) ** 2).sum()))


def test_input_larger_than_hidden_states_leaves_them_precise(tmp_path: Path) -> None:
    """30 dB; 20 with one scale that holds both, as oneDNN's interface suggests."""
    layout = "recurrent_7bit" if SATURATES else "recurrent"
    assert isolated(noise_db, tmp_path, 2.0, layout, log=tmp_path / "log") > 25


def test_weights_of_seven_bits_do_not_saturate_without_vnni(tmp_path: Path) -> None:
    """13 and 27 dB; with VNNI the first has 30."""
    without_vnni = environment_for(IsaLevel.AVX2)
    saturated, fitting = (
        isolated(noise_db, tmp_path / name, 2.0, name, log=tmp_path / f"{name}.txt", environment=without_vnni)
        for name in ("recurrent", "recurrent_7bit")
    )
    assert fitting > 25
    assert fitting > saturated + 10


def peephole(values: object) -> object:
    return append("lstm", values, 8, peepholes=True)


def quantize_peepholes(folder: Path, calibration: SmallRelease) -> None:
    export(folder / "exported", peephole)
    quantize_recurrent(request(prepare(folder), calibration.validation, folder / "deferred"))


def test_lstm_with_peepholes_is_refused(taggers: SmallTaggers, tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="peepholes"):
        isolated(quantize_peepholes, tmp_path, taggers.gru, log=tmp_path / "log")


def test_model_without_recurrence_is_refused_by_the_recurrent_layout(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    asked = request(small_release.model, small_release.validation, tmp_path / "deferred")
    with pytest.raises(QuantizationError, match="no operator `gru` or `lstm`"):
        isolated(quantize_recurrent, asked, log=tmp_path / "log")


def test_paddleslim_layouts_refuse_sequences(taggers: SmallTaggers, tmp_path: Path) -> None:
    asked = request(taggers.gru.model, taggers.gru.validation, tmp_path / "ptq")
    asked = replace(asked, candidate=replace(asked.candidate, layout="qdq"))
    with pytest.raises(QuantizationError, match="layouts: \\[recurrent\\]"):
        isolated(quantize_model, asked, log=tmp_path / "log")


@pytest.mark.parametrize("command", [prepare_model, convert_by_form], ids=["release", "convert"])
def test_converted_recurrent_model_is_named_as_such_with_its_audit(
    taggers: SmallTaggers, tmp_path: Path, command: Callable[..., object]
) -> None:
    folder = taggers.gru.deployables["recurrent"].folder
    source = find_model(ModelFiles(path=folder))
    asked = (source, tmp_path / "out")
    if command is convert_by_form:
        asked = (OfflineRequest(source=source, folder=tmp_path / "out"),)
    with pytest.raises(PipelineError, match="converted to layout `recurrent`") as error:
        isolated(command, *asked, log=tmp_path / "log")
    assert f"`paddle-int8 audit {folder}`" in error.value.remedy
    assert audit_isolated(folder, None).int8_primitives > 0


def quantized_again(taggers: SmallTaggers, folder: Path) -> str:
    asked = request(taggers.gru.model, taggers.gru.validation, folder / "once")
    again = request(taggers.gru.model, taggers.gru.validation, folder / "again")
    digests = {quantize_recurrent(asked).digest, quantize_recurrent(again).digest}
    scales = {(each.folder / "scales.json").read_text() for each in (asked, again)}
    assert len(digests) == len(scales) == 1
    other = request(taggers.gru.model, taggers.gru.validation, folder / "other")
    average = replace(other, magnitudes=ALGORITHMS.find("avg").magnitudes)
    digests.add(quantize_recurrent(average).digest)
    assert len({digest[:32] for digest in digests}) == 2  # the part that the store names a folder with
    return scales.pop()


def test_quantization_is_the_same_each_time_with_a_scale_for_each_state(
    taggers: SmallTaggers, tmp_path: Path
) -> None:
    scales = json.loads(isolated(quantized_again, taggers, tmp_path, log=tmp_path / "log"))
    assert len(scales) == 6  # four hidden states, the looked-up words, and what the first layer hands on
    assert all(0 < scale < 10 for scale in scales.values())


def test_padded_is_the_inverse_of_packed() -> None:
    lengths = np.array([2, 1])
    rows = np.arange(6).reshape(3, 2)
    assert padded(rows, lengths).tolist() == [[[0, 1], [2, 3]], [[4, 5], [0, 0]]]
    assert f"words{LENGTHS}" == "words.lengths"


def test_registered_tagger_is_promoted_and_compared_on_sequences_anew(
    taggers: SmallTaggers, packed: Packed, host: HostProfile, tmp_path: Path
) -> None:
    uri, log = databases.mlflow_in(tmp_path), tmp_path / "promotion.log"
    whole = replace(packed, bundle=write(taggers.gru, packed.evidence, tmp_path / "bundle"))
    versions = {"recurrent": whole}
    ground = RegistryGround(uri=uri, release=taggers.gru, packed=versions, folder=tmp_path)
    ground.register("tagger", "recurrent", validation="other")
    ground.register("tagger", "recurrent", threads=2)
    decision = assess_promotion(uri, PromoteRequest(model="tagger", version=1), log=log)
    assert settle(uri, decision).outcome is DecisionOutcome.DONE, decision.checks
    champion, challenger = (
        fetch(uri, "tagger", version, tmp_path / version, log=log) for version in ("1", "2")
    )
    (compared,) = compare(
        champion,
        challenger,
        [host.isa],
        data=taggers.gru.validation,
        inputs=bundle_inputs(challenger.bundle),
        confidence=0.95,
        log=log,
    )
    assert compared.note == MEASURED_ANEW
    assert compared.metric is not None
    assert compared.metric.drop_pp == 0, "one model on the same sentences"
    assert compared.metric.baseline == packed.evidence.per_isa[0].metrics[0].candidate
