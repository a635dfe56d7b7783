"""The only modules that use what is not public in Paddle.

There are two exceptions, which subclass a whole class of Paddle's: the calibrator and the conversion
`quant2int8`. `guard.py` lists all that is used, and refuses another Paddle at once instead of letting it
behave differently. docs/upgrading.md says what to check.

Importing these modules does not load Paddle.
"""

from __future__ import annotations

from typing import Any


def raw(thing: object) -> Any:
    """The same object of Paddle, untyped: its protocol in `types.py` names only public members."""
    return thing
