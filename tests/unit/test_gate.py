import dataclasses
import json
import math
from typing import Any

import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    ClassDrop,
    OutputEvidence,
    RuntimeEvidence,
    Simulation,
)
from paddle_int8.tasks.contracts.json import from_json, to_json
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome, OutputKind
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.gate.speed import MIN_SPEEDUP
from tests.unit.evidence_factory import (
    SKYLAKE,
    VNNI,
    counted,
    good_evidence,
    graded,
    native,
    ratio,
    spoil,
    with_audit,
    with_speed,
)

NAN = math.nan
GATE = GateConfig()


def result_of(evidence: CandidateEvidence, criterion: str, gate: GateConfig = GATE) -> CriterionResult:
    found = [result for result in judge(evidence, gate).results if result.criterion == criterion]
    assert len(found) == 1, f"{criterion} appears {len(found)} times"
    return found[0]


def test_gate_good_evidence_approves_with_every_criterion_explained() -> None:
    evidence = good_evidence()
    verdict = judge(evidence, GATE)
    assert verdict.outcome is Outcome.APPROVED
    assert (verdict.digest, verdict.candidate) == (evidence.digest, evidence.candidate)
    names = {result.criterion for result in verdict.results}
    assert {"accuracy top1", "accuracy top5", "speed-up", "INT8 share", "finite outputs"} <= names
    assert all(result.found and result.required and not result.remedy for result in verdict.results)


def test_gate_any_other_outcome_names_a_remedy() -> None:
    evidence = with_speed(good_evidence(), ratio(0.5))
    for result in judge(evidence, GATE).results:
        assert bool(result.remedy) is (result.outcome is not Outcome.APPROVED)


@pytest.mark.parametrize(
    ("margin", "outcome"),
    [
        pytest.param(0.0, Outcome.APPROVED, id="at the margin"),
        pytest.param(-1e-12, Outcome.INCONCLUSIVE, id="beyond by less than any rounding"),
    ],
)
def test_accuracy_upper_bound_at_margin_is_not_rounded(margin: float, outcome: Outcome) -> None:
    metric = counted(lost=20, gained=4, samples=2000)
    gate = GateConfig(max_drop_pp=metric.drop_upper_pp + margin)
    assert result_of(spoil(good_evidence(), metrics=(metric,)), "accuracy top1", gate).outcome is outcome


@pytest.mark.parametrize(
    ("margin", "outcome"),
    [
        pytest.param(0.0, Outcome.INCONCLUSIVE, id="at the margin"),
        pytest.param(-1e-12, Outcome.REJECTED, id="margin just below"),
    ],
)
def test_accuracy_lower_bound_at_margin_is_not_rounded(margin: float, outcome: Outcome) -> None:
    metric = counted(lost=90, gained=10, samples=2000)
    gate = GateConfig(max_drop_pp=metric.drop_lower_pp + margin)
    assert result_of(spoil(good_evidence(), metrics=(metric,)), "accuracy top1", gate).outcome is outcome


@pytest.mark.parametrize(
    ("samples", "outcome"),
    [
        pytest.param(299, Outcome.APPROVED, id="299 equal outcomes"),
        pytest.param(298, Outcome.INCONCLUSIVE, id="298 equal outcomes"),
    ],
)
def test_accuracy_without_discordants_follows_the_rule_of_three(samples: int, outcome: Outcome) -> None:
    metric = counted(lost=0, gained=0, samples=samples)
    result = result_of(spoil(good_evidence(), metrics=(metric,)), "accuracy top1")
    assert result.outcome is outcome
    assert ("about 299 samples" in result.remedy) is (outcome is Outcome.INCONCLUSIVE)


