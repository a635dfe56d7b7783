"""The choice that was likely meant, for a word that is none of the choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

ALIKE = 0.6
"""difflib's own threshold: `hst` and `hist` have 0.86, `top` and `hist` 0.29."""
CLEARLY_ALIKE = 0.75
"""For choices of which few can be meant: `trian` and `train` have 0.8."""
SHOWN = 3


def did_you_mean(word: object, choices: Iterable[str], *, alike: float = ALIKE) -> str:
    """`, did you mean …?` for the nearest choices in any case and with any separators, or nothing."""
    near = _nearest(str(word), [choice for choice in choices if choice != word], alike)
    return f", did you mean {' or '.join(f'`{choice}`' for choice in near)}?" if near else ""


def _nearest(word: str, choices: Sequence[str], ratio: float) -> list[str]:
    """The same letters; all the parts, as `vnni` of `avx512_core_vnni`; then what is spelled alike."""
    parts = _parts(word)
    same = [choice for choice in choices if "".join(_parts(choice)) == "".join(parts)]
    holding = [choice for choice in choices if parts and set(parts) <= set(_parts(choice))]
    lower = {choice.lower(): choice for choice in choices}
    alike = [lower[each] for each in get_close_matches(word.lower(), lower, n=1, cutoff=ratio)]
    return same[:1] or sorted(holding, key=len)[:SHOWN] or alike


def _parts(word: str) -> list[str]:
    return re.findall(r"[^\W_]+", word.lower())
