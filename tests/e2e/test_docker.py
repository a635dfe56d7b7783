"""`make docker-test`: the image and the stack of `docker-compose.yml`, in Docker's own engine.

The image is built, every service runs in its container, a release, a promotion and a served prediction go
through them, and containers are killed meanwhile.
"""

from __future__ import annotations

import io
import socket
import tarfile
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from tests.e2e.docker.containers import DECLARED, IMAGE, SERVERS, Containers, containers
from tests.e2e.docker.engine import docker, missing, missing_images
from tests.e2e.servers import ENDED, answers, wait_until
from tests.e2e.small_inputs import SmallInputs
from tests.patience import allowed

pytestmark = [pytest.mark.paddle, pytest.mark.sweep, pytest.mark.timeout(3600)]

OURS = [name for name in SERVERS if name != "postgres"]
IN_THE_VOLUME = SmallInputs(folder=Path("/data/inputs"))
MODEL = "in-docker"
SERVED = 8000
LONG = 10_000
"""Timed calls of a model in a release: about ten seconds of measuring."""
SHARED = ("--volume", "/run/lock:/run/lock", "--env", "PADDLE_INT8_LOCK_FOLDER=/run/lock")
HOLDS = """
import time
from paddle_int8.tasks.process.host_lock import measuring
with measuring():
    print("measures", flush=True)
    time.sleep(30)
"""
ASKS = """
import time
from paddle_int8.tasks.process.host_lock import computing, not_excluded
begun = time.monotonic()
with computing():
    print(time.monotonic() - begun)
print(not_excluded() or "excluded")
"""
TWO_THIRDS = 11 << 27
"""Bytes: more than the limit of the small services, less than that of the worker."""


@pytest.fixture(scope="module")
def stack(inputs: SmallInputs) -> Iterator[Containers]:
    lacking = missing() or missing_images()
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}")
    with containers() as started:
        _send(started, inputs.folder)
        yield started


def test_image_holds_neither_build_tools_nor_tests_nor_the_build_s_arguments(stack: Containers) -> None:
    tools = "for each in uv gcc cc make git curl; do command -v $each; done"
    assert stack.inside("worker", f"{tools}; true") == ""
    assert stack.inside("worker", "find /app -type d -name tests") == ""
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE)
    assert not any(name in history for name in ("PIP_", "SSL_CERT"))
    assert docker("image", "inspect", IMAGE, "--format", "{{.Config.User}}").strip() == "paddle"
    stack.say("image: user paddle, no uv, compiler, make or git, no tests, no argument of the build")


def test_containers_that_share_a_folder_measure_in_turns_and_others_say_that_they_do_not(
    stack: Containers,
) -> None:
    name = f"{stack.project}-measures"
    python = ("--entrypoint", "python", IMAGE, "-c")
    docker("run", "--detach", "--rm", "--name", name, *SHARED, *python, HOLDS)
    wait_until(
        lambda: docker("logs", name), lambda said: "measures" in said, seconds=60, what="a measurement"
    )
    alone, warned = docker("run", "--rm", *python, ASKS).splitlines()
    assert float(alone) < 1
    assert "releases outside of this container do not wait for its measurements" in warned
    waited, excluded = docker("run", "--rm", *SHARED, *python, ASKS).splitlines()
    assert float(waited) > 1
    assert excluded == "excluded"
    stack.say(
        f"a container that shares the host's folder waited {float(waited):.0f} s for another's measurement"
    )


@pytest.mark.parametrize("service", SERVERS)
def test_container_has_the_limits_that_the_compose_file_declares(stack: Containers, service: str) -> None:
    declared, facts = DECLARED["services"][service], stack.facts(service)
    host = facts["HostConfig"]
    assert host["Memory"] == int(declared["mem_limit"].removesuffix("g")) << 30
    assert host["SecurityOpt"] == declared["security_opt"]
    assert host["RestartPolicy"]["Name"] == declared["restart"]
    assert host["ReadonlyRootfs"] is declared.get("read_only", False)
    assert facts["State"]["Health"]["Status"] == "healthy"
    published = [each for ports in (host["PortBindings"] or {}).values() for each in ports]
    assert {each["HostIp"] for each in published} <= {"127.0.0.1"}