def test_accuracy_with_twenty_samples_is_inconclusive_and_says_how_many() -> None:
    metric = counted(lost=0, gained=0, samples=20)
    verdict = judge(spoil(good_evidence(), metrics=(metric,)), GATE)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "about 299 samples" in next(r.remedy for r in verdict.results if r.criterion == "accuracy top1")


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        pytest.param(298, "at least 299 samples", id="too few to approve anything"),
        pytest.param(299, "more samples alone will not help", id="enough to approve a better candidate"),
    ],
)
def test_accuracy_drop_beyond_margin_asks_for_samples_only_where_they_could_help(
    samples: int, said: str
) -> None:
    metric = counted(lost=4, gained=0, samples=samples)
    result = result_of(spoil(good_evidence(), metrics=(metric,)), "accuracy top1")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert said in result.remedy


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        pytest.param(GateConfig(metric="top5"), Outcome.APPROVED, id="only the other metric is gated"),
        pytest.param(GateConfig(metric=None), Outcome.REJECTED, id="every metric is gated"),
        pytest.param(GateConfig(metric="f1"), Outcome.INCONCLUSIVE, id="the gated metric is not there"),
    ],
)
def test_accuracy_gates_the_configured_metric(gate: GateConfig, outcome: Outcome) -> None:
    metrics = (counted("top1", lost=500, gained=0), counted("top5", lost=0, gained=0))
    assert judge(spoil(good_evidence(), metrics=metrics), gate).outcome is outcome


def test_baseline_wrong_in_top1_is_seen_when_top5_is_gated() -> None:
    shifted = (
        counted("top1", lost=0, gained=0, baseline=0.004),
        counted("top5", lost=0, gained=0, baseline=0.33),
    )
    result = result_of(spoil(good_evidence(), metrics=shifted), "baseline top1", GateConfig(metric="top5"))
    assert result.outcome is Outcome.INCONCLUSIVE


def test_accuracy_of_graded_scores_uses_the_same_margin() -> None:
    outcomes = [
        result_of(spoil(good_evidence(), metrics=(graded(*bounds),)), "accuracy f1").outcome
        for bounds in ((0.1, 0.5, 1.0), (0.1, 0.5, 1.1), (1.1, 1.5, 2.0))
    ]
    assert outcomes == [Outcome.APPROVED, Outcome.INCONCLUSIVE, Outcome.REJECTED]


@pytest.mark.parametrize("field", ["drop_pp", "drop_upper_pp", "drop_lower_pp", "baseline"])
def test_accuracy_that_is_not_a_number_is_never_approved(field: str) -> None:
    metric = dataclasses.replace(counted(lost=0, gained=0), **{field: NAN})
    result = result_of(spoil(good_evidence(), metrics=(metric,)), "accuracy top1")
    assert result.outcome is Outcome.INCONCLUSIVE


def test_accuracy_measured_with_less_confidence_than_required_is_inconclusive() -> None:
    evidence = spoil(good_evidence(), metrics=(counted(lost=0, gained=0, confidence=0.9),))
    assert result_of(evidence, "accuracy top1").outcome is Outcome.INCONCLUSIVE
    assert result_of(evidence, "accuracy top1", GateConfig(confidence=0.9)).outcome is Outcome.APPROVED


@pytest.mark.parametrize(
    ("baseline", "outcome"),
    [
        pytest.param(0.003, Outcome.INCONCLUSIVE, id="labels shifted by one"),
        pytest.param(0.0999, Outcome.INCONCLUSIVE, id="just below ten margins"),
        pytest.param(0.1, Outcome.APPROVED, id="ten margins"),
    ],
)
def test_baseline_too_poor_to_lose_the_margin_proves_nothing(baseline: float, outcome: Outcome) -> None:
    evidence = spoil(good_evidence(), metrics=(counted(lost=0, gained=0, baseline=baseline),))
    assert judge(evidence, GATE).outcome is outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        pytest.param(1.5, 1.7, Outcome.APPROVED, id="lower bound at the least"),
        pytest.param(math.nextafter(1.5, 0), 1.7, Outcome.INCONCLUSIVE, id="lower bound just below"),
        pytest.param(1.3, 1.5, Outcome.INCONCLUSIVE, id="upper bound at the least"),
        pytest.param(1.3, math.nextafter(1.5, 0), Outcome.REJECTED, id="upper bound just below"),
        pytest.param(NAN, 1.7, Outcome.INCONCLUSIVE, id="lower bound NaN"),
        pytest.param(1.6, NAN, Outcome.INCONCLUSIVE, id="upper bound NaN"),
        pytest.param(math.inf, math.inf, Outcome.INCONCLUSIVE, id="infinitely fast"),
    ],
)
def test_speed_compares_the_interval_unrounded(low: float, high: float, outcome: Outcome) -> None:
    evidence = with_speed(good_evidence(), ratio(low, high))
    assert result_of(evidence, "speed-up", GateConfig(min_speedup=1.5)).outcome is outcome


