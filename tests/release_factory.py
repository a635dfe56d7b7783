"""A whole, realistic release for tests: six measured candidates, one that failed, two levels."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.artifacts import (
    Bundle,
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    HostProfile,
    ModelArtifact,
    OperatorCensus,
    QuantizedArtifact,
    RegisteredVersion,
    SpeedBand,
    TensorSpec,
)
from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    ClassDrop,
    Disturbance,
    FailedCandidate,
    Fp32Layer,
    IsaEvidence,
    KernelAudit,
    LatencyEvidence,
    LatencySummary,
    MetricEvidence,
    NativeComparison,
    NativeOutput,
    OutputEvidence,
    PrimitiveShare,
    Simulation,
    SpeedRatio,
)
from paddle_int8.tasks.contracts.verdict import CriterionResult, Release, Verdict
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome, OutputKind

ISAS = (IsaLevel.AVX512_CORE_VNNI, IsaLevel.AVX512_CORE)
ALGORITHMS = ("hist", "KL", "avg")
BASELINE_MS = 11.6
SPEEDUP = {
    (IsaLevel.AVX512_CORE_VNNI, "offline"): 2.78,
    (IsaLevel.AVX512_CORE_VNNI, "qdq"): 2.97,
    (IsaLevel.AVX512_CORE, "offline"): 1.53,
    (IsaLevel.AVX512_CORE, "qdq"): 1.60,
}
LOST_BY_ALGORITHM = {"hist": 3, "KL": 4, "avg": 9}
FAILURE = (
    "found: quantize still running after 600 s\nrequired: an end within 600 s\n"
    "remedy: raise `timeout_s` of this section, or use fewer samples"
)


def build_config(name: str = "digits-mobilenet-v1") -> ReleaseConfig:
    source = {"kind": "npz", "path": "/data/digits.npz"}
    return ReleaseConfig.model_validate(
        {
            "name": name,
            "model": {"path": "/models/mobilenet_v1"},
            "data": {"calibration": source, "validation": source, "calibration_samples": 64, "seed": 7},
            "quantization": {"algorithms": list(ALGORITHMS)},
            "validation": {"deploy_isas": ["avx512_core"]},
        }
    )


def build_host() -> HostProfile:
    return HostProfile(
        hostname="rack7-node3",
        cpu_model="Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz",
        microarchitecture="Cascade Lake",
        flags=("avx2", "avx512f", "avx512_vnni"),
        isa=IsaLevel.AVX512_CORE_VNNI,
        onednn_isa="Intel AVX-512 with Intel DL Boost",
        onednn_version="3.1.1",
        full_avx512=True,
        cores=20,
        usable_cores=4.0,
        memory_bytes=64 << 30,
        band=SpeedBand(low=2.2, high=3.5, source="published table, Cascade Lake"),
        emulates=(IsaLevel.AVX2, IsaLevel.AVX512_CORE),
        warnings=("CPU frequency scaling is on; latencies may vary by 5 %",),
    )


def build_evidence(
    candidate: Candidate, *, isas: Sequence[IsaLevel] = ISAS, digest: str = "", lost: int | None = None
) -> CandidateEvidence:
    return CandidateEvidence(
        candidate=candidate,
        digest=digest or f"{candidate.name}-".ljust(64, "d"),
        size_bytes=4_520_000 if candidate.layout == "qdq" else 17_090_000,
        baseline_digest="b" * 64,
        baseline_size_bytes=17_010_000,
        validation_digest="f" * 64,
        host=build_host(),
        per_isa=tuple(
            build_isa_evidence(candidate, isa, emulated=index > 0, lost=lost)
            for index, isa in enumerate(isas)
        ),
    )


def build_isa_evidence(
    candidate: Candidate, isa: IsaLevel, *, emulated: bool, lost: int | None = None
) -> IsaEvidence:
    lost = LOST_BY_ALGORITHM[candidate.algorithm] if lost is None else lost
    if isa is IsaLevel.AVX512_CORE and candidate.layout == "qdq":
        lost += 60
    return IsaEvidence(
        isa=isa,
        emulated=emulated,
        metrics=(build_metric("top1", 0.9842, lost), build_metric("top5", 0.9982, lost // 4)),
        worst_class=ClassDrop(label=8, samples=200, drop_pp=lost / 2),
        agreement=1 - (lost + 2) / 2000,
        sqnr_db=6.8 if lost > 50 else 24.1,
        non_finite_outputs=0,
        baseline_non_finite_outputs=0,
        latency=build_latency(SPEEDUP.get((isa, candidate.layout), 1.6), seed=candidate.name),
        audit=build_audit(isa, int8=26),
        baseline_audit=build_audit(isa, int8=0),
        load_ms=262.0,
        native=NativeComparison(
            samples=16, outputs=(NativeOutput(name="logits", greatest_difference=3e-7, sqnr_db=131.0),)
        ),
        baseline_load_ms=118.0,
        peak_memory_bytes=512 << 20,
        baseline_peak_memory_bytes=530 << 20,
        outcomes=Path("/nowhere/outcomes.npz"),
        log=Path("/nowhere/measure.log"),
        simulation=None if emulated else Simulation(samples=4, simulated_sqnr_db=26.5, int8_sqnr_db=25.25),
        outputs=(
            OutputEvidence(
                name="scores",
                kind=OutputKind.CLASSES,
                why="the labels fit its 10 columns",
                labelled=True,
                agreement=1 - (lost + 2) / 2000,
                sqnr_db=6.8 if lost > 50 else 24.1,
                judged_by=("top1", "top5"),
            ),
        ),
    )


def build_metric(name: str, baseline: float, lost: int, *, samples: int = 2000) -> MetricEvidence:
    gained = 1
    drop_pp = 100 * (lost - gained) / samples
    half_pp = 100 * 1.645 * math.sqrt(lost + gained) / samples
    return MetricEvidence(
        name=name,
        samples=samples,
        baseline=baseline,
        candidate=baseline - drop_pp / 100,
        drop_pp=drop_pp,
        drop_lower_pp=drop_pp - half_pp,
        drop_upper_pp=drop_pp + half_pp,
        confidence=0.95,
        lost=lost,
        gained=gained,
    )


def build_latency(speedup: float, *, seed: str, repeats: int = 200) -> LatencyEvidence:
    medians = {
        "baseline": BASELINE_MS,
        "candidate": BASELINE_MS / speedup,
        "native_fp32": BASELINE_MS * 1.9,
    }
    draw = random.Random(seed)
    samples = {
        subject: tuple(median * draw.lognormvariate(0, 0.03) for _ in range(repeats - 4))
        + tuple(median * draw.uniform(1.2, 1.6) for _ in range(4))
        for subject, median in medians.items()
    }
    return LatencyEvidence(
        threads=1,
        batch_size=1,
        warmup=20,
        calls=1,
        summaries={subject: build_summary(values) for subject, values in samples.items()},
        samples_ms=samples,
        speedup=build_ratio(speedup),
        native_speedup=build_ratio(speedup * 1.9),
        skipped={"bf16": "this CPU has no BF16 instructions; emulated it is slower than FP32"},
        disturbance=Disturbance(
            seconds=12.5,
            others_share=0.02,
            steal_share=0.0,
            waited_share=0.001,
            throttled_share=0.0,
            pressure_share=0.04,
            load=1.1,
            lowest_mhz=None,
            highest_mhz=None,
        ),
    )


def build_ratio(ratio: float) -> SpeedRatio:
    return SpeedRatio(
        ratio=ratio, low=ratio * 0.97, high=ratio * 1.03, confidence=0.95, processes=5, allowance=0.01
    )


def build_summary(samples_ms: Sequence[float]) -> LatencySummary:
    ordered = sorted(samples_ms)
    p50, p90, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.9, 0.99))
    return LatencySummary(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        mean_ms=sum(ordered) / len(ordered),
        repeats=len(ordered),
        throughput_per_s=1000 / p50,
    )


def build_audit(isa: IsaLevel, *, int8: int) -> KernelAudit:
    convolutions = 27
    fp32_ms = 0.31 * (convolutions + 1 - int8)
    shares = [
        PrimitiveShare(
            kind="convolution",
            dtype="fp32",
            implementation=f"brgconv:{isa}",
            count=convolutions - int8,
            time_ms=fp32_ms - 0.1,
        ),
        PrimitiveShare(
            kind="inner_product", dtype="fp32", implementation=f"brgemm:{isa}", count=1, time_ms=0.1
        ),
        PrimitiveShare(kind="reorder", dtype="f32->u8", implementation=f"jit:{isa}", count=2, time_ms=0.05),
    ]
    if int8:
        shares.insert(
            0,
            PrimitiveShare(
                kind="convolution",
                dtype="int8",
                implementation=f"brgconv_1x1:{isa}",
                count=int8,
                time_ms=3.4,
            ),
        )
    int8_ms = 3.4 if int8 else 0.0
    layers = (
        Fp32Layer(
            kind="convolution",
            dtype="fp32",
            shape="1x3x224x224 -> 1x32x112x112",
            time_ms=0.21,
            reason="the first convolution has three input channels, below the INT8 kernel's block",
        ),
        Fp32Layer(
            kind="inner_product",
            dtype="fp32",
            shape="1x1024 -> 1x10",
            time_ms=0.1,
            reason="the FC's input is read by an operator without an INT8 kernel",
        ),
    )
    return KernelAudit(
        isa=isa.value,
        inferences=1,
        compute_primitives=convolutions + 1,
        int8_primitives=int8,
        int8_share_by_count=int8 / (convolutions + 1),
        int8_share_by_time=int8_ms / (int8_ms + fp32_ms),
        reorders=2,
        reorder_time_ms=0.05,
        shares=tuple(shares),
        fp32_layers=layers if int8 else (),
    )


def build_verdict(evidence: CandidateEvidence, *, margin_pp: float = 1.0) -> Verdict:
    results = []
    for item in evidence.per_isa:
        for metric in item.metrics:
            results.append(
                CriterionResult(
                    criterion=f"accuracy {metric.name}",
                    isa=item.isa,
                    outcome=_accuracy_outcome(metric, margin_pp),
                    found=f"drop {metric.drop_pp:.2f} pp, at most {metric.drop_upper_pp:.2f} pp",
                    required=f"at most {margin_pp:g} pp with 95 % confidence",
                    remedy=_accuracy_remedy(metric, margin_pp),
                )
            )
        speed = item.latency.speedup
        fast = speed.low >= 1.3
        results.append(
            CriterionResult(
                criterion="speed-up",
                isa=item.isa,
                outcome=Outcome.APPROVED if fast else Outcome.REJECTED,
                found=f"{speed.ratio:.2f}x, at least {speed.low:.2f}x",
                required="at least 1.3x",
                remedy="" if fast else "serve on a CPU with VNNI",
            )
        )
        results.append(
            CriterionResult(
                criterion="INT8 share",
                isa=item.isa,
                outcome=Outcome.APPROVED,
                found=f"{item.audit.int8_primitives} of {item.audit.compute_primitives} primitives",
                required="at least 90 %",
                remedy="",
            )
        )
    outcomes = {result.outcome for result in results}
    order = (Outcome.REJECTED, Outcome.INCONCLUSIVE, Outcome.APPROVED)
    return Verdict(
        outcome=next(outcome for outcome in order if outcome in outcomes),
        candidate=evidence.candidate,
        digest=evidence.digest,
        results=tuple(results),
    )


def _accuracy_outcome(metric: MetricEvidence, margin_pp: float) -> Outcome:
    if metric.drop_upper_pp <= margin_pp:
        return Outcome.APPROVED
    return Outcome.REJECTED if metric.drop_lower_pp > margin_pp else Outcome.INCONCLUSIVE


def _accuracy_remedy(metric: MetricEvidence, margin_pp: float) -> str:
    match _accuracy_outcome(metric, margin_pp):
        case Outcome.APPROVED:
            return ""
        case Outcome.REJECTED:
            return "calibrate with another algorithm, or leave the layers with the widest ranges in FP32"
        case Outcome.INCONCLUSIVE:
            return "validate on about 8,400 samples"


def build_candidates() -> tuple[Candidate, ...]:
    return tuple(
        Candidate(algorithm=algorithm, layout=layout)
        for algorithm in ALGORITHMS
        for layout in ("offline", "qdq")
    )


def build_model() -> ModelArtifact:
    return ModelArtifact(
        folder=Path("/var/artifacts/model/aaaa"),
        digest="a" * 64,
        source="/models/mobilenet_v1",
        source_format="combined",
        source_digest="e" * 64,
        inputs=(TensorSpec(name="image", shape=(-1, 3, 224, 224), dtype="float32"),),
        outputs=(TensorSpec(name="scores", shape=(-1, 10), dtype="float32"),),
        census=OperatorCensus(counts={"conv2d": 14, "depthwise_conv2d": 13}, quantizable=28, compute=28),
        repairs={"convolution bias": 27},
        size_bytes=17_010_000,
    )


def build_dataset(samples: int, digest: str) -> DatasetArtifact:
    return DatasetArtifact(
        folder=Path("/var/artifacts/data/bbbb"),
        digest=digest,
        source="/data/digits.npz",
        samples=samples,
        classes=10,
        seed=7,
        labelled=True,
    )


def build_release(
    *, outcome: Outcome = Outcome.APPROVED, name: str = "digits-mobilenet-v1", run_id: str | None = None
) -> Release:
    """Approved: some candidates pass on every level. Rejected, inconclusive: the chosen one loses more."""
    lost = {Outcome.APPROVED: None, Outcome.REJECTED: 90, Outcome.INCONCLUSIVE: 20}[outcome]
    evidence = tuple(build_evidence(candidate, lost=lost) for candidate in build_candidates())
    verdicts = tuple(build_verdict(item) for item in evidence)
    chosen = next(verdict for verdict in verdicts if verdict.outcome is outcome)
    approved = outcome is Outcome.APPROVED
    return Release(
        name=name,
        outcome=outcome,
        host=build_host(),
        model=build_model(),
        calibration=build_dataset(64, "c" * 64),
        validation=build_dataset(2000, "f" * 64),
        evidence=evidence,
        failed=(
            FailedCandidate(
                candidate=Candidate(algorithm="mse", layout="offline"),
                step="quantize",
                error=FAILURE,
            ),
        ),
        verdicts=verdicts,
        chosen=chosen.candidate,
        bundle=Bundle(folder=Path("/var/artifacts/bundle/9999"), digest="9" * 64, size_bytes=17_200_000)
        if approved
        else None,
        registered=RegisteredVersion(
            name=name, version="3", alias="challenger", uri=f"models:/{name}@challenger"
        )
        if approved
        else None,
        run_id=run_id,
        tracking_uri="sqlite:////var/mlflow.db",
        report=None,
        seconds=212.4,
    )


def build_scales() -> dict[str, dict[str, float | list[float]]]:
    """Thresholds of 27 activations and the per-channel ones of their weights, by candidate name."""
    scales: dict[str, dict[str, float | list[float]]] = {}
    for candidate in build_candidates():
        draw = random.Random(0)
        factor = {"hist": 1.0, "KL": 0.8, "avg": 0.65}[candidate.algorithm]
        tensors: dict[str, float | list[float]] = {}
        for index in range(27):
            tensors[f"batch_norm_{index}.tmp_2"] = draw.lognormvariate(1.2, 0.8) * factor
            tensors[f"conv2d_{index}.w_0"] = [draw.uniform(0.1, 1.0) for _ in range(8)]
        scales[candidate.name] = tensors
    return scales


def build_artifacts(folder: Path, candidate: Candidate) -> tuple[QuantizedArtifact, DeployableArtifact]:
    """A quantized and a deployable artifact with the files that a run keeps."""
    (folder / "scales.json").write_text(json.dumps({"conv2d_0.tmp_0": 3.5}))
    (folder / "quantize.log").write_text("calibrated at http://me:hunter2@host/data\nquantized 27 ops\n")
    (folder / "convert.log").write_text("converted\n")
    return (
        QuantizedArtifact(
            candidate=candidate,
            folder=folder,
            digest="1" * 64,
            quantized_ops={"conv2d": 27},
            tensors_calibrated=87,
            seconds=12.5,
            peak_memory_bytes=900 << 20,
            log=folder / "quantize.log",
        ),
        DeployableArtifact(
            candidate=candidate,
            folder=folder,
            digest="2" * 64,
            size_bytes=4_520_000,
            int8_ops={"conv2d": 27},
            seconds=3.5,
            log=folder / "convert.log",
        ),
    )
