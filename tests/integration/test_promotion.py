"""Promotion, rollback and export against a real registry of small real bundles."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from benchmarks.serving.server import serving
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import RegistryError, StorageError
from paddle_int8.tasks.contracts.json import from_json, to_json
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.promotion import ledger
from paddle_int8.tasks.promotion.assessment import assess_promotion, assess_rollback, settle
from paddle_int8.tasks.promotion.comparison import FROM_RECORDS, MEASURED_ANEW
from paddle_int8.tasks.promotion.decision import Decision, DecisionOutcome
from paddle_int8.tasks.promotion.export import export_bundle
from paddle_int8.tasks.promotion.request import PromoteRequest, RollbackRequest
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.registry import PROMOTIONS, ensure_registered_model
from tests import databases
from tests.decision_factory import build_decision
from tests.e2e.command_line import variables
from tests.integration.registry_ground import RegistryGround, pack
from tests.integration.small_release import SmallRelease
from tests.patience import allowed
from tests.postgres import postgres

pytestmark = pytest.mark.paddle

WIDE = 60.0
"""Points: fifty samples prove no less."""
SETTLE = """
import sys, time
from pathlib import Path
from paddle_int8.tasks.promotion.decision import Decision
from paddle_int8.tasks.contracts.json import from_json, to_json
from paddle_int8.tasks.promotion.assessment import settle
from paddle_int8.tasks.tracking import connection
connection.prepare(sys.argv[1])
decision = from_json(Decision, Path(sys.argv[2]).read_text())
print("ready", flush=True)
sys.stdin.readline()
Path(sys.argv[3]).write_text(to_json(settle(sys.argv[1], decision)))
"""


@pytest.fixture(scope="module")
def ground(
    small_release: SmallRelease, host: HostProfile, tmp_path_factory: pytest.TempPathFactory
) -> RegistryGround:
    folder = tmp_path_factory.mktemp("registry")
    packed = {
        layout: pack(small_release, layout, host, folder / layout) for layout in small_release.deployables
    }
    assert {each.verdict.outcome for each in packed.values()} == {Outcome.APPROVED}
    return RegistryGround(
        uri=databases.mlflow_in(folder), release=small_release, packed=packed, folder=folder
    )


@pytest.fixture
def name() -> str:
    """A model of this test alone."""
    return f"digits-{uuid4().hex[:8]}"


@pytest.fixture
def two(ground: RegistryGround, name: str) -> str:
    """A model with two versions: 1 is QDQ, 2 is offline, and `challenger` is 2."""
    ground.register(name, "qdq")
    ground.register(name, "offline")
    return name


def assess(ground: RegistryGround, name: str, **fields: Any) -> Decision:
    request = PromoteRequest.model_validate({"model": name, "max_drop_pp": WIDE, "who": "ada"} | fields)
    return assess_promotion(ground.uri, request, log=ground.folder / "assess.log")


def promote(ground: RegistryGround, name: str, **fields: Any) -> Decision:
    return settle(ground.uri, assess(ground, name, **fields))


def rollback(ground: RegistryGround, name: str, **fields: Any) -> Decision:
    request = RollbackRequest.model_validate({"model": name} | fields)
    return settle(ground.uri, assess_rollback(ground.uri, request, log=ground.folder / "rollback.log"))


def points_at(ground: RegistryGround, name: str, alias: str = "champion") -> str | None:
    with connection(ground.uri) as client:
        return ledger.alias_version(client, name, alias)


def failed(decision: Decision) -> list[CriterionResult]:
    return [check for check in decision.checks if check.outcome is not Outcome.APPROVED]


def bundle_in_registry(ground: RegistryGround, name: str, version: str) -> Path:
    with connection(ground.uri) as client:
        uri = client.get_model_version_download_uri(name, version)
    (folder,) = Path(uri.removeprefix("file://"), "artifacts").iterdir()
    return folder


def test_promotions_and_rollbacks_are_recorded_and_followed_by_the_alias(
    ground: RegistryGround, two: str
) -> None:
    first = promote(ground, two, version=1, reason="the first")
    assert (first.outcome, first.number) == (DecisionOutcome.DONE, 1)
    second = promote(ground, two)
    assert second.outcome is DecisionOutcome.DONE, failed(second)
    assert (second.from_version, second.to_version, second.basis) == ("1", "2", 1)
    compared = [check for check in second.checks if check.criterion.startswith("not worse")]
    assert {check.criterion.rpartition(" ")[2] for check in compared} == {"top1", "top5"}
    assert all(FROM_RECORDS in check.found for check in compared)
    assert points_at(ground, two) == "2"
    assert rollback(ground, two, reason="a complaint").to_version == "1"
    assert points_at(ground, two) == "1"
    again = rollback(ground, two)
    assert again.outcome is DecisionOutcome.REFUSED
    assert "first champion" in failed(again)[0].found
    history = ledger.history(ground.uri, two)
    assert history.champions == {"champion": "1"}
    assert [(each.action.value, each.outcome.value) for each in history.decisions] == [
        ("promote", "done"),
        ("promote", "done"),
        ("rollback", "done"),
        ("rollback", "refused"),
    ]
    assert history.decisions[0].who == "ada"
    assert history.decisions[0].reason == "the first"
    assert history.decisions[1] == second


def test_release_creates_the_ledger_before_the_model(ground: RegistryGround, two: str) -> None:
    with connection(ground.uri) as client:
        made = [client.get_registered_model(each).creation_timestamp for each in (two + PROMOTIONS, two)]
    assert made[0] <= made[1]


def test_promoting_the_champion_again_changes_nothing(ground: RegistryGround, two: str) -> None:
    promote(ground, two)
    assert promote(ground, two).outcome is DecisionOutcome.UNCHANGED
    assert len(ledger.decisions(ground.uri, two)) == 1


def test_margin_that_fifty_samples_cannot_prove_refuses_and_leaves_the_alias(
    ground: RegistryGround, two: str
) -> None:
    promote(ground, two, version=1)
    decision = promote(ground, two, max_drop_pp=0.1)
    assert decision.outcome is DecisionOutcome.REFUSED
    assert {check.criterion.partition(",")[0] for check in failed(decision)} == {
        "not worse than the champion"
    }
    assert points_at(ground, two) == "1"


def test_version_of_the_same_model_is_promoted_without_a_comparison(
    ground: RegistryGround, name: str
) -> None:
    for threads in (1, 2):
        ground.register(name, "qdq", threads=threads)
    promote(ground, name, version=1)
    decision = promote(ground, name, version=2, max_drop_pp=0.001)
    assert decision.outcome is DecisionOutcome.DONE
    assert "the same model" in decision.checks[-1].found


def test_champion_validated_on_other_samples_is_run_again_on_the_challengers(
    ground: RegistryGround, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path))
    ground.register(name, "qdq", validation="other")
    ground.register(name, "offline")
    promote(ground, name, version=1)
    refused = assess(ground, name)
    assert refused.outcome is DecisionOutcome.REFUSED
    assert "not in the store" in failed(refused)[0].found
    data = tmp_path / "artifacts" / "data"
    data.mkdir(parents=True)
    (data / ground.release.validation.digest[:32]).symlink_to(ground.release.validation.folder)
    measured_anew = assess(ground, name)
    assert measured_anew.outcome is DecisionOutcome.DONE
    checks = [check for check in measured_anew.checks if MEASURED_ANEW in check.found]
    ground.register(name, "qdq", threads=2)
    promote(ground, name, version=3)
    from_records = [check for check in assess(ground, name, version=2).checks if FROM_RECORDS in check.found]
    assert [check.found.split(" (")[0] for check in checks] == [
        check.found.split(" (")[0] for check in from_records
    ]
    assert len(checks) == 2


def test_champion_of_one_instruction_set_has_its_own_alias(
    ground: RegistryGround, two: str, host: HostProfile
) -> None:
    promote(ground, two, version=1)
    decision = promote(ground, two, version=2, isa=host.isa.value)
    assert decision.outcome is DecisionOutcome.DONE
    assert "than version 1" in decision.checks[-1].required, "the champion of all is its measure"
    assert points_at(ground, two, f"champion-{host.isa}") == "2"
    assert points_at(ground, two) == "1"


def test_instruction_set_without_evidence_is_refused(
    ground: RegistryGround, two: str, host: HostProfile
) -> None:
    other = next(isa for isa in IsaLevel if isa is not host.isa)
    decision = promote(ground, two, isa=other.value)
    assert decision.outcome is DecisionOutcome.REFUSED
    assert points_at(ground, two, f"champion-{other}") is None


def test_version_whose_run_says_rejected_is_refused(ground: RegistryGround, name: str) -> None:
    verdict = replace(ground.packed["qdq"].verdict, outcome=Outcome.REJECTED)
    ground.register(name, "qdq", verdict=verdict)
    decision = promote(ground, name)
    assert decision.outcome is DecisionOutcome.REFUSED
    assert [check.criterion for check in failed(decision)] == ["verdict"]
    assert points_at(ground, name) is None


@pytest.mark.parametrize("file", ["examples/predict.py", "model/model.pdiparams", "added.bin"])
def test_file_changed_in_the_registry_is_refused(ground: RegistryGround, two: str, file: str) -> None:
    promote(ground, two, version=1)
    path = bundle_in_registry(ground, two, "2") / file
    changed = bytearray(path.read_bytes() if path.exists() else b" ")
    changed[-1] ^= 1
    path.write_bytes(changed)
    decision = promote(ground, two, version=2)
    assert decision.outcome is DecisionOutcome.REFUSED
    assert "digest" in [check.criterion for check in failed(decision)]
    assert points_at(ground, two) == "1"
    with pytest.raises(RegistryError, match="the files that the release registered"):
        export_bundle(ground.uri, two, ground.folder / f"export-{two}", version=2, alias="")
    assert not (ground.folder / f"export-{two}").exists()


def test_forged_tags_do_not_help_a_model_that_was_not_judged(ground: RegistryGround, two: str) -> None:
    """Version 2's files and tags become version 1's; the verdict of its run stays another model's."""
    one, other = (bundle_in_registry(ground, two, version) for version in ("1", "2"))
    for path in one.rglob("*.pd*"):
        (other / path.relative_to(one)).write_bytes(path.read_bytes())
    with connection(ground.uri) as client:
        from paddle_int8.tasks.store.folder import folder_digest

        client.set_model_version_tag(two, "2", "bundle_digest", folder_digest(other))
        digest = ground.packed["qdq"].verdict.digest
        client.set_model_version_tag(two, "2", "model_digest", digest)
    decision = promote(ground, two, version=2)
    assert decision.outcome is DecisionOutcome.REFUSED
    assert "verdict" in [check.criterion for check in failed(decision)]