def test_speed_measured_with_less_confidence_than_required_is_inconclusive() -> None:
    evidence = with_speed(good_evidence(), ratio(2.0, confidence=0.9))
    assert result_of(evidence, "speed-up").outcome is Outcome.INCONCLUSIVE


def test_speed_of_one_process_is_inconclusive_however_fast() -> None:
    """Evidence of before there were several: its interval describes the process that it was measured in."""
    document = json.loads(to_json(good_evidence(speedup=9.0)))
    for item in document["per_isa"]:
        del item["latency"]["disturbance"], item["latency"]["native_speedup"]
        del item["latency"]["speedup"]["processes"], item["latency"]["speedup"]["allowance"]
    old = from_json(CandidateEvidence, json.dumps(document))
    assert result_of(old, "speed-up").outcome is Outcome.INCONCLUSIVE
    assert "release it again" in result_of(old, "speed-up").remedy
    assert judge(old, GateConfig(min_native_speedup=1.1)).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("share", "told"), [(0.47, True), (0.02, False)], ids=["taken", "quiet"])
def test_speed_on_a_host_that_was_taken_says_so(share: float, told: bool) -> None:
    evidence = with_speed(good_evidence(), ratio(1.2, 3.5))
    latency = evidence.per_isa[0].latency
    assert latency.disturbance is not None
    taken = dataclasses.replace(latency.disturbance, steal_share=share, others_share=0.0)
    result = result_of(spoil(evidence, latency=dataclasses.replace(latency, disturbance=taken)), "speed-up")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert ("the host was taken for 47 % of the time" in result.found) is told
    assert "measure while nothing else runs" in result.remedy


@pytest.mark.parametrize("isa", list(IsaLevel))
def test_speed_default_is_the_level_s_own(isa: IsaLevel) -> None:
    enough = with_speed(good_evidence(isas=(isa,)), ratio(MIN_SPEEDUP[isa]))
    slower = with_speed(good_evidence(isas=(isa,)), ratio(MIN_SPEEDUP[isa] - 0.01, MIN_SPEEDUP[isa] - 0.005))
    assert result_of(enough, "speed-up").outcome is Outcome.APPROVED
    assert result_of(slower, "speed-up").outcome is Outcome.REJECTED
    assert MIN_SPEEDUP[isa] >= 1.0


@pytest.mark.parametrize(
    ("share", "outcome"),
    [
        pytest.param(0.9, Outcome.APPROVED, id="at the least"),
        pytest.param(math.nextafter(0.9, 0), Outcome.REJECTED, id="just below"),
        pytest.param(0.0, Outcome.REJECTED, id="none"),
        pytest.param(NAN, Outcome.REJECTED, id="NaN"),
    ],
)
def test_proof_share_below_the_least_is_rejected_whatever_the_speed(share: float, outcome: Outcome) -> None:
    evidence = with_audit(with_speed(good_evidence(), ratio(9.0)), int8_share_by_count=share)
    result = result_of(evidence, "INT8 share")
    assert result.outcome is outcome
    assert ("silent FP32 fallback" in result.found) is (outcome is Outcome.REJECTED)
    assert judge(evidence, GATE).outcome is outcome


