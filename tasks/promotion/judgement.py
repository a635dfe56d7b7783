"""Judges whether a version may become champion: a pure function of the registry's content and a comparison.

The judgement denies by default: what is missing or undecided is not approved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paddle_int8.tasks.contracts.evidence import CandidateEvidence, MetricEvidence
from paddle_int8.tasks.contracts.verdict import CriterionResult, Verdict
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.contracts.wording import points

NOT_WORSE = "not worse than the champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenger:
    """A registered version: its tags, the digests of its files, and what its release measured.

    `bundle_digest` and `model_digest` are computed from the files in the registry; `registered_...` are the
    digests that the release wrote when it registered them. `verdict` and `evidence` are None when the
    release's run has none for these files.
    """

    name: str
    version: str
    registered_bundle_digest: str
    bundle_digest: str
    registered_model_digest: str
    model_digest: str
    verdict: Verdict | None
    evidence: CandidateEvidence | None

    @property
    def isas(self) -> tuple[IsaLevel, ...]:
        """The instruction sets that the version was measured on."""
        return tuple(item.isa for item in self.evidence.per_isa) if self.evidence else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The comparison of champion and challenger by one metric, on the same samples and instruction set.

    In `metric`, the champion is the baseline. `metric` is None when the two could not be compared; `note`
    then says why. Otherwise `note` says where the champion's scores come from.
    """

    isa: IsaLevel
    metric: MetricEvidence | None
    note: str


def judge(
    challenger: Challenger,
    *,
    targets: Sequence[IsaLevel],
    comparisons: Sequence[Comparison],
    champion: str | None,
    same_model: bool = False,
    max_drop_pp: float,
) -> tuple[CriterionResult, ...]:
    """Returns the result of each check.

    `targets` are the instruction sets that the alias serves. `champion` is the version that serves now, None
    when there is none. `same_model` is True when its model equals the challenger's byte for byte.
    """
    checks = (_verdict(challenger), digest_check(challenger), *_coverage(challenger, targets))
    if champion is None:
        return (*checks, _uncontested("there is no champion to compare with"))
    if same_model:
        return (*checks, _uncontested(f"the same model as version {champion}"))
    return (*checks, *_not_worse(comparisons, targets, champion, max_drop_pp))


def passed(checks: Sequence[CriterionResult]) -> bool:
    """Whether there is at least one check and all are approved."""
    return bool(checks) and all(check.outcome is Outcome.APPROVED for check in checks)


def _verdict(challenger: Challenger) -> CriterionResult:
    verdict = challenger.verdict
    approved = verdict is not None and verdict.outcome is Outcome.APPROVED
    whole = verdict is not None and passed(verdict.results)
    if verdict is None:
        found = "no verdict on these bytes in the run that registered them"
    elif approved and not whole:
        found = "an approval with a criterion that is not approved"
    else:
        found = f"{verdict.outcome.value}, {len(verdict.results)} criteria"
    return _result(
        "verdict",
        approved and whole,
        found=found,
        required="the gate's approval of exactly these bytes",
        remedy="release the model again; a version registered by hand has no verdict",
    )


def digest_check(challenger: Challenger) -> CriterionResult:
    """Checks that the files in the registry are those that were judged and registered."""
    verdict = challenger.verdict
    judged = verdict.digest if verdict else ""
    pairs = {
        "bundle": (challenger.bundle_digest, challenger.registered_bundle_digest),
        "model": (challenger.model_digest, challenger.registered_model_digest),
        "judged model": (challenger.model_digest, judged),
    }
    wrong = {name: pair for name, pair in pairs.items() if not pair[0] or pair[0] != pair[1]}
    name, (have, want) = next(iter(wrong.items()), ("model", pairs["model"]))
    return _result(
        "digest",
        not wrong,
        found=f"the {name} in the registry has digest {have[:12] or 'none'}",
        required=f"{want[:12] or 'a digest'}, which was judged and registered",
        remedy="the files in the registry changed after they were judged: delete the version, release again",
    )


def _coverage(challenger: Challenger, targets: Sequence[IsaLevel]) -> Iterator[CriterionResult]:
    for isa in targets:
        yield _result(
            "instruction set",
            isa in challenger.isas,
            isa=isa,
            found=f"measured on {', '.join(challenger.isas) or 'nothing'}",
            required=f"evidence of {isa}, which the alias serves",
            remedy=f"add {isa} to `validation.deploy_isas`, or release on such a host; "
            "to promote for fewer instruction sets, name one",
        )


def _not_worse(
    comparisons: Sequence[Comparison],
    targets: Sequence[IsaLevel],
    champion: str,
    max_drop_pp: float,
) -> Iterator[CriterionResult]:
    for isa in targets:
        of_isa = [comparison for comparison in comparisons if comparison.isa is isa]
        for comparison in of_isa or [Comparison(isa=isa, metric=None, note="no metric in common")]:
            yield _compared(comparison, champion, max_drop_pp)


def _uncontested(found: str) -> CriterionResult:
    return _result(NOT_WORSE, True, found=found, required="a champion to be compared with, if any", remedy="")


def _compared(comparison: Comparison, champion: str, max_drop_pp: float) -> CriterionResult:
    metric = comparison.metric
    required = f"at most {points(f'{max_drop_pp:g}')} worse than version {champion}, on the same samples"
    if metric is None:
        return CriterionResult(
            criterion=NOT_WORSE,
            isa=comparison.isa,
            outcome=Outcome.INCONCLUSIVE,
            found=f"not compared: {comparison.note}",
            required=required,
            remedy="promote where the validation data of the challenger's release are in the store",
        )
    outcome = Outcome.INCONCLUSIVE
    if metric.drop_upper_pp <= max_drop_pp:
        outcome = Outcome.APPROVED
    elif metric.drop_lower_pp > max_drop_pp:
        outcome = Outcome.REJECTED
    return CriterionResult(
        criterion=f"{NOT_WORSE}, {metric.name}",
        isa=comparison.isa,
        outcome=outcome,
        found=f"{metric.drop_pp:+.3f} points worse, at most {metric.drop_upper_pp:.3f} with "
        f"{100 * metric.confidence:g} % confidence, on {metric.samples:,} samples ({comparison.note})",
        required=required,
        remedy=""
        if outcome is Outcome.APPROVED
        else "validate on more samples if the interval is wide; otherwise keep the champion",
    )


def _result(
    criterion: str, right: bool, *, isa: IsaLevel | None = None, found: str, required: str, remedy: str
) -> CriterionResult:
    return CriterionResult(
        criterion=criterion,
        isa=isa,
        outcome=Outcome.APPROVED if right else Outcome.REJECTED,
        found=found,
        required=required,
        remedy="" if right else remedy,
    )
