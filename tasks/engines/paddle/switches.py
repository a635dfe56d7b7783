"""The settings of Paddle's predictor that can be switched, and those with which each kind of model opens."""

from __future__ import annotations

from dataclasses import dataclass, replace

FP32_FC_FUSION = "repeated_fc_relu_fuse_pass"
"""Fuses consecutive FCs into one FP32 operator that INT8 cannot reach: VGG loses two thirds of its speed."""

SCORE_SUM_FUSION = "matmul_elementwise_add_mkldnn_fuse_pass"
"""Fuses a product with the addition behind it. In INT8 the fused kernel adds what its output's memory happens
to hold: masked attention then answers the same input differently each time."""

INT8_DELETED = (FP32_FC_FUSION, SCORE_SUM_FUSION)

RESIDUAL_FUSION = "conv_elementwise_add_mkldnn_fuse_pass"
"""Fuses a convolution with the addition behind it. The conversion to `offline` has fused what can be in INT8.
The predictor's own run would fuse the others too, such as `x + convolution(x)` as the model's output, and the
kernel then refuses: "residual fusion does not support force output with fp32"."""

TRANSPOSITION_FUSION = "quant_transpose2_dequant_onednn_fuse_pass"
"""Fuses a transposition with the quantization in front of it and the dequantization behind it. Where both are
there, FP32 reads values that were multiplied by the scale and not divided by it again."""
QDQ_DELETED = (*INT8_DELETED, TRANSPOSITION_FUSION)

SPENT_SCALES_REMOVAL = ("cpu_quantize_pass", "cpu_quantize_placement_pass")
"""A pass that is run once more than usual, and the pass that the extra run is inserted in front of.

Two sets of scales stand in the graph of a `qdq` program when it comes to `cpu_quantize_pass`: first the one
that Paddle gathered from the program, then the one that rests on what `recorded_scales.py` wrote into it. The
pass takes the first set that it finds out of the graph and uses it, so that it has to run twice:

    run                              set that it takes   operators that it quantizes
    before the placement pass        Paddle's            none, as none is marked yet
    after the placement pass         the recorded one    those that the placement pass marked
"""

CACHED_SHAPES = 10
"""The number of input shapes whose kernels are kept. Paddle's own default, and PaddleOCR's, is 10 too.

Each combination of a batch size and a picture size is one shape, and each shape takes memory, mostly weights
in the order that its kernels read. A MobileNet-V1 of half its width, on 300 sizes of pictures from 32 to 108
pixels, took for each shape

    in INT8     in FP32
    2.1 MiB     4.3 MiB

so that 1,000 shapes would take gigabytes. A shape that is one too many has all of a predictor's kernels
dropped, which are then built again: see `Executor` in `serving.py`.
"""
CACHED_LENGTHS = 1000
"""The same for sequences. Each length is a shape, and building its kernels takes longer than running them."""
LENGTH_BUCKETS = (16, 32, 64, 128, 256, 512, 1024, 2048)
"""The longest sequence of each bucket, twice that of the bucket before. With more buckets there would be more
groups, which cost more than the steps for which shorter sequences wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """The settings of `paddle.inference.Config`; their names are those in `deployment.json`.

    onednn_cache_capacity: the number of input shapes for which prepared kernels are kept.
    inserted_passes: pairs of a pass and the pass that it is inserted in front of.
    length_buckets: the longest sequence of each bucket that a batch is run in; none runs the batch whole.
    bf16_rest: what is not INT8 runs in BF16 on CPUs that have it, and in FP32 on others.
    max_isa: the instruction set that oneDNN is held to, also on a CPU with more; "" for all that the CPU has.
    """

    onednn: bool = True
    onednn_int8: bool = False
    onednn_bf16: bool = False
    bf16_rest: bool = False
    ir_optim: bool = True
    memory_optim: bool = True
    deleted_passes: tuple[str, ...] = ()
    inserted_passes: tuple[tuple[str, str], ...] = ()
    onednn_cache_capacity: int = CACHED_SHAPES
    length_buckets: tuple[int, ...] = ()
    max_isa: str = ""


BASELINE = Switches()
"""The FP32 baseline keeps the fusion: FP32 is faster with it, and it is what a user gets."""
NATIVE_FP32 = Switches(onednn=False)
BF16 = Switches(onednn_bf16=True)
QUANTIZED = Switches(deleted_passes=(*INT8_DELETED, RESIDUAL_FUSION))
"""The switches for programs that hold quantize operators and INT8 attributes already."""
QUANTIZED_BF16 = replace(QUANTIZED, bf16_rest=True)
"""`QUANTIZED` with BF16 for what is not INT8. `QDQ` has no such counterpart, since the predictor would not
quantize the layers behind one in BF16."""
QDQ = Switches(onednn_int8=True, deleted_passes=QDQ_DELETED, inserted_passes=(SPENT_SCALES_REMOVAL,))
"""Without `onednn_int8` a QDQ program silently runs in FP32, slower than the baseline."""
FOREIGN_QDQ = Switches(onednn_int8=True, deleted_passes=QDQ_DELETED)
"""The switches for a QDQ program as PaddleSlim writes it, which has not been converted."""
RECURRENT = replace(QUANTIZED, length_buckets=LENGTH_BUCKETS, onednn_cache_capacity=CACHED_LENGTHS)
