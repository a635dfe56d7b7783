"""What a bundle says of itself: which engine opens it, and what goes in."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.engines import ENGINES
from paddle_int8.tasks.engines.bundle import DEPLOYMENT
from paddle_int8.tasks.engines.engine import Engine
from paddle_int8.tasks.layouts import LAYOUTS


def engine_of(bundle: Path) -> Engine:
    """The engine of the layout that the bundle's `deployment.json` names.

    Raises: ConfigError when no package here has that layout.
    """
    return ENGINES.find(LAYOUTS.find(str(_deployment(bundle)["layout"])).engine)


def bundle_inputs(bundle: Path) -> tuple[TensorSpec, ...]:
    """The model's inputs, as the bundle's `deployment.json` lists them."""
    return TypeAdapter(tuple[TensorSpec, ...]).validate_python(_deployment(bundle)["inputs"])


def _deployment(bundle: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((bundle / DEPLOYMENT).read_text(encoding="utf-8"))
    return found