def test_rollback_to_a_champion_that_changed_or_went_is_refused(ground: RegistryGround, two: str) -> None:
    for version in (1, 2):
        promote(ground, two, version=version)
    (bundle_in_registry(ground, two, "1") / "README.md").write_text("changed")
    assert rollback(ground, two).outcome is DecisionOutcome.REFUSED
    with connection(ground.uri) as client:
        client.delete_model_version(two, "1")
    assert rollback(ground, two).outcome is DecisionOutcome.REFUSED
    assert points_at(ground, two) == "2"


def test_alias_left_behind_by_a_crash_is_put_right_by_the_next_call(ground: RegistryGround, two: str) -> None:
    promote(ground, two, version=1)
    ledger.append(ground.uri, assess(ground, two))  # and died before the alias moved
    assert points_at(ground, two) == "1"
    assert (two, "champion") in ledger.left_behind_aliases(ground.uri)
    assert promote(ground, two).outcome is DecisionOutcome.UNCHANGED
    assert points_at(ground, two) == "2"
    assert (two, "champion") not in ledger.left_behind_aliases(ground.uri)


def test_writing_a_decision_twice_records_it_once(ground: RegistryGround, two: str) -> None:
    decision = assess(ground, two)
    first, second = (settle(ground.uri, decision) for _ in range(2))
    assert first == second
    assert first.outcome is DecisionOutcome.DONE
    assert len(ledger.decisions(ground.uri, two)) == 1


