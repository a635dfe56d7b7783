"""The kinds of sources of samples. Each kind is one file, and reads one sample at a time."""

from typing import Any

from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.config.registry import Registry
from paddle_int8.tasks.data.sources.source import Samples, SourceKind, error

SOURCES: Registry[SourceKind[Any]] = Registry(
    noun="kind of source",
    package=__name__,
    constant="SOURCE",
    group="paddle_int8.sources",
    first=("image_folder", "npz", "idx", "tagged_text", "callable"),  # the run form opens with the first
)


def open_source(source: Source, preprocessing: Preprocessing) -> Samples:
    """Opens a source without reading its samples where the format allows.

    Raises: DataError when it is missing, empty, not of its format, or has unusable labels.
    """
    samples = SOURCES.find(source.kind).open(source, preprocessing)
    if samples.count == 0:
        raise error(f"no samples in {describe(source)}", "at least one sample", "correct the source")
    return samples


def describe(source: Source) -> str:
    """The source in one line, for reports."""
    return SOURCES.find(source.kind).describe(source, str)
