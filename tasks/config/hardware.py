"""What the host must be able to do."""

from __future__ import annotations

from enum import StrEnum

from pydantic import (
    Field,
)

from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.contracts.vocabulary import IsaLevel


class HardwarePolicy(StrEnum):
    """What to do on a host below the required instruction set."""

    REQUIRE = "require"
    WARN = "warn"
    IGNORE = "ignore"


class HardwareConfig(Section):
    """The instruction set that a release needs, and what happens on a host without it."""

    policy: HardwarePolicy = Field(
        default=HardwarePolicy.WARN,
        description="What happens on a host below `minimum_isa`: stop, warn, or ignore it.",
    )
    minimum_isa: IsaLevel = Field(
        default=IsaLevel.AVX512_CORE, description="Lowest instruction set that this release is meant for."
    )
