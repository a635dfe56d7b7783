"""What a conversion came to, in any layout and for any engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedModel:
    """What was written: layout, content digest, INT8 operators by type, rewrites by name, bytes on disk.

    `int8_ops` of `offline` are the operators that Paddle's passes marked INT8; of `qdq` the compute
    operators that read quantized input, which the predictor will turn into INT8 when it loads them.
    """

    folder: Path
    layout: str
    digest: str
    int8_ops: dict[str, int]
    repairs: dict[str, int]
    size_bytes: int
