import dataclasses

import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, OperatorCensus
from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    ClassDrop,
    Fp32Layer,
    LatencySummary,
    NativeComparison,
    NativeOutput,
    Simulation,
)
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.gate.diagnosis import explain
from tests.unit.evidence_factory import (
    SKYLAKE,
    VNNI,
    counted,
    good_evidence,
    native,
    ratio,
    spoil,
    with_audit,
    with_speed,
)

CENSUS = OperatorCensus(counts={"conv2d": 27, "rnn": 2}, quantizable=27, compute=27)
BAD_ACCURACY = (counted(lost=900, gained=0),)
GOOD = good_evidence()


def text_of(evidence: CandidateEvidence, census: OperatorCensus = CENSUS) -> str:
    return "\n".join(explain(evidence, judge(evidence, GateConfig()), census))


def with_latency(evidence: CandidateEvidence, subject: str, p50_ms: float) -> CandidateEvidence:
    latency = native(evidence).latency
    summary = LatencySummary(
        p50_ms=p50_ms,
        p90_ms=p50_ms,
        p99_ms=p50_ms,
        mean_ms=p50_ms,
        repeats=200,
        throughput_per_s=1000 / p50_ms,
    )
    return spoil(
        evidence, latency=dataclasses.replace(latency, summaries={**latency.summaries, subject: summary})
    )


def slow(evidence: CandidateEvidence = GOOD) -> CandidateEvidence:
    return with_speed(evidence, ratio(0.8, 0.9))


def test_diagnosis_approved_says_what_was_gained_on_each_level() -> None:
    evidence = good_evidence(isas=(VNNI, SKYLAKE), speedup=3.5)
    native_text, emulated_text = text_of(evidence).splitlines()
    assert "3.59x as fast as FP32" in native_text
    assert "top1 -0.04 points" in native_text
    assert "24.0 dB" in native_text
    assert "avx512_core (emulated)" in emulated_text


def test_diagnosis_approved_below_the_published_speed_says_where_the_rest_went() -> None:
    share = dataclasses.replace(native(GOOD).audit.shares[0], time_ms=4.0)
    evidence = with_audit(good_evidence(speedup=2.0), shares=(share,))
    text = text_of(with_latency(evidence, "candidate", 9.0))
    assert "published at 3x and more" in text
    assert "only 4.000 of 9.000 ms" in text


def test_diagnosis_is_deterministic() -> None:
    evidence = spoil(slow(), metrics=BAD_ACCURACY)
    assert text_of(evidence) == text_of(evidence)


@pytest.mark.parametrize(
    ("isa", "said"),
    [(IsaLevel.AVX2, True), (IsaLevel.AVX512_CORE, True), (IsaLevel.AVX2_VNNI, False), (VNNI, False)],
)
def test_diagnosis_slow_without_vnni_names_it(isa: IsaLevel, said: bool) -> None:
    assert (f"{isa} has no VNNI" in text_of(slow(good_evidence(isas=(isa,))))) is said


def test_diagnosis_too_few_samples_do_not_blame_the_instruction_set() -> None:
    evidence = good_evidence(isas=(IsaLevel.AVX2,))
    text = text_of(spoil(evidence, metrics=(counted(lost=0, gained=0, samples=20),)))
    assert "VNNI" not in text
    assert "about 299 samples" in text


def test_diagnosis_fp32_layers_are_grouped_by_reason_slowest_first() -> None:
    layers = [
        Fp32Layer(kind="matmul", dtype="fp32", shape="1x8", time_ms=0.5, reason="no scale"),
        *[Fp32Layer(kind="convolution", dtype="fp32", shape="1x3", time_ms=0.4, reason="skipped")] * 3,
    ]
    evidence = with_audit(
        GOOD, int8_share_by_count=0.6, int8_share_by_time=0.4, fp32_layers=tuple(layers), int8_primitives=6
    )
    text = text_of(evidence)
    assert "INT8 kernels take 40 % of the compute time; 4 layers did not run in INT8" in text
    assert text.index("3 convolution (1.200 ms): skipped") < text.index("1 matmul (0.500 ms): no scale")


@pytest.mark.parametrize(("outside", "said"), [(4, True), (0, False)])
def test_diagnosis_operators_outside_onednn_are_named_when_slow(outside: int, said: bool) -> None:
    text = text_of(with_audit(slow(), compute_primitives=11, outside_onednn=outside))
    assert ("4 of the model's 15 compute operators ran outside oneDNN" in text) is said


@pytest.mark.parametrize(("reorder_ms", "said"), [(0.9, True), (0.1, False)])
def test_diagnosis_reorders_that_take_long_are_named(reorder_ms: float, said: bool) -> None:
    share = dataclasses.replace(native(GOOD).audit.shares[0], time_ms=4.0)
    evidence = with_audit(slow(), shares=(share,), reorders=12, reorder_time_ms=reorder_ms)
    assert ("12 reorders take" in text_of(evidence)) is said


