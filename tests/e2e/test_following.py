"""A promoted FP32 model in a real MLflow server gets its release, also when deliveries or runs are lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from psutil import Process

from paddle_int8.tasks.following.webhook import DELIVERY_ID, MOST_BYTES, SIGNATURE, TIMESTAMP, signature
from paddle_int8.tasks.promotion import ledger
from paddle_int8.tasks.tracking.connection import connection
from tests import databases
from tests.e2e.registration import promote, register
from tests.e2e.servers import PrefectServer, answers, free_port, program, running, wait_until
from tests.e2e.small_inputs import SmallInputs
from tests.e2e.webhook import Webhook
from tests.patience import allowed

pytestmark = pytest.mark.paddle

SECRET = "0123456789abcdef0123456789abcdef"
MODEL, RELEASE = "classifier-fp32", "classifier-int8"
SILENCE_S = 8
"""Until a promotion that nobody says a word about has failed."""
RECONCILE = """
from paddle_int8.flows.reconcile import reconcile
from paddle_int8.tasks.following.request import ReconcileRequest
for each in reconcile(ReconcileRequest()):
    print("reconciled", each.version, each.action, flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """An MLflow server whose webhooks may reach loopback, and a Prefect server with the deployments."""

    uri: str
    prefect: PrefectServer
    environment: dict[str, str]
    folder: Path
    inputs: SmallInputs

    def register(self) -> str:
        """A new version of the FP32 model, of the small model's own files."""
        return register(self.uri, MODEL, self.inputs.folder / "model")

    def promote(self, version: str) -> None:
        promote(self.uri, MODEL, version)

    def hooks(self) -> list[str]:
        """The addresses that MLflow sends to."""
        with connection(self.uri) as client:
            return [each.url for each in client.list_webhooks()]

    def runs_of(self, version: str) -> list[dict[str, Any]]:
        """Flow runs of `follow` for the version."""
        return [
            run
            for run in self.prefect.runs("follow")
            if str(run["parameters"]["request"]["version"]) == version
        ]

    def releases_of(self, version: str) -> list[str]:
        """Statuses of MLflow's runs of the release of the version."""
        with connection(self.uri) as client:
            experiment = client.get_experiment_by_name(RELEASE)
            if experiment is None:
                return []
            wanted = f"tags.source_model = '{MODEL}' and tags.source_version = '{version}'"
            return [run.info.status for run in client.search_runs([experiment.experiment_id], wanted)]

    def reconcile(self) -> list[str]:
        ended = subprocess.run(
            [sys.executable, "-c", RECONCILE],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=allowed(120),
            check=True,
        )
        return [line for line in ended.stdout.splitlines() if line.startswith("reconciled ")]

    def resume(self, run_id: str, answer: dict[str, str]) -> str:
        """What the server says to the filled-in form."""
        return str(self.prefect.ask(f"flow_runs/{run_id}/resume", {"run_input": answer})["status"])

    @contextmanager
    def working(self, *options: str) -> Iterator[Process]:
        """A worker of this host's pool."""
        command = program("paddle-int8", "worker", "--health-port", str(free_port()), *options)
        with running(command, environment=self.environment, log=self.folder / "worker.log") as worker:
            yield Process(worker.pid)

    @contextmanager
    def receiving(self, port: int) -> Iterator[str]:
        url, log = f"http://127.0.0.1:{port}", self.folder / "receiver.log"
        command = program("paddle-int8", "receive-webhooks", "--port", str(port))
        environment = self.environment | {"PADDLE_INT8_WEBHOOK_URL": f"{url}/mlflow"}
        with running(command, environment=environment, log=log) as process:
            wait_until(
                lambda: answers(f"{url}/health") or process.poll() is not None,
                bool,
                seconds=60,
                what="the receiver",
            )
            assert process.poll() is None, log.read_text(encoding="utf-8")
            yield f"{url}/mlflow"


@pytest.fixture(scope="module")
def registry(
    deployed: PrefectServer, inputs: SmallInputs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("following")
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    (folder / "configs").mkdir()
    inputs.config(
        folder / "configs" / "classifier.yaml",
        RELEASE,
        model={"registered": f"models:/{MODEL}@champion"},
        validation={"metrics": ["agreement"]},
        gate={"max_drop_pp": 50, "min_speedup": 0.01, "min_int8_share": 0.1},
    )
    environment = deployed.environment | {
        "MLFLOW_TRACKING_URI": uri,
        "PADDLE_INT8_HOME": str(folder / "home"),
        "PADDLE_INT8_CONFIGS": str(folder / "configs"),
        "PADDLE_INT8_WEBHOOK_SECRET": SECRET,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    store = f"--backend-store-uri {databases.mlflow_in(folder)} --artifacts-destination {folder}/artifacts"
    command = program("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    served = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    with running([*command, *store.split()], environment=served, log=folder / "mlflow.log"):
        wait_until(lambda: answers(f"{uri}/health"), bool, seconds=120, what="MLflow's server")
        yield Registry(uri=uri, prefect=deployed, environment=environment, folder=folder, inputs=inputs)


@pytest.fixture(scope="module")
def approved(registry: Registry) -> str:
    """The INT8 model, with a version at `challenger`."""
    with connection(registry.uri) as client:
        if ledger.alias_version(client, RELEASE, "challenger") is None:
            pytest.skip("the release that registers it did not run")
    return RELEASE


def deliver(
    url: str, body: bytes, *, delivery_id: str = "d-1", secret: str = SECRET, age_s: float = 0
) -> int:
    """The receiver's answer to a delivery."""
    timestamp = str(int(time.time() - age_s))
    headers = {
        DELIVERY_ID: delivery_id,
        TIMESTAMP: timestamp,
        SIGNATURE: signature(secret, delivery_id, timestamp, body),
    }
    return httpx.post(url, content=body, headers=headers, timeout=allowed(30)).status_code


def test_promotion_in_the_registry_starts_one_release_and_lost_ones_are_found(registry: Registry) -> None:
    first, second = registry.register(), registry.register()
    with registry.receiving(port := free_port()) as url:
        registry.promote(first)
        wait_until(lambda: registry.runs_of(first), bool, seconds=60, what="a flow run of the promotion")
        registry.promote(first)  # fires again, with a delivery of its own
        body = json.dumps(
            {
                "entity": "model_version_alias",
                "action": "created",
                "timestamp": "now",
                "data": {"name": MODEL, "alias": "champion", "version": first},
            }
        ).encode()
        assert deliver(url, body) == 202
        assert deliver(url, body) == 409, "a replay"
        assert deliver(url, body, delivery_id="d-2", secret="another secret of length") == 401
        assert deliver(url, body, delivery_id="d-3", age_s=3600) == 401
        assert deliver(url, b" " * (MOST_BYTES + 1), delivery_id="d-4") == 413
        assert deliver(url, body.replace(b"champion", b"challenger"), delivery_id="d-5") == 204
    with registry.working():
        wait_until(
            lambda: registry.releases_of(first),
            lambda found: found == ["FINISHED"],
            seconds=240,
            what="the release",
        )
        wait_until(
            lambda: [run["state_type"] for run in registry.runs_of(first)],
            lambda found: found == ["COMPLETED"],
            seconds=60,
            what="the only flow run of the version",
        )
    assert registry.reconcile() == [], "nothing is missing"
    registry.promote(second)  # and nobody listens
    assert registry.reconcile() == [f"reconciled {second} started"]
    assert registry.reconcile() == [f"reconciled {second} running"]
    with registry.receiving(port) as url:  # MLflow's late delivery, or one sent again by hand
        late = body.replace(f'"version": "{first}"'.encode(), f'"version": "{second}"'.encode())
        assert deliver(url, late, delivery_id="d-6") == 202
        assert registry.hooks() == [url], "the receiver that started again has its webhook, and no second one"
    (waiting,) = registry.runs_of(second)
    registry.prefect.force(waiting["id"], type="CANCELLED")  # so that no other test's worker runs it


def test_promotion_waits_for_a_persons_word_and_records_it(
    registry: Registry, approved: str, told: Webhook
) -> None:
    """Three at once: one is rejected, one approved, and of one nobody says anything."""
    request = {"model": approved, "approval": True}
    patience = {"reject": 24.0, "approve": 24.0, "silence": SILENCE_S / 3600}
    run_ids = {
        word: registry.prefect.start("promote", {"request": request | {"approval_timeout_h": hours}})
        for word, hours in patience.items()
    }

    def states() -> dict[str, str]:
        return {word: registry.prefect.run(run_id)["state_type"] for word, run_id in run_ids.items()}

    with registry.working("--limit", "3") as worker:
        asked = {"reject": "PAUSED", "approve": "PAUSED", "silence": "FAILED"}
        wait_until(states, asked.__eq__, seconds=180, what="two forms, and the end of the one without a word")
        wait_until(worker.children, lambda found: not found, seconds=60, what="the processes' end")
    assert "never resumed" in registry.prefect.run(run_ids["silence"])["state"]["message"]
    assert registry.resume(run_ids["reject"], {}) == "REJECT", "an empty form decides nothing"
    for word in ("reject", "approve"):
        answer = {"word": word, "reason": f"to {word} it", "who": "ada"}
        assert registry.resume(run_ids[word], answer) == "ACCEPT"
    with registry.working("--limit", "2"):  # another one: a suspended run needs no process of its own
        done = {"reject": "COMPLETED", "approve": "COMPLETED", "silence": "FAILED"}
        wait_until(states, done.__eq__, seconds=120, what="the end")
    found = {(each.outcome.value, each.who, each.reason) for each in ledger.decisions(registry.uri, approved)}
    assert found == {("declined", "ada", "to reject it"), ("done", "ada", "to approve it")}
    with connection(registry.uri) as client:
        assert ledger.alias_version(client, approved, "champion") == "1"
    said = {"paddle-int8.model.not-promoted", "paddle-int8.model.promoted"}
    wait_until(lambda: set(told.about(approved)), said.__le__, seconds=30, what="a word to the webhook")