def convnext(**changes: Any) -> CandidateEvidence:
    """11 primitives, all INT8, of a model with 15 compute operators."""
    counts = {"compute_primitives": 11, "int8_primitives": 11, "outside_onednn": 4}
    return with_audit(good_evidence(), **(counts | {"int8_share_by_count": 11 / 15} | changes))


def test_proof_counts_what_ran_outside_onednn_and_says_so() -> None:
    result = result_of(convnext(), "INT8 share")
    assert result.outcome is Outcome.REJECTED
    assert result.found == (
        "silent FP32 fallback: 11 of 15 compute operators in INT8 (73.3 %); "
        "4 ran outside oneDNN, in Paddle's own FP32 kernels"
    )
    assert "what oneDNN did not execute" in result.remedy


def test_proof_says_what_ran_outside_onednn_where_that_is_allowed() -> None:
    result = result_of(convnext(), "INT8 share", GateConfig(min_int8_share=0.7))
    assert result.outcome is Outcome.APPROVED
    assert result.found.startswith("11 of 15 compute operators")
    assert "4 ran outside oneDNN" in result.found


def unet(int8: int) -> CandidateEvidence:
    """11 convolutions, of which so many are INT8, and 2 transposed ones."""
    return with_audit(
        good_evidence(),
        compute_primitives=13,
        int8_primitives=int8,
        int8_share_by_count=int8 / 13,
        announced_fp32={"transposed convolution": 2},
    )


@pytest.mark.parametrize(
    ("int8", "silent"),
    [pytest.param(11, False, id="only announced ones are missing"), pytest.param(9, True, id="others too")],
)
def test_proof_of_what_was_announced_is_rejected_but_no_silent_fallback(int8: int, silent: bool) -> None:
    result = result_of(unet(int8), "INT8 share")
    assert result.outcome is Outcome.REJECTED
    assert result.found.endswith("; known beforehand to stay FP32: 2 transposed convolutions")
    assert ("silent FP32 fallback" in result.found) is silent
    assert ("lower `gate.min_int8_share` knowingly" in result.remedy) is not silent


def test_proof_of_what_was_announced_passes_a_lowered_share() -> None:
    assert result_of(unet(11), "INT8 share", GateConfig(min_int8_share=0.84)).outcome is Outcome.APPROVED


def test_proof_of_announced_operators_alone_has_nothing_to_reach() -> None:
    evidence = with_audit(
        good_evidence(),
        compute_primitives=2,
        int8_primitives=0,
        int8_share_by_count=0.0,
        announced_fp32={"transposed convolution": 2},
    )
    assert result_of(evidence, "INT8 share").outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("candidate", "baseline", "outcome"),
    [
        pytest.param(0, 0, Outcome.APPROVED, id="all finite"),
        pytest.param(1, 0, Outcome.REJECTED, id="one NaN from INT8"),
        pytest.param(1, 1, Outcome.REJECTED, id="FP32 gives NaN too"),
        pytest.param(0, 1, Outcome.REJECTED, id="only FP32 gives NaN"),
    ],
)
def test_outputs_not_finite_are_rejected_and_say_whose(
    candidate: int, baseline: int, outcome: Outcome
) -> None:
    evidence = spoil(good_evidence(), non_finite_outputs=candidate, baseline_non_finite_outputs=baseline)
    result = result_of(evidence, "finite outputs")
    assert result.outcome is outcome
    assert ("FP32 itself" in result.remedy) is (baseline > 0)


@pytest.mark.parametrize(
    ("size_bytes", "outcome"),
    [(3000, Outcome.APPROVED), (3001, Outcome.REJECTED), (0, Outcome.INCONCLUSIVE)],
    ids=["at the limit", "one byte more", "unknown"],
)
def test_size_ratio_is_judged_when_configured(size_bytes: int, outcome: Outcome) -> None:
    evidence = dataclasses.replace(good_evidence(), size_bytes=size_bytes, baseline_size_bytes=10_000)
    assert result_of(evidence, "size", GateConfig(max_size_ratio=0.3)).outcome is outcome