@pytest.mark.parametrize("service", OURS)
def test_container_of_ours_has_no_rights_and_a_read_only_disk(stack: Containers, service: str) -> None:
    assert stack.inside(service, "id -u").strip() == "10001"
    status = dict(line.split(":\t") for line in stack.inside(service, "cat /proc/1/status").splitlines())
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert stack.inside(service, "touch /app/x || touch /home/paddle/x", check=False).count("Read-only") == 2
    assert stack.inside(service, "touch /tmp/x /data/x && rm /tmp/x /data/x && echo written") == "written\n"


def test_services_reach_each_other_by_name_and_the_host_reaches_loopback_only(stack: Containers) -> None:
    ask = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
    for name, port in (("prefect-server", 4200), ("mlflow", 5000), ("postgres", 5432), ("webhooks", 8090)):
        stack.inside("worker", f'python -c "{ask}" {name} {port}')
    for port in (4200, 5000, 8090):
        assert _is_open("127.0.0.1", port)
    assert not _is_open("127.0.0.1", 8080), "the worker's health is for its container alone"
    with httpx.Client(timeout=allowed(30)) as client:
        assert client.post("http://127.0.0.1:4200/api/flow_runs/filter", json={}).status_code == 401
        assert client.get("http://127.0.0.1:5000/api/2.0/mlflow/experiments/search").status_code == 401
        page = client.get("http://127.0.0.1:4200/", follow_redirects=True, auth=_admin(stack, "PREFECT"))
    assert "<html" in page.raise_for_status().text
    stack.say("networks: names resolve inside; outside, three ports on loopback, each behind a password")


def test_process_beyond_its_memory_limit_is_ended_and_no_other(stack: Containers) -> None:
    take = f"python -c 'bytearray({TWO_THIRDS})'; echo $?"
    before = {name: stack.facts(name)["State"]["Pid"] for name in SERVERS}
    assert "137" in stack.inside("webhooks", take, check=False).split()
    assert stack.inside("worker", take).split()[-1] == "0"
    assert {name: stack.facts(name)["State"]["Pid"] for name in SERVERS} == before
    stack.say("memory: a process of 1.4 GiB is ended beside the receiver (1 GiB), not in the worker (8 GiB)")


@pytest.mark.parametrize("service", OURS)
def test_health_check_fails_while_the_service_stands_still(stack: Containers, service: str) -> None:
    def failing() -> Any:
        return stack.facts(service)["State"]["Health"]["FailingStreak"]

    stack.signal(service, "STOP", all_of_it=True)
    try:
        wait_until(failing, bool, seconds=60, what="a failed health check")
    finally:
        stack.signal(service, "CONT", all_of_it=True)
    stack.wait_healthy(service)
    stack.say(f"health: the check of {service} fails while it stands still, and not any longer")


def test_model_is_released_promoted_and_served(stack: Containers, inputs: SmallInputs) -> None:
    _release(stack, MODEL)
    promoted = stack.ended(stack.start("promote", {"request": {"model": MODEL, "reason": "the test"}}))
    assert promoted["state_type"] == "COMPLETED", promoted["state"]["message"]
    stack.say(f"promoted: {promoted['state_name']}")
    taught = np.load(inputs.folder / "taught.npz")
    image, label = taught["image"][:16], taught["labels"][:16]
    with _serving(stack) as url:
        asked = httpx.post(url, json={"inputs": {"image": image.tolist()}}, timeout=allowed(60))
    (scores,) = asked.raise_for_status().json()["predictions"].values()
    right = int((np.asarray(scores).argmax(axis=1) == label).sum())
    stack.say(f"served: {right} of {len(label)} predictions are those of FP32")
    assert right >= 12
    for name in SERVERS:
        stack.say(f"memory at most: {name} {stack.peak_mib(name)} MiB")


