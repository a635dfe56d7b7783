"""Decides whether a release may continue on this host."""

from __future__ import annotations

from paddle_int8.tasks.config.hardware import HardwareConfig, HardwarePolicy
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import HardwareError
from paddle_int8.tasks.hardware.levels import rank


def enforce(profile: HostProfile, config: HardwareConfig) -> tuple[str, ...]:
    """The warnings for the user: those of the profile, and one when the host is below `minimum_isa`.

    Raises: HardwareError when the host is below and the policy is `require`.
    """
    if config.policy is HardwarePolicy.IGNORE:
        return ()
    if rank(profile.isa) >= rank(config.minimum_isa):
        return profile.warnings
    found = f"{profile.cpu_model} ({profile.microarchitecture}) has {profile.isa}"
    if config.policy is HardwarePolicy.REQUIRE:
        raise HardwareError(
            found=found,
            required=f"{config.minimum_isa} or above (`hardware.minimum_isa`)",
            remedy="run on such a host, or set `hardware.policy: warn` to measure here all the same",
        )
    below = f"{found}, below the required {config.minimum_isa}: figures hold for this CPU only"
    return (below, *profile.warnings)
