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


class Layout(StrEnum):
    """How an INT8 model is packed, which decides how Paddle Inference runs it."""

    OFFLINE = "offline"
    OFFLINE_7BIT = "offline_7bit"
    QDQ = "qdq"
    RECURRENT = "recurrent"


class Algorithm(StrEnum):
    """How scales are found: by a post-training algorithm of PaddleSlim, or by further training (`qat`)."""

    KL = "KL"
    HIST = "hist"
    AVG = "avg"
    MSE = "mse"
    EMD = "emd"
    ABS_MAX = "abs_max"
    MIN_MAX = "min_max"
    PTF = "ptf"
    QAT = "qat"


POST_TRAINING = tuple(algorithm for algorithm in Algorithm if algorithm is not Algorithm.QAT)
"""Algorithms that need no training."""


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
