"""The MLflow model of a bundle, from code: nothing is pickled, and no switch can be forgotten.

This file imports nothing of the project that wrote it. It opens the bundle with the bundle's own
`examples/predict.py`.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
from mlflow.pyfunc.model import PythonModel, PythonModelContext

Array = npt.NDArray[Any]
Spec = Mapping[str, Any]
"""An input, as `deployment.json` describes it."""


class Int8Model(PythonModel):
    """Predicts from preprocessed inputs, see `preprocessing` in the bundle's `deployment.json`.

    Any number of threads may call it, as those of MLflow's scoring server do: see the bundle's
    `SharedPredictor`.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Opens the artifact `bundle`."""
        bundle = Path(context.artifacts["bundle"])
        self._inputs = json.loads((bundle / "deployment.json").read_text(encoding="utf-8"))["inputs"]
        spec = importlib.util.spec_from_file_location("bundle_predict", bundle / "examples" / "predict.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError(bundle / "examples" / "predict.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._predictor = module.open_bundle(bundle)

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Outputs by name, for a batch.

        model_input: arrays by input name; one array for a model with one input; or a DataFrame with a
        column per input (flat or nested lists), or, for one input, a column per value. A sequence input `x`
        is `x` [N, longest, ...] with `x.lengths` [N], or a list of sequences where no signature of MLflow's
        forbids it; outputs are then padded with zeros to the longest. There are no type hints, since MLflow
        would make a schema of them that admits lists only.
        """
        outputs = self._predictor.run(self._feeds(model_input))
        return dict(zip(self._predictor.output_names, outputs, strict=True))

    def _feeds(self, model_input: Any) -> dict[str, Array]:
        names = [spec["name"] for spec in self._inputs]
        by_name: Mapping[str, npt.ArrayLike] = {}
        if isinstance(model_input, Mapping) or set(names) <= set(getattr(model_input, "columns", ())):
            by_name = model_input
            if missing := [name for name in names if name not in model_input]:
                raise ValueError(
                    f"inputs {', '.join(missing)} are missing; the model takes {', '.join(names)}"
                )
            columns = [model_input[name] for name in names]
            given = columns if isinstance(model_input, Mapping) else [list(column) for column in columns]
        elif len(names) == 1:
            given = [getattr(model_input, "values", model_input)]
        else:
            raise ValueError(f"the model takes {', '.join(names)}: give a dict of arrays by these names")
        feeds: dict[str, Array] = {}
        for spec, values in zip(self._inputs, given, strict=True):
            name, lengths = spec["name"], f"{spec['name']}.lengths"
            if not spec["sequence"]:
                feeds[name] = _shaped(values, spec)
            elif lengths in by_name:
                feeds[lengths] = np.asarray(by_name[lengths], dtype=np.int64)
                feeds[name] = _shaped(values, {**spec, "shape": [-1, *spec["shape"]]})
            else:
                feeds.update(_sequences(values, spec))
        return feeds


def _sequences(values: Iterable[npt.ArrayLike], spec: Spec) -> dict[str, Array]:
    """Sequences [length, ...] padded to the longest, with their lengths, for the bundle's predictor."""
    rest = spec["shape"][1:]
    rows = [np.asarray(value, dtype=spec["dtype"]) for value in values]
    if not rows:
        raise ValueError(f"input {spec['name']} holds no sequence: give at least one")
    rows = [row[:, None] if row.ndim == 1 and rest == [1] else row for row in rows]
    for index, row in enumerate(rows):
        if row.ndim != 1 + len(rest) or len(row) == 0:
            raise ValueError(
                f"sequence {index} of {spec['name']} has shape {row.shape}, the model takes [length, *{rest}]"
            )
    lengths = np.array([len(row) for row in rows])
    padded = np.zeros((len(rows), lengths.max(initial=0), *rows[0].shape[1:]), spec["dtype"])
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return {spec["name"]: padded, f"{spec['name']}.lengths": lengths}


def _shaped(values: npt.ArrayLike, spec: Spec) -> Array:
    """`values` in the input's dtype, flat rows folded into its shape."""
    array = np.asarray(values, dtype=spec["dtype"])
    shape = spec["shape"]
    if array.ndim == 2 < len(shape) and min(shape[1:]) > 0:
        array = array.reshape(-1, *shape[1:])
    fits = array.ndim == len(shape) and all(
        want in (-1, have) for want, have in zip(shape[1:], array.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(f"input {spec['name']} has shape {array.shape}, the model takes {shape}")
    return array


mlflow.models.set_model(Int8Model())
