"""The types of a model's inputs and outputs."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Feed = dict[str, Array]
"""The inputs of one inference, by input name; `tasks.contracts.sequences` explains sequences."""