def test_record_changed_by_hand_stops_everything(ground: RegistryGround, two: str) -> None:
    promote(ground, two)
    with connection(ground.uri) as client:
        client.set_model_version_tag(two + PROMOTIONS, "1", "record", "{}")
    with pytest.raises(RegistryError, match="not the decision"):
        rollback(ground, two)


def test_nothing_to_promote_or_roll_back_says_so(ground: RegistryGround, two: str) -> None:
    with pytest.raises(RegistryError, match="no version 9"):
        promote(ground, two, version=9)
    with pytest.raises(RegistryError, match="no champion"):
        rollback(ground, two)
    with pytest.raises(RegistryError, match="no alias challenger"):
        promote(ground, "unknown")


def test_version_that_no_release_registered_is_refused(ground: RegistryGround, name: str) -> None:
    with connection(ground.uri) as client:
        ensure_registered_model(client, name)
        client.create_model_version(name, source="s3://nowhere/model")
    with pytest.raises(RegistryError):
        promote(ground, name, version=1)


def test_export_writes_the_registered_bundle_whole(ground: RegistryGround, two: str, tmp_path: Path) -> None:
    bundle = export_bundle(ground.uri, two, tmp_path / "out", version=None, alias="challenger")
    assert bundle.digest == ground.packed["offline"].bundle.digest
    assert list(tmp_path.iterdir()) == [bundle.folder]
    with pytest.raises(StorageError, match="exists"):
        export_bundle(ground.uri, two, bundle.folder, version=1, alias="")
    with pytest.raises(RegistryError, match="no alias champion"):
        export_bundle(ground.uri, two, tmp_path / "other", version=None, alias="champion")


