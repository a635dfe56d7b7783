"""Every error that the pipeline raises on purpose.

PipelineError
├── ConfigError         a YAML file or a command line that cannot be used
├── HardwareError       this host is below the required instruction set
├── DataError           calibration or validation data that cannot be trusted
├── ModelFormatError    model files that are missing, truncated or of another format
├── QuantizationError   a model could not be quantized
├── ConversionError     a quantized model could not be turned into a deployable one
├── MeasurementError    accuracy, latency or kernels could not be measured
├── TrainingError       a training run failed or diverged
├── StorageError        an artifact could not be written whole
├── RegistryError       MLflow could not be reached, or refused
├── InstallationError   a package in a version that this project was not tested with
└── IsolatedProcessError  a child process died, hung or was killed

A rejected candidate is a verdict, not an error.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path


class PipelineError(Exception):
    """An error whose message says what was found, what is required, and how to remedy it.

    `__reduce__` keeps the three parts when the error is pickled to another process.
    """

    def __init__(self, *, found: str, required: str, remedy: str) -> None:
        self.found = found
        self.required = required
        self.remedy = remedy
        super().__init__(f"found: {found}\nrequired: {required}\nremedy: {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.found, self.required, self.remedy)


def _rebuild(error_type: type[PipelineError], found: str, required: str, remedy: str) -> PipelineError:
    return error_type(found=found, required=required, remedy=remedy)


class ConfigError(PipelineError):
    """A configuration file or a command line that cannot be used."""


class HardwareError(PipelineError):
    """This host is below the instruction set that the release requires."""


class DataError(PipelineError):
    """Calibration or validation data that cannot be trusted."""


class ModelFormatError(PipelineError):
    """Model files that are missing, truncated or of a format that cannot be read."""


class QuantizationError(PipelineError):
    """The model could not be quantized."""


class ConversionError(PipelineError):
    """A quantized model could not be turned into a deployable one."""


class MeasurementError(PipelineError):
    """Accuracy, latency or kernels could not be measured."""


class TrainingError(PipelineError):
    """A training run failed or diverged."""


class StorageError(PipelineError):
    """An artifact could not be written whole."""


class RegistryError(PipelineError):
    """MLflow could not be reached, or refused."""


class InstallationError(PipelineError):
    """A package is installed in a version that this project was not tested with."""


class IsolatedProcessError(PipelineError):
    """A child process died, hung past its limit, or was killed."""


def storage_error(error: OSError, root: Path) -> StorageError:
    """`error` as a StorageError about the store at `root`, with the space that is left on its disk."""
    free = shutil.disk_usage(root if root.exists() else root.anchor).free
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StorageError(
        found=f"{error.strerror or error} ({error.filename or root}), {free >> 20} MiB free",
        required="room for the artifact" if full else f"a writable folder {root}",
        remedy="free space or set PADDLE_INT8_HOME to a larger disk"
        if full
        else "set PADDLE_INT8_HOME to a folder that you may write",
    )
