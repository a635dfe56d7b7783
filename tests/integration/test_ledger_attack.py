"""A user of MLflow who may only read tries to decide who is champion, on a server with permissions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.contracts.json import to_json
from paddle_int8.tasks.promotion import ledger
from paddle_int8.tasks.promotion.assessment import settle
from paddle_int8.tasks.promotion.decision import Decision, DecisionOutcome
from paddle_int8.tasks.promotion.task import put_aliases_right
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.registry import PROMOTIONS
from tests import databases
from tests.decision_factory import build_decision
from tests.e2e.servers import STARTUP_S, answers, free_port, program, running, wait_until
from tests.patience import allowed

if TYPE_CHECKING:
    from mlflow import MlflowClient

Login = Callable[[], AbstractContextManager["MlflowClient"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """An MLflow with permissions, as the stack's; each login is a client with a user's rights."""

    uri: str
    editor: Login
    reader: Login


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    secrets = {user: os.urandom(16).hex() for user in ("admin", "reader")}
    settings = folder / "auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder / 'auth.db'}\n"
        f"admin_username = admin\nadmin_password = {secrets['admin']}\nauth_cache_ttl_seconds = 60\n"
    )
    environment = os.environ | {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": os.urandom(16).hex(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = program("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    command += ["--app-name", "basic-auth", "--backend-store-uri", databases.mlflow_in(folder)]
    command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    uri = f"http://127.0.0.1:{port}"

    def login(user: str) -> Login:
        @contextmanager
        def logged_in() -> Iterator[MlflowClient]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MLFLOW_TRACKING_URI", uri)
                patch.setenv("MLFLOW_TRACKING_USERNAME", user)
                patch.setenv("MLFLOW_TRACKING_PASSWORD", secrets[user])
                with connection(uri) as client:
                    yield client

        return logged_in

    with running(command, environment=environment, log=folder / "mlflow.log") as process:
        wait_until(
            lambda: answers(f"{uri}/health") or process.poll() is not None,
            bool,
            seconds=STARTUP_S,
            what="MLflow",
        )
        assert process.poll() is None, (folder / "mlflow.log").read_text(encoding="utf-8")
        asked = {"username": "reader", "password": secrets["reader"]}
        login_of_admin = ("admin", secrets["admin"])
        answer = httpx.post(
            f"{uri}/api/2.0/mlflow/users/create", json=asked, auth=login_of_admin, timeout=allowed(30)
        )
        answer.raise_for_status()
        yield Guarded(uri=uri, editor=login("admin"), reader=login("reader"))


@pytest.fixture
def name(guarded: Guarded) -> str:
    """A model of the editor's with two versions and no decision yet; champion is version 1."""
    model = f"digits-{uuid4().hex[:8]}"
    with guarded.editor() as client:
        run = client.create_run(client.create_experiment(model))
        client.create_registered_model(model)
        for _ in range(2):
            client.create_model_version(model, f"{run.info.artifact_uri}/model", run.info.run_id)
        client.set_registered_model_alias(model, "champion", "1")
    return model


def write(client: MlflowClient, decision: Decision) -> None:
    """A record as `ledger.append` writes it, without asking whether its writer may."""
    client.create_model_version(
        decision.name + PROMOTIONS,
        source=f"models:/{decision.name}/{decision.to_version}",
        tags={"record": to_json(decision), "id": decision.id},
    )


def test_ledger_that_a_reader_created_first_moves_nothing(guarded: Guarded, name: str) -> None:
    forged = build_decision(id="forged", name=name, from_version="1", to_version="2")
    with guarded.reader() as client:
        client.create_registered_model(name + PROMOTIONS)
        write(client, forged)
    with guarded.editor() as client:
        assert put_aliases_right.fn() == []
        assert ledger.follow_records(guarded.uri, name, "champion") == "1"
        assert ledger.decisions(guarded.uri, name) == ()
        assert ledger.alias_version(client, name, "champion") == "1"
        real = build_decision(id="real", name=name, from_version="1", to_version="2", who="editor")
        settled = settle(guarded.uri, real)
        assert (settled.outcome, settled.who) == (DecisionOutcome.DONE, "editor")
        assert ledger.alias_version(client, name, "champion") == "2"


def test_reader_who_owns_the_ledger_vouches_for_no_record(guarded: Guarded, name: str) -> None:
    forged = build_decision(id="forged", name=name, from_version="1", to_version="2")
    with guarded.reader() as client:
        client.create_registered_model(name + PROMOTIONS)
    with guarded.reader(), pytest.raises(RegistryError, match=r"(?i)permission denied"):
        settle(guarded.uri, forged)
    with guarded.editor():
        assert ledger.decisions(guarded.uri, name) == ()


@pytest.mark.parametrize("attack", ["changed", "deleted"])
def test_reader_who_owns_the_ledger_and_tampers_with_a_record_is_found_out(
    guarded: Guarded, name: str, attack: str
) -> None:
    with guarded.reader() as client:
        client.create_registered_model(name + PROMOTIONS)
    decision = build_decision(id="real", name=name, from_version="1", to_version="2")
    with guarded.editor():
        assert settle(guarded.uri, decision).number == 1
    with guarded.reader() as client:
        if attack == "deleted":
            client.delete_model_version(name + PROMOTIONS, "1")
        else:
            forged = to_json(build_decision(id="real", name=name, from_version="2", to_version="1"))
            client.set_model_version_tag(name + PROMOTIONS, "1", "record", forged)
    with guarded.editor() as client:
        with pytest.raises(RegistryError, match=r"not the decision|no version 1 of"):
            ledger.follow_records(guarded.uri, name, "champion")
        assert ledger.alias_version(client, name, "champion") == "2"
        client.delete_registered_model(name + PROMOTIONS)
        client.delete_registered_model_tag(name, "promotion.real")
        assert ledger.decisions(guarded.uri, name) == ()


def test_ledger_of_the_editors_refuses_a_readers_record(guarded: Guarded, name: str) -> None:
    with guarded.editor() as client:
        client.create_registered_model(name + PROMOTIONS)
    forged = build_decision(id="forged", name=name, from_version="1", to_version="2")
    with pytest.raises(RegistryError, match=r"(?i)permission denied"), guarded.reader() as client:
        write(client, forged)
    with pytest.raises(RegistryError, match=r"(?i)already exists"), guarded.reader() as client:
        client.create_registered_model(name + PROMOTIONS)
