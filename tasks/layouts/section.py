"""Which fields of the section `conversion` one candidate is made with."""

from __future__ import annotations

from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.layouts import LAYOUTS


def own_section(config: ConversionConfig, layout: str) -> ConversionConfig:
    """`config`, in which every field that the layout does not read has its default."""
    kept = LAYOUTS.find(layout).reads | {"timeout_s"}
    return ConversionConfig(**{name: value for name, value in config if name in kept})
