"""The names that every part of the project shares: instruction sets, layouts, algorithms, outcomes."""

from __future__ import annotations

from enum import StrEnum


class IsaLevel(StrEnum):
    """An instruction set that changes INT8 speed or accuracy, by oneDNN's own name."""

    SSE41 = "sse41"
    AVX = "avx"
    AVX2 = "avx2"
    AVX2_VNNI = "avx2_vnni"
    AVX512_CORE = "avx512_core"
    AVX512_CORE_VNNI = "avx512_core_vnni"
    AVX512_CORE_BF16 = "avx512_core_bf16"
    AVX512_CORE_AMX = "avx512_core_amx"


class QuantizedForm(StrEnum):
    """What a quantizer writes, and a layout's conversion takes.

    FP32 is the model as it was, for conversions that take the scales alone.
    """

    FAKE_QUANT = "fake_quant"
    QDQ = "qdq"
    FP32 = "fp32"


class Observed(StrEnum):
    """What a calibration observes of activations, once for all algorithms that need it."""

    MAGNITUDES = "magnitudes"
    LOSSES = "losses"


class OutputKind(StrEnum):
    """What one output of a model holds, which decides how INT8 is compared with FP32 there."""

    CLASSES = "classes"
    STEPS = "steps"
    PIXELS = "pixels"
    FLAGS = "flags"
    EMBEDDING = "embedding"
    BOXES = "boxes"
    DECISIONS = "decisions"
    CONSTANT = "constant"
    OTHER = "other"
    IGNORE = "ignore"


class Outcome(StrEnum):
    """What the gate decides, on one criterion and on a candidate as a whole."""

    APPROVED = "approved"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