def test_latency_p99_is_judged_on_the_candidate_when_configured() -> None:
    evidence = good_evidence()
    p99_ms = native(evidence).latency.summaries["candidate"].p99_ms
    at_limit, below = GateConfig(max_latency_p99_ms=p99_ms), GateConfig(max_latency_p99_ms=p99_ms * 0.999)
    assert result_of(evidence, "latency p99", at_limit).outcome is Outcome.APPROVED
    assert result_of(evidence, "latency p99", below).outcome is Outcome.REJECTED
    unmeasured = spoil(evidence, latency=dataclasses.replace(native(evidence).latency, summaries={}))
    assert result_of(unmeasured, "latency p99", at_limit).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("worst", "outcome"),
    [
        pytest.param(ClassDrop(label=8, samples=200, drop_pp=5.0), Outcome.APPROVED, id="at the limit"),
        pytest.param(ClassDrop(label=8, samples=200, drop_pp=5.01), Outcome.REJECTED, id="above"),
        pytest.param(None, Outcome.INCONCLUSIVE, id="no labels"),
    ],
)
def test_worst_class_is_judged_when_configured(worst: ClassDrop | None, outcome: Outcome) -> None:
    gate = GateConfig(max_worst_class_drop_pp=5.0)
    assert result_of(spoil(good_evidence(), worst_class=worst), "worst class drop", gate).outcome is outcome


def test_optional_criteria_are_off_by_default() -> None:
    names = {result.criterion for result in judge(good_evidence(), GATE).results}
    assert names.isdisjoint({"size", "latency p99", "worst class drop"})


@pytest.mark.parametrize(
    "spoiled",
    [
        pytest.param(dataclasses.replace(good_evidence(), per_isa=()), id="nothing measured"),
        pytest.param(spoil(good_evidence(), emulated=True), id="only emulated"),
        pytest.param(spoil(good_evidence(), metrics=()), id="no metric"),
        pytest.param(
            spoil(good_evidence(), metrics=(counted(lost=0, gained=0, samples=1),)), id="one sample"
        ),
    ],
)
def test_gate_missing_evidence_is_inconclusive(spoiled: CandidateEvidence) -> None:
    assert judge(spoiled, GATE).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("field", ["digest", "baseline_digest", "validation_digest"])
def test_gate_evidence_without_a_digest_is_rejected(field: str) -> None:
    evidence = dataclasses.replace(good_evidence(), **{field: " "})
    assert judge(evidence, GATE).outcome is Outcome.REJECTED


@pytest.mark.parametrize("place", [0, 1], ids=["native", "emulated"])
def test_gate_one_bad_instruction_set_decides(place: int) -> None:
    evidence = good_evidence(isas=(VNNI, SKYLAKE))
    assert judge(evidence, GATE).outcome is Outcome.APPROVED
    verdict = judge(spoil(evidence, place, metrics=(counted(lost=900, gained=0),)), GATE)
    assert verdict.outcome is Outcome.REJECTED
    assert {r.isa for r in verdict.results if r.outcome is Outcome.REJECTED} == {(VNNI, SKYLAKE)[place]}


def test_gate_rejection_outweighs_inconclusive() -> None:
    evidence = spoil(good_evidence(), metrics=(counted(lost=0, gained=0, samples=20),))
    assert judge(evidence, GATE).outcome is Outcome.INCONCLUSIVE
    assert judge(with_audit(evidence, int8_share_by_count=0.1), GATE).outcome is Outcome.REJECTED


def timed(factor: float | None) -> CandidateEvidence:
    """Evidence whose native FP32 takes at least `factor` times as long as INT8; None has none."""
    evidence = good_evidence()
    native_speedup = None if factor is None else ratio(factor, factor * 1.005)
    latency = dataclasses.replace(evidence.per_isa[0].latency, native_speedup=native_speedup)
    return spoil(evidence, latency=latency)


