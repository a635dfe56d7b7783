"""What an engine is: it opens a model in the isolated process, runs it, and says what it really ran."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.artifacts import Bundle, DeployableArtifact, ModelArtifact, OperatorCensus
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, KernelAudit
from paddle_int8.tasks.contracts.vocabulary import IsaLevel

EngineSwitches = Any
"""How an engine opens a model: a type of the engine's own, which only its layouts name."""


class Predictor(Protocol):
    """A model that is open. Its names are in the model's order."""

    input_names: list[str]
    output_names: list[str]

    def run(self, feeds: Feed) -> list[Array]:
        """The outputs for a batch, one row a sample."""


class Audit(Protocol):
    """Runs `predictor` on `feed` and reports which kernels computed it."""

    def __call__(
        self,
        predictor: Predictor,
        feed: Feed,
        *,
        inferences: int,
        expect_int8: bool,
        census: OperatorCensus | None = None,
    ) -> KernelAudit:
        """Counts and times of one inference: the mean over the `inferences` that were run.

        expect_int8: False for an FP32 model, whose layers are not listed as having stayed FP32.
        census: the operators of the FP32 model. Those that no kernel accounts for count as not INT8.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRequest:
    """What a bundle is made of. `folder` is empty.

    switches: the layout's switches, with which the model was measured.
    strict: the bundle does not open on an instruction set that it was not validated on.
    """

    folder: Path
    deployable: DeployableArtifact
    model: ModelArtifact
    evidence: CandidateEvidence
    preprocessing: Preprocessing
    threads: int
    switches: EngineSwitches
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The record of an engine. All functions except `write_bundle` are called in the isolated process only.

    packages: installed packages whose versions decide what is computed. They count in the keys of steps.
    load: imports what the engine needs, so that this time is not counted as the model's.
    open: opens the model in a folder, with the layout's switches and as many threads as given.
        Raises: ModelFormatError when the model cannot be opened.
    audit: see `Audit`.
    isa: the instruction set that the engine uses in this process.
    write_bundle: fills the folder of a request with all that serving needs, by `fill_bundle` of
        `tasks.engines.bundle`. It brings a script whose function `open_bundle(folder)` opens a predictor that
        any number of threads may run, without this project.
    bundled: the files of a bundle without which it cannot be opened.
    digest: the digest of the model in a bundle; it equals the one that its conversion gave.
    open_bundle: opens a bundle for one thread, as it was validated.
    """

    name: str
    description: str
    packages: tuple[str, ...]
    load: Callable[[], object]
    open: Callable[[Path, EngineSwitches, int], Predictor]
    audit: Audit
    isa: Callable[[], IsaLevel]
    write_bundle: Callable[[BundleRequest], Bundle]
    bundled: tuple[str, ...]
    digest: Callable[[Path], str]
    open_bundle: Callable[[Path], Predictor]
