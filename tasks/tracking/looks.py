"""Counts in MLflow how often the same validation samples were looked at, by one release after another.

Example: a model is retrained every night and released on the same validation data. Each night's verdict
errs with at most 5 %, but after ten nights the chance that at least one of them approved a wrong model is
only known to be at most 50 %. The samples are found by the digest of their content, in all experiments, and
in deleted runs too: deleting a run does not take back that somebody looked.

A release that was run again, and came to the same models, is one look: nothing new was asked of the samples.
A search and its confirmation look at parts of the drawn samples, whose digests are others than that of the
whole. So such a release also names the digest of the whole (`DRAWN`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import EarlierLooks, Looks
from paddle_int8.tasks.tracking.connection import connection

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ERROR, CANDIDATES, OUTCOME = "looks.error", "looks.candidates", "outcome"
"""Tags of a release's run: the error that it was allowed, the number of candidates tested together, and the
outcome."""
PARENT = "mlflow.parentRunId"
VALIDATION, DRAWN = "validation_digest", "drawn_digest"
"""Tags with the digest of the samples that decide, and of the drawn ones where they are a part of these."""


def earlier_looks(tracking_uri: str, run_id: str, evidence: Sequence[CandidateEvidence]) -> EarlierLooks:
    """What other releases than `run_id` looked at on the samples of `evidence`.

    Only releases that came to a verdict count, since no other can have approved anything.
    """
    if not evidence:
        return EarlierLooks()
    samples = evidence[0].validation_digest
    seen = {frozenset(item.digest for item in evidence if item.validation_digest == samples)}
    candidates, errors = 0, []
    with connection(tracking_uri) as client:
        whole = client.get_run(run_id).data.tags.get(DRAWN, samples)
        for parent, digests in _measured(client, dict.fromkeys((samples, whole))).items():
            models, release = frozenset(digests), client.get_run(parent)
            if parent == run_id or models in seen or not {ERROR, OUTCOME} & release.data.tags.keys():
                continue
            seen.add(models)
            candidates += len(models)
            errors.append(_error(release, len(models)))
    return EarlierLooks(releases=len(errors), candidates=candidates, error=sum(errors))


def _measured(client: MlflowClient, samples: Iterable[str]) -> dict[str, set[str]]:
    """The digests of the candidates that were judged on these samples or on parts of them, by release."""
    found: dict[str, set[str]] = {}
    for digest in samples:
        runs = [*_runs(client, f"tags.{VALIDATION} = '{digest}'")]
        for release in _runs(client, f"tags.{DRAWN} = '{digest}'"):
            decisive = release.data.tags.get(VALIDATION, "")
            of_release = f"tags.`{PARENT}` = '{release.info.run_id}'"
            runs += _runs(client, f"{of_release} and tags.{VALIDATION} = '{decisive}'")
        for run in runs:
            if (parent := run.data.tags.get(PARENT)) and "digest" in run.data.tags:
                found.setdefault(parent, set()).add(run.data.tags["digest"])
    return found


def record_looks(tracking_uri: str, run_id: str, looks: Looks) -> None:
    """Tags the release's run with what it looked at, for the releases after it."""
    with connection(tracking_uri) as client:
        client.set_tag(run_id, ERROR, repr(looks.error))
        client.set_tag(run_id, CANDIDATES, str(looks.candidates))


def _runs(client: MlflowClient, wanted: str) -> Iterator[Run]:
    """All runs of all experiments that `wanted` describes, deleted ones too."""
    from mlflow.entities import ViewType

    experiments = [each.experiment_id for each in client.search_experiments(view_type=ViewType.ALL)]
    token = None
    while True:
        page = client.search_runs(experiments, wanted, ViewType.ALL, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _error(release: Run, candidates: int) -> float:
    """The chance with which a release may have approved a wrong candidate.

    A release of before this was corrected tested each of its candidates by itself.
    """
    if recorded := release.data.tags.get(ERROR):
        return float(recorded)
    alone = 1 - float(release.data.params.get("gate.confidence", "0.95"))
    return min(1.0, candidates * alone)
