"""Preloads Paddle in the process that isolated processes are forked from.

Importing Paddle takes seconds, and importing the steps' own modules takes half a second; a fork need not do
it again. Nothing is executed here, so oneDNN and OpenMP read the environment of each fork. PaddleSlim is not
imported, because its import loads plotting and statistics packages for seconds: post-training quantization
needs only the class in Paddle that PaddleSlim would call.
"""

import os
import warnings
from pathlib import Path

from paddle_int8.tasks.process import garbage, lifeline

lifeline.end_server_with_its_clients()  # first: an import below may hang
os.environ.setdefault("GLOG_minloglevel", "2")
warnings.simplefilter("ignore")
_saved = [os.dup(descriptor) for descriptor in (1, 2)]
with Path(os.devnull).open("wb") as _nowhere:  # nothing may appear in the terminal
    for _descriptor in (1, 2):
        os.dup2(_nowhere.fileno(), _descriptor)

with garbage.left_alone():
    import numpy  # noqa: F401 - before paddle, whose zlib symbols crash it otherwise
    import paddle  # noqa: F401

    import paddle_int8.tasks.engines.paddle.conversion.offline
    import paddle_int8.tasks.engines.paddle.quantization.ptq
    import paddle_int8.tasks.validation.measure  # noqa: F401

for _descriptor, _copy in zip((1, 2), _saved, strict=True):
    os.dup2(_copy, _descriptor)
    os.close(_copy)
