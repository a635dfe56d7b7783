"""How `benchmarks.accuracy_control` counts the evaluations of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy_control import answered, summarised


def candidate(samples: int, *kept: str, drop_pp: float = 0.0, ratio: float = 1.0) -> dict[str, Any]:
    """A candidate of a release's document, with what the comparison reads of it."""
    measured = {
        "metrics": [{"samples": samples, "drop_pp": drop_pp, "drop_upper_pp": drop_pp + 1}],
        "audit": {"int8_primitives": 7 - len(kept)},
        "latency": {"speedup": {"ratio": ratio}},
    }
    overrides = [[tensor, "fp32"] for tensor in kept]
    return {
        "candidate": {"algorithm": "hist", "layout": "qdq", "overrides": overrides},
        "per_isa": [measured],
    }


def released(*candidates: dict[str, Any], chosen: int) -> dict[str, Any]:
    return {
        "outcome": "approved",
        "candidates": list(candidates),
        "chosen": candidates[chosen]["candidate"],
        "validation": {"samples": candidates[chosen]["per_isa"][0]["metrics"][0]["samples"]},
    }


def test_candidates_count_by_the_share_of_the_samples_that_they_were_measured_on() -> None:
    found = summarised(
        released(
            candidate(300, drop_pp=40.0, ratio=1.5),
            candidate(300, "a", "b", "c"),
            candidate(700, "a", drop_pp=0.2, ratio=1.4),
            chosen=2,
        )
    )
    assert found["evaluations"] == pytest.approx(1 + 3 * 0.3 + 0.7)
    assert (found["kept"], found["layers"], found["names"]) == (1, 7, ["a"])
    assert found["kept_in"] == "fp32"
    assert (found["whole_drop_pp"], found["unseen_drop_pp"]) == (40.0, 0.2)
    assert found["speedup"] == {"whole": 1.5, "final": 1.4}


def test_drop_of_a_mix_has_a_bound(tmp_path: Path) -> None:
    right = np.ones(1000, bool)
    np.savez(tmp_path / "right.npz", fp32=right, final=np.arange(1000) >= 5)
    found = answered(tmp_path / "right.npz")
    assert (found["fp32"], found["drop_pp"]) == (1.0, pytest.approx(0.5))
    assert 0.5 < found["upper_pp"] < 1.5
