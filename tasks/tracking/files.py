"""Writes the files of a candidate's MLflow run: evidence, verdict, scales, kernel tables and logs."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path

from paddle_int8.tasks.contracts.artifacts import DeployableArtifact, QuantizedArtifact
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, KernelAudit
from paddle_int8.tasks.contracts.json import to_json
from paddle_int8.tasks.contracts.verdict import Verdict
from paddle_int8.tasks.tracking.connection import redact

LOG_TAIL_BYTES = 4 << 20
"""Only the end of a log is kept. oneDNN's verbose output can be very long, and errors are at the end."""

OUTSIDE = "Paddle ran them in its own FP32 kernels"


def write_candidate(
    folder: Path,
    evidence: CandidateEvidence,
    verdict: Verdict,
    quantized: QuantizedArtifact,
    deployable: DeployableArtifact,
) -> None:
    """Writes `evidence.json`, `verdict.json`, `scales.json`, `audit/`, `outcomes/`, `logs/` to `folder`."""
    for name in ("audit", "logs", "outcomes"):
        (folder / name).mkdir()
    (folder / "evidence.json").write_text(redact(to_json(evidence)), encoding="utf-8")
    (folder / "verdict.json").write_text(redact(to_json(verdict)), encoding="utf-8")
    if (scales := quantized.folder / "scales.json").is_file():
        shutil.copyfile(scales, folder / "scales.json")
    logs = {"quantize": quantized.log, "convert": deployable.log}
    for item in evidence.per_isa:
        (folder / "audit" / f"{item.isa}.json").write_text(to_json(item.audit), encoding="utf-8")
        (folder / "audit" / f"{item.isa}.csv").write_text(audit_csv(item.audit), encoding="utf-8")
        logs[f"measure-{item.isa}"] = item.log
        if item.outcomes.is_file():
            shutil.copyfile(item.outcomes, folder / "outcomes" / f"{item.isa}{item.outcomes.suffix}")
    for step, log in logs.items():
        if log.is_file():
            (folder / "logs" / f"{step}.log").write_text(log_text(log), encoding="utf-8")


def audit_csv(audit: KernelAudit) -> str:
    """The audit as one CSV table: first the primitives by kind and data type, then what stayed FP32."""
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(("row", "kind", "dtype", "implementation", "count", "time_ms", "shape", "reason"))
    for share in audit.shares:
        row = ("primitive", share.kind, share.dtype, share.implementation, share.count, share.time_ms)
        table.writerow((*row, "", ""))
    for layer in audit.fp32_layers:
        row = ("stayed_fp32", layer.kind, layer.dtype, "", 1, layer.time_ms)
        table.writerow((*row, layer.shape, layer.reason))
    if audit.outside_onednn:
        table.writerow(("outside_onednn", "", "fp32", "", audit.outside_onednn, "", "", OUTSIDE))
    return stream.getvalue()


def log_text(log: Path) -> str:
    """The end of a log, without credentials."""
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - LOG_TAIL_BYTES))
        return redact(stream.read().decode("utf-8", errors="replace"))
