"""The looks of earlier releases at the same validation samples, counted in a real MLflow."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import EarlierLooks, Looks
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.tracking import runs
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.looks import earlier_looks, record_looks
from paddle_int8.tasks.tracking.runs import RunStatus
from tests.release_factory import (
    build_artifacts,
    build_candidates,
    build_config,
    build_evidence,
    build_verdict,
)

ERROR = 0.05


class Nights:
    """Releases one after another, of two candidates each. A word names their bytes, another the samples."""

    def __init__(self, uri: str, folder: Path, samples: str) -> None:
        self.uri, self._folder, self._samples = uri, folder, samples

    def release(
        self,
        models: str,
        *,
        samples: str = "",
        drawn: str = "",
        name: str = "nightly",
        judged: bool = True,
    ) -> tuple[str, tuple[CandidateEvidence, ...], EarlierLooks]:
        """The release's run, the evidence of its candidates, and what it finds of earlier looks."""
        config = build_config(name)
        run_id = runs.start_release(self.uri, config)
        evidence = tuple(
            replace(
                build_evidence(candidate, digest=f"{models}-{candidate.name}"),
                validation_digest=samples or self._samples,
            )
            for candidate in build_candidates()[:2]
        )
        for item in evidence:
            quantized, deployable = build_artifacts(self._folder, item.candidate)
            runs.log_candidate(
                self.uri,
                run_id,
                evidence=item,
                verdict=build_verdict(item),
                quantized=quantized,
                deployable=deployable,
                settings=config.quantization,
            )
        if drawn:
            digests = {"validation_digest": samples, "drawn_digest": drawn}
            runs.log_tags(self.uri, run_id, digests)
        earlier = earlier_looks(self.uri, run_id, evidence)
        if judged:
            record_looks(self.uri, run_id, Looks(candidates=2, error=ERROR, earlier=earlier))
        runs.finish(self.uri, run_id, RunStatus.FINISHED if judged else RunStatus.KILLED)
        return run_id, evidence, earlier


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all tests: MLflow takes seconds to make one."""
    return f"sqlite:///{tmp_path_factory.mktemp('looks') / 'mlflow.db'}"


@pytest.fixture
def nights(uri: str, tmp_path: Path, request: pytest.FixtureRequest) -> Nights:
    """Each test has validation samples of its own."""
    return Nights(uri, tmp_path, hashlib.sha256(request.node.name.encode()).hexdigest())


def test_each_night_finds_the_nights_before_it_whatever_their_experiment(nights: Nights) -> None:
    found = [
        nights.release("monday")[2],
        nights.release("tuesday")[2],
        nights.release("wednesday", name="another-name")[2],
        nights.release("thursday")[2],
    ]
    assert [each.releases for each in found] == [0, 1, 2, 3]
    assert [each.candidates for each in found] == [0, 2, 4, 6]
    assert [each.error for each in found] == pytest.approx([0.0, 0.05, 0.1, 0.15])


def test_other_samples_and_releases_without_a_verdict_are_no_looks(nights: Nights) -> None:
    nights.release("monday", samples="f" * 64)
    nights.release("tuesday", judged=False)
    assert nights.release("wednesday")[2] == EarlierLooks()


def test_search_on_a_part_of_the_samples_looks_at_them_too(nights: Nights) -> None:
    whole, part = "a" * 64, "b" * 64
    nights.release("grid", samples=whole)
    assert nights.release("search", samples=part, drawn=whole)[2].releases == 1
    assert nights.release("search", samples=part, drawn=whole)[2].releases == 1  # run again
    assert nights.release("another search", samples=part, drawn=whole)[2].releases == 2
    assert nights.release("another grid", samples=whole)[2].releases == 3
    assert nights.release("other samples", samples="c" * 64)[2].releases == 0


def test_release_that_is_run_again_is_one_look(nights: Nights) -> None:
    nights.release("monday")
    nights.release("monday")
    assert nights.release("monday")[2] == EarlierLooks()
    assert nights.release("tuesday")[2].releases == 1


def test_deleted_run_has_looked_all_the_same(nights: Nights) -> None:
    run_id, *_ = nights.release("monday", name="deleted")
    with connection(nights.uri) as client:
        experiment = client.get_run(run_id).info.experiment_id
        for run in client.search_runs([experiment]):
            client.delete_run(run.info.run_id)
        client.delete_experiment(experiment)
    assert nights.release("tuesday", name="afterwards")[2].releases == 1


def test_release_of_before_the_correction_counts_each_of_its_candidates(nights: Nights) -> None:
    run_id, *_ = nights.release("monday", judged=False)
    runs.log_tags(nights.uri, run_id, {"outcome": "approved"})
    assert nights.release("tuesday")[2].error == pytest.approx(2 * ERROR)


def test_final_verdict_replaces_that_of_the_candidate_s_run(nights: Nights) -> None:
    run_id, (first, second), _ = nights.release("monday")
    verdict = replace(build_verdict(first), outcome=Outcome.INCONCLUSIVE)
    runs.log_verdict(nights.uri, run_id, first, verdict)
    with connection(nights.uri) as client:
        experiment = client.get_run(run_id).info.experiment_id
        nested = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run_id}'")
        told = {
            run.data.tags["candidate"]: (
                run.data.tags["outcome"],
                Path(client.download_artifacts(run.info.run_id, "verdict.json")).read_text(),
            )
            for run in nested
        }
    (outcome, written), (other, _) = told[first.candidate.name], told[second.candidate.name]
    assert outcome == "inconclusive"
    assert '"outcome": "inconclusive"' in written
    assert other == build_verdict(second).outcome.value
