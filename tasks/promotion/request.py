"""What a person or a schedule may ask of the registry: the parameters of the flows."""

from __future__ import annotations

import os
import pwd
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from paddle_int8.tasks.config.messages import config_error
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import ModelName
from paddle_int8.tasks.contracts.vocabulary import IsaLevel

R = TypeVar("R", bound=Section)


def require_model(name: str) -> str:
    """`name`, when a registered model can be called so. Raises: ConfigError."""
    return checked(RollbackRequest, {"model": name}).model


def checked(kind: type[R], fields: dict[str, Any]) -> R:
    """The request with these fields. Raises: ConfigError naming those that are wrong."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise config_error(error, kind, "correct it; `--help` describes every option") from error


def current_user() -> str:
    """The user that runs this process."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without an entry
        return f"uid {os.getuid()}"


class PromoteRequest(Section):
    """Which version becomes champion, and what it must prove against the present one."""

    model: ModelName = Field(description="Registered model.")
    version: int | None = Field(
        default=None,
        ge=1,
        description="Version to promote; without it the one that `challenger` points at.",
    )
    isa: IsaLevel | None = Field(
        default=None,
        description="Champion of one instruction set only (alias `champion-<isa>`); without it, of all.",
    )
    max_drop_pp: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Percentage points that it may be worse than the present champion, on the same samples.",
    )
    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="One-sided confidence of that bound.",
    )
    reason: str = Field(default="", max_length=2000, description="Kept in the record.")
    who: str = Field(
        default="",
        max_length=200,
        description="Kept in the record; without it, the user that runs the flow.",
    )
    approval: bool = Field(
        default=False,
        description="When the checks allow it, wait for a person's word, on the run's page under Resume.",
    )
    approval_timeout_h: float = Field(
        default=24.0, gt=0, le=24 * 30, description="Hours until the run fails without that word."
    )


class RollbackRequest(Section):
    """Whose champion goes back to the one before."""

    model: ModelName = Field(description="Registered model.")
    isa: IsaLevel | None = Field(
        default=None,
        description="Of the champion of one instruction set; without it, of the one of all.",
    )
    reason: str = Field(default="", max_length=2000, description="Kept in the record.")
    who: str = Field(
        default="",
        max_length=200,
        description="Kept in the record; without it, the user that runs the flow.",
    )
