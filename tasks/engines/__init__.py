"""The engines, which run models. Each folder holds one; the FP32 baseline runs on Paddle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.config.registry import Registry

if TYPE_CHECKING:  # what a record looks like decides no result, and this module is in every key
    from paddle_int8.tasks.engines.engine import Engine

ENGINES: Registry[Engine] = Registry(
    noun="engine", package=__name__, constant="ENGINE", group="paddle_int8.engines"
)