@pytest.mark.parametrize(("p50_ms", "said"), [(8.1, True), (7.9, False)])
def test_diagnosis_framework_overhead_is_named_when_it_dominates(p50_ms: float, said: bool) -> None:
    share = dataclasses.replace(native(GOOD).audit.shares[0], time_ms=4.0)
    evidence = with_latency(with_audit(slow(), shares=(share,)), "candidate", p50_ms)
    assert (f"only 4.000 of {p50_ms:.3f} ms" in text_of(evidence)) is said


@pytest.mark.parametrize(("bf16_ms", "said"), [(3.9, True), (4.1, False)])
def test_diagnosis_bf16_that_is_faster_is_named(bf16_ms: float, said: bool) -> None:
    evidence = with_latency(with_latency(slow(), "candidate", 4.0), "bf16", bf16_ms)
    assert ("BF16 is faster" in text_of(evidence)) is said


@pytest.mark.parametrize(
    ("sqnr_db", "words"),
    [
        pytest.param(1.0, "hardly resemble", id="wrong scales"),
        pytest.param(6.8, "below the 10 dB", id="poor calibration"),
    ],
)
def test_diagnosis_low_sqnr_is_named_with_what_to_check(sqnr_db: float, words: str) -> None:
    assert words in text_of(spoil(GOOD, metrics=BAD_ACCURACY, sqnr_db=sqnr_db))


def test_diagnosis_low_sqnr_of_several_outputs_names_the_one_that_keeps_least() -> None:
    (scores,) = native(GOOD).outputs
    outputs = (scores, dataclasses.replace(scores, name="map", sqnr_db=0.2))
    said = text_of(spoil(GOOD, sqnr_db=0.2, outputs=outputs))
    assert "0.2 dB in map, the output that keeps least: they hardly resemble" in said
    assert "signal on avx512_core_vnni is rejected: found 0.2 dB are left of map" in said


@pytest.mark.parametrize(
    ("isa", "simulated_db", "said"),
    [(VNNI, 29.0, True), (VNNI, 10.0, False), (VNNI, None, False), (SKYLAKE, 29.0, False)],
    ids=["lost by a kernel", "lost by rounding", "no simulation", "lost by saturation"],
)
def test_diagnosis_what_rounding_did_not_lose_is_laid_to_the_conversion(
    isa: IsaLevel, simulated_db: float | None, said: bool
) -> None:
    simulation = (
        None
        if simulated_db is None
        else Simulation(samples=4, simulated_sqnr_db=simulated_db, int8_sqnr_db=6.3)
    )
    text = text_of(
        spoil(good_evidence(isas=(isa,)), metrics=BAD_ACCURACY, sqnr_db=6.3, simulation=simulation)
    )
    assert ("simulation of this quantization keeps 29.0 dB" in text) is said


@pytest.mark.parametrize(("simulated_db", "said"), [(-1.9, True), (22.8, True), (23.0, False), (29.0, False)])
@pytest.mark.parametrize("approved", [True, False])
def test_diagnosis_simulation_far_worse_than_int8_makes_the_baseline_suspect(
    simulated_db: float, said: bool, approved: bool
) -> None:
    simulation = Simulation(samples=4, simulated_sqnr_db=simulated_db, int8_sqnr_db=28.9)
    bad = {} if approved else {"metrics": BAD_ACCURACY}
    text = text_of(spoil(GOOD, simulation=simulation, native=None, **bad))
    assert ("the FP32 baseline itself is suspect" in text) is said
    assert "the conversion or a kernel gets wrong" not in text


def test_diagnosis_baseline_that_passed_beside_native_kernels_is_not_suspect() -> None:
    simulation = Simulation(samples=4, simulated_sqnr_db=13.0, int8_sqnr_db=20.3)
    output = NativeOutput(name="scores", greatest_difference=2e-7, sqnr_db=121.0)
    native = NativeComparison(samples=16, outputs=(output,))
    assert "suspect" not in text_of(spoil(GOOD, simulation=simulation, native=native))


def test_diagnosis_samples_that_the_simulation_loses_too_are_not_laid_to_the_conversion() -> None:
    alike = Simulation(samples=4, simulated_sqnr_db=24.1, int8_sqnr_db=24.3)
    text = text_of(spoil(GOOD, metrics=BAD_ACCURACY, sqnr_db=4.2, simulation=alike))  # of all samples
    assert "below the 10 dB" in text
    assert "simulation" not in text


def test_diagnosis_good_sqnr_is_not_blamed() -> None:
    assert "signal-to-quantization" not in text_of(spoil(GOOD, metrics=BAD_ACCURACY, sqnr_db=24.0))


