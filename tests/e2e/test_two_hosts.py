"""One release on two hosts with separate disks: an object store is all they share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.e2e.command_line import variables
from tests.e2e.crashes import computed, kill, release
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

BUCKET = "models"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def object_store() -> Iterator[dict[str, str]]:
    """The environment in which a running S3-compatible server is the shared store."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    yield {**KEYS, "AWS_ENDPOINT_URL": endpoint, "PADDLE_INT8_SHARED_STORE": f"s3://{BUCKET}/int8"}
    server.stop()


def _objects(endpoint: str) -> set[str]:
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test", region_name="x"
    )
    return {str(each["Key"]) for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def test_release_killed_on_one_host_ends_on_another_with_what_the_first_had_computed(
    inputs: SmallInputs, tmp_path: Path, temporary: Path, object_store: dict[str, str]
) -> None:
    config = inputs.approvable(tmp_path / "release.yaml", "travelling")
    one, two = (variables(tmp_path / name, TMPDIR=str(temporary), **object_store) for name in ("one", "two"))
    kill(config, "pack bundle", "1", one)
    document = release(config, two)

    assert document["outcome"] == "approved"
    assert document["bundle"]["folder"].startswith(str(tmp_path / "two"))
    assert {step.split()[0] for step in computed(tmp_path / "one")} >= {"quantize", "convert", "measure"}
    assert not computed(tmp_path / "two"), "the second host computed anew what the first had"
    kinds = {key.split("/")[1] for key in _objects(object_store["AWS_ENDPOINT_URL"])}
    assert kinds >= {"models", "data", "quantized", "deployable", "evidence", "results", "bundles"}
    assert not [key for key in _objects(object_store["AWS_ENDPOINT_URL"]) if key.endswith(".part")]
