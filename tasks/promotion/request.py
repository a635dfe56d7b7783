"""The parameters of the flows that promote a version or roll a champion back."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from typing import TypeVar

from pydantic import Field, ValidationError

from paddle_int8.tasks.config.messages import config_error
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import ModelName
from paddle_int8.tasks.contracts.vocabulary import IsaLevel

R = TypeVar("R", bound=Section)


def require_model(name: str) -> str:
    """Returns `name`. Raises: ConfigError when a registered model cannot have this name."""
    return checked(RollbackRequest, {"model": name}).model


def checked(kind: type[R], fields: Mapping[str, object]) -> R:
    """The request with these fields. Raises: ConfigError that names the wrong ones."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise config_error(error, kind, "correct it; `--help` describes every option") from error


def current_user() -> str:
    """The user that runs this process."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no entry in /etc/passwd
        return f"uid {os.getuid()}"


class PromoteRequest(Section):
    """Which version becomes champion, and what it must prove against the present one."""

    model: ModelName = Field(description="Name of the registered model.")
    version: int | None = Field(
        default=None,
        ge=1,
        description="Version to promote. When it is left out, the version at the alias `challenger`.",
    )
    isa: IsaLevel | None = Field(
        default=None,
        description="Instruction set that the version becomes champion of (alias `champion-<isa>`). When it "
        "is left out, the version becomes champion for all (alias `champion`).",
    )
    max_drop_pp: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Percentage points by which the version may be worse than the present champion, on the "
        "same samples.",
    )
    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="One-sided confidence with which the drop must be within `max_drop_pp`.",
    )
    reason: str = Field(default="", max_length=2000, description="Why; kept in the record.")
    who: str = Field(
        default="",
        max_length=200,
        description="Who decides; kept in the record. When it is left out, the user that runs the flow.",
    )
    approval: bool = Field(
        default=False,
        description="Whether a person must agree after the checks passed. The run pauses until somebody "
        "answers under Resume on its page.",
    )
    approval_timeout_h: float = Field(
        default=24.0, gt=0, le=24 * 30, description="Hours after which the run fails without an answer."
    )


class RollbackRequest(Section):
    """Which champion goes back to the one before."""

    model: ModelName = Field(description="Name of the registered model.")
    isa: IsaLevel | None = Field(
        default=None,
        description="Instruction set whose champion (alias `champion-<isa>`) goes back. When it is left out, "
        "the champion for all (alias `champion`) does.",
    )
    reason: str = Field(default="", max_length=2000, description="Why; kept in the record.")
    who: str = Field(
        default="",
        max_length=200,
        description="Who decides; kept in the record. When it is left out, the user that runs the flow.",
    )