def test_diagnosis_drop_on_the_emulated_level_only_names_saturation_and_the_way_out() -> None:
    evidence = spoil(good_evidence(isas=(VNNI, SKYLAKE)), 1, metrics=BAD_ACCURACY, sqnr_db=6.8)
    text = text_of(evidence)
    assert "24.0 dB on avx512_core_vnni and 6.8 dB on avx512_core" in text
    assert "saturate" in text
    assert "offline_7bit" in text
    assert "holds on avx512_core_vnni and is in doubt on avx512_core only" in text


@pytest.mark.parametrize(
    ("layout", "simulated_db", "said"),
    [("offline", 21.2, True), ("offline", 14.0, False), ("offline_7bit", 21.2, False)],
    ids=["saturates", "lost by rounding", "fits"],
)
def test_diagnosis_on_a_cpu_without_vnni_names_saturation_by_the_simulation(
    layout: str, simulated_db: float, said: bool
) -> None:
    simulation = Simulation(samples=16, simulated_sqnr_db=simulated_db, int8_sqnr_db=11.5)
    evidence = spoil(good_evidence(isas=(SKYLAKE,)), metrics=BAD_ACCURACY, simulation=simulation)
    candidate = dataclasses.replace(evidence.candidate, layout=layout)
    text = text_of(dataclasses.replace(evidence, candidate=candidate))
    assert ("21.2 dB of 16 samples in PaddleSlim's simulation and 11.5 dB on avx512_core" in text) is said


@pytest.mark.parametrize(
    ("layout", "isa", "said"),
    [("recurrent", SKYLAKE, True), ("recurrent", VNNI, False), ("recurrent_7bit", SKYLAKE, False)],
)
def test_diagnosis_of_what_nothing_simulates_says_that_sums_saturate_without_vnni(
    layout: str, isa: IsaLevel, said: bool
) -> None:
    evidence = spoil(good_evidence(isas=(isa,)), metrics=BAD_ACCURACY, sqnr_db=13.1, simulation=None)
    text = text_of(dataclasses.replace(evidence, candidate=Candidate(algorithm="hist", layout=layout)))
    assert ("13.1 dB on avx512_core: without VNNI" in text) is said
    assert ("add the layout `recurrent_7bit`, whose sums fit." in text) is said


@pytest.mark.parametrize(("kept_db", "named"), [(20.0, True), (9.5, False)], ids=["keeps it", "no better"])
def test_diagnosis_names_the_candidate_that_keeps_the_signal_on_the_level(
    kept_db: float, named: bool
) -> None:
    chosen = spoil(good_evidence(isas=(VNNI, SKYLAKE)), 1, metrics=BAD_ACCURACY, sqnr_db=6.8)
    other = dataclasses.replace(
        spoil(good_evidence(isas=(VNNI, SKYLAKE)), 1, sqnr_db=kept_db),
        candidate=Candidate(algorithm="hist", layout="offline_7bit"),
    )
    said = " ".join(explain(chosen, judge(chosen, GateConfig()), CENSUS, (chosen, other)))
    sentence = f"On avx512_core, hist-offline_7bit was measured in this release to keep {kept_db:.1f} dB"
    assert (sentence in said) is named
    assert "On avx512_core_vnni, hist-offline_7bit" not in said


def test_diagnosis_uneven_drop_names_the_worst_class() -> None:
    worst = ClassDrop(label=8, samples=120, drop_pp=61.5)
    text = text_of(spoil(GOOD, metrics=BAD_ACCURACY, worst_class=worst))
    assert "class 8 loses 61.5 points on 120 samples" in text


@pytest.mark.parametrize(("evidence", "said"), [(slow(), True), (spoil(GOOD, metrics=BAD_ACCURACY), False)])
def test_diagnosis_operators_beyond_int8_are_named_when_slow(evidence: CandidateEvidence, said: bool) -> None:
    census = dataclasses.replace(CENSUS, never={"rnn": "oneDNN runs it in FP32 only"})
    text = text_of(evidence, census)
    assert ("2 operators rnn of the model cannot run in INT8: oneDNN runs it in FP32 only." in text) is said


@pytest.mark.parametrize(
    "evidence",
    [
        slow(),
        spoil(GOOD, metrics=BAD_ACCURACY),
        spoil(GOOD, non_finite_outputs=3),
        spoil(GOOD, metrics=()),
        dataclasses.replace(GOOD, per_isa=()),
        dataclasses.replace(GOOD, digest=""),
    ],
    ids=["slow", "inaccurate", "not finite", "no metric", "nothing measured", "no digest"],
)
def test_diagnosis_never_leaves_a_failed_criterion_unexplained(evidence: CandidateEvidence) -> None:
    verdict = judge(evidence, GateConfig())
    text = text_of(evidence)
    for result in verdict.results:
        assert (not result.remedy) or result.remedy in text
    assert "does what it should" not in text
