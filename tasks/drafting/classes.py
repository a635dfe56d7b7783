"""The order of the classes, from a file with their names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from paddle_int8.tasks.config.text_encoding import EncodingError, decoded
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.contracts.suggestion import did_you_mean
from paddle_int8.tasks.drafting.sources import Data


def order_of_names(path: Path, data: Data) -> Mapping[int, int]:
    """The class of each label: the line, counted from 0, that has the name of the label's folder.

    Raises: DataError when the file cannot be read, a folder's name is not in it, or the data, which must be
    class folders that are yet to be split, have no such names.
    """
    names = data.validation.class_names
    if not (names and data.whole):
        raise DataError(
            found=f"--classes {path}, and data without class folders, or in two parts already",
            required="one folder of class folders, whose pictures `init` lists",
            remedy="number the labels in a list file, in the order of the model's output",
        )
    try:
        lines = [line.strip() for line in decoded(path.read_bytes()).splitlines() if line.strip()]
    except (OSError, EncodingError) as error:
        raise DataError(
            found=f"{path}: {error}", required="a UTF-8 text with a name a line", remedy="correct --classes"
        ) from error
    places = {line: place for place, line in enumerate(lines)}
    missing = [name for name in names if name not in places]
    if missing:
        raise DataError(
            found=f"class folder {missing[0]}, which {path} does not name"
            f"{did_you_mean(missing[0], tuple(places))}",
            required="a line for each class folder, in the order of the model's output",
            remedy="add the names, or correct those of the folders",
        )
    return {label: places[name] for label, name in enumerate(names)}
