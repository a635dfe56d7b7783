"""Which fields of the section `conversion` one candidate is made with."""

from __future__ import annotations

from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.contracts.vocabulary import Layout
from paddle_int8.tasks.engines.paddle.conversion.offline import WEIGHT_BITS


def own_section(config: ConversionConfig, layout: Layout) -> ConversionConfig:
    """`config` for the `offline` layouts; for the others, which read none of it, the defaults."""
    return config if layout in WEIGHT_BITS else ConversionConfig(timeout_s=config.timeout_s)
