"""Real servers and workers in processes of their own, which are ended by their process ids."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from cryptography.fernet import Fernet
from prefect.client.base import PrefectHttpxSyncClient

from deploy.local_stack import read_env
from paddle_int8.tasks.process.pace import Patience
from tests import databases
from tests.patience import allowed

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PROJECT_FILE = ROOT / "prefect.yaml"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
"""Types of the states of a flow run that has ended."""
STACK_PORTS = (4200, 5000, 5432, 8080, 8090)
"""That the services of `docker-compose.yml` listen on."""
PATIENCE_S = 90
"""Longer than a server on SQLite may stand still (docs/how-to/deployment.md): nothing is to be sent twice."""
STARTUP_S = 120
DEPLOY_S = 300
STOP_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefectServer:
    """A server on loopback; `folder` holds its database and the logs of what was started beside it."""

    url: str
    process: psutil.Process
    folder: Path
    environment: dict[str, str]

    def deploy(self, file: Path = PROJECT_FILE) -> None:
        """`paddle-int8 deploy`, with nobody to answer a question."""
        ended = subprocess.run(
            program("paddle-int8", "deploy", "--file", str(file)),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=allowed(DEPLOY_S),
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer to `body`, or else to a GET; asked again, as workers do, while the server is busy."""
        with PrefectHttpxSyncClient(base_url=f"{self.url}/api/", timeout=PATIENCE_S) as client:
            answer = client.get(path) if body is None else client.post(path, json=body)
        return answer.json() if answer.content else None

    def deployments(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.ask("deployments/filter", {})}

    def start(self, deployment: str, parameters: dict[str, Any]) -> str:
        """A run of the deployment, by its id."""
        path = f"deployments/{self.deployments()[deployment]['id']}/create_flow_run"
        return str(self.ask(path, {"parameters": parameters, "state": {"type": "SCHEDULED"}})["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"flow_runs/{run_id}")
        return found

    def force(self, run_id: str, **state: str) -> None:
        """Puts the run into the state, whatever its own is."""
        self.ask(f"flow_runs/{run_id}/set_state", {"state": state, "force": True})

    def retry(self, run_id: str) -> None:
        """As *Retry* on the run's page, whatever state its death has left it in."""
        self.force(run_id, type="SCHEDULED", name="AwaitingRetry")

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Its flow runs, oldest first."""
        body = {"deployments": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = self.ask("flow_runs/filter", body)
        return found


def is_dead(process: psutil.Process) -> bool:
    """Whether a child has ended; nobody has waited for it yet, so it is a zombie."""
    return bool(process.status() == psutil.STATUS_ZOMBIE)


def kill_all_of(process: psutil.Process) -> None:
    """`kill -9` of a process and of everything below it, as when its host goes down."""
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            each.kill()


def stack_secrets() -> dict[str, str]:
    """A new value for each secret of the stack, of the form that `.env.example` asks for."""
    secrets = {name: os.urandom(16).hex() for name in read_env(ROOT / ".env.example")}
    return secrets | {"WEBHOOK_ENCRYPTION_KEY": Fernet.generate_key().decode()}


def free_port() -> int:
    with closing(socket.socket()) as candidate:
        candidate.bind(("127.0.0.1", 0))
        port: int = candidate.getsockname()[1]
        return port


def program(name: str, *arguments: str) -> list[str]:
    """A program of this environment."""
    return [str(Path(sys.executable).with_name(name)), *arguments]


@contextmanager
def running(
    command: list[str], *, environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """`command` in a session of its own, which ends as a whole with the context."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(allowed(STOP_S))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(read: Callable[[], T], enough: Callable[[T], object], *, seconds: float, what: str) -> T:
    """The first of `read()` that is enough. Fails with `what` and the last one when time is up.

    seconds: on the reference host of `tasks/process/pace.py`.
    """
    patience = Patience(seconds)
    while not enough(found := read()):
        assert not patience.is_over(), f"{what} not within {patience.limit_s:.0f} s: {found}"
        time.sleep(0.3)
    return found


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def prefect_server(folder: Path, *, port: int | None = None, **variables: str) -> Iterator[PrefectServer]:
    """`variables` are added to the environment of all that is started beside it."""
    databases.used(folder)
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_API_URL": f"{url}/api",
        **variables,
    }
    command = program("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    with running(command, environment=environment, log=folder / "prefect-server.log") as process:
        wait_until(
            lambda: answers(f"{url}/api/health") or process.poll() is not None,
            bool,
            seconds=STARTUP_S,
            what="Prefect's server",
        )
        assert process.poll() is None, (folder / "prefect-server.log").read_text(encoding="utf-8")
        yield PrefectServer(
            url=url, process=psutil.Process(process.pid), folder=folder, environment=environment
        )


@contextmanager
def worker(server: PrefectServer, *options: str, **variables: str) -> Iterator[psutil.Process]:
    """`paddle-int8 worker`, ready to take runs; `variables` are of its host alone."""
    port = free_port()
    command = program("paddle-int8", "worker", "--health-port", str(port), *options)
    environment = server.environment | {"PREFECT_WORKER_QUERY_SECONDS": "1"} | variables
    with running(command, environment=environment, log=server.folder / "worker.log") as process:
        wait_until(
            lambda: answers(f"http://127.0.0.1:{port}/health") or process.poll() is not None,
            bool,
            seconds=STARTUP_S,
            what="the worker",
        )
        assert process.poll() is None, (server.folder / "worker.log").read_text(encoding="utf-8")
        yield psutil.Process(process.pid)
