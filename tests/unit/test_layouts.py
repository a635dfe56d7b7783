"""The switches of predictors that run in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.engines.paddle.switches import BASELINE, BF16, CACHED_LENGTHS, CACHED_SHAPES
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.validation.request import MeasureRequest


@pytest.mark.parametrize("layout", LAYOUTS.names())
def test_baseline_and_references_keep_as_many_kernels_as_the_candidate_beside_them(layout: str) -> None:
    stand_in: Any = type("Artifact", (), {"folder": Path("x"), "candidate": type("", (), {"layout": layout})})
    request = MeasureRequest(
        **dict.fromkeys(("validation", "isa", "baseline_load"), cast(Any, None)),
        model=stand_in,
        deployable=stand_in,
        config=ValidationConfig(),
        confidence=0.95,
        emulated=False,
        folder=Path("x"),
        log=Path("x"),
        baseline_outputs=Path("x"),
    )
    kept = LAYOUTS.find(layout).switches.onednn_cache_capacity
    assert kept == (CACHED_LENGTHS if layout == "recurrent" else CACHED_SHAPES)
    for reference in (BASELINE, BF16):
        assert request.baseline_spec(reference).switches.onednn_cache_capacity == kept
