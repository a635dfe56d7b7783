"""Opens any model of a release for measurement. Runs in the isolated process only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.files import MODEL_FILENAME, PARAMS_FILENAME
from paddle_int8.tasks.engines.paddle.serving import Predictor, opened, paddle_config
from paddle_int8.tasks.engines.paddle.switches import Switches


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorSpec:
    """A model, and how to run it. `params` is None when each parameter has a file beside `program`."""

    program: Path
    params: Path | None
    switches: Switches
    threads: int


def spec_of(folder: Path, switches: Switches, threads: int) -> PredictorSpec:
    """The spec of the model in an artifact's folder, whose file names are fixed."""
    return PredictorSpec(
        program=folder / MODEL_FILENAME, params=folder / PARAMS_FILENAME, switches=switches, threads=threads
    )


def open_predictor(spec: PredictorSpec) -> Predictor:
    """Loads and optimises the model; the kernels themselves are built by the first run.

    Raises: ModelFormatError when files are missing or Paddle refuses them.
    """
    for path in filter(None, (spec.program, spec.params)):
        if not path.is_file():
            raise ModelFormatError(
                found=f"no file {path}",
                required="the program and its parameters",
                remedy="run the step that writes it again; a store must not be edited by hand",
            )
    try:
        switches = asdict(spec.switches)
        return opened(paddle_config(spec.program, spec.params, switches, spec.threads), switches)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelFormatError(
            found=f"Paddle Inference cannot open {spec.program}: {error}",
            required="a model that Paddle Inference 2.6 loads",
            remedy="copy or export the model again; for a quantized one, quantize again",
        ) from error
