"""The criterion that INT8 kernels ran: a fast model may still be one whose layers fell back to FP32."""

from __future__ import annotations

from collections.abc import Iterator

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, KernelAudit
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.criterion import stated


def proof(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """oneDNN's log must show that enough compute operators ran in INT8, however fast the model is.

    An operator that is missing from the log counts as FP32. Example: 26 INT8 operators of 28 are 92.9 %.
    A share that is too low is called a "silent FP32 fallback", except where the model's census, taken before
    quantization, names so many operators as impossible to run in INT8 that the others would be enough.
    What the candidate keeps out of INT8 on purpose is not asked for: what that costs, the speed shows.
    """
    kept = len(evidence.candidate.overrides)
    for item in evidence.per_isa:
        audit, found_share = item.audit, _share_of_asked(item.audit, kept)
        enough, share = found_share >= gate.min_int8_share, f"{100 * found_share:.1f} %"
        purpose = f", {kept} kept in {evidence.candidate.kept_in} on purpose" if kept else ""
        found = f"{audit.counted()} in INT8 ({share}{purpose}){audit.aside()}"
        known = _share_of_reachable(audit) >= gate.min_int8_share
        yield stated(
            "INT8 share",
            item.isa,
            Outcome.APPROVED if enough and audit.int8_primitives > 0 else Outcome.REJECTED,
            found=found if enough or known else f"silent FP32 fallback: {found}",
            required=f"at least {100 * gate.min_int8_share:g} %",
            remedy=_proof_remedy(audit, known=known),
        )


def _share_of_asked(audit: KernelAudit, kept: int) -> float:
    """INT8 share among the operators that the candidate does not keep out of INT8 on purpose."""
    asked = audit.compute_operators - kept
    if not kept or asked <= 0:
        return audit.int8_share_by_count
    return min(1.0, audit.int8_primitives / asked)


def _share_of_reachable(audit: KernelAudit) -> float:
    """INT8 share among the operators that the census does not exclude; 0.0 when it excludes none."""
    announced = sum(audit.announced_fp32.values())
    reachable = audit.compute_operators - announced
    return audit.int8_primitives / reachable if announced and reachable > 0 else 0.0


def _proof_remedy(audit: KernelAudit, *, known: bool) -> str:
    if known:
        return (
            "no setting brings these operators to INT8: if the speed-up suffices, lower "
            "`gate.min_int8_share` knowingly, to the share found"
        )
    if audit.outside_onednn:
        return (
            "compare the model's census with the audit's primitives for what oneDNN did not execute, and "
            "write it so that it does, or release another layout; if the speed-up suffices without it, lower "
            "`gate.min_int8_share` knowingly"
        )
    return (
        "see the layers that stayed FP32: quantize their operator types, or switch "
        "`enable_mkldnn_int8` on for the qdq layout"
    )
