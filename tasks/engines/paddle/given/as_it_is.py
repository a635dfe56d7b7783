"""Takes a given model that is in its layout already: nothing is converted.

`take_as_it_is` runs in the isolated process; importing this module does not load Paddle.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.conversion.converted import require_int8
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import FILES, find_model


def take_as_it_is(given: Path, folder: Path, layout: str) -> ConvertedModel:
    """Copies the model in the folder `given` into `folder`.

    Raises: ConversionError when none of its layers would run in INT8.
    """
    from paddle_int8.tasks.engines.paddle.given.layers import quantized_layers
    from paddle_int8.tasks.engines.paddle.program import load_program

    for name in FILES:
        shutil.copyfile(given / name, folder / name)
    layers = quantized_layers(
        load_program(find_model(ModelFiles(path=folder)), quantized=True), converted=True
    )
    taken = ConvertedModel(
        folder=folder,
        layout=layout,
        digest=program_digest(folder),
        int8_ops=dict(sorted(Counter(layer.type for layer in layers if layer.quantized).items())),
        repairs={},
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
    )
    require_int8(taken)
    return taken
