"""Finds the choice that a misspelled word was likely meant to be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

ALIKE = 0.6
"""Least similarity of a suggestion (difflib's default): `hst` and `hist` have 0.86, `top` and `hist` 0.29."""
CLEARLY_ALIKE = 0.75
"""Least similarity where most of the choices cannot be meant: `trian` and `train` have 0.8."""
SHOWN = 3


def did_you_mean(word: object, choices: Iterable[str], *, alike: float = ALIKE) -> str:
    """`, did you mean …?` with the nearest choices, or an empty text when none is near.

    Upper and lower case, and separators such as `_`, make no difference.
    """
    near = _nearest(str(word), [choice for choice in choices if choice != word], alike)
    return f", did you mean {' or '.join(f'`{choice}`' for choice in near)}?" if near else ""


def _nearest(word: str, choices: Sequence[str], ratio: float) -> list[str]:
    """The nearest choices by the first rule that finds any.

    1. The letters are the same: `AVX-2` finds `avx2`. 2. Each part of the word is a part of the choice:
    `vnni` finds `avx512_core_vnni`. 3. The choice is spelled alike.
    """
    parts = _parts(word)
    same = [choice for choice in choices if "".join(_parts(choice)) == "".join(parts)]
    holding = [choice for choice in choices if parts and set(parts) <= set(_parts(choice))]
    lower = {choice.lower(): choice for choice in choices}
    alike = [lower[each] for each in get_close_matches(word.lower(), lower, n=1, cutoff=ratio)]
    return same[:1] or sorted(holding, key=len)[:SHOWN] or alike


def _parts(word: str) -> list[str]:
    return re.findall(r"[^\W_]+", word.lower())
