"""One network, exported in every floating-point type that people use. It runs in isolated processes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration import small_models as models

TYPES = {"to_fp16": "float16", "to_bf16": "bfloat16", "to_fp64": "float64"}
MIXED = ("amp_casts", "mixed_precision", "branch_fp16")
REFERENCE = "fp32"


def build(root: Path) -> None:
    """Writes `root/<name>/model.*` for REFERENCE, and for each of TYPES and MIXED."""
    _save(_network(), root / REFERENCE, "float32")
    for name, dtype in TYPES.items():
        network = _network()
        network.to(dtype=dtype)
        _save(network, root / name, dtype)
    network = _network()
    network.keep_branch_fp16()
    _save(network, root / "branch_fp16", "float32")
    _amp_casts(root / REFERENCE, root / "amp_casts")
    _mixed_precision(root / REFERENCE, root / "mixed_precision")
    for name, dtype in (("loop_fp32", "float32"), ("loop_fp16", "float16")):
        looped = _loop()
        looped.to(dtype=dtype)
        _save(looped, root / name, dtype)


def _save(network: Any, folder: Path, dtype: str) -> None:
    import paddle

    spec = paddle.static.InputSpec([None, 3, models.SIDE, models.SIDE], dtype, "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])


def _network() -> Any:
    import paddle
    from paddle import nn

    class Network(nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2D(3, 8, 3, stride=2), nn.BatchNorm2D(8), nn.ReLU())
            self.branch = nn.Conv2D(8, 8, 3, padding=1)
            self.branch_dtype = None
            self.answers = nn.Sequential(nn.AvgPool2D(5), nn.Flatten(), nn.Linear(72, 10))

        def keep_branch_fp16(self) -> None:
            self.branch.to(dtype="float16")
            self.branch_dtype = "float16"

        def forward(self, image: Any) -> Any:
            features = self.features(image)
            if self.branch_dtype:
                branch = self.branch(features.astype("float16")).astype("float32")
            else:
                branch = self.branch(features)
            least = paddle.full([1], -0.5, dtype=features.dtype)
            mask = paddle.zeros_like(branch) + (features > 0.25).astype(features.dtype)
            return self.answers(paddle.maximum(branch, least) * mask + features)

    paddle.disable_static()
    paddle.seed(0)
    network = Network()
    network.train()
    for seed in range(3):
        network(paddle.to_tensor(models.images(8, seed)))
    network.eval()
    return network


def _loop() -> Any:
    import paddle
    from paddle import nn

    class Loop(nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2D(3, 4, 3, stride=4), nn.Linear(256, 10)

        def forward(self, image: Any) -> Any:
            features, turn = self.first(image), paddle.zeros([1], "int64")
            while turn < 3:
                features = features * 0.5 + 0.25
                turn = turn + 1
            return self.last(features.flatten(1))

    paddle.disable_static()
    paddle.seed(0)
    return Loop()


def _amp_casts(source: Path, target: Path) -> None:
    """Paddle's own casts of a static program, which on CPUs `paddle.amp.decorate` leaves out."""
    import paddle
    from paddle.static.amp import AutoMixedPrecisionLists, cast_model_to_fp16, cast_parameters_to_fp16

    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded = load_program(models.source(source))
    lists = AutoMixedPrecisionLists(dtype="float16")
    lists.unsupported_list = set()  # as on a GPU
    with paddle.static.scope_guard(loaded.scope):
        names = cast_model_to_fp16(loaded.program, lists, use_fp16_guard=False)
        cast_parameters_to_fp16(paddle.CPUPlace(), loaded.program, loaded.scope, names)
    save_program(loaded, target)


def _mixed_precision(source: Path, target: Path) -> None:
    from paddle.inference import PlaceType, PrecisionType, convert_to_mixed_precision

    target.mkdir()
    files = [str(folder / f"model.{end}") for folder in (source, target) for end in ("pdmodel", "pdiparams")]
    convert_to_mixed_precision(*files, PrecisionType.Half, PlaceType.GPU, keep_io_types=False)
