"""The stack of `docker-compose.yml`: each service runs by its own command, and a release goes through all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.compose import Host, Service, services
from deploy.local_stack import running
from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.promotion import ledger
from paddle_int8.tasks.promotion.assessment import settle
from paddle_int8.tasks.promotion.decision import DecisionOutcome
from paddle_int8.tasks.tracking.connection import connection
from tests.decision_factory import build_decision
from tests.e2e.registration import promote, register
from tests.e2e.servers import ENDED, ROOT, STACK_PORTS, free_port, stack_secrets, wait_until
from tests.e2e.small_inputs import SmallInputs
from tests.patience import allowed

pytestmark = pytest.mark.paddle

SMALL_ENOUGH = 1 << 20
CONFIGS = "PADDLE_INT8_CONFIGS"
FP32, INT8 = "classifier-fp32", "through-the-stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    folder: Path
    secrets: dict[str, str]
    ports: dict[int, int]

    def prefect(self, *, authenticated: bool = True) -> httpx.Client:
        auth = ("admin", self.secrets["PREFECT_PASSWORD"]) if authenticated else None
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports[4200]}/api/", auth=auth, timeout=allowed(30)
        )

    def mlflow(self, *, authenticated: bool = True) -> httpx.Client:
        auth = ("admin", self.secrets["MLFLOW_PASSWORD"]) if authenticated else None
        return httpx.Client(base_url=f"{self.tracking_uri}/api/2.0/mlflow/", auth=auth, timeout=allowed(30))

    @property
    def tracking_uri(self) -> str:
        return f"http://127.0.0.1:{self.ports[5000]}"


@contextmanager
def _started() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="stack-", dir="/tmp"))
    folder.chmod(0o755)  # PostgreSQL's own user must reach its folder
    ports = {port: free_port() for port in STACK_PORTS}
    secrets = stack_secrets()
    (folder / "configs").mkdir()
    host = Host(folder=folder, project=ROOT, ports=ports)
    try:
        found = services(ROOT / "docker-compose.yml", secrets, host)
        with running(tuple(_with_configs(each, folder / "configs") for each in found), host):
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


def test_model_promoted_in_the_registry_is_released_through_the_stack_which_keeps_its_secrets(
    stack: Stack, inputs: SmallInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    _log_in(monkeypatch, "admin", stack.secrets["MLFLOW_PASSWORD"])
    _follow(stack, inputs)
    promote(stack.tracking_uri, FP32, register(stack.tracking_uri, FP32, inputs.folder / "model"))
    ended = _released(stack)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    with stack.mlflow() as client:
        found = client.get("experiments/get-by-name", params={"experiment_name": INT8})
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
    unsigned = httpx.post(f"http://127.0.0.1:{stack.ports[8090]}/mlflow", json={}, timeout=allowed(30))
    assert unsigned.status_code in {400, 401}


def test_stack_reader_of_the_registry_promotes_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, reader = stack.tracking_uri, ("reader", os.urandom(16).hex())
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


def _with_configs(service: Service, configs: Path) -> Service:
    """The service with the test's own releases instead of the project's."""
    if CONFIGS not in service.environment:
        return service
    return replace(service, environment=service.environment | {CONFIGS: str(configs)})


def _follow(stack: Stack, inputs: SmallInputs) -> None:
    """Writes a release that follows the FP32 model's champion."""
    model = {"registered": f"models:/{FP32}@champion"}
    inputs.config(stack.folder / "configs" / "release.yaml", INT8, model=model)


def _released(stack: Stack) -> dict[str, Any]:
    """The flow run that the promotion has started, at its end."""
    wanted = {"deployments": {"name": {"any_": ["follow"]}}}
    with stack.prefect() as client:
        (ended,) = wait_until(
            lambda: client.post("flow_runs/filter", json=wanted).json(),
            lambda found: found and found[0]["state_type"] in ENDED,
            seconds=240,
            what="the release",
        )
    return dict(ended)


def _told(stack: Stack) -> list[str]:
    """Logs, reports and artifacts of any service that hold a secret."""
    own = {"mlflow-auth.ini"}
    kept = (path for path in stack.folder.rglob("*") if path.is_file() and path.name not in own)
    text = [path for path in kept if path.stat().st_size < SMALL_ENOUGH and "data" not in path.parts]
    return [str(path) for path in text if _holds(path.read_bytes(), stack.secrets)]


def _holds(content: bytes, secrets: dict[str, str]) -> bool:
    return any(secret.encode() in content for secret in secrets.values())
