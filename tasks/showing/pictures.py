"""Pictures of samples, as the model sees them, for a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.data.dataset import input_file

SIDE = 112
"""Pixels of the longer side of a picture on the page."""


def channels_of(dataset: DatasetArtifact, model: ModelArtifact) -> int:
    """1 or 3 where the model's only input is a picture of bytes with its channels last, else 0."""
    if len(model.inputs) != 1:
        return 0
    array = np.load(input_file(dataset.folder, model.inputs[0].name), mmap_mode="r")
    picture = array.dtype == np.uint8 and array.ndim == 4 and array.shape[3] in (1, 3)
    return int(array.shape[3]) if picture else 0


def picture(dataset: DatasetArtifact, model: ModelArtifact, row: int) -> str | None:
    """A data URI of the sample as it was resized, cropped and greyed; None where it is no picture."""
    if not channels_of(dataset, model):
        return None
    array = np.load(input_file(dataset.folder, model.inputs[0].name), mmap_mode="r")[row]
    drawn = Image.fromarray(np.ascontiguousarray(array.squeeze(2) if array.shape[2] == 1 else array))
    factor = SIDE / max(drawn.size)
    size = (max(1, round(drawn.width * factor)), max(1, round(drawn.height * factor)))
    written = io.BytesIO()
    smooth = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    drawn.resize(size, smooth).save(written, format="JPEG" if factor < 1 else "PNG")
    kind = "jpeg" if factor < 1 else "png"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode()}"
