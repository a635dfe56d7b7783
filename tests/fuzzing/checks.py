"""The checks of one graph, by the product's own code. They run in a process that may die."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import ConversionConfig, QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.errors import ModelFormatError, PipelineError
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.audit.kernels import audit
from paddle_int8.tasks.engines.paddle.audit.verbose import VerboseRecorder
from paddle_int8.tasks.engines.paddle.blocks import is_skipped
from paddle_int8.tasks.engines.paddle.census import QUANTIZABLE
from paddle_int8.tasks.engines.paddle.conversion.mixed_signs import MIXED_PRODUCTS
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import RNN, prepare_model
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_with
from paddle_int8.tasks.engines.paddle.switches import BASELINE, NATIVE_FP32, Switches
from paddle_int8.tasks.hardware.levels import VNNI
from paddle_int8.tasks.hardware.onednn import effective_isa
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import ConversionRequest
from paddle_int8.tasks.validation import simulation
from tests.fuzzing.graphs import Graph
from tests.fuzzing.network import Feed, disturbed, export, samples
from tests.fuzzing.shortcuts import one_conversion
from tests.fuzzing.stored import as_stored, narrow_factors
from tests.integration.small_release import prepare

Outputs = list[Any]

BATCH, SAMPLES = 8, 32
"""The samples of one calibration batch; and all samples, which are calibrated and then compared in one batch.
Both are the same samples, so that INT8 clips nothing that the simulation leaves alone."""
FP32_TOLERANCE, FP32_ROUNDING = 1e-4, 1e-6
"""The tolerated difference, as a fraction of an output's greatest value; and the relative error of the
inputs by which a graph's own sensitivity is measured. `SENSITIVITY` times the change that this causes is
tolerated too."""
SENSITIVITY = 10
TIED = 0.01
"""The share of classes that may differ although a small change of the inputs changes none of them. Functions
such as `tanh` make large values equal but for the last bit, in which two engines differ."""
LOST_DB = {"offline": 6.0, "qdq": 6.0, "offline_7bit": 12.0}
"""How far INT8 may lie below the simulation, that of `offline_7bit` below one with 7-bit weights, which are
rounded twice, to 8 bits and then to 7: odd ones lie midway, and it is chance which way each of them goes."""
ENOUGH_DB = 45.0
"""A simulation above this has rounded nothing to speak of; INT8 need not be better than this less what it may
lose."""
TIE = 1e-3
"""Moves what lies midway between two integers, and nothing else."""
CHANCES = 4
"""How often midway weights are moved by chance, to find what they may cost."""
COMPARED = ("qdq", "offline", "offline_7bit")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check that failed. check: `prepare`, `onednn`, `legacy`, `sqnr`, `batch`, `share`, `error` or
    `died`."""

    check: str
    where: str
    detail: str


