"""Runs what Paddle 3 exported, translated, with Paddle 2.6's native kernels, in one isolated process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.engines.paddle.files import ModelFormat, ModelSource
from paddle_int8.tasks.engines.paddle.pir.program import read_program
from paddle_int8.tasks.engines.paddle.pir.source import readable


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a case.

    error: why there is no answer, or "".
    difference: the greatest in any answer, in parts of the answer's greatest value or 1; NaN when shapes or
        types differ.
    of_greatest: the same in parts of the greatest value alone; NaN when an answer holds NaN or infinity.
    operators: names of the PIR program's operators; none for a program in the older form.
    """

    error: str = ""
    difference: float = float("nan")
    of_greatest: float = float("nan")
    operators: tuple[str, ...] = ()


def run_all(root: Path) -> Mapping[str, Outcome]:
    """The outcome of every case that was exported to `root`."""
    found = {}
    for folder in sorted(path for path in root.iterdir() if (path / "answers.npz").is_file()):
        found[(folder / "name.txt").read_text(encoding="utf-8")] = outcome(folder)
    return found


def outcome(folder: Path) -> Outcome:
    program, kind = folder / "model.json", ModelFormat.PIR
    if not program.is_file():
        program, kind = folder / "model.pdmodel", ModelFormat.COMBINED
    params = program.with_suffix(".pdiparams")
    operators = _operators(program) if kind is ModelFormat.PIR else ()
    source = ModelSource(
        format=kind,
        program=program,
        params=params if params.is_file() and params.stat().st_size else None,
        source_digest="",
    )
    try:
        difference, of_greatest = _differences(source, folder)
        return Outcome(difference=difference, of_greatest=of_greatest, operators=operators)
    except PipelineError as error:
        return Outcome(error=error.found, operators=operators)
    except (RuntimeError, ValueError, KeyError, TypeError, AssertionError, IndexError) as error:
        return Outcome(error=f"{type(error).__name__}: {error}"[-600:], operators=operators)


def _operators(program: Path) -> tuple[str, ...]:
    return tuple(sorted({operation.name for operation in read_program(program).block.walk()}))


def _differences(source: ModelSource, folder: Path) -> tuple[float, float]:
    import paddle

    from paddle_int8.tasks.engines.paddle.program import load_program

    with readable(source) as files:
        loaded = load_program(files)
    executor = paddle.static.Executor(paddle.CPUPlace())
    with np.load(folder / "inputs.npz") as stored:
        inputs = dict(zip(loaded.feeds, (stored[name] for name in stored.files), strict=True))
    found = executor.run(
        loaded.program,
        feed=inputs,
        fetch_list=list(loaded.fetches),
        scope=loaded.scope,
        return_numpy=False,
    )
    with np.load(folder / "answers.npz") as stored:
        wanted = [stored[name] for name in stored.files]
    pairs = [(np.array(have), want) for have, want in zip(found, wanted, strict=True)]
    return max(_apart(*pair) for pair in pairs), float(np.max([_of_greatest(*pair) for pair in pairs]))


def _of_greatest(found: np.ndarray, wanted: np.ndarray) -> float:
    if not wanted.size or wanted.dtype.kind != "f":
        return _apart(found, wanted)
    scale = float(np.abs(wanted).max())
    return float(np.abs(found.astype("float64") - wanted).max()) / scale if scale else _apart(found, wanted)


def _apart(found: np.ndarray, wanted: np.ndarray) -> float:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        raise ValueError(f"{found.dtype} {found.shape} where Paddle 3 answers {wanted.dtype} {wanted.shape}")
    if not wanted.size:
        return 0.0
    if wanted.dtype.kind != "f":
        return float((found != wanted).mean())
    finite = np.isfinite(wanted)
    if not np.array_equal(found[~finite], wanted[~finite], equal_nan=True):
        return float("inf")
    scale = max(1.0, float(np.abs(wanted[finite]).max(initial=0.0)))
    return float(np.abs(found[finite].astype("float64") - wanted[finite]).max(initial=0.0)) / scale
