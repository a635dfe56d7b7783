"""A flow's parameter, of which Prefect tells mistakes in the words of a configuration."""

from __future__ import annotations

from functools import partial
from typing import Annotated, TypeVar

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from paddle_int8.tasks.config.messages import config_error
from paddle_int8.tasks.config.section import Section

REMEDY = "correct the parameters, and start the run again"

T = TypeVar("T", bound=Section)


class _InOurWords:
    """Has a section's mistakes told as those of a file are. The section's JSON schema stays what it is.

    Prefect validates the parameters of a flow before the flow runs, and repeats what pydantic says.
    """

    def __get_pydantic_core_schema__(self, kind: type[Section], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(partial(_validated, kind), handler(kind))


def _validated(
    kind: type[Section], value: object, validate: core_schema.ValidatorFunctionWrapHandler
) -> object:
    try:
        return validate(value)
    except ValidationError as error:
        told = config_error(error, kind, REMEDY)
        raise PydanticCustomError("parameter", "{told}", {"told": str(told)}) from error


Parameter = Annotated[T, _InOurWords()]
