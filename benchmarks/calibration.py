"""Compares this project's calibration with PaddleSlim's own call: seconds and peak memory, in one run.

    python -m benchmarks.calibration --algo KL hist --samples 32 --model mobilenet_v1

The model has random weights (Kaiming, with BatchNorm statistics of a few batches), and the samples are smooth
random pictures of 224x224. Each of the two runs alone in a process of its own. The seconds are those of the
quantization, without the start of Paddle.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, DatasetArtifact, ModelArtifact, OperatorCensus
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_with
from paddle_int8.tasks.process.host_lock import measuring
from paddle_int8.tasks.process.isolated import run_isolated

SIDE = 224
COARSE = 14
TIME_LIMIT_S = 7200.0


@dataclass(frozen=True, slots=True)
class Pictures:
    """Smooth random pictures, float32 [3, SIDE, SIDE] each: a coarse grid of normal values, enlarged."""

    samples: int

    def __len__(self) -> int:
        return self.samples

    def picture(self, index: int) -> npt.NDArray[np.float32]:
        coarse = np.random.default_rng(index).standard_normal((3, COARSE, COARSE)).astype(np.float32)
        return np.kron(coarse, np.ones((1, SIDE // COARSE, SIDE // COARSE), np.float32))

    def batches(self, batch_size: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        for start in range(0, self.samples, batch_size):
            indices = range(start, min(start + batch_size, self.samples))
            yield {"image": np.stack([self.picture(index) for index in indices])}


@dataclass(frozen=True, slots=True)
class Cost:
    seconds: float
    peak_memory_bytes: int


def export(name: str, folder: Path) -> None:
    """Writes the FP32 model. This runs in an isolated process."""
    import paddle
    from paddle import nn

    paddle.seed(0)
    network = getattr(paddle.vision.models, name)()
    for layer in network.sublayers():
        if isinstance(layer, nn.Conv2D):
            nn.initializer.KaimingNormal()(layer.weight)
    network.train()
    for batch in Pictures(12).batches(4):
        network(paddle.to_tensor(batch["image"]))
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])


def ours(algorithm: str, model: Path, folder: Path, samples: int, batch_size: int) -> Cost:
    """This project's step. Runs in an isolated process."""
    nothing = OperatorCensus(counts={}, quantizable=0, compute=0)
    request = ptq_request(
        model=ModelArtifact(
            folder=model,
            digest="",
            source="",
            source_format="",
            source_digest="",
            inputs=(),
            outputs=(),
            census=nothing,
            repairs={},
            size_bytes=0,
        ),
        calibration=DatasetArtifact(
            folder=model, digest="", source="", samples=samples, classes=0, seed=0, labelled=False
        ),
        candidate=Candidate(algorithm=algorithm, layout="qdq"),
        config=QuantizationConfig(),
        batch_size=batch_size,
        folder=folder,
    )
    outcome = quantize_with(request, Pictures(samples))
    return Cost(outcome.seconds, outcome.peak_memory_bytes)


def paddleslims(algorithm: str, model: Path, folder: Path, samples: int, batch_size: int) -> Cost:
    """The same by `quant_post_static`. Runs in an isolated process."""
    import paddle
    from paddleslim.quant import quant_post_static

    class Dataset(paddle.io.Dataset):  # type: ignore[misc]  # Paddle has no types
        def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
            return Pictures(samples).picture(index)

        def __len__(self) -> int:
            return samples

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    started = time.monotonic()
    program, feeds, _ = paddle.static.load_inference_model(str(model / "model"), executor)
    loader = paddle.io.DataLoader(
        Dataset(),
        feed_list=[program.global_block().var(feeds[0])],
        batch_size=batch_size,
        return_list=False,
        places=[paddle.CPUPlace()],
    )
    config = QuantizationConfig()
    quant_post_static(
        executor,
        str(model),
        str(folder),
        data_loader=loader,
        model_filename="model.pdmodel",
        params_filename="model.pdiparams",
        batch_size=batch_size,
        algo=algorithm,
        hist_percent=config.hist_percent,
        quantizable_op_type=list(config.op_types),
        onnx_format=True,
    )
    seconds = time.monotonic() - started
    return Cost(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    known = [each.name for each in ALGORITHMS if not each.needs_training]
    parser.add_argument("--algo", nargs="+", choices=known, default=["KL", "hist"], metavar="ALGO")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--model", choices=("mobilenet_v1", "resnet50"), default="mobilenet_v1")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="paddle-int8-calibration-") as name, measuring():
        folder = Path(name)
        model = folder / "fp32"
        run_isolated(export, options.model, model, step="export", log=folder / "log", timeout_s=TIME_LIMIT_S)
        print(f"{options.model}, {options.samples} pictures of {SIDE}x{SIDE}, layout qdq")  # noqa: T201
        print(f"{'':8}{'PaddleSlim':>22}{'here':>22}{'time':>10}")  # noqa: T201
        for algorithm in options.algo:
            costs = []
            for subject in (paddleslims, ours):
                target = folder / f"{subject.__name__}-{algorithm}"
                target.mkdir()
                costs.append(
                    run_isolated(
                        subject,
                        algorithm,
                        model,
                        target,
                        options.samples,
                        options.batch_size,
                        step=subject.__name__,
                        log=folder / "log",
                        timeout_s=TIME_LIMIT_S,
                    )
                )
            cells = "".join(f"{cost.seconds:10.1f} s {cost.peak_memory_bytes >> 20:6} MiB" for cost in costs)
            ratio = costs[1].seconds / costs[0].seconds
            print(f"{algorithm:8}{cells}{ratio:10.3f}")  # noqa: T201


if __name__ == "__main__":
    from benchmarks.calibration import main as run  # isolated processes import functions by module

    run()
