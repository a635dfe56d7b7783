"""Refuses models with operators that only GPUs run. Such a model would die when it first runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.errors import ModelFormatError

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

GPU_ONLY = frozenset(
    {
        "block_multihead_attention",
        "flash_attn",
        "flash_attn_unpadded",
        "fused_attention",
        "fused_bias_act",
        "fused_bias_dropout_residual_layer_norm",
        "fused_bias_residual_layernorm",
        "fused_conv2d_add_act",
        "fused_dropout_add",
        "fused_embedding_eltwise_layernorm",
        "fused_fc_elementwise_layernorm",
        "fused_feedforward",
        "fused_multi_transformer",
        "fused_rotary_position_embedding",
        "fused_token_prune",
        "masked_multihead_attention",
        "memory_efficient_attention",
        "multihead_matmul",
        "skip_layernorm",
        "variable_length_memory_efficient_attention",
    }
)
"""Operators of Paddle 2.6 that have no kernel for CPUs."""


def require_cpu(loaded: LoadedProgram, program: Path) -> None:
    """Requires operators that a CPU runs. Raises: ModelFormatError when `loaded` holds another one."""
    types = {op.type for block in loaded.program.blocks for op in block.ops}
    if found := sorted(types & GPU_ONLY):
        raise ModelFormatError(
            found=f"{program} has operators that only a GPU runs: {', '.join(found)}",
            required="a model before the optimizations for GPUs",
            remedy="export the network itself with `paddle.jit.save`, without these fusions and without "
            "`convert_to_mixed_precision`",
        )
