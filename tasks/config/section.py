"""The base of every section of a configuration: strict, immutable, and drawable as a form."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from paddle_int8.tasks.contracts.keys import Incidental

HIGHEST_SEED = 2**32 - 1
"""The highest seed that NumPy's legacy generators accept, which PaddleSlim uses."""


Pixels = Annotated[int, Field(ge=1)]


Limit = Incidental[float]
"""Seconds after which a step is stopped. A limit decides no result, so it is in no cache key."""


def _draw(schema: JsonDict) -> None:
    """Changes a JSON schema, in place, into one that Prefect's run form can draw.

    Prefect's database returns the keys of a nested schema in another order, so each field is given its
    position. And the form draws a choice among models only from `anyOf`, where pydantic writes `oneOf`.
    """
    fields = cast("dict[str, JsonDict]", schema.get("properties", {}))
    for position, field in enumerate(fields.values()):
        field["position"] = position
        if "const" in field:
            field["default"] = field["const"]  # the form shows a constant, but sends defaults only
        if "oneOf" in field:
            field["anyOf"] = field.pop("oneOf")
            field.pop("discriminator", None)


class Section(BaseModel):
    """One section of a configuration: an unknown key is an error, and a loaded section cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra=_draw)
