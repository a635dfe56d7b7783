"""What every section of a configuration is: strict, immutable, and drawable as a form."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from paddle_int8.tasks.contracts.keys import Incidental

HIGHEST_SEED = 2**32 - 1
"""What NumPy's older generators take, which PaddleSlim draws with."""


Pixels = Annotated[int, Field(ge=1)]


Limit = Incidental[float]
"""Seconds after which a step is ended."""


def _draw(schema: dict[str, Any]) -> None:
    """Makes of the schema what Prefect's run form can draw.

    Its database gives the keys of a nested schema back in another order, so each field gets its place; and
    it draws a choice among models as `anyOf` only, where pydantic says `oneOf`.
    """
    for position, field in enumerate(schema.get("properties", {}).values()):
        field["position"] = position
        if "const" in field:
            field["default"] = field["const"]  # the form shows a constant, but sends defaults only
        if "oneOf" in field:
            field["anyOf"] = field.pop("oneOf")
            field.pop("discriminator", None)


class Section(BaseModel):
    """Strict and immutable: an unknown key is an error, a loaded configuration does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra=_draw)
