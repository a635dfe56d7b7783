"""Which operators the strategy `mixed` keeps in FP32, and with how many candidates it finds out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.evidence import FailedCandidate
from paddle_int8.tasks.contracts.sensitivity import OperatorSensitivity, Sensitivity
from paddle_int8.tasks.contracts.verdict import Attempt, Judged
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.engines.paddle.audit.kernels import Primitive
from paddle_int8.tasks.gate.confirmation import is_right, is_usable
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.sensitivity.choice import most_promising
from paddle_int8.tasks.sensitivity.order import by_worth, trimmed
from paddle_int8.tasks.sensitivity.timing import by_kind, primitive_kind
from paddle_int8.tasks.strategies.mixed import STRATEGY, Kept, next_mix
from tests.unit.evidence_factory import counted, good_evidence, ratio, spoil, with_speed
from tests.unit.test_confirmation import judged

GATE = GateConfig()


def operator(
    name: str, output_sqnr_db: float, *, fp32_ms: float | None = None, int8_ms: float | None = None
) -> OperatorSensitivity:
    return OperatorSensitivity(
        layer=name,
        type="conv2d",
        tensor=f"{name}.tmp_0",
        output_sqnr_db=output_sqnr_db,
        own_sqnr_db=30.0,
        noise_share=0.0,
        inputs=(),
        reason="",
        fp32_ms=fp32_ms,
        int8_ms=int8_ms,
    )


def line(count: int) -> Kept:
    """Operators of which each has less noise than the one before."""
    return tuple(operator(f"conv2d_{index}", 10.0 + index) for index in range(count))


def searched(operators: Kept, is_enough: Callable[[Kept], bool]) -> tuple[list[Kept], Kept | None]:
    """What is tried until nothing more is asked, and the shortest choice that was enough."""
    tried: dict[Kept, bool] = {}
    while (asked := next_mix(operators, tried.get)) is not None:
        assert asked not in tried
        tried[asked] = is_enough(asked)
    return list(tried), min((kept for kept, right in tried.items() if right), key=len, default=None)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50, 200])
def test_shortest_prefix_is_found_with_about_log2_candidates(count: int) -> None:
    operators = line(count)
    for needed in range(1, count):
        tried, found = searched(operators, lambda kept, needed=needed: len(kept) >= needed)  # type: ignore[misc]
        assert found == operators[:needed]
        assert len(tried) <= math.ceil(math.log2(count))


def test_search_in_which_nothing_is_enough_ends_and_never_keeps_all() -> None:
    tried, found = searched(line(16), lambda kept: False)
    assert found is None
    assert max(map(len, tried)) == 15


def test_noisiest_comes_first_without_milliseconds() -> None:
    quiet, loud = operator("quiet", 40.0), operator("loud", 5.0)
    assert by_worth((quiet, loud)) == (loud, quiet)


def test_cheap_operator_comes_before_a_slightly_noisier_dear_one() -> None:
    dear = operator("dear", 9.0, fp32_ms=5.0, int8_ms=1.0)
    cheap = operator("cheap", 10.0, fp32_ms=1.0, int8_ms=0.9)
    slower_in_int8 = operator("slower", 31.0, fp32_ms=1.0, int8_ms=1.5)
    unknown = operator("unknown", 0.0)
    assert by_worth((dear, unknown, cheap, slower_in_int8)) == (unknown, cheap, slower_in_int8, dear)


def test_what_came_first_for_its_low_cost_is_tried_without_once() -> None:
    cheap, dear = operator("cheap", 30.0), operator("dear", 5.0)
    others = (operator("third", 40.0), operator("fourth", 41.0))
    assert trimmed((cheap, dear)) == (dear,)
    tried, found = searched((cheap, dear, *others), lambda kept: dear in kept)
    assert found == (dear,)
    assert tried[-1] == (dear,)
    assert len(tried) == 3


def test_nothing_is_trimmed_whose_noise_is_more_than_that_of_the_last() -> None:
    kept = (operator("a", 5.0), operator("b", 20.0), operator("c", 10.0))
    assert [each.layer for each in trimmed(kept)] == ["a", "c"]
    assert trimmed(kept[:1]) == kept[:1]


WRONG = spoil(good_evidence("KL-qdq", speedup=4.0), metrics=(counted(lost=60, gained=0, samples=600),))
NEARER = spoil(good_evidence("avg-qdq", speedup=3.0), metrics=(counted(lost=30, gained=0, samples=600),))
RIGHT = spoil(good_evidence("hist-qdq", speedup=2.0), metrics=(counted(lost=0, gained=0, samples=600),))
SLOW = with_speed(NEARER, ratio(0.5))


class Bench:
    """Answers by the real gate, and notes whose operators are to be measured; it measures none."""

    def __init__(self) -> None:
        self.asked: list[Candidate] = []

    def is_usable(self, each: Judged) -> bool:
        return is_usable(each, GATE)

    def is_right(self, each: Judged) -> bool:
        return is_right(each, GATE, 2_000)

    def sensitivity(self, each: Judged) -> Sensitivity | None:
        self.asked.append(each.candidate)
        return None


def after_the_grid(*tried: Attempt) -> tuple[tuple[Candidate, ...], list[Candidate]]:
    """What the strategy asks for once the grid was tried, and whose operators it had measured."""
    bench = Bench()
    grid = QuantizationConfig(algorithms=("KL", "avg", "hist"), layouts=("qdq",))
    search = STRATEGY.start(grid, bench)
    missing = [
        FailedCandidate(candidate=each, step="quantize", error="")
        for each in grid.candidates()
        if each not in {attempt.candidate for attempt in tried}
    ]
    return search.next_candidates([*tried, *missing]), bench.asked


def test_grid_that_suffices_is_not_searched() -> None:
    assert after_the_grid(judged(WRONG), judged(RIGHT)) == ((), [])


def test_search_goes_on_from_the_most_promising_candidate_that_is_fast_enough() -> None:
    _, asked = after_the_grid(judged(WRONG), judged(NEARER))
    assert asked == [NEARER.candidate]
    _, asked = after_the_grid(judged(WRONG), judged(SLOW))
    assert asked == [WRONG.candidate]


def test_search_ends_where_nothing_is_measured_or_fast_enough() -> None:
    assert after_the_grid(judged(SLOW)) == ((), [])
    assert after_the_grid() == ((), [])


class Measuring(Bench):
    """Finds that the first of four operators adds the most noise, and so on."""

    def sensitivity(self, each: Judged) -> Sensitivity:
        return Sensitivity(
            candidate=each.candidate,
            operators=line(4),
            samples=8,
            together_db=5.0,
            added_db=5.0,
            seconds=0.0,
            log=Path("log"),
        )


def mixes(layout: str, isa: IsaLevel, **settings: Any) -> list[Candidate]:
    """All mixes that the strategy asks for, where two operators must be kept."""
    whole = spoil(
        good_evidence(f"hist-{layout}", isas=(isa,)), metrics=(counted(lost=60, gained=0, samples=600),)
    )
    config = QuantizationConfig(algorithms=("hist",), layouts=(layout,), **settings)
    search, tried = STRATEGY.start(config, Measuring()), [judged(whole)]
    while asked := search.next_candidates(tried):
        (candidate,) = asked
        right = len(candidate.overrides) >= 2
        lost = counted(lost=0 if right else 60, gained=0, samples=600)
        tried.append(judged(spoil(replace(whole, candidate=candidate), metrics=(lost,))))
    return [each.candidate for each in tried[1:]]


@pytest.mark.parametrize("isa", [IsaLevel.AVX512_CORE_BF16, IsaLevel.AVX512_CORE_AMX])
def test_what_must_be_kept_is_tried_in_bf16_last_and_once(isa: IsaLevel) -> None:
    *before, last = mixes("offline", isa)
    assert [each.kept_in for each in before] == ["FP32"] * len(before)
    (enough,) = [each for each in before if len(each.overrides) == 2]
    assert last == replace(enough, overrides=tuple((name, "bf16") for name, _ in enough.overrides))
    assert last.name.startswith("hist-offline-2bf16-")
    assert enough.name.startswith("hist-offline-2kept-")


@pytest.mark.parametrize(
    ("layout", "isa", "settings"),
    [
        ("offline", IsaLevel.AVX512_CORE_VNNI, {}),
        ("qdq", IsaLevel.AVX512_CORE_BF16, {}),
        ("offline", IsaLevel.AVX512_CORE_BF16, {"keep_fp32": ("linear_0",)}),
    ],
    ids=["a CPU without BF16", "a layout without it", "layers that FP32 was asked for"],
)
def test_nothing_is_tried_in_bf16_where_it_cannot_be(
    layout: str, isa: IsaLevel, settings: dict[str, Any]
) -> None:
    found = mixes(layout, isa, **settings)
    assert found
    assert not [each for each in found if each.in_bf16]


@pytest.mark.parametrize("algorithm", ["qat", "equalisation", "smooth", "adaround"])
def test_candidate_of_a_trained_or_changed_model_may_be_the_most_promising(algorithm: str) -> None:
    both = judged(WRONG), judged(replace(NEARER, candidate=Candidate(algorithm=algorithm, layout="qdq")))
    assert most_promising(both) == both[1]


def test_candidate_whose_operators_are_not_quantized_one_by_one_is_never_the_most_promising() -> None:
    recurrent = replace(NEARER, candidate=Candidate(algorithm="hist", layout="recurrent"))
    given = replace(NEARER, candidate=Candidate(algorithm="", layout="qdq", given="0" * 12))
    assert most_promising([judged(recurrent), judged(given)]) is None


def test_operators_that_are_kept_on_purpose_do_not_count_as_a_fallback() -> None:
    audit = replace(
        RIGHT.per_isa[0].audit, compute_primitives=8, int8_primitives=7, int8_share_by_count=0.875
    )
    silent = spoil(RIGHT, audit=audit)
    meant = replace(silent, candidate=replace(silent.candidate, overrides=(("conv2d_0.tmp_0", "fp32"),)))
    outcomes = [
        {each.criterion: each.outcome for each in judge(item, GATE).results}["INT8 share"]
        for item in (silent, meant)
    ]
    assert outcomes == [Outcome.REJECTED, Outcome.APPROVED]


@pytest.mark.parametrize(
    ("kind", "shape", "computes"),
    [
        ("convolution", "mb1_ic3oc8_ih32oh16kh3sh2dh0ph1_iw32ow16kw3sw2dw0pw1", (1, 3, 8, 3, 3)),
        ("convolution", "g8mb1_ic8oc8_ih16oh16kh3sh1dh0ph1_iw16ow16kw3sw1dw0pw1", (8, 8, 8, 3, 3)),
        ("inner_product", "mb1ic256oc10", (256, 10)),
        ("inner_product", "mb1ic16ih2iw2oc10", (64, 10)),
        ("matmul", "4x64x16:4x16x64:4x64x64", (16, 64)),
        ("matmul", "1x64:64x10:1x10", (64, 10)),
        ("reorder", "1x64", None),
    ],
)
def test_primitive_is_told_by_what_it_computes(
    kind: str, shape: str, computes: tuple[int, ...] | None
) -> None:
    primitive = Primitive(kind=kind, implementation="", dtypes={}, shape=shape, time_ms=1.0)
    assert primitive_kind(primitive) == computes


def test_primitives_that_compute_alike_keep_their_order_and_have_the_median_of_their_times() -> None:
    def primitive(time_ms: float) -> Primitive:
        return Primitive(
            kind="inner_product", implementation="", dtypes={}, shape="mb1ic4oc4", time_ms=time_ms
        )

    executed = [primitive(time_ms) for time_ms in (1.0, 5.0, 2.0, 6.0, 90.0, 7.0)]
    assert by_kind(executed, inferences=3) == {(4, 4): [2.0, 6.0]}
    assert by_kind(executed[:-1], inferences=3) == {}
