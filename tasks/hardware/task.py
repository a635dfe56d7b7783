"""The hardware check as a Prefect task."""

from __future__ import annotations

from paddle_int8.tasks.config.hardware import HardwareConfig
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.hardware.profile import host_profile
from paddle_int8.tasks.process.progress import WARNING
from paddle_int8.tasks.steps.step import stage, step, step_log


@step(name="hardware check")
def check_hardware(config: HardwareConfig) -> HostProfile:
    """The profile of this host. The step is never cached, since the next run may be on another host.

    Raises: HardwareError when the policy requires more than this CPU has.
    """
    with stage("hardware check") as summary:
        profile = host_profile(step_log("hardware-check"), config)
        summary.append(f"{profile.cpu_model}, {profile.isa} (oneDNN: {profile.onednn_isa})")
        summary.extend(f"{WARNING}{warning}" for warning in profile.warnings)
        return profile
