"""Candidates of a release share what its calibrations observe, and so do later releases of the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import variables
from tests.e2e.crashes import computed, release
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

LAYOUTS = ("offline", "qdq")


def test_another_algorithm_costs_its_own_candidates_and_one_kind_of_calibration_at_most(
    inputs: SmallInputs, tmp_path: Path, temporary: Path
) -> None:
    home = tmp_path / "home"
    environment = variables(home, TMPDIR=str(temporary))

    def made(*algorithms: str) -> dict[str, Any]:
        grid = {"algorithms": list(algorithms), "layouts": list(LAYOUTS)}
        config = inputs.approvable(tmp_path / "release.yaml", "shared", quantization=grid)
        return release(config, environment)

    first = made("abs_max")
    assert len(first["candidates"]) == 2
    assert calibrations_and_candidates(home) == (1, 2)
    made("abs_max", "avg", "mse")  # PaddleSlim's `mse` rounds differently for each of the two layouts
    assert calibrations_and_candidates(home) == (3, 6)


def calibrations_and_candidates(home: Path) -> tuple[int, int]:
    """How many of each ran in this home, in all of its releases."""
    steps = computed(home)
    return tuple(  # type: ignore[return-value]
        sum(times for step, times in steps.items() if step.startswith(kind))
        for kind in ("calibrate", "quantize")
    )
