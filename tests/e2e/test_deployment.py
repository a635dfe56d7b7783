"""The deployments run on a real server."""

from __future__ import annotations

from paddle_int8.flows.server.deployments import pools
from tests.e2e.hurried import NIGHTLY
from tests.e2e.servers import PROJECT_FILE, PrefectServer
from tests.unit.test_deployments import DEPLOYMENTS


def test_deploy_registers_every_deployment_in_its_pool(deployed: PrefectServer) -> None:
    found = deployed.deployments()
    assert set(found) == set(DEPLOYMENTS)
    assert found["release"]["work_pool_name"] == pools.host_pool()
    assert found["release-cascadelake"]["work_pool_name"] == "cascadelake"


def test_deploy_again_updates_what_is_there(deployed: PrefectServer) -> None:
    before = {name: each["id"] for name, each in deployed.deployments().items()}
    deployed.deploy(deployed.folder / PROJECT_FILE.name)
    after = deployed.deployments()
    assert {name: each["id"] for name, each in after.items()} == before
    assert len(after[NIGHTLY]["schedules"]) == 1
