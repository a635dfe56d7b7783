"""Paddle's published results, as printed.

They were measured on one thread of a Xeon Gold 6271 unless a row's setting says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """The unit of a row's speed: samples per second, or milliseconds."""

    PER_SECOND = "/s"
    MILLISECONDS = "ms"


class RowKey(StrEnum):
    """The names of the rows."""

    MOBILENET_V1 = "mobilenet_v1"
    MOBILENET_V2 = "mobilenet_v2"
    RESNET101 = "resnet101"
    RESNET50 = "resnet50"
    VGG16 = "vgg16"
    VGG19 = "vgg19"
    ERNIE = "ernie"
    ERNIE_THREADS = "ernie_threads"
    GRU = "gru"
    GRU_BATCH = "gru_batch"
    GRU_REPEAT = "gru_repeat"
    GRU_LAC = "gru_lac"
    GRU_LAC_BATCH = "gru_lac_batch"
    LSTM = "lstm"
    LSTM_THREADS = "lstm_threads"
    MINILM = "minilm"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAccuracy:
    """A row's published accuracy, in percent. The `top5` figures are None when none were published."""

    metric: str
    fp32: float
    int8: float
    fp32_top5: float | None = None
    int8_top5: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One published row. Its releases are `<key>_speed.yaml` and `<key>_accuracy.yaml`.

    `native_baseline` is True when the published FP32 figure is that of Paddle's own kernels, not oneDNN's.
    """

    key: RowKey
    title: str
    setting: str
    unit: Unit
    fp32: float
    int8: float
    ratio: float
    native_baseline: bool = False
    accuracy: PublishedAccuracy | None = None


def _image(
    key: RowKey, title: str, speeds: tuple[float, float, float], tops: tuple[float, ...]
) -> PublishedRow:
    """A row of an image model.

    speeds: pictures per second in FP32 and in INT8, and their ratio. tops: top-1 in FP32 and in INT8, then
    top-5 in FP32 and in INT8, in percent.
    """
    fp32, int8, ratio = speeds
    return PublishedRow(
        key=key,
        title=title,
        setting="1 thread, batch 1",
        unit=Unit.PER_SECOND,
        fp32=fp32,
        int8=int8,
        ratio=ratio,
        accuracy=PublishedAccuracy(
            metric="top1", fp32=tops[0], int8=tops[1], fp32_top5=tops[2], int8_top5=tops[3]
        ),
    )


IMAGES = (
    _image(RowKey.MOBILENET_V1, "MobileNet-V1", (74.05, 216.36, 2.92), (70.78, 70.74, 89.69, 89.43)),
    _image(RowKey.MOBILENET_V2, "MobileNet-V2", (88.60, 205.84, 2.32), (71.90, 72.21, 90.56, 90.62)),
    _image(RowKey.RESNET101, "ResNet101", (7.20, 26.48, 3.68), (77.50, 77.60, 93.58, 93.55)),
    _image(RowKey.RESNET50, "ResNet50", (13.23, 50.02, 3.78), (76.63, 76.50, 93.10, 92.98)),
    _image(RowKey.VGG16, "VGG16", (3.47, 10.67, 3.07), (72.08, 71.74, 90.63, 89.71)),
    _image(RowKey.VGG19, "VGG19", (2.83, 9.09, 3.21), (72.57, 72.12, 90.84, 90.15)),
)


def _sequence(
    key: RowKey,
    title: str,
    setting: str,
    speeds: tuple[float, float, float],
    *,
    unit: Unit = Unit.PER_SECOND,
    accuracy: PublishedAccuracy | None = None,
) -> PublishedRow:
    fp32, int8, ratio = speeds
    return PublishedRow(
        key=key,
        title=title,
        setting=setting,
        unit=unit,
        fp32=fp32,
        int8=int8,
        ratio=ratio,
        native_baseline=title in (GRU, GRU_LAC),
        accuracy=accuracy,
    )


ERNIE, LSTM = "ERNIE", "LSTM"
GRU, GRU_LAC = "GRU (LAC, seg_model)", "GRU (LAC, lac_model)"
"""The published GRU rows name LAC but not which of its two models, so both have the same figures."""
LAC_F1 = PublishedAccuracy(metric="F1", fp32=89.326, int8=89.323)
SEQUENCES = (
    _sequence(
        RowKey.ERNIE,
        ERNIE,
        "1 thread",
        (237.21, 79.26, 2.99),
        unit=Unit.MILLISECONDS,
        accuracy=PublishedAccuracy(metric="accuracy", fp32=80.20, int8=79.44),
    ),
    _sequence(RowKey.ERNIE_THREADS, ERNIE, "20 threads", (22.08, 12.57, 1.76), unit=Unit.MILLISECONDS),
    _sequence(
        RowKey.GRU,
        GRU,
        "batch 1, 1 thread",
        (1108, 1393, 1.26),
        accuracy=LAC_F1,
    ),
    _sequence(RowKey.GRU_BATCH, GRU, "batch 50, 1 thread", (2175, 3199, 1.47)),
    _sequence(RowKey.GRU_REPEAT, GRU, "repeat 10, batch 50, 1 thread", (2165, 3334, 1.54)),
    _sequence(RowKey.GRU_LAC, GRU_LAC, "batch 1, 1 thread", (1108, 1393, 1.26), accuracy=LAC_F1),
    _sequence(RowKey.GRU_LAC_BATCH, GRU_LAC, "batch 50, 1 thread", (2175, 3199, 1.47)),
    _sequence(
        RowKey.LSTM,
        LSTM,
        "1 thread",
        (4895.65, 7190.55, 1.47),
        accuracy=PublishedAccuracy(metric="HX_ACC", fp32=93.3, int8=92.5),
    ),
    _sequence(RowKey.LSTM_THREADS, LSTM, "4 threads", (6370.86, 7942.51, 1.25)),
)

PUBLISHED = (*IMAGES, *SEQUENCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraRow:
    """A row that was not published: only its accuracy is measured, with `<key>_accuracy.yaml`."""

    key: RowKey
    title: str


EXTRAS = (ExtraRow(key=RowKey.MINILM, title="MiniLM, pre-trained, on Reuters R8"),)
"""MiniLM is an encoder like ERNIE, with real pre-trained weights. ERNIE's own weights are trained here."""
