"""The types of what goes into a model and comes out of it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Feed = dict[str, Array]
"""Arrays by the name of the input; see `tasks.contracts.sequences` for sequences."""
