"""Which tensors share one scale, on programs of stand-in operators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from paddle_int8.tasks.engines.paddle.conversion.common_scales import common_scales

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Program


@dataclass(frozen=True)
class Op:
    type: str
    x: list[str]
    out: list[str]

    def input(self, slot: str) -> list[str]:
        return self.x

    def output(self, slot: str) -> list[str]:
        return self.out

    def has_attr(self, name: str) -> bool:
        return False

    @property
    def input_arg_names(self) -> list[str]:
        return self.x

    @property
    def output_arg_names(self) -> list[str]:
        return self.out


@dataclass
class StandIn:
    ops: list[Op] = field(default_factory=list)

    def global_block(self) -> StandIn:
        return self


def shared(scales: dict[str, float], *ops: Op) -> dict[str, float]:
    return common_scales(scales, cast("Program", StandIn([Op("feed", [], ["input"]), *ops])), fp32_too=False)


SPLIT = Op("split", ["input"], ["first", "second"])


@pytest.mark.parametrize(
    ("scales", "scale"),
    [
        ({"first": 42.0, "second": 36.0}, 36.0),
        ({"input": 40.0, "first": 42.0, "second": 36.0}, 40.0),
        ({"second": 36.0}, 36.0),
    ],
    ids=["the widest part", "what is split", "the only part that was calibrated"],
)
def test_parts_have_the_scale_of_what_is_split_or_of_the_widest(
    scales: dict[str, float], scale: float
) -> None:
    """With another part's scale INT8 cut off what lies beyond that part's range: 34 dB instead of 41."""
    assert shared(scales, SPLIT) == {"input": scale, "first": scale, "second": scale}


def test_concatenated_tensors_have_the_scale_of_the_widest() -> None:
    found = shared(
        {"first": 42.0, "second": 36.0, "joined": 40.0}, SPLIT, Op("concat", ["first", "second"], ["joined"])
    )
    assert set(found.values()) == {36.0}
