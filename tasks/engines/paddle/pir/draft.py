"""An operator of Paddle 2.6 before it is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from paddle_int8.tasks.engines.paddle.pir.program import Plain


@dataclass(slots=True)
class Draft:
    """An operator of the legacy type `type`. Inputs and outputs: by slot, names of variables."""

    type: str
    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]
    attributes: dict[str, Plain] = field(default_factory=dict)