@pytest.mark.parametrize(
    ("factor", "outcome"),
    [(1.26, Outcome.REJECTED), (1.28, Outcome.APPROVED), (None, Outcome.INCONCLUSIVE)],
    ids=["below", "above", "not measured"],
)
def test_native_speed_is_compared_where_it_was_measured(factor: float | None, outcome: Outcome) -> None:
    verdict = judge(timed(factor), GateConfig(min_native_speedup=1.27))
    (result,) = [each for each in verdict.results if each.criterion == "speed-up over native FP32"]
    assert result.outcome is outcome


def test_native_speed_is_off_until_configured() -> None:
    assert not [each for each in judge(timed(0.5), GateConfig()).results if "native FP32" in each.criterion]


SCORES = OutputEvidence(
    name="scores",
    kind=OutputKind.CLASSES,
    why="",
    agreement=0.99,
    sqnr_db=24.0,
    judged_by=("top1",),
    labelled=True,
)


def with_second(**changes: Any) -> CandidateEvidence:
    """A second output beside the scores, at which no metric looks."""
    second = dataclasses.replace(SCORES, name="map", judged_by=(), labelled=False, **changes)
    return spoil(good_evidence(), outputs=(SCORES, second))


@pytest.mark.parametrize(
    ("sqnr_db", "outcome"),
    [
        (1.0, Outcome.APPROVED),
        (0.999, Outcome.REJECTED),
        (-200.0, Outcome.REJECTED),
        (math.nan, Outcome.REJECTED),
    ],
    ids=["at the floor", "below", "nothing left", "no number"],
)
def test_signal_of_every_output_is_held_to_the_floor(sqnr_db: float, outcome: Outcome) -> None:
    evidence = with_second(sqnr_db=sqnr_db, agreement=1.0)
    result = result_of(evidence, "signal")
    assert result.outcome is outcome
    assert "map" in result.found
    assert result_of(spoil(good_evidence(), sqnr_db=sqnr_db, outputs=()), "signal").outcome is outcome


def test_signal_is_off_when_both_of_its_limits_are() -> None:
    gate = GateConfig(min_sqnr_db=None, max_conversion_loss_db=None)
    verdict = judge(with_second(sqnr_db=0.0), gate)
    assert "signal" not in {result.criterion for result in verdict.results}


@pytest.mark.parametrize(
    ("simulated_db", "int8_db", "outcome"),
    [
        (17.0, 10.0, Outcome.APPROVED),
        (25.0, 15.0, Outcome.APPROVED),
        (25.1, 15.0, Outcome.REJECTED),
        (200.0, 20.0, Outcome.APPROVED),
        (200.0, 19.9, Outcome.REJECTED),
        (None, 3.0, Outcome.APPROVED),
    ],
    ids=[
        "a sound classifier",
        "at the limit",
        "beyond",
        "unrounded but sound",
        "unrounded and not",
        "silent",
    ],
)
def test_signal_far_below_the_simulations_is_rejected(
    simulated_db: float | None, int8_db: float, outcome: Outcome
) -> None:
    simulation = Simulation(
        samples=4,
        simulated_sqnr_db=25.0,
        int8_sqnr_db=20.0,
        simulated_by_output_db=(25.0, simulated_db),
        int8_by_output_db=(25.0, int8_db),
    )
    result = result_of(spoil(with_second(sqnr_db=12.0), simulation=simulation), "signal")
    assert result.outcome is outcome
    if outcome is Outcome.REJECTED:
        assert "left of map where PaddleSlim's simulation keeps" in result.found


