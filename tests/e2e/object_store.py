"""An S3-compatible server that serves as the shared store of several hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "models"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStore:
    """`environment` makes it the shared store of a program."""

    endpoint: str
    environment: dict[str, str]

    def keys(self) -> set[str]:
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_DEFAULT_REGION"],
        )
        return {str(each["Key"]) for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


@contextmanager
def running_store(prefix: str) -> Iterator[ObjectStore]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        shared = {"AWS_ENDPOINT_URL": endpoint, "PADDLE_INT8_SHARED_STORE": f"s3://{BUCKET}/{prefix}"}
        yield ObjectStore(endpoint=endpoint, environment=KEYS | shared)
    finally:
        server.stop()
