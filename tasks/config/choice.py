"""A field of a configuration whose value is a name in a registry."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from paddle_int8.tasks.contracts.errors import ConfigError

if TYPE_CHECKING:
    from paddle_int8.tasks.config.registry import Registry


UNKNOWN_NAME = "unknown_name"
"""Pydantic's type of the error for a name that cannot be found; its context is a ConfigError's parts."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Annotates a `str`: `Annotated[str, Choice("package.module:REGISTRY")]`.

    The registry is looked up when a value is checked or a schema is drawn, so that a configuration stands
    below the packages whose names it may hold.
    """

    registry: str

    def names(self) -> tuple[str, ...]:
        """Those that a configuration may hold."""
        return self._looked_up().names()

    def record(self, name: str) -> Any:
        """What stands behind a name. Raises: ConfigError, as `Registry.find` does."""
        return self._looked_up().find(name)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, core_schema.str_schema())

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"enum": list(self.names())}

    def _known(self, name: str) -> str:
        try:
            return str(self.record(name).name)
        except ConfigError as error:
            raise PydanticCustomError(
                UNKNOWN_NAME,
                "{found}; required: {required}; {remedy}",
                {"found": error.found, "required": error.required, "remedy": error.remedy},
            ) from error

    def _looked_up(self) -> Registry[Any]:
        module, _, constant = self.registry.partition(":")
        registry: Registry[Any] = getattr(import_module(module), constant)
        return registry
