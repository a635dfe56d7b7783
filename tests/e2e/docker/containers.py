"""The containers of `docker-compose.yml` under a project name of their own, and what is asked of them."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.e2e.docker.engine import STEP_S, docker
from tests.e2e.servers import ENDED, ROOT, stack_secrets, wait_until
from tests.patience import allowed

SERVERS = ("postgres", "prefect-server", "mlflow", "worker", "webhooks")
DECLARED: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
IMAGE: str = DECLARED["x-program"]["image"]
PEAK = "cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes /sys/fs/cgroup/memory.peak 2>/dev/null || true"
RELEASE_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    project: str
    env_file: Path
    secrets: dict[str, str]
    begun: float

    def say(self, text: str) -> None:
        """A line of the log, which `make docker-test` shows."""
        print(f"{time.monotonic() - self.begun:6.0f} s  {text}", flush=True)  # noqa: T201

    def compose(
        self, *arguments: str, seconds: float = 120, check: bool = True, said: str | None = None
    ) -> str:
        own = ("compose", "--project-name", self.project, "--env-file", str(self.env_file))
        return docker(*own, *arguments, seconds=seconds, check=check, said=said)

    def inside(self, service: str, command: str, *, check: bool = True) -> str:
        return self.compose("exec", "--no-TTY", service, "sh", "-c", command, check=check, seconds=300)

    def facts(self, service: str) -> dict[str, Any]:
        """`docker inspect` of its container."""
        (found,) = json.loads(docker("inspect", self.compose("ps", "--all", "--quiet", service).strip()))
        return dict(found)

    def signal(self, service: str, name: str, *, all_of_it: bool = False) -> None:
        """Sends the signal to its first process, or to all, from outside: Docker does not know of it."""
        facts = self.facts(service)
        processes = str(facts["State"]["Pid"])
        if all_of_it:
            processes = " ".join(docker("top", facts["Id"], "-eo", "pid").split()[1:])
        command = f"kill -{name} {processes}"
        docker("run", "--rm", "--pid", "host", "--user", "0", "--network", "none", IMAGE, "sh", "-c", command)

    def wait_healthy(self, service: str) -> None:
        wait_until(
            lambda: self.facts(service)["State"],
            lambda state: state["Health"]["Status"] == "healthy",
            seconds=180,
            what=f"{service}, healthy",
        )

    def kill(self, service: str) -> None:
        """`kill -9`, after which Docker starts it again by the restart policy."""
        before = self.facts(service)["RestartCount"]
        self.signal(service, "KILL")
        wait_until(
            lambda: self.facts(service)["RestartCount"],
            lambda count: count > before,
            seconds=60,
            what=f"a restart of {service}",
        )
        self.say(f"killed {service}; Docker has started it again")

    def peak_mib(self, service: str) -> int:
        return int(self.inside(service, PEAK).split()[0]) >> 20

    def prefect(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer to `body`, or else to a GET. Raises: httpx.HTTPError while the server is away."""
        auth = ("admin", self.secrets["PREFECT_PASSWORD"])
        with httpx.Client(base_url="http://127.0.0.1:4200/api/", auth=auth, timeout=allowed(60)) as client:
            answer = client.get(path) if body is None else client.post(path, json=body)
        return answer.raise_for_status().json()

    def start(self, deployment: str, parameters: dict[str, Any]) -> str:
        """A run of the deployment, by its id."""
        wanted = {"deployments": {"name": {"any_": [deployment]}}}
        (found,) = self.prefect("deployments/filter", wanted)
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.prefect(f"deployments/{found['id']}/create_flow_run", body)["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """The flow run; nothing while the server is away."""
        try:
            return dict(self.prefect(f"flow_runs/{run_id}"))
        except httpx.HTTPError:
            return {"state_type": "UNKNOWN"}

    def ended(self, run_id: str) -> dict[str, Any]:
        return wait_until(
            lambda: self.run(run_id),
            lambda run: run["state_type"] in ENDED,
            seconds=RELEASE_S,
            what="the end of the run",
        )

    def tasks(self, run_id: str) -> list[str]:
        """The names of its task runs that are completed."""
        body = {"flow_runs": {"id": {"any_": [run_id]}}, "limit": 200}
        try:
            found = self.prefect("task_runs/filter", body)
        except httpx.HTTPError:
            return []
        return [each["name"] for each in found if each["state_type"] == "COMPLETED"]


@contextmanager
def containers() -> Iterator[Containers]:
    """Builds the image and starts all services; in the end nothing of them is left but the image."""
    secrets = stack_secrets()
    with tempfile.TemporaryDirectory(prefix="docker-test-") as folder:
        env_file = Path(folder) / "env"
        env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()), encoding="utf-8")
        project = f"paddle-int8-test-{os.getpid()}"
        made = Containers(project=project, env_file=env_file, secrets=secrets, begun=time.monotonic())
        try:
            made.compose("build", seconds=STEP_S)
            size = int(docker("image", "inspect", IMAGE, "--format", "{{.Size}}"))
            made.say(f"built {IMAGE}: {size / 1e9:.2f} GB")
            made.compose("up", "--no-build", "--detach", "--wait", "--wait-timeout", "900", seconds=1000)
            made.say("all services are healthy")
            yield made
        finally:
            made.compose("down", "--volumes", "--timeout", "5", check=False)