def paddle_int8(
    ground: RegistryGround, home: Path, *arguments: str, **servers: str
) -> subprocess.CompletedProcess[str]:
    """The installed program on the ground's registry, and on a Prefect server of its own if none is given."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("paddle-int8")), *arguments],
        env=variables(home, MLFLOW_TRACKING_URI=ground.uri, **servers),
        capture_output=True,
        text=True,
        timeout=allowed(180),
        check=False,
    )


def test_commands_promote_tell_the_history_and_export(
    ground: RegistryGround, two: str, tmp_path: Path, prefect_server: str
) -> None:
    wide = ("--max-drop-pp", str(WIDE), "--reason", "first")
    promoted = paddle_int8(ground, tmp_path, "promote", two, "--version", "1", *wide, "--json")
    assert promoted.returncode == 0, promoted.stderr
    said = json.loads(promoted.stdout)
    assert (said["schema"], said["outcome"], said["number"]) == ("paddle-int8/promote/1", "done", 1)
    assert points_at(ground, two) == "1"
    refused = paddle_int8(ground, tmp_path, "rollback", two, PREFECT_API_URL=prefect_server)
    assert refused.returncode == 3, refused.stderr
    assert "REFUSED" in refused.stdout
    told = json.loads(paddle_int8(ground, tmp_path, "history", two, "--json").stdout)
    assert told["champions"] == {"champion": "1"}
    assert [each["reason"] for each in told["decisions"]] == ["first", ""]
    assert paddle_int8(ground, tmp_path, "export", two, str(tmp_path / "out")).returncode == 0
    example = subprocess.run(
        [sys.executable, str(tmp_path / "out" / "examples" / "predict.py")],
        capture_output=True,
        text=True,
        timeout=allowed(120),
        check=True,
    )
    assert "equal to the validated output" in example.stdout


def race(uri: str, decisions: list[Decision], folder: Path) -> list[Decision]:
    """Each decision settled by a process of its own, all at once."""
    processes = []
    for place, decision in enumerate(decisions):
        (folder / f"{place}.json").write_text(to_json(decision))
        arguments = (uri, str(folder / f"{place}.json"), str(folder / f"{place}.settled"))
        command = [sys.executable, "-c", SETTLE, *arguments]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.wait(60) == 0
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
    return [from_json(Decision, (folder / f"{place}.settled").read_text()) for place in range(len(decisions))]


def require_one_winner(uri: str, name: str, settled: list[Decision]) -> None:
    won = [each for each in settled if each.outcome is DecisionOutcome.DONE]
    lost = [each for each in settled if each.outcome is DecisionOutcome.LOST]
    assert (len(won), len(won) + len(lost)) == (1, len(settled))
    with connection(uri) as client:
        assert ledger.alias_version(client, name, "champion") == won[0].to_version
    assert ledger.history(uri, name).champions["champion"] == won[0].to_version


def test_promotions_at_once_from_two_processes_have_one_winner(
    ground: RegistryGround, two: str, tmp_path: Path
) -> None:
    decisions = [assess(ground, two, version=version) for version in (1, 2)]
    require_one_winner(ground.uri, two, race(ground.uri, decisions, tmp_path))


def test_promotions_at_once_on_postgresql_have_one_winner(
    ground: RegistryGround, tmp_path: Path, name: str
) -> None:
    with postgres("mlflow") as address:
        uri = f"postgresql+psycopg2://postgres@{address}"
        with connection(uri) as client:
            experiment = client.create_experiment("race", artifact_location=(tmp_path / "artifacts").as_uri())
            run_id = client.create_run(experiment).info.run_id
            ensure_registered_model(client, name)
            for _ in range(2):
                source = f"{client.get_run(run_id).info.artifact_uri}/model"
                client.create_model_version(name, source=source, run_id=run_id)
        decisions = [
            build_decision(id=f"race-{version}", name=name, from_version=None, to_version=version)
            for version in ("1", "2")
        ]
        require_one_winner(uri, name, race(uri, decisions, tmp_path))


def test_served_champion_answers_as_the_validated_predictor(
    ground: RegistryGround, two: str, tmp_path: Path
) -> None:
    promote(ground, two, version=1)
    bundle = ground.packed["qdq"].bundle.folder
    with np.load(bundle / "example_input.npz") as given, np.load(bundle / "example_output.npz") as expected:
        inputs = {input_name: values.tolist() for input_name, values in given.items()}
        with serving(f"models:/{two}@champion", ground.uri, tmp_path / "serving.log") as server:
            answer = httpx.post(f"{server.url}/invocations", json={"inputs": inputs}, timeout=allowed(60))
        found = answer.raise_for_status().json()["predictions"]
        assert found.keys() == set(expected)
        for output_name, values in expected.items():
            np.testing.assert_array_equal(np.asarray(found[output_name], values.dtype), values)
