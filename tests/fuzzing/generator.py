"""Draws random graphs. A seed always gives the same graph, wherever Paddle is the same."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import paddle

from tests.fuzzing.draft import Draft, ImpossibleError
from tests.fuzzing.graphs import FREE, Graph
from tests.fuzzing.operators import OPERATORS

FEWEST, MOST = 3, 30
LAYERS = frozenset(
    {"conv2d", "conv2d_last", "conv1d", "conv2d_transpose", "conv3d", "linear", "mul", "matmul_stored"}
)


def draw(seed: int, most: int = MOST) -> Graph:
    """The graph of `seed`, of 3 to `most` operators, with a layer. Paddle must be in static mode."""
    random = Random(seed)
    while True:
        graph = _attempt(seed, random, most)
        if len(graph.nodes) >= FEWEST and any(node.operator in LAYERS for node in graph.nodes):
            return graph


def _attempt(seed: int, random: Random, most: int) -> Graph:
    names = list(OPERATORS)
    shares = [OPERATORS[name].share for name in names]
    with paddle.utils.unique_name.guard():
        draft = Draft(seed, random)
        _feed(draft)
        wanted = random.randint(FEWEST, most)
        while len(draft.nodes) < wanted:
            with suppress(ImpossibleError):
                OPERATORS[random.choices(names, shares)[0]].draw(draft)
    return draft.finish() if len(draft.nodes) <= MOST else _attempt(seed, random, most)


def _feed(draft: Draft) -> None:
    """One to three inputs."""
    random = draft.random
    side = random.choice((4, 6, 7, 8, 12))
    shapes = [
        (FREE, random.choice((1, 3, 4, 8)), side, random.choice((side, side, side + 1))),
        (FREE, random.choice((4, 6, 8)), random.choice((8, 12, 16))),
        (FREE, random.choice((8, 16, 24))),
        (FREE, 2, 4, 6, 6),
    ]
    first = random.choices(shapes, (12, 5, 2, 1))[0]
    draft.feed(first, random.choice(("signed", "signed", "unit")))
    if random.random() < 0.25:
        draft.feed(first if random.random() < 0.6 else random.choice(shapes[:3]), "signed")
    if random.random() < 0.2:
        draft.feed((FREE, random.choice((first[1], 6))), "ids")
