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
    policy: HardwarePolicy = Field(
        default=HardwarePolicy.WARN, description="On a host below `minimum_isa`: stop, warn, or ignore."
    )
    minimum_isa: IsaLevel = Field(
        default=IsaLevel.AVX512_CORE, description="Lowest instruction set that this release is for."
    )
