"""Everything of Paddle that is not public, in one place.

No other module takes it, but those that subclass one of Paddle's own classes whole: the calibrator and the
conversion `quant2int8`. What is taken is listed in `guard.py`, which refuses another Paddle at once instead
of letting it behave otherwise. docs/upgrading.md says what to check.

Importing these modules does not load Paddle.
"""

from __future__ import annotations

from typing import Any


def raw(thing: object) -> Any:
    """An object of Paddle with all that its protocol in `types.py` does not promise."""
    return thing
