"""What `docker-compose.yml` promises, and how it is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose import Host, Service, services
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.process.host_lock import PLACES

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
PROJECT: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
SECRETS = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
WORKER = ["paddle-int8", "worker"]
GIVEN = {name: f"secret-of-{name.lower()}" for name in SECRETS}


def read(variables: dict[str, str] = GIVEN, **ports: int) -> dict[str, Service]:
    host = Host(folder=Path("/here"), project=ROOT, ports={int(key[1:]): to for key, to in ports.items()})
    return {each.name: each for each in services(FILE, variables, host)}


@pytest.mark.parametrize("missing", SECRETS)
def test_stack_without_a_secret_refuses_to_start(missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        read(GIVEN | {missing: ""})


def test_stack_has_no_default_secret_and_asks_for_those_of_the_example() -> None:
    asked = re.findall(r"\$\{(\w+)(:[^}]*)?\}", FILE.read_text(encoding="utf-8"))
    assert {name for name, _ in asked} == set(SECRETS)
    assert all(rest.startswith(":?") for _, rest in asked)


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_pinned_limited_restarted_and_on_loopback(name: str) -> None:
    service = SERVICES[name]
    assert re.search(r":\d+\.\d+", service["image"])
    assert service["mem_limit"]
    assert service["restart"] in {"unless-stopped", "on-failure"}
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    if not service["image"].startswith("postgres:"):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    assert service.get("healthcheck") or name == "deploy"


def test_image_runs_as_a_user_without_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert next(line for line in reversed(lines) if line.startswith(("USER", "FROM"))) == "USER paddle"
    assert re.match(r"FROM python:3\.11\.\d+", next(line for line in lines if line.startswith("FROM")))


def test_no_secret_is_in_a_command_or_in_a_configuration_file() -> None:
    """Everybody on the host reads commands; and Compose cannot write a file into a read-only container."""
    for name, service in SERVICES.items():
        assert "${" not in str(service.get("command", ""))
        assert not service.get("configs") or not service.get("read_only"), name
    assert not any("${" in each["content"] for each in PROJECT["configs"].values())


def test_services_come_after_what_they_need() -> None:
    order = list(read())
    for name, service in SERVICES.items():
        assert all(order.index(need) < order.index(name) for need in service.get("depends_on", {}))


def test_containers_that_measure_share_the_lock_with_one_another_and_with_the_host() -> None:
    measuring = [name for name, service in SERVICES.items() if service.get("command", [])[:2] == WORKER]
    assert measuring
    for name in measuring:
        folder = SERVICES[name]["environment"]["PADDLE_INT8_LOCK_FOLDER"]
        assert f"{folder}:{folder}" in SERVICES[name]["volumes"]  # the host's folder, under the same name
        assert Path(folder) in PLACES
        assert read()[name].environment["PADDLE_INT8_LOCK_FOLDER"] == folder  # without containers too


def test_service_outside_its_container_keeps_its_command_on_other_ports_hosts_and_folders() -> None:
    found = read(p4200=14200, p5000=15000, p5432=15432)
    server, mlflow, worker = (found[name] for name in ("prefect-server", "mlflow", "worker"))
    assert server.command == ("prefect", "server", "start", "--host", "127.0.0.1", "--port", "14200")
    assert server.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == (
        f"postgresql+asyncpg://paddle_int8:{GIVEN['POSTGRES_PASSWORD']}@127.0.0.1:15432/prefect"
    )
    assert worker.environment["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:15000"
    assert worker.environment["PADDLE_INT8_HOME"] == "/here/worker/home"
    assert mlflow.environment["MLFLOW_AUTH_CONFIG_PATH"] == str(ROOT / "deploy" / "mlflow-auth.ini")
    assert (mlflow.environment["PGHOST"], mlflow.environment["PGPORT"]) == ("127.0.0.1", "15432")
    ((path, content),) = found["postgres"].files.items()
    assert (str(path), content) == ("/here/postgres/databases.sql", "CREATE DATABASE mlflow;")
    assert [name for name, each in found.items() if each.ends] == ["deploy"]