def test_signal_below_the_simulations_is_no_fault_where_sums_saturate() -> None:
    simulation = Simulation(
        samples=4,
        simulated_sqnr_db=25.0,
        int8_sqnr_db=6.0,
        simulated_by_output_db=(25.0,),
        int8_by_output_db=(6.0,),
    )
    evidence = spoil(good_evidence(isas=(SKYLAKE,)), outputs=(SCORES,), simulation=simulation)
    assert result_of(evidence, "signal").outcome is Outcome.APPROVED


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"sqnr_db": 10.0}, Outcome.APPROVED),
        ({"sqnr_db": 9.9, "agreement": 1.0}, Outcome.INCONCLUSIVE),
        ({"sqnr_db": None, "agreement": 0.9}, Outcome.APPROVED),
        ({"sqnr_db": None, "agreement": 0.89}, Outcome.INCONCLUSIVE),
        ({"sqnr_db": None, "agreement": None}, Outcome.INCONCLUSIVE),
        ({"sqnr_db": None, "agreement": None, "kind": OutputKind.IGNORE}, Outcome.APPROVED),
    ],
    ids=["enough", "too little", "enough alike", "too few alike", "not measured", "ignored"],
)
def test_output_that_no_gated_metric_looks_at_must_be_beyond_doubt(
    changes: dict[str, Any], outcome: Outcome
) -> None:
    assert judge(with_second(**changes), GATE).outcome is outcome


def test_output_that_only_a_metric_looks_at_which_is_not_gated_counts_as_unseen() -> None:
    evidence = with_second(sqnr_db=5.0)
    seen = dataclasses.replace(evidence.per_isa[0].outputs[1], judged_by=("agreement",))
    evidence = spoil(evidence, outputs=(SCORES, seen))
    assert result_of(evidence, "every output", GateConfig(metric="top1")).outcome is Outcome.INCONCLUSIVE
    assert "every output" not in {result.criterion for result in judge(evidence, GATE).results}


def test_gate_evidence_of_before_there_were_outputs_is_judged_by_its_one_figure() -> None:
    document = json.loads(to_json(good_evidence()))
    for item in document["per_isa"]:
        del (
            item["outputs"],
            item["simulation"]["simulated_by_output_db"],
            item["simulation"]["int8_by_output_db"],
        )
    old = from_json(CandidateEvidence, json.dumps(document))
    assert judge(old, GATE).outcome is Outcome.APPROVED
    assert result_of(spoil(old, sqnr_db=0.0), "signal").outcome is Outcome.REJECTED


def with_paddle3(evidence: CandidateEvidence, **changes: Any) -> CandidateEvidence:
    """`evidence`, measured with Paddle 3.3.1 as with the release's own, but for `changes`."""
    measured = dataclasses.replace(native(evidence), **changes)
    return dataclasses.replace(evidence, runtimes=(RuntimeEvidence(paddle="3.3.1", measured=measured),))


def test_runtime_that_is_as_good_is_approved_by_criteria_of_its_own() -> None:
    verdict = judge(with_paddle3(good_evidence()), GATE)
    assert verdict.outcome is Outcome.APPROVED
    names = [result.criterion for result in verdict.results]
    for name in ("accuracy top1", "speed-up", "INT8 share", "signal"):
        assert f"{name} with Paddle 3.3.1" in names
    assert len(names) == len(set(names))


def test_runtime_with_a_drop_rejects_the_candidate_by_its_name() -> None:
    evidence = with_paddle3(good_evidence(), metrics=(counted(lost=900, gained=1),))
    assert result_of(evidence, "accuracy top1").outcome is Outcome.APPROVED
    assert result_of(evidence, "accuracy top1 with Paddle 3.3.1").outcome is Outcome.REJECTED
    assert judge(evidence, GATE).outcome is Outcome.REJECTED


def test_runtime_that_does_not_run_the_model_rejects_it_with_its_reason() -> None:
    failed = RuntimeEvidence(paddle="3.3.1", measured=None, error="no kernel for a GRU")
    evidence = dataclasses.replace(good_evidence(), runtimes=(failed,))
    result = result_of(evidence, "runs with Paddle 3.3.1")
    assert (result.outcome, result.found) == (Outcome.REJECTED, "no kernel for a GRU")
    assert judge(evidence, GATE).outcome is Outcome.REJECTED


def test_evidence_of_a_runtime_survives_json() -> None:
    evidence = with_paddle3(good_evidence())
    assert from_json(CandidateEvidence, to_json(evidence)) == evidence
