"""The variables of the environment, from the settings that read them."""

from __future__ import annotations

from pydantic import AliasChoices, AliasPath
from pydantic.fields import FieldInfo

from docs.generate.schema import table
from paddle_int8.tasks.config.settings import Settings

INTERNAL = frozenset({"flow_run_id"})
"""Set by Prefect for the processes that it starts, never by people."""


def environment(_name: str) -> str:
    fields = Settings.model_fields.items()
    rows = [
        (f"`{_variable(name, field)}`", _default(field), field.description or "")
        for name, field in fields
        if name not in INTERNAL
    ]
    return table(("variable", "default", ""), rows)


def _variable(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    if alias is None:
        return f"{Settings.model_config.get('env_prefix', '')}{name}".upper()
    assert not isinstance(alias, AliasPath | AliasChoices)
    return alias


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "not set"
    return f"`{','.join(field.default) if isinstance(field.default, tuple) else field.default}`"