@pytest.mark.parametrize("service", ["postgres", "prefect-server", "mlflow"])
def test_release_reaches_its_end_when_a_server_is_killed(stack: Containers, service: str) -> None:
    name = f"without-{service}"
    run_id = _begin(stack, name)
    wait_until(lambda: stack.tasks(run_id), lambda done: len(done) > 3, seconds=300, what="its first steps")
    stack.kill(service)
    assert stack.run(run_id)["state_type"] not in ENDED, "it was over before the kill"
    ended = stack.ended(run_id)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    stack.say(f"released {name}: {ended['state_name']}")
    stack.wait_healthy(service)


def test_release_whose_worker_was_killed_is_crashed_and_goes_on_with_retry(stack: Containers) -> None:
    run_id = _begin(stack, "without-worker")
    wait_until(lambda: stack.tasks(run_id), lambda done: len(done) > 3, seconds=300, what="its first steps")
    stack.kill("worker")
    ended = stack.ended(run_id)
    assert ended["state_type"] == "CRASHED", ended
    stack.say(f"its run is {ended['state_name']}: {ended['state']['message']}")
    stack.wait_healthy("worker")
    retry = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    stack.prefect(f"flow_runs/{run_id}/set_state", retry)
    again = stack.ended(run_id)
    assert again["state_type"] == "COMPLETED", again["state"]["message"]
    stack.say(f"after Retry: {again['state_name']}")


def _send(stack: Containers, folder: Path) -> None:
    """Packs the folder into the worker's volume, as `/data/inputs`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, "inputs")
    text = b64encode(packed.getvalue()).decode()
    stack.compose(
        "exec", "--no-TTY", "worker", "sh", "-c", "base64 -d | tar --no-same-owner -xzC /data", said=text
    )


def _begin(stack: Containers, name: str) -> str:
    """Starts a release of the small model."""
    file = stack.env_file.with_name(f"{name}.yaml")
    # of its own number of calls, so that it measures anew, and long enough for a kill to meet it
    validation = {"repeats": LONG + zlib.crc32(name.encode()) % 1000}
    made = IN_THE_VOLUME.approvable(file, name, validation=validation)
    config = yaml.safe_load(made.read_text(encoding="utf-8"))
    return stack.start("release", {"config": config})


def _release(stack: Containers, name: str) -> None:
    ended = stack.ended(_begin(stack, name))
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    stack.say(f"released {name}: {ended['state_name']}")


@contextmanager
def _serving(stack: Containers) -> Iterator[str]:
    """The champion in a container of its own, as limited as the services: the address that it answers at."""
    limits = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--memory", "2g", "--pids-limit", "100")
    user, password = _admin(stack, "MLFLOW")
    reach = {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_TRACKING_USERNAME": user,
        "MLFLOW_TRACKING_PASSWORD": password,
    }
    variables = (f"--env={name}={value}" for name, value in reach.items())
    serve = f"mlflow models serve --model-uri models:/{MODEL}@champion --env-manager local --host 0.0.0.0"
    network, port = f"--network={stack.project}_default", f"--publish=127.0.0.1::{SERVED}"
    started = docker(
        "run", "--detach", *limits, *variables, network, port, IMAGE, *serve.split(), "--port", str(SERVED)
    ).strip()
    try:
        address = docker("port", started, str(SERVED)).strip()
        wait_until(
            lambda: answers(f"http://{address}/health"),
            bool,
            seconds=120,
            what=f"the served model ({docker('logs', started, check=False)[-2000:]})",
        )
        yield f"http://{address}/invocations"
    finally:
        docker("rm", "--force", "--volumes", started)


def _admin(stack: Containers, server: str) -> tuple[str, str]:
    return "admin", stack.secrets[f"{server}_PASSWORD"]


def _is_open(host: str, port: int) -> bool:
    with closing(socket.socket()) as asked:
        asked.settimeout(5)
        return asked.connect_ex((host, port)) == 0
