"""A section that is one of several, as its key `kind` says: those of a registry."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, ClassVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from paddle_int8.tasks.config.choice import looked_up, unusable
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.contracts.errors import ConfigError


class OneOfKinds(Section):
    """A class below this one with `registry`, `package.module:REGISTRY`, stands for every kind in there.

    Each kind is a class below that one, whose `kind` is a `Literal`. The registry is looked up when a value
    is checked or a schema is drawn, so that a configuration stands below the packages that bring the kinds.
    """

    registry: ClassVar[str]
    kind: str

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if "registry" not in vars(cls):
            return handler(source)
        return core_schema.no_info_plain_validator_function(cls._checked)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if "registry" not in vars(cls):
            return handler(schema)
        return handler(_union(tuple(cls.kinds().values())).core_schema)

    @classmethod
    def kinds(cls) -> dict[str, type[Section]]:
        """The sections that it stands for, by kind: those that may be loaded here. Of one kind, nothing."""
        if "registry" not in vars(cls):
            return {}
        return {record.name: record.section for record in looked_up(cls.registry).usable()}

    @classmethod
    def _checked(cls, value: Any) -> Any:
        kind = value.get("kind") if isinstance(value, Mapping) else None
        registry, kinds = looked_up(cls.registry), cls.kinds()
        if kind in registry.names() and kind not in kinds:
            try:
                registry.find(kind)
            except ConfigError as error:
                raise unusable(error) from error
        return _union(tuple(kinds.values())).validate_python(value)


@cache
def _union(sections: tuple[type[Section], ...]) -> TypeAdapter[Any]:
    any_of_them: Any = Annotated[reduce(or_, sections), Field(discriminator="kind")]
    return TypeAdapter(any_of_them)
