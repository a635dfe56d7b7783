"""What the keys of a candidate's steps hold of its algorithm and of the form that its layout takes."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms.request import ruling
from paddle_int8.tasks.contracts.keys import Chosen, named
from paddle_int8.tasks.layouts.code import chosen_form


def chosen_candidate(parameters: Mapping[str, JsonValue], *path: str) -> Chosen:
    """The code of a candidate's algorithm and of the rule for its thresholds, and the form.

    parameters: a step's decisive parameters. path: the keys that lead to the candidate in them.
    """
    algorithm = ALGORITHMS.find(named(parameters, *path, "algorithm"))
    modules = frozenset(ALGORITHMS.module(name) for name in (algorithm.name, ruling(algorithm).name))
    return Chosen(modules=modules) | chosen_form(named(parameters, *path, "layout"))
