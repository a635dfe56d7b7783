"""What the keys of a candidate's steps hold of its algorithm and of the form that its layout takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms.request import ruling
from paddle_int8.tasks.contracts.keys import Chosen
from paddle_int8.tasks.layouts.code import chosen_form


def chosen_candidate(candidate: Mapping[str, Any]) -> Chosen:
    """The code of its algorithm and of the rule for its thresholds, and the form.

    candidate: a `Candidate` as plain JSON values.
    """
    algorithm = ALGORITHMS.find(candidate["algorithm"])
    modules = frozenset(ALGORITHMS.module(name) for name in (algorithm.name, ruling(algorithm).name))
    return Chosen(modules=modules) | chosen_form(candidate["layout"])