@dataclass(slots=True)
class Result:
    """What was found of one graph. `refused` is the message of a model that `load model` refuses by name.

    stored: outputs that are coarser than PaddleSlim's simulation, as what INT8 kernels store explains.
    seconds: of the processor, so that what else the machine does is not in them.
    """

    seed: int
    operators: int
    findings: list[Finding] = field(default_factory=list)
    refused: str = ""
    repairs: dict[str, int] = field(default_factory=dict)
    int8: dict[str, tuple[int, int]] = field(default_factory=dict)
    lost_db: dict[str, float] = field(default_factory=dict)
    stored: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Checks:
    """The checks of one graph, in a folder of its own."""

    def __init__(self, graph: Graph, folder: Path, *, int8: bool = True) -> None:
        self._graph, self._folder, self._int8 = graph, folder, int8
        self._stored: dict[int, dict[str, float]] = {}
        self.result = Result(graph.seed, len(graph.nodes))

    def run(self) -> Result:
        with self._timed("export"):
            export(self._graph, self._folder / "exported")
        with self._guarded("load model"):
            model = self._fp32()
            if model is not None and self._int8:
                promised = model.census.quantizable - _hidden(self._folder / "fp32")
                if promised:
                    self._quantized(model, promised)
        return self.result

    def _fp32(self) -> ModelArtifact | None:
        """The prepared model; None where it is refused or the graph has no finite answer."""
        exported, prepared = self._folder / "exported", self._folder / "fp32"
        feed = samples(self._graph, SAMPLES, 1)
        with self._timed("exact"):
            exact, nearly = simulation.outputs(exported, [feed, disturbed(feed, FP32_ROUNDING)])
        if not all(np.isfinite(values).all() for values in exact):
            self.result.refused = "not finite"
            return None
        try:
            with self._timed("prepare"):
                model = prepare(self._folder)
        except PipelineError as error:
            self.result.refused = str(error)
            return None
        self.result.repairs = {name: count for name, count in model.repairs.items() if count}
        self._compare("prepare", prepared, NATIVE_FP32, feed, exact, nearly)
        self._compare("onednn", prepared, BASELINE, feed, exact, nearly)
        if RNN in model.census.counts:
            self._legacy(feed, exact, nearly)
        self._exact = exact
        return model

    def _legacy(self, feed: Feed, exact: Outputs, nearly: Outputs) -> None:
        """The model as the layout `recurrent` takes it, unless it is refused by name for that layout."""
        exported, rewritten = find_model(ModelFiles(path=self._folder / "exported")), self._folder / "legacy"
        with self._timed("prepare legacy"), self._guarded("prepare legacy"), suppress(ModelFormatError):
            prepare_model(exported, rewritten, legacy=True)
            self._compare("legacy", rewritten, NATIVE_FP32, feed, exact, nearly)

    def _compare(
        self, check: str, folder: Path, switches: Switches, feed: Feed, exact: Outputs, nearly: Outputs
    ) -> None:
        with self._timed(check), self._guarded(check):
            found = open_predictor(spec_of(folder, switches, 1)).run(feed)
            for index, pair in enumerate(zip(exact, found, nearly, strict=True)):
                if trouble := unequal(*pair):
                    self._find(check, self._graph.outputs[index], trouble)

    def _quantized(self, model: ModelArtifact, promised: int) -> None:
        feed = samples(self._graph, SAMPLES, 1)
        for layout in ("offline", "qdq"):
            with self._timed(f"quantize {layout}"), self._guarded(f"quantize {layout}"):
                _quantize(model, feed, layout, self._folder / f"{layout}-fake")
        simulated: dict[int, Outputs] = {}
        for bits in (8, 7):
            with self._timed(f"simulate {bits}"), self._guarded(f"simulate {bits}"):
                simulated[bits] = self._simulated(feed, bits)
        with one_conversion():
            for layout in COMPARED:
                source = self._folder / f"{'qdq' if layout == 'qdq' else 'offline'}-fake"
                bits = 7 if layout == "offline_7bit" else 8
                if bits in simulated and (source / "model.pdmodel").is_file():
                    with self._timed(layout), self._guarded(layout):
                        self._layout(layout, source, model, promised, feed, simulated[bits])

    def _simulated(self, feed: Feed, bits: int) -> Outputs:
        """The simulation in the format that Paddle runs: one knows channels last, one casts from FP64."""
        folders = [self._folder / f"{layout}-fake" for layout in ("qdq", "offline")]
        made = [folder for folder in folders if (folder / "model.pdmodel").is_file()]
        if bits < 8:
            made = [_narrowed(folder, bits) for folder in made]
        first, *others = made
        try:
            return simulation.outputs(first, [feed])[0]
        except (RuntimeError, ValueError):
            if not others:
                raise
            return simulation.outputs(others[0], [feed])[0]

    def _layout(
        self,
        layout: str,
        quantized: Path,
        model: ModelArtifact,
        promised: int,
        feed: Feed,
        simulated: Outputs,
    ) -> None:
        """promised: the layers that run in INT8 by the census, but for those that a rewrite keeps in FP32."""
        deployable = self._folder / layout
        converted = _convert(layout, quantized, deployable)
        predictor = open_predictor(spec_of(deployable, LAYOUTS.find(layout).switches, 1))
        few = {name: values[:BATCH] for name, values in feed.items()}
        first = predictor.run(few)
        lines = VerboseRecorder().record(lambda: predictor.run(few), inferences=1)
        census = LAYOUTS.find(layout).comparable(model.census)
        audited = audit(lines, inferences=1, expect_int8=True, census=census)
        promised -= converted.repairs[MIXED_PRODUCTS]
        self.result.int8[layout] = (audited.int8_primitives, promised)
        if audited.int8_primitives != promised:
            self._find("share", layout, f"{audited.int8_primitives} of {promised} layers in INT8")
        self._sqnr(layout, simulated, predictor.run(feed), first)

    def _sqnr(self, layout: str, simulated: Outputs, int8: Outputs, few: Outputs) -> None:
        """`few` are the first samples in a batch as it was calibrated."""
        if effective_isa() not in VNNI and layout != "offline_7bit":
            return  # sums of products saturate
        outputs = zip(self._graph.outputs, self._exact, simulated, int8, few, strict=True)
        for name, exact, expected, found, first in outputs:
            if exact.dtype != np.float32 or not np.abs(exact).max() > 0:
                continue
            needed, have = sqnr_db(exact, expected), sqnr_db(exact, found)
            lost = min(needed, ENOUGH_DB) - have
            self.result.lost_db[layout] = max(lost, self.result.lost_db.get(layout, -np.inf))
            if not lost <= LOST_DB[layout]:
                self._coarser(layout, name, have, needed)
            head = exact[:BATCH]
            alone, together = sqnr_db(head, first), sqnr_db(head, found[:BATCH])
            if not min(together, ENOUGH_DB) - alone <= LOST_DB[layout]:
                text = f"{name}: {alone:.1f} dB in a batch of {BATCH}, {together:.1f} dB in one of {SAMPLES}"
                self._find("batch", layout, text)

    def _coarser(self, layout: str, name: str, have: float, needed: float) -> None:
        """A finding, unless INT8 rounds no more than its kernels store for all that read it."""
        stored = self._stored_db(7 if layout == "offline_7bit" else 8).get(name, np.inf)
        text = f"{name}: {have:.1f} dB, simulated {needed:.1f} dB, as stored {stored:.1f} dB"
        if min(stored, ENOUGH_DB) - have <= LOST_DB[layout]:
            self.result.stored.append(f"{layout} {text}")
        else:
            self._find("sqnr", layout, text)

    def _stored_db(self, bits: int) -> dict[str, float]:
        """By output, the SQNR of a simulation that rounds all that INT8 kernels round; computed once."""
        if bits not in self._stored:
            self._stored[bits] = self._simulated_as_stored(bits)
        return self._stored[bits]

    def _simulated_as_stored(self, bits: int) -> dict[str, float]:
        folder = self._folder / "stored"
        if not (self._folder / "qdq" / "model.pdmodel").is_file():
            return {}
        if not folder.is_dir():
            as_stored(self._folder / "qdq", folder)
        folders = [folder]
        if bits < 8:  # midway weights are rounded by chance, and otherwise in each format
            formats = (folder, self._folder / "offline-fake")
            folders = [_narrowed(each, bits, chance) for each in formats for chance in range(CHANCES)]
        feed = samples(self._graph, SAMPLES, 1)
        answers = [simulation.outputs(each, [feed])[0] for each in folders]
        outputs = zip(self._graph.outputs, self._exact, *answers, strict=True)
        return {name: min(sqnr_db(exact, each) for each in found) for name, exact, *found in outputs}

    def _find(self, check: str, where: str, detail: str) -> None:
        self.result.findings.append(Finding(check, where, detail))

    @contextmanager
    def _guarded(self, where: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self._find("error", where, f"{type(error).__name__}: {error}"[-700:])

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.process_time()
        try:
            yield
        finally:
            self.result.seconds[what] = round(time.process_time() - started, 4)


def unequal(exact: Any, found: Any, nearly: Any) -> str:
    """What is wrong with `found`; "" for nothing. `nearly` is what rounding errors make of `exact`."""
    if exact.shape != found.shape or exact.dtype != found.dtype:
        return f"{found.dtype} {list(found.shape)} instead of {exact.dtype} {list(exact.shape)}"
    if exact.size == 0:
        return ""
    if exact.dtype != np.float32:
        wrong = ((exact != found) & (exact == nearly)).mean()
        return f"{100 * wrong:.1f} % of the classes differ" if wrong > TIED else ""
    greatest = float(np.abs(exact).max()) or 1.0
    difference = float(np.abs(exact - found).max()) / greatest
    allowed = max(FP32_TOLERANCE, SENSITIVITY * float(np.abs(exact - nearly).max()) / greatest)
    return "" if difference <= allowed else f"{100 * difference:.3g} % of the greatest value"


def sqnr_db(exact: Any, found: Any) -> float:
    """Not a number where `found` is not finite."""
    noise = float(np.square(exact.astype(np.float64) - found).sum())
    signal = float(np.square(exact.astype(np.float64)).sum())
    return float(10 * np.log10(signal / noise)) if noise else 200.0


class _Samples:
    """Arrays by input name, in batches."""

    def __init__(self, values: Feed) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(next(iter(self._values.values())))

    def batches(self, batch_size: int) -> Iterator[Feed]:
        for start in range(0, len(self), batch_size):
            yield {name: array[start : start + batch_size] for name, array in self._values.items()}


def _quantize(model: ModelArtifact, values: Feed, layout: str, folder: Path) -> None:
    folder.mkdir()
    data = DatasetArtifact(
        folder=folder, digest="", source="", samples=SAMPLES, classes=0, seed=0, labelled=False
    )
    candidate = Candidate(algorithm="abs_max", layout=layout)
    request = ptq_request(
        model=model,
        calibration=data,
        candidate=candidate,
        config=QuantizationConfig(),
        batch_size=BATCH,
        folder=folder,
    )
    quantize_with(request, _Samples(values))


def _convert(layout: str, quantized: Path, folder: Path) -> ConvertedModel:
    request = ConversionRequest(quantized=quantized, folder=folder, config=ConversionConfig())
    return LAYOUTS.find(layout).convert(request)


def _narrowed(quantized: Path, bits: int, chance: int = 0) -> Path:
    """A copy of PaddleSlim's model whose weights, integers of 8 bits, and second factors have `bits` bits.

    chance: moves each integer midway between two of fewer bits up or down, by chance, and with every number
    otherwise; 0 moves them to the even one.
    """
    from paddle_int8.tasks.engines.paddle.blocks import overwrite, value
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    folder, step = quantized.with_name(f"{quantized.name}-{bits}bit-{chance}"), 2.0 ** (8 - bits)
    random = np.random.default_rng(chance)
    loaded = load_program(find_model(ModelFiles(path=quantized)), quantized=True)
    for variable in loaded.program.list_vars():
        if variable.persistable and variable.name not in ("feed", "fetch") and len(variable.shape) > 1:
            stored = value(loaded, variable.name)
            if np.abs(stored).max() > 1 and np.array_equal(stored, np.round(stored)):
                most = np.iinfo(np.int8).max - 1 if stored.dtype == np.int8 else np.inf
                ties = random.choice((-TIE, TIE), stored.shape) if chance else 0.0
                rounded = np.clip(np.round(stored / step + ties) * step, -most, most)
                overwrite(loaded, variable.name, rounded.astype(stored.dtype))
    narrow_factors(loaded, bits)
    save_program(loaded, folder)
    return folder


def _hidden(folder: Path) -> int:
    """Quantizable operators that a rewrite keeps in FP32."""
    from paddle_int8.tasks.engines.paddle.program import load_program

    loaded = load_program(find_model(ModelFiles(path=folder)))
    return sum(op.type in QUANTIZABLE and is_skipped(op) for op in loaded.program.global_block().ops)
