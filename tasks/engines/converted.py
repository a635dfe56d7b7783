"""The result of a conversion, in any layout and for any engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedModel:
    """What a conversion wrote: layout, content digest, repairs by name, bytes on disk.

    int8_ops: INT8 operators by type. For `offline` they are the operators that Paddle's passes marked INT8.
        For `qdq` they are the compute operators that read quantized input: the predictor makes them INT8 when
        it loads the model.
    """

    folder: Path
    layout: str
    digest: str
    int8_ops: dict[str, int]
    repairs: dict[str, int]
    size_bytes: int
