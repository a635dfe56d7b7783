"""A field of a configuration whose value is a name in a registry."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, LiteralString, Protocol, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from paddle_int8.tasks.contracts.errors import ConfigError

if TYPE_CHECKING:
    from paddle_int8.tasks.config.registry import Registry

UNKNOWN, UNUSABLE = "unknown_name", "unusable_name"
"""Types of errors: no record has the name, or one has it but may not be loaded or bears another name."""


class Record(Protocol):
    """A record of any kind: the only thing that all of them have is a name."""

    @property
    def name(self) -> str: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Choice(Generic[R]):
    """An annotation of a `str` field: `Annotated[str, Choice("package.module:REGISTRY")]`.

    The registry is imported only when a value is checked or a form is drawn. So this package need not import
    the packages whose names a configuration may hold, which lie in layers above it.
    """

    registry: str

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.known, core_schema.str_schema())

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"enum": list(self.names())}

    def names(self) -> tuple[str, ...]:
        """The names that the registry knows."""
        return looked_up(self.registry).names()

    def find(self, name: str) -> R:
        """The record of this name. Raises: ConfigError when there is none, or none that may be loaded."""
        record: R = looked_up(self.registry).find(name)
        return record

    def known(self, name: str) -> str:
        """`name`, when the registry has its record. Raises: PydanticCustomError when it has none."""
        try:
            return self.find(name).name
        except ConfigError as error:
            raise unusable(error, UNUSABLE if name in self.names() else UNKNOWN) from error


def looked_up(registry: str) -> Registry[Any]:
    """The registry that `package.module:REGISTRY` names."""
    module, _, constant = registry.partition(":")
    found: Registry[Any] = getattr(import_module(module), constant)
    return found


def unusable(error: ConfigError, kind: LiteralString = UNUSABLE) -> PydanticCustomError:
    """The error for pydantic about a name whose record cannot be loaded."""
    return PydanticCustomError(
        kind,
        "{found}; required: {required}; {remedy}",
        {"found": error.found, "required": error.required, "remedy": error.remedy},
    )
