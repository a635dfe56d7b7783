"""Model files that Paddle 2.6 reads, whatever was given. Importing this module does not load Paddle."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from paddle_int8.tasks.engines.paddle.files import MODEL_FILENAME, ModelFormat, ModelSource
from paddle_int8.tasks.engines.paddle.pir.program import read_program
from paddle_int8.tasks.process import temporary

logger = logging.getLogger(__name__)


@contextmanager
def readable(source: ModelSource) -> Iterator[ModelSource]:
    """`source`, with the translation of its program if Paddle 3 wrote it. Isolated process only.

    The parameters are not copied: their file is the same in both worlds. The translation is gone afterwards.
    Raises: ModelFormatError when the program is damaged or cannot be translated.
    """
    translated = _translated(source) if source.format is ModelFormat.PIR else _adapted(source)
    if not translated:
        yield source
        return
    with TemporaryDirectory(prefix=temporary.prefix()) as folder:
        path = Path(folder, MODEL_FILENAME)
        path.write_bytes(translated)
        yield replace(source, translated=path)


def _translated(source: ModelSource) -> bytes:
    """The program of Paddle 2.6 for a PIR program."""
    import paddle

    from paddle_int8.tasks.engines.paddle.pir.translation import translate
    from paddle_int8.tasks.engines.paddle.private.guard import require_tested_paddle
    from paddle_int8.tasks.engines.paddle.private.programs import serialized

    require_tested_paddle()
    paddle.enable_static()
    given = read_program(source.program)
    translated = serialized(translate(given, source.program))
    logger.info("%s: PIR version %d, translated to %d bytes", source.program, given.version, len(translated))
    return translated


def _adapted(source: ModelSource) -> bytes:
    """A program in the older form, with what Paddle 3 writes otherwise changed; empty when nothing is."""
    from paddle_int8.tasks.engines.paddle.newer import adapt, is_newer
    from paddle_int8.tasks.engines.paddle.program import parse_program

    desc = parse_program(source.program.read_bytes(), source.program)
    if not is_newer(desc) or not (changed := adapt(desc, source.program)):
        return b""
    logger.info("%s: %d operators of Paddle 3 put into the form of Paddle 2.6", source.program, changed)
    return desc.SerializeToString()
