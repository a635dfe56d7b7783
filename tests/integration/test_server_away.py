"""A Prefect server that is away while a release builds its candidates is not asked for anything."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from paddle_int8.flows.releasing import candidates
from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.contracts.artifacts import Candidate

INPUTS: Any = SimpleNamespace(config=SimpleNamespace(conversion=ConversionConfig()))


def test_conversion_begins_without_a_request_for_the_state_of_its_quantization(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    @task
    def quantize() -> str:
        goes_on.wait(60)
        return "quantized"

    @task
    def convert(quantized: str, section: ConversionConfig) -> str:
        return f"{quantized} and converted"

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def build() -> str:
        quantized: Any = quantize.submit()
        monkeypatch.setattr("prefect.futures.get_client", away)
        threading.Timer(1, goes_on.set).start()
        built: Any = candidates._convert(INPUTS, quantized, Candidate(algorithm="hist", layout="qdq"))
        return str(built.result())

    monkeypatch.setattr(candidates, "convert", convert)
    assert build() == "quantized and converted"


def away(**_: object) -> None:
    raise httpx.ConnectError("the server is away")
