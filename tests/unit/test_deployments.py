"""The deployments in `prefect.yaml` match the code."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from paddle_int8.flows.server.automations.lost_heartbeat import HEARTBEAT_S, TAG
from paddle_int8.flows.server.deployments import pools
from paddle_int8.flows.server.deployments.registration import POOL_VARIABLE, deploy
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS = {each["name"]: each for each in PROJECT["deployments"]}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_deployment_names_a_flow_and_a_pool_that_exist(name: str) -> None:
    module, _, flow = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
    assert getattr(import_module(module), flow).name == flow.replace("_", "-")
    pool = DEPLOYMENTS[name]["work_pool"]["name"]
    assert pool in pools.NAMES or POOL_VARIABLE in pool


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_deployment_is_watched_by_the_automation_on_lost_runs(name: str) -> None:
    deployment = DEPLOYMENTS[name]
    assert TAG in deployment["tags"]
    environment = deployment["work_pool"]["job_variables"]["env"]
    assert environment == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S)}


def test_deployment_release_has_the_demo_as_its_defaults() -> None:
    assert ReleaseConfig.model_validate(DEPLOYMENTS["release"]["parameters"]["config"]) == load_config(
        ROOT / "configs" / "digits_mobilenet_v1.yaml"
    )


def test_pools_every_instruction_set_has_one() -> None:
    assert set(pools.POOLS) == set(IsaLevel)
    assert pools.host_pool() in pools.NAMES


def test_pools_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="skylke"):
        pools.require_pool("skylke")


def test_deploy_without_a_server_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ConfigError, match="prefect server start"):
        deploy(Settings(), ROOT / "prefect.yaml", "skylake")
