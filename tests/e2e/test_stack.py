"""The stack of `docker-compose.yml`, each service by its own command, and a release through all of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows.compose import Host, services
from flows.local_stack import running
from tasks.artifacts import DecisionOutcome
from tasks.errors import RegistryError
from tasks.promotion import ledger
from tasks.promotion.assessment import settle
from tasks.tracking.connection import connection
from tests.decision_factory import build_decision
from tests.e2e.servers import ENDED, ROOT, free_port, wait_until
from tests.e2e.small_inputs import SmallInputs
from tests.unit.test_compose import SECRETS

pytestmark = pytest.mark.paddle

PORTS = (4200, 5000, 5432, 8080, 8090)
SMALL_ENOUGH = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    folder: Path
    secrets: dict[str, str]
    ports: dict[int, int]

    def prefect(self, *, authenticated: bool = True) -> httpx.Client:
        auth = ("admin", self.secrets["PREFECT_PASSWORD"]) if authenticated else None
        return httpx.Client(base_url=f"http://127.0.0.1:{self.ports[4200]}/api/", auth=auth, timeout=30)

    def mlflow(self, *, authenticated: bool = True) -> httpx.Client:
        auth = ("admin", self.secrets["MLFLOW_PASSWORD"]) if authenticated else None
        base = f"http://127.0.0.1:{self.ports[5000]}/api/2.0/mlflow/"
        return httpx.Client(base_url=base, auth=auth, timeout=30)


@contextmanager
def _started() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="stack-", dir="/tmp"))
    folder.chmod(0o755)  # PostgreSQL's own user must reach its folder
    ports = {port: free_port() for port in PORTS}
    secrets = {name: os.urandom(16).hex() for name in SECRETS}
    host = Host(folder=folder, project=ROOT, ports=ports)
    try:
        with running(services(ROOT / "docker-compose.yml", secrets, host), host):
            yield Stack(folder=folder, secrets=secrets, ports=ports)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    programs = [name for name in ("pg_config", "psql") if shutil.which(name) is None]
    if programs:
        pytest.skip(f"no {', '.join(programs)}: install postgresql and libpq-dev")
    with _started() as started:
        yield started


def test_stack_releases_a_model_end_to_end_and_keeps_its_secrets(stack: Stack, inputs: SmallInputs) -> None:
    ended = _release(stack, inputs, "through-the-stack")
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    with stack.mlflow() as client:
        found = client.get("experiments/get-by-name", params={"experiment_name": "through-the-stack"})
        experiment = found.raise_for_status().json()["experiment"]["experiment_id"]
        runs = client.post("runs/search", json={"experiment_ids": [experiment]}).raise_for_status().json()
    assert {run["info"]["status"] for run in runs["runs"]} == {"FINISHED"}
    assert list((stack.folder / "mlflow" / "artifacts").rglob("report.html"))
    assert _told(stack) == []


def test_stack_answers_nobody_without_a_password(stack: Stack) -> None:
    with stack.prefect(authenticated=False) as client:
        assert client.post("flow_runs/filter", json={}).status_code == 401
    with stack.mlflow(authenticated=False) as client:
        assert client.post("experiments/search", json={"max_results": 1}).status_code == 401
    unsigned = httpx.post(f"http://127.0.0.1:{stack.ports[8090]}/mlflow", json={}, timeout=30)
    assert unsigned.status_code in {400, 401}


def test_stack_reader_of_the_registry_promotes_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, reader = f"http://127.0.0.1:{stack.ports[5000]}", ("reader", os.urandom(16).hex())
    _log_in(monkeypatch, "admin", stack.secrets["MLFLOW_PASSWORD"])
    with connection(uri) as client:
        run = client.create_run(client.create_experiment("guarded"))
        client.create_registered_model("guarded")
        client.create_model_version("guarded", f"{run.info.artifact_uri}/model", run.info.run_id)
    with stack.mlflow() as admin:
        asked = {"username": reader[0], "password": reader[1]}
        admin.post("users/create", json=asked).raise_for_status()
    _log_in(monkeypatch, *reader)
    decision = build_decision(name="guarded", from_version=None, to_version="1")
    with pytest.raises(RegistryError, match=r"(?i)permission denied"):
        settle(uri, decision)
    _log_in(monkeypatch, "admin", stack.secrets["MLFLOW_PASSWORD"])
    assert ledger.decisions(uri, "guarded") == ()
    assert settle(uri, decision).outcome is DecisionOutcome.DONE
    with connection(uri) as client:
        assert ledger.alias_version(client, "guarded", "champion") == "1"


def _log_in(monkeypatch: pytest.MonkeyPatch, user: str, password: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)


def _release(stack: Stack, inputs: SmallInputs, name: str) -> dict[str, Any]:
    written = inputs.config(stack.folder / "release.yaml", name)
    config = yaml.safe_load(written.read_text(encoding="utf-8"))
    with stack.prefect() as client:
        deployment = client.get("deployments/name/release/release").raise_for_status().json()["id"]
        asked = client.post(
            f"deployments/{deployment}/create_flow_run", json={"parameters": {"config": config}}
        )
        run = asked.raise_for_status().json()["id"]
        ended: dict[str, Any] = wait_until(
            lambda: client.get(f"flow_runs/{run}").json(),
            lambda found: found["state_type"] in ENDED,
            seconds=240,
            what="the release",
        )
    return ended


def _told(stack: Stack) -> list[str]:
    """Logs, reports and artifacts of any service that hold a secret."""
    own = {"mlflow-auth.ini"}
    kept = (path for path in stack.folder.rglob("*") if path.is_file() and path.name not in own)
    text = [path for path in kept if path.stat().st_size < SMALL_ENOUGH and "data" not in path.parts]
    return [str(path) for path in text if _holds(path.read_bytes(), stack.secrets)]


def _holds(content: bytes, secrets: dict[str, str]) -> bool:
    return any(secret.encode() in content for secret in secrets.values())
