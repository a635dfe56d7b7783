"""Turns a request to promote or roll back into a decision, and carries the decision out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.layouts.bundled import bundle_inputs
from paddle_int8.tasks.process import temporary
from paddle_int8.tasks.promotion import ledger
from paddle_int8.tasks.promotion.comparison import compare
from paddle_int8.tasks.promotion.decision import Action, Decision, DecisionOutcome
from paddle_int8.tasks.promotion.judgement import Challenger, Comparison, digest_check, judge, passed
from paddle_int8.tasks.promotion.lookup import Registered, fetch, resolve, validation_data
from paddle_int8.tasks.promotion.records import CHAMPION, Standing, champion_alias
from paddle_int8.tasks.promotion.request import PromoteRequest, RollbackRequest, current_user
from paddle_int8.tasks.tracking.connection import connection

CHALLENGER = "challenger"


def assess_promotion(tracking_uri: str, request: PromoteRequest, *, log: Path) -> Decision:
    """Decides on a promotion, without writing anything yet.

    The outcome is `done` when every check allows the promotion, `refused` when one does not, and `unchanged`
    when the version is the champion already. `log` receives what isolated processes print.
    Raises: RegistryError when there is nothing to promote, or MLflow refuses.
    """
    now = ledger.current(tracking_uri, request.model, champion_alias(request.isa))
    version = resolve(tracking_uri, request.model, version=request.version, alias=CHALLENGER)
    if version is None:
        raise _nothing_to_promote(request)
    decision = _decision(Action.PROMOTE, request, now, version)
    if version == now.version:
        return replace(decision, outcome=DecisionOutcome.UNCHANGED)
    incumbent = now if now.version else ledger.current(tracking_uri, request.model, CHAMPION)
    with TemporaryDirectory(prefix=temporary.prefix()) as folder:
        challenger = fetch(tracking_uri, request.model, version, Path(folder) / "challenger", log=log)
        checks = _checks(tracking_uri, request, challenger, incumbent, Path(folder) / "champion", log)
    return _decided(decision, checks)


def assess_rollback(tracking_uri: str, request: RollbackRequest, *, log: Path) -> Decision:
    """Decides on a rollback, without writing anything yet.

    The outcome is `done` when there is an earlier champion and its files still have the digest that was
    judged, else `refused`. `log` receives what isolated processes print.
    Raises: RegistryError when there is no champion at all, or MLflow refuses.
    """
    now = ledger.current(tracking_uri, request.model, champion_alias(request.isa))
    if now.version is None:
        raise RegistryError(
            found=f"no champion of {request.model} at alias {now.alias}",
            required="a champion to roll back",
            remedy="promote a version first",
        )
    target = now.earlier[-1] if now.earlier else None
    decision = _decision(Action.ROLLBACK, request, now, target)
    if target is None:
        return _decided(decision, (_no_earlier(now),))
    with TemporaryDirectory(prefix=temporary.prefix()) as folder:
        try:
            earlier = fetch(tracking_uri, request.model, target, Path(folder), log=log)
        except RegistryError as error:
            return _decided(decision, (_unusable(target, error),))
        return _decided(decision, (digest_check(earlier.challenger),))


def settle(tracking_uri: str, decision: Decision) -> Decision:
    """Writes the decision and moves the alias; the outcome becomes `lost` when another decision came first.

    The outcome `unchanged` needs no record, but the alias is put right all the same.
    """
    if decision.outcome is not DecisionOutcome.UNCHANGED:
        decision = ledger.append(tracking_uri, decision)
    ledger.follow_records(tracking_uri, decision.name, decision.alias)
    return decision


def _checks(
    tracking_uri: str,
    request: PromoteRequest,
    challenger: Registered,
    incumbent: Standing,
    folder: Path,
    log: Path,
) -> tuple[CriterionResult, ...]:
    """Compares the challenger with the present champion, and judges it."""
    champion, unusable = _champion(tracking_uri, request.model, incumbent.version, folder, log)
    targets = _targets(request.isa, challenger.challenger, champion)
    comparisons: tuple[Comparison, ...] = ()
    if unusable:
        comparisons = tuple(Comparison(isa=isa, metric=None, note=unusable.found) for isa in targets)
    elif champion and not _same_model(champion, challenger):
        comparisons = tuple(
            compare(
                champion,
                challenger,
                targets,
                data=validation_data(tracking_uri, challenger),
                inputs=bundle_inputs(challenger.bundle),
                confidence=request.confidence,
                log=log,
            )
        )
    return judge(
        challenger.challenger,
        targets=targets,
        comparisons=comparisons,
        champion=incumbent.version if champion or unusable else None,
        same_model=champion is not None and _same_model(champion, challenger),
        max_drop_pp=request.max_drop_pp,
    )


def _champion(
    tracking_uri: str, name: str, version: str | None, folder: Path, log: Path
) -> tuple[Registered | None, RegistryError | None]:
    """The champion's files, or the error that made them unusable.

    Both are None when there is no champion, or its version was deleted.
    """
    with connection(tracking_uri) as client:
        if version is None or ledger.find_version(client, name, version) is None:
            return None, None
    try:
        return fetch(tracking_uri, name, version, folder, log=log), None
    except RegistryError as error:
        return None, error


def _targets(
    isa: IsaLevel | None, challenger: Challenger, champion: Registered | None
) -> tuple[IsaLevel, ...]:
    """The instruction sets that the alias serves.

    They are the requested one, else those of the present champion, else those of the challenger.
    """
    if isa is not None:
        return (isa,)
    return (champion.challenger.isas if champion else ()) or challenger.isas


def _same_model(one: Registered, other: Registered) -> bool:
    return one.challenger.model_digest == other.challenger.model_digest


def _decision(
    action: Action, request: PromoteRequest | RollbackRequest, now: Standing, target: str | None
) -> Decision:
    return Decision(
        id=uuid4().hex,
        action=action,
        outcome=DecisionOutcome.DONE,
        name=request.model,
        alias=now.alias,
        from_version=now.version,
        to_version=target,
        basis=now.record,
        who=request.who or current_user(),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=request.reason,
        checks=(),
    )


def _decided(decision: Decision, checks: tuple[CriterionResult, ...]) -> Decision:
    outcome = DecisionOutcome.DONE if passed(checks) else DecisionOutcome.REFUSED
    return replace(decision, outcome=outcome, checks=checks)


def _no_earlier(now: Standing) -> CriterionResult:
    return CriterionResult(
        criterion="earlier champion",
        isa=None,
        outcome=Outcome.REJECTED,
        found=f"version {now.version} is the first champion",
        required="a champion before it",
        remedy="promote another version instead",
    )


def _unusable(target: str, error: RegistryError) -> CriterionResult:
    return CriterionResult(
        criterion="earlier champion",
        isa=None,
        outcome=Outcome.REJECTED,
        found=error.found,
        required=f"version {target} as it was when it was champion",
        remedy="promote another version instead",
    )


def _nothing_to_promote(request: PromoteRequest) -> RegistryError:
    asked = f"version {request.version}" if request.version else f"alias {CHALLENGER}"
    return RegistryError(
        found=f"no {asked} of {request.model} in the registry",
        required="a registered version",
        remedy="release the model first; an approved release sets the alias `challenger`",
    )
