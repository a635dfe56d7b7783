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


@dataclass(frozen=True, slots=True)
class Choice:
    """An annotation of a `str` field: `Annotated[str, Choice("package.module:REGISTRY")]`.

    The registry is imported only when a value is checked or a form is drawn. So this package need not import
    the packages whose names a configuration may hold, which lie in layers above it.
    """

    registry: str

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, core_schema.str_schema())

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"enum": list(self._looked_up().names())}

    def _known(self, name: str) -> str:
        try:
            return str(self._looked_up().find(name).name)
        except ConfigError as error:
            raise PydanticCustomError(
                "unknown_name",
                "{found}; required: {required}; {remedy}",
                {"found": error.found, "required": error.required, "remedy": error.remedy},
            ) from error

    def _looked_up(self) -> Registry[Any]:
        module, _, constant = self.registry.partition(":")
        registry: Registry[Any] = getattr(import_module(module), constant)
        return registry
