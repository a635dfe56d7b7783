"""How Paddle's engine opens, runs and audits a model. The functions run in the isolated process only."""

from __future__ import annotations

from pathlib import Path

from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import OperatorCensus
from paddle_int8.tasks.contracts.evidence import KernelAudit
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.engine import Predictor
from paddle_int8.tasks.engines.paddle.audit import kernels
from paddle_int8.tasks.engines.paddle.audit.verbose import recorded
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.switches import Switches
from paddle_int8.tasks.hardware.onednn import effective_isa


def load() -> None:
    """Imports Paddle."""
    import paddle  # noqa: F401


def open_model(folder: Path, switches: Switches, threads: int) -> Predictor:
    """Opens a model. Raises: ModelFormatError when files are missing or Paddle refuses them."""
    return open_predictor(spec_of(folder, switches, threads))


def audit(
    predictor: Predictor,
    feed: Feed,
    *,
    inferences: int,
    expect_int8: bool,
    census: OperatorCensus | None = None,
) -> KernelAudit:
    """The kernels that ran, as oneDNN's own log names them."""
    lines = recorded(lambda: predictor.run(feed), inferences=inferences)
    return kernels.audit(lines, inferences=inferences, expect_int8=expect_int8, census=census)


def isa() -> IsaLevel:
    """The instruction set that oneDNN uses in this process."""
    return effective_isa()
