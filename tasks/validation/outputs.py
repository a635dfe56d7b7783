"""Decides what each output of a model holds, such as scores of classes, boxes or an embedding.

`validation.outputs` of the configuration decides. For an output that it does not name, the kind is derived
from the output's shape, its values and the operator that makes it. A vector that is wrongly taken for scores
of classes mostly lowers the agreement; if one of its numbers is always the greatest,
`tasks.validation.fitness` says so. An output that cannot be guessed fairly is `other`, which no built-in
metric judges.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.agreement import BOX_COLUMNS

CONFIGURED = "as `validation.outputs` says"
SUM_TOLERANCE = 1e-3
BOX_THRESHOLD = 0.5
"""PaddleDetection draws a box from this score on (`draw_threshold`)."""
PROBABILITY = frozenset({"sigmoid", "hard_sigmoid"})
DISTRIBUTION = frozenset({"softmax", "log_softmax"})
NORMALISED = frozenset({"layer_norm", "batch_norm", "l2_normalize", "norm", "tanh"})
"""Operators that end models of metric learning, and BERT's pooler. Scores of classes never end in them."""
LAYERS = frozenset({"mul", "matmul", "matmul_v2", "fc"})
"""Operators that compute the scores of steps. A convolution whose result is reshaped to rows is not among
them: it is the head of a detector."""
POSSIBLE = {
    1: (OutputKind.CLASSES, OutputKind.FLAGS),
    2: (OutputKind.CLASSES, OutputKind.FLAGS, OutputKind.EMBEDDING),
    3: (OutputKind.STEPS, OutputKind.FLAGS, OutputKind.EMBEDDING),
    4: (OutputKind.PIXELS, OutputKind.FLAGS, OutputKind.EMBEDDING),
}
"""The kinds that an output can have, by its number of dimensions."""
ANY_SHAPE = (OutputKind.FLAGS, OutputKind.EMBEDDING)


def judged_output(
    spec: TensorSpec,
    values: Array,
    *,
    end: str,
    labels: Array | None,
    named: OutputKind | None = None,
    constant: bool = False,
) -> JudgedOutput:
    """Decides how one output is compared.

    values: the FP32 model's output for a few samples. end: the type of the operator that makes the output.
    labels: the labels of the data, if there are any. named: the kind that the configuration gives.
    constant: True when the output depends on no input.
    Raises: ConfigError when an output of this shape cannot be of the kind that the configuration gives.
    """
    values = flat(values)
    if named is OutputKind.IGNORE:
        return JudgedOutput(name=spec.name, kind=named, why=CONFIGURED, sequence=spec.sequence)
    if named is None and constant:
        kind, why = OutputKind.CONSTANT, "it is the same for every input"
    elif named is None:
        kind, why = _found(values, end, labels, sequence=spec.sequence)
    else:
        kind, why = named, CONFIGURED
        _require_possible(spec.name, kind, values)
    return JudgedOutput(
        name=spec.name,
        kind=kind,
        why=why,
        axis=_axis(kind, values),
        threshold=_threshold(kind, values, end),
        sequence=spec.sequence,
    )


def flat(values: Array) -> Array:
    """Reshapes [N, C, 1, 1], a vector that was never flattened, to [N, C]; other shapes stay."""
    vectors = values.ndim > 3 and values.shape[2:] == (1,) * (values.ndim - 2)
    return values.reshape(values.shape[:2]) if vectors else values


def with_labels(
    outputs: Sequence[JudgedOutput], values: Sequence[Array], name: str | None
) -> tuple[JudgedOutput, ...]:
    """Returns the outputs with one of them marked as the one that the labels belong to.

    That is the output `name` or, when it is None, the first output that states one class for each sample.
    Raises: ConfigError when the output `name` does not state one class for each sample.
    """
    deciding = [each.name for each, found in zip(outputs, values, strict=True) if decides_once(each, found)]
    if name is not None and name not in deciding:
        raise ConfigError(
            found=f"`validation.labelled_output: {name}`, and one decision for each sample from "
            f"{_listed(deciding) or 'no output'}",
            required="an output [samples, classes], or one whole number for each sample",
            remedy="correct `validation.labelled_output`, or leave it out",
        )
    chosen = name if name is not None else next(iter(deciding), None)
    return tuple(replace(each, labelled=each.name == chosen) for each in outputs)


def decides_once(output: JudgedOutput, values: Array) -> bool:
    """Whether an output states one class for each sample."""
    if output.kind is OutputKind.DECISIONS:
        return values[:1].size == 1 and values.dtype != np.bool_
    return output.kind is OutputKind.CLASSES


def require_known(names: Iterable[str], specs: Sequence[TensorSpec]) -> None:
    """Checks the outputs that the configuration names.

    Raises: ConfigError when the model does not have one of them.
    """
    known = [spec.name for spec in specs]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                found=f"output {name!r} in the configuration",
                required=f"one of the model's: {_listed(known)}",
                remedy=f"{hint}correct `validation.outputs` or `validation.labelled_output`",
            )


