"""One small network in every form in which people bring a quantized model. Isolated processes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paddle_int8.tasks.engines.paddle.conversion.offline import OfflineRequest, convert_offline
from tests.integration import small_models as models

FLOAT = "float"
FORMS = (
    *("slim_fake", "slim_qdq", "offline", "offline_7bit", "deployable_qdq", "aware_fake", "aware_qdq"),
    *("dygraph_qat", "dygraph_ptq", "dygraph_channels", "weights", "weights_restored"),
)
"""`weights` is what `quant_post_dynamic` writes, `weights_restored` its FP32 model for trials."""


def build(root: Path, small: Path) -> None:
    """Writes `root/<form>/` for FLOAT and for each of FORMS but those that `small` has already."""
    _save(_network(), root / FLOAT)
    _dygraph(root)
    _aware(root / "aware_fake", onnx_format=False)
    _aware(root / "aware_qdq", onnx_format=True)
    _weights(root)
    fake = models.source(small / "vgg_fake")
    convert_offline(OfflineRequest(source=fake, folder=root / "offline_7bit", bits=7))


def _network() -> Any:
    import paddle
    from paddle import nn

    paddle.disable_static()
    paddle.seed(0)
    network = nn.Sequential(
        *(nn.Conv2D(3, 8, 3), nn.BatchNorm2D(8), nn.ReLU(), nn.Conv2D(8, 8, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2D(2), nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10)),
    )
    network.train()
    _seen(network).eval()
    return network


def _seen(network: Any) -> Any:
    import paddle

    for seed in range(3):
        network(paddle.to_tensor(models.images(8, seed)))
    return network


def _spec() -> Any:
    import paddle

    return paddle.static.InputSpec([None, 3, models.SIDE, models.SIDE], "float32", "image")


def _save(network: Any, folder: Path) -> None:
    import paddle

    paddle.jit.save(network, str(folder / "model"), input_spec=[_spec()])


def _dygraph(root: Path) -> None:
    from paddle.quantization import PTQ, QAT, QuantConfig
    from paddle.quantization.observers import AbsmaxObserver
    from paddle.quantization.quanters import FakeQuanterWithAbsMaxObserver
    from paddleslim.quant.observers import AbsMaxChannelWiseWeightObserver, HistObserver

    quanter, observer = FakeQuanterWithAbsMaxObserver(moving_rate=0.9), AbsmaxObserver()
    channels = QuantConfig(activation=HistObserver(), weight=AbsMaxChannelWiseWeightObserver())
    trained = QAT(QuantConfig(activation=quanter, weight=quanter))
    network = _network()
    network.train()
    network = _seen(trained.quantize(network))
    network.eval()
    _save(trained.convert(network), root / "dygraph_qat")
    per_tensor = QuantConfig(activation=observer, weight=observer)
    for name, config in (("dygraph_ptq", per_tensor), ("dygraph_channels", channels)):
        observed = PTQ(config)
        _save(observed.convert(_seen(observed.quantize(_network()))), root / name)


def _aware(folder: Path, *, onnx_format: bool) -> None:
    from paddle.quantization import ImperativeQuantAware

    aware = ImperativeQuantAware(weight_quantize_type="channel_wise_abs_max", onnx_format=onnx_format)
    network = _network()
    network.train()
    aware.quantize(network)
    _seen(network).eval()
    aware.save_quantized_model(network, str(folder / "model"), input_spec=[_spec()])


def _weights(root: Path) -> None:
    import paddle
    from paddle.static.quantization import WeightQuantization

    paddle.enable_static()
    WeightQuantization(
        model_dir=str(root / FLOAT), model_filename="model.pdmodel", params_filename="model.pdiparams"
    ).quantize_weight_to_int(
        save_model_dir=str(root / "dynamic"),
        save_model_filename="model.pdmodel",
        save_params_filename="model.pdiparams",
        weight_bits=8,
        weight_quantize_type="channel_wise_abs_max",
        generate_test_model=True,
    )
    (root / "dynamic" / "quantized_model").rename(root / "weights")
    (root / "dynamic" / "test_model").rename(root / "weights_restored")
