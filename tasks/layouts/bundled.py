"""Which engine opens a bundle."""

from __future__ import annotations

import json
from pathlib import Path

from paddle_int8.tasks.engines import ENGINES
from paddle_int8.tasks.engines.engine import Engine
from paddle_int8.tasks.layouts import LAYOUTS


def engine_of(bundle: Path) -> Engine:
    """The engine of the layout that the bundle's `deployment.json` names.

    Raises: ConfigError when no package here has that layout.
    """
    deployment = json.loads((bundle / "deployment.json").read_text(encoding="utf-8"))
    return ENGINES.find(LAYOUTS.find(deployment["layout"]).engine)