def possible(values: Array) -> tuple[OutputKind, ...]:
    """The kinds that a configuration may give an output of this shape."""
    values = flat(values)
    boxes = (OutputKind.BOXES,) if values.ndim == 3 and values.shape[2] == BOX_COLUMNS else ()
    return (*POSSIBLE.get(values.ndim, ANY_SHAPE), *boxes, OutputKind.IGNORE)


def _found(values: Array, end: str, labels: Array | None, *, sequence: bool) -> tuple[OutputKind, str]:
    if values.dtype.kind in "biu":
        return OutputKind.DECISIONS, f"its values are {values.dtype}"
    match values.ndim:
        case 2 if values.shape[1] > 1:
            return _of_vectors(values, end, labels)
        case 3 if values.shape[2] > 1:
            return _of_steps(values, end, labels, sequence=sequence)
        case 4:
            return _of_maps(values, end)
        case 1 | 2 if end in PROBABILITY:
            return OutputKind.CLASSES, "it is one probability for each sample"
        case 1 | 2 if labels is not None and labels.ndim == 1 and set(np.unique(labels)) <= {0, 1}:
            return OutputKind.CLASSES, "it is one score for each sample, and the labels are 0 and 1"
    if end in PROBABILITY:
        return OutputKind.FLAGS, f"it ends in {end}"
    return OutputKind.OTHER, "neither its shape nor its values nor its last operator tell"


def _of_vectors(values: Array, end: str, labels: Array | None) -> tuple[OutputKind, str]:
    """The kind of an output of shape [N, C] with C > 1, and how it was found."""
    if end in DISTRIBUTION or _sums_to_one(values, 1):
        return OutputKind.CLASSES, "its rows are probabilities that sum to 1"
    if end in NORMALISED:
        return OutputKind.EMBEDDING, f"it ends in {end}"
    if np.allclose(np.linalg.norm(values.astype(np.float64), axis=1), 1, atol=SUM_TOLERANCE):
        return OutputKind.EMBEDDING, "its rows are vectors of length 1"
    fitting = labels is not None and labels.ndim == 1 and 0 <= labels.max(initial=0) < values.shape[1]
    if end in PROBABILITY and not fitting:
        return OutputKind.FLAGS, f"it ends in {end}, so each value decides alone"
    if fitting:
        return OutputKind.CLASSES, f"the labels fit its {values.shape[1]} columns"
    return OutputKind.CLASSES, f"assumed of {values.shape[1]} numbers for each sample"


def _of_steps(values: Array, end: str, labels: Array | None, *, sequence: bool) -> tuple[OutputKind, str]:
    """The kind of an output of shape [N, T, C] with C > 1, and how it was found."""
    if sequence:
        return OutputKind.STEPS, "it is a sequence"
    if end in DISTRIBUTION or _sums_to_one(values, 2):
        return OutputKind.STEPS, "its steps are probabilities that sum to 1"
    if labels is not None and labels.ndim == 2:
        return OutputKind.STEPS, "the labels are of steps"
    if end in PROBABILITY:
        return OutputKind.FLAGS, f"it ends in {end}, so each value decides alone"
    if end in NORMALISED:
        return OutputKind.EMBEDDING, f"it ends in {end}"
    if end in LAYERS:
        return OutputKind.STEPS, f"assumed of {values.shape[2]} numbers for each step out of {end}"
    return OutputKind.OTHER, f"it ends in {end or 'no operator'}: steps, boxes and features look alike"


def _of_maps(values: Array, end: str) -> tuple[OutputKind, str]:
    """The kind of an output of shape [N, C, H, W] or [N, H, W, C], and how it was found."""
    if end in PROBABILITY and values.shape[1] > 1:
        return OutputKind.FLAGS, f"it ends in {end}, so each value decides alone"
    return OutputKind.PIXELS, f"it is a map of shape {list(values.shape[1:])}"


def _axis(kind: OutputKind, values: Array) -> int:
    if kind is OutputKind.STEPS:
        return values.ndim - 1
    channels_last = values.ndim == 4 and _sums_to_one(values, 3) and not _sums_to_one(values, 1)
    return 3 if kind is OutputKind.PIXELS and channels_last else 1


def _threshold(kind: OutputKind, values: Array, end: str) -> float:
    """A score that decides alone says yes above this value: 0.5 for probabilities, 0 for other scores."""
    if kind is OutputKind.BOXES:
        return BOX_THRESHOLD
    shares = values.size > 0 and float(values.min()) >= 0 and float(values.max()) <= 1
    return 0.5 if end in PROBABILITY | DISTRIBUTION or shares else 0.0


def _sums_to_one(values: Array, axis: int) -> bool:
    if values.size == 0 or values.shape[axis] < 2 or float(values.min()) < 0:
        return False
    return bool(np.allclose(values.astype(np.float64).sum(axis=axis), 1, atol=SUM_TOLERANCE))


def _require_possible(name: str, kind: OutputKind, values: Array) -> None:
    if kind not in (kinds := possible(values)):
        raise ConfigError(
            found=f"`validation.outputs` says {kind} of {name}, and its shape is {list(values.shape)}",
            required=f"one of {', '.join(kinds)} for this shape; boxes are [samples, boxes, {BOX_COLUMNS}]",
            remedy="correct `validation.outputs`, or name a callable that judges it in `validation.metrics` "
            "and leave this output out",
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
