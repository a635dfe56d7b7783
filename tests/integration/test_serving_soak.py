"""A served model under many clients, in the pyfunc and in `mlflow models serve`; bad requests among good."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.serving.models import Served, build
from benchmarks.serving.server import Server, serving
from benchmarks.serving.shapes import run_all
from benchmarks.serving.soak import CLIENTS, soaks
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.process.isolated import run_isolated
from tests.patience import allowed

pytestmark = pytest.mark.paddle
REQUESTS = 320
SIZES, SIZE_MIB = 100, 2.0
"""How many sizes of pictures, and the most memory that the kernels of one take in this model."""
GROWTH_MIB = 100
"""Most that a server may grow after the first fifth of its requests."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Served]:
    return build(tmp_path_factory.mktemp("served"), ("qdq", "gru"))


@pytest.mark.parametrize("predictors", [1, 2])
@pytest.mark.parametrize("name", ["qdq", "gru"])
def test_answer_to_each_of_sixteen_clients_is_its_own_and_memory_stays(
    served: dict[str, Served], name: str, predictors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_INT8_PREDICTORS", str(predictors))
    for soak in soaks(served[name], REQUESTS, tmp_path, clients=CLIENTS, through=("pyfunc", "http")):
        assert soak.errors == ()
        assert soak.right == soak.requests == REQUESTS
        memory = [mib for _, mib in soak.settled]
        assert max(memory) - memory[0] < GROWTH_MIB, soak.memory


def test_memory_stays_within_its_bound_over_many_picture_sizes(
    served: dict[str, Served], tmp_path: Path
) -> None:
    """Each size takes memory for its kernels, and as many sizes as are kept; the last ones take no more."""
    deployment = json.loads((served["qdq"].bundle / "deployment.json").read_text(encoding="utf-8"))
    kept = deployment["switches"]["onednn_cache_capacity"]
    few, more = (
        run_isolated(
            run_all, served["qdq"], each, SIZES, step="shapes", log=tmp_path / "log", timeout_s=300
        ).memory_mib
        for each in (kept, SIZES)
    )
    assert kept < SIZES / 3
    assert max(few) < kept * SIZE_MIB
    assert max(few) < max(more) / 2


def asked(server: Server, inputs: Mapping[str, Any]) -> httpx.Response:
    body = {name: np.asarray(values).tolist() for name, values in inputs.items()}
    return httpx.post(f"{server.url}/invocations", json={"inputs": body}, timeout=allowed(60))


@pytest.mark.parametrize(
    ("name", "bad", "said"),
    [
        ("qdq", {"image": np.zeros((0, 3, 32, 32))}, "image"),
        ("qdq", {"picture": [[1.0]]}, "image"),
        ("qdq", {"image": np.zeros((1, 1, 32, 32))}, "(1, 1, 32, 32)"),
        ("gru", {"words": [[[1], [2]]], f"words{LENGTHS}": [0]}, "sequence 0 is empty"),
        ("gru", {"words": [[[1], [2]]], f"words{LENGTHS}": [3]}, "do not fit"),
    ],
    ids=["no picture", "another name", "another shape", "empty sequence", "lengths beyond"],
)
def test_bad_request_is_told_why_and_the_next_is_answered(
    served: dict[str, Served], name: str, bad: dict[str, Any], said: str, tmp_path: Path
) -> None:
    model, good = served[name], served[name].request(3)
    with serving(str(model.model), f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "serving.log") as server:
        before, refused, after = (asked(server, inputs) for inputs in (good, bad, good))
    assert refused.status_code >= httpx.codes.BAD_REQUEST
    assert said in refused.text
    assert before.raise_for_status().json() == after.raise_for_status().json()
