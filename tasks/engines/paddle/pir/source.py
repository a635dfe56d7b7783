"""Model files that Paddle 2.6 reads, whatever was given. Importing this module does not load Paddle."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from paddle_int8.tasks.engines.paddle.files import ModelFormat, ModelSource
from paddle_int8.tasks.engines.paddle.pir.program import read_program
from paddle_int8.tasks.process import temporary

logger = logging.getLogger(__name__)


@contextmanager
def readable(source: ModelSource) -> Iterator[ModelSource]:
    """`source`, with the translation of its program if that is a PIR program. Isolated process only.

    The parameters are not copied: their file is the same in both worlds. The translation is gone afterwards.
    Raises: ModelFormatError when the program is damaged or cannot be translated.
    """
    if source.format is not ModelFormat.PIR:
        yield source
        return
    import paddle

    from paddle_int8.tasks.engines.paddle.pir.translation import translate
    from paddle_int8.tasks.engines.paddle.private.guard import require_tested_paddle
    from paddle_int8.tasks.engines.paddle.private.programs import serialized

    require_tested_paddle()
    paddle.enable_static()
    given = read_program(source.program)
    translated = serialized(translate(given, source.program))
    logger.info("%s: PIR version %d, translated to %d bytes", source.program, given.version, len(translated))
    with TemporaryDirectory(prefix=temporary.prefix()) as folder:
        path = Path(folder, "model.pdmodel")
        path.write_bytes(translated)
        yield replace(source, translated=path)
