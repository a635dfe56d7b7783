"""Turns the evidence of a candidate into MLflow metrics, which have their units in their names."""

from __future__ import annotations

from paddle_int8.tasks.contracts.evidence import CandidateEvidence, Disturbance, IsaEvidence


def candidate_metrics(evidence: CandidateEvidence) -> dict[str, float]:
    """The metrics of a candidate. Example: `latency_p50_ms`, and `avx2/latency_p50_ms` on emulated AVX2.

    The native instruction set has no prefix; each other one has the prefix `<isa>/`, and each other Paddle
    `paddle-<version>/`.
    """
    metrics = {
        "size_bytes": float(evidence.size_bytes),
        "size_ratio": evidence.size_bytes / evidence.baseline_size_bytes,
    }
    for index, item in enumerate(evidence.per_isa):
        prefix = "" if index == 0 else f"{item.isa}/"
        metrics |= {prefix + name: value for name, value in _isa_metrics(item).items()}
    for each in evidence.runtimes:
        found = _isa_metrics(each.measured) if each.measured else {}
        metrics |= {f"paddle-{each.paddle}/{name}": value for name, value in found.items()}
    return metrics


def _isa_metrics(item: IsaEvidence) -> dict[str, float]:
    latency, audit = item.latency, item.audit
    candidate, baseline = latency.summaries["candidate"], latency.summaries["baseline"]
    metrics = {
        "speedup_ratio": latency.speedup.ratio,
        "speedup_lower_ratio": latency.speedup.low,
        "speedup_upper_ratio": latency.speedup.high,
        "latency_p50_ms": candidate.p50_ms,
        "latency_p90_ms": candidate.p90_ms,
        "latency_p99_ms": candidate.p99_ms,
        "throughput_per_s": candidate.throughput_per_s,
        "fp32_latency_p50_ms": baseline.p50_ms,
        "fp32_throughput_per_s": baseline.throughput_per_s,
        "int8_share_by_time": audit.int8_share_by_time,
        "int8_share_by_count": audit.int8_share_by_count,
        "operators_outside_onednn": float(audit.outside_onednn),
        "sqnr_db": item.sqnr_db,
        "non_finite_outputs": float(item.non_finite_outputs),
        "load_ms": item.load_ms,
        "peak_memory_bytes": float(item.peak_memory_bytes),
    }
    if latency.native_speedup:
        metrics["native_speedup_ratio"] = latency.native_speedup.ratio
    if latency.disturbance:
        metrics |= _disturbance_metrics(latency.disturbance)
    for metric in item.metrics:
        name = metric.title
        metrics |= {
            f"{name}_fp32_pct": metric.baseline * 100,
            f"{name}_int8_pct": metric.candidate * 100,
            f"{name}_drop_pp": metric.drop_pp,
            f"{name}_drop_upper_pp": metric.drop_upper_pp,
        }
    if item.agreement is not None:
        metrics["agreement_pct"] = item.agreement * 100
    if len(item.outputs) > 1:
        metrics |= _output_metrics(item)
    if item.simulation:
        metrics["conversion_loss_db"] = item.simulation.simulated_sqnr_db - item.simulation.int8_sqnr_db
    if item.native and item.native.outputs:
        outputs = item.native.outputs
        metrics["fp32_native_difference_pct"] = 100 * max(each.greatest_difference for each in outputs)
        kept = [each.sqnr_db for each in outputs if each.sqnr_db is not None]
        metrics |= {"fp32_native_sqnr_db": min(kept)} if kept else {}
    if item.worst_class:
        metrics["worst_class_drop_pp"] = item.worst_class.drop_pp
    return metrics


def _disturbance_metrics(found: Disturbance) -> dict[str, float]:
    """What else the host did while latency was timed. What the kernel does not tell is left out."""
    metrics = {
        "host_taken_pct": found.taken_share,
        "host_others_pct": found.others_share,
        "host_steal_pct": found.steal_share,
        "host_throttled_pct": found.throttled_share,
        "host_waited_pct": found.waited_share,
        "host_pressure_pct": found.pressure_share,
    }
    told = {name: 100 * share for name, share in metrics.items() if share is not None}
    clock = {"host_lowest_mhz": found.lowest_mhz, "host_highest_mhz": found.highest_mhz}
    return told | {"host_load": found.load} | {name: mhz for name, mhz in clock.items() if mhz is not None}


def _output_metrics(item: IsaEvidence) -> dict[str, float]:
    """The metrics of each output, named by its index, since output names can be too long for MLflow."""
    metrics = {}
    for place, output in enumerate(item.outputs):
        if output.sqnr_db is not None:
            metrics[f"output_{place}_sqnr_db"] = output.sqnr_db
        if output.agreement is not None:
            metrics[f"output_{place}_agreement_pct"] = output.agreement * 100
    return metrics
