"""The budget of a search: how many candidates, and for how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from paddle_int8.flows.releasing.budget import Budget
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.quantization import QuantizationConfig, SearchConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.evidence import FailedCandidate
from tests.unit.test_config import changed

GRID = QuantizationConfig(algorithms=("hist", "KL")).candidates()
TRIED = [FailedCandidate(candidate=each, step="quantize", error="") for each in GRID]


@pytest.fixture(autouse=True)
def no_flow() -> Iterator[None]:
    with disable_run_logger():
        yield


def test_without_a_budget_everything_is_allowed() -> None:
    assert Budget(SearchConfig()).allowed(GRID, []) == GRID
    assert Budget(SearchConfig()).allowed(GRID[:1], TRIED) == GRID[:1]


@pytest.mark.parametrize(("most", "tried", "left"), [(3, 0, 3), (5, 4, 1), (4, 4, 0), (3, 4, 0)])
def test_candidates_are_counted_with_those_that_were_tried(most: int, tried: int, left: int) -> None:
    assert Budget(SearchConfig(candidates=most)).allowed(GRID, TRIED[:tried]) == GRID[:left]


def test_after_its_minutes_nothing_more_is_begun_but_something_was() -> None:
    over = Budget(SearchConfig(minutes=1), began=time.monotonic() - 61)
    assert over.allowed(GRID, []) == GRID
    assert over.allowed(GRID, TRIED) == ()
    assert Budget(SearchConfig(minutes=1), began=time.monotonic() - 30).allowed(GRID, TRIED) == GRID


@pytest.mark.parametrize(("key", "required"), [("minutes", "a number above 0"), ("candidates", "1")])
def test_budget_of_zero_is_refused(key: str, required: str, tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(changed_text({"search": {key: 0}}), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert f"quantization.search.{key}" in str(refused.value)
    assert required in refused.value.required


def changed_text(quantization: object) -> str:
    import yaml

    return yaml.safe_dump(changed("") | {"quantization": quantization})
