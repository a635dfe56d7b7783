"""Opens an INT8 model with Paddle Inference the way it was validated, and runs it.

Needs numpy and paddlepaddle only. This very file is in every bundle as `examples/predict.py`:

    python examples/predict.py                       # predicts example_input.npz, compares, times
    python examples/predict.py --input my_batch.npz  # one array per model input, by name
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np  # before Paddle, whose zlib otherwise crashes the interpreter
from numpy.typing import NDArray

Array = NDArray[Any]
Feed = dict[str, Array]
LENGTHS = ".lengths"
"""A sequence input `x`, [N, longest, ...], comes with `x.lengths`, [N]; what lies beyond is not read."""
CALIBRATION = "calibration.npz"
"""Beside the program: what a model is quantized on while it loads. A feed, see `Predictor.run`."""


def paddle_config(program: Path, params: Path | None, switches: dict[str, Any], threads: int) -> Any:
    """The `paddle.inference.Config` of a model.

    `params` is None for a model with one file per parameter beside `program`. `switches` is the
    `switches` table of `deployment.json`: every one of them changes speed or results.
    """
    from paddle.inference import Config

    config = Config(str(program), str(params)) if params else Config(str(program.parent))
    config.disable_glog_info()
    if switches["onednn"]:
        config.enable_mkldnn()
    else:
        config.disable_mkldnn()
    if switches["onednn_int8"]:
        config.enable_mkldnn_int8()
    if switches["onednn_bf16"]:
        config.enable_mkldnn_bfloat16()
    config.switch_ir_optim(switches["ir_optim"])
    if switches["memory_optim"]:
        config.enable_memory_optim()
    config.set_cpu_math_library_num_threads(threads)
    for name in switches["deleted_passes"]:
        config.delete_pass(name)
    if switches["onednn_cache_capacity"] is not None:
        config.set_mkldnn_cache_capacity(switches["onednn_cache_capacity"])
    if switches["quantizer_ops"]:
        _quantize_at_load(config, program.with_name(CALIBRATION), switches["quantizer_ops"])
    return config


def _quantize_at_load(config: Any, calibration: Path, operators: list[str]) -> None:
    """Has Paddle quantize `operators` when the predictor is created, on the batch in `calibration`."""
    from paddle.base.core import PaddleTensor

    with np.load(calibration) as stored:
        feed = dict(stored)
    tensors = []
    for name in [name for name in feed if not name.endswith(LENGTHS)]:
        lengths = feed.get(name + LENGTHS)
        tensor = PaddleTensor(feed[name] if lengths is None else packed(feed[name], lengths))
        tensor.name = name
        tensor.lod = [] if lengths is None else [offsets(lengths)]
        tensors.append(tensor)
    config.enable_quantizer()
    quantizer = config.quantizer_config()
    quantizer.set_quant_data(tensors)
    quantizer.set_quant_batch_size(len(next(iter(feed.values()))))
    quantizer.set_enabled_op_types(set(operators))


def packed(padded_values: Array, lengths: Array) -> Array:
    """[N, longest, ...] to the steps of all sequences one after another, [sum of lengths, ...].

    Raises: ValueError for an empty sequence, on which Paddle's recurrent kernels have no answer.
    """
    if len(lengths) != len(padded_values) or lengths.max(initial=0) > padded_values.shape[1]:
        raise ValueError(f"lengths {lengths.shape} do not fit sequences {padded_values.shape}")
    if lengths.min(initial=1) < 1:
        raise ValueError(f"sequence {int(np.argmin(lengths))} is empty: leave it out of the batch")
    rows: Array = padded_values[np.arange(padded_values.shape[1]) < lengths[:, None]]
    return rows


def padded(rows: Array, lengths: Array, fill: float = 0) -> Array:
    """The inverse of `packed`: [N, longest, ...], `fill` beyond each length."""
    longest = int(lengths.max(initial=0))
    values = np.full((len(lengths), longest, *rows.shape[1:]), fill, rows.dtype)
    values[np.arange(longest) < lengths[:, None]] = rows
    return values


def offsets(lengths: Array) -> list[int]:
    """Where each sequence begins, and where the last one ends: Paddle's LoD."""
    return [0, *np.cumsum(lengths).tolist()]


class Predictor:
    """A loaded model. Not for use from two threads at once: `clone` the inner predictor for that."""

    def __init__(self, config: Any) -> None:
        from paddle.inference import create_predictor

        self._predictor = create_predictor(config)
        self.input_names: list[str] = list(self._predictor.get_input_names())
        self.output_names: list[str] = list(self._predictor.get_output_names())
        self._inputs = {name: self._predictor.get_input_handle(name) for name in self.input_names}

    def run(self, feeds: Feed) -> list[Array]:
        """One batch: an array per input name, in the model's dtype; the outputs in model order.

        Sequences go in as `LENGTHS` says, and come out as [N, longest, ...], zero beyond their lengths.
        """
        for name, handle in self._inputs.items():
            lengths = feeds.get(name + LENGTHS)
            if lengths is None:
                handle.copy_from_cpu(np.ascontiguousarray(feeds[name]))
            else:
                handle.copy_from_cpu(packed(feeds[name], lengths))
                handle.set_lod([offsets(lengths)])
        self._predictor.run()
        return [self._output(name) for name in self.output_names]

    def _output(self, name: str) -> Array:
        handle = self._predictor.get_output_handle(name)
        values: Array = handle.copy_to_cpu()
        lod = handle.lod()
        return padded(values, np.diff(lod[0])) if lod else values


def open_bundle(bundle: Path, threads: int | None = None) -> Predictor:
    """The predictor of a bundle, with the switches that it was validated with."""
    deployment = json.loads((bundle / "deployment.json").read_text(encoding="utf-8"))
    model = bundle / "model"
    config = paddle_config(
        model / "model.pdmodel",
        model / "model.pdiparams",
        deployment["switches"],
        threads or deployment["threads"],
    )
    return Predictor(config)


def main() -> None:
    bundle = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Predict with this bundle's INT8 model.")
    parser.add_argument("--input", type=Path, default=bundle / "example_input.npz")
    parser.add_argument("--threads", type=int, default=None, help="default: as validated")
    arguments = parser.parse_args()

    predictor = open_bundle(bundle, arguments.threads)
    with np.load(arguments.input) as stored:
        feeds = dict(stored)
    outputs = predictor.run(feeds)  # the first run builds the kernels
    started = time.perf_counter()
    predictor.run(feeds)
    print(f"{(time.perf_counter() - started) * 1e3:.2f} ms")  # noqa: T201 - a command line example
    for name, output in zip(predictor.output_names, outputs, strict=True):
        print(name, output.shape, output.reshape(len(output), -1).argmax(axis=1))  # noqa: T201
    if arguments.input == bundle / "example_input.npz":
        with np.load(bundle / "example_output.npz") as expected:
            same = all(
                np.array_equal(out, expected[name])
                for name, out in zip(predictor.output_names, outputs, strict=True)
            )
        print("equal to the validated output" if same else "DIFFERS from the validated output")  # noqa: T201


if __name__ == "__main__":
    main()
