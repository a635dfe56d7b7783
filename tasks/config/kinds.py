"""A section that can be of several kinds, which a registry holds; its key `kind` says which one it is."""

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
    """A subclass with the attribute `registry` stands for every kind in that registry.

    Example: `Source` has `registry = "paddle_int8.tasks.data.sources:SOURCES"`. Each kind, such as
    `NpzSource`, is a subclass of `Source` whose `kind` is a `Literal`. The registry is imported only when a
    value is checked or a schema is drawn, since the packages with the kinds lie in layers above this one.
    """

    registry: ClassVar[str]
    kind: str

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
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
        """The sections that the class stands for and that may be loaded here, by kind.

        A class that is a kind itself stands for none.
        """
        if "registry" not in vars(cls):
            return {}
        return {record.name: record.section for record in looked_up(cls.registry).usable()}

    @classmethod
    def _checked(cls, value: object) -> object:
        kind = value.get("kind") if isinstance(value, Mapping) else None
        registry, kinds = looked_up(cls.registry), cls.kinds()
        if kind in registry.names() and kind not in kinds:
            try:
                registry.find(kind)
            except ConfigError as error:
                raise unusable(error) from error
        return _union(tuple(kinds.values())).validate_python(value)


@cache
def _union(sections: tuple[type[Section], ...]) -> TypeAdapter[object]:
    any_of_them: Any = Annotated[reduce(or_, sections), Field(discriminator="kind")]
    return TypeAdapter(any_of_them)
