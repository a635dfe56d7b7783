"""What is taken from Paddle's inside is there, and another Paddle is refused before it is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.borrowed import Borrowed
from paddle_int8.tasks.contracts.errors import InstallationError
from paddle_int8.tasks.engines.paddle.private import guard
from paddle_int8.tasks.process.isolated import run_isolated

pytestmark = pytest.mark.paddle

UPGRADED = "2.7.0"


def refusal_of_the_installed_paddle() -> str:
    """What `require_tested_paddle` says; "" where it says nothing."""
    import numpy  # noqa: F401 - libpaddle exports zlib: imported before numpy it crashes the interpreter
    import paddle  # noqa: F401

    try:
        guard.require_tested_paddle()
    except InstallationError as error:
        return str(error)
    return ""


def refusals_of_a_changed_paddle() -> list[str]:
    """What the guards say of a Paddle whose operators and calibration lack what was taken of them."""
    import numpy  # noqa: F401
    from paddle.base.framework import Block
    from paddle.static.quantization import Quant2Int8MkldnnPass
    from paddle.static.quantization.post_training_quantization import PostTrainingQuantization

    del Block._insert_op, Quant2Int8MkldnnPass._propagate_scales, PostTrainingQuantization._sampling
    del PostTrainingQuantization._load_model_data  # where most of its fields are made
    said = []
    for borrowed in (guard.PADDLE, guard.CALIBRATOR, guard.QUANT2INT8):
        try:
            borrowed.require()
        except InstallationError as error:
            said.append(error.found)
    return said


def read_with_another_paddle(program: Path) -> None:
    """Reads a program where a later Paddle is the one that was tested."""
    from paddle_int8.tasks.engines.paddle.program import parse_program

    guard.PADDLE = replace(guard.PADDLE, release=UPGRADED)
    parse_program(program.read_bytes(), program)


def train_with_another_paddle() -> None:
    """Begins a training where a later Paddle is the one that was tested."""
    import numpy  # noqa: F401

    from paddle_int8.tasks.engines.paddle.training.loop import Variables, fit

    guard.PADDLE = replace(guard.PADDLE, release=UPGRADED)
    fit(lambda _: (0.0, 0.0), 1, Variables(None, None), None, lambda *_: None)


def overridden() -> dict[str, list[str]]:
    """Members of Paddle's classes that our subclasses replace, by class of ours."""
    import numpy  # noqa: F401

    from paddle_int8.tasks.engines.paddle.conversion.quant2int8 import RepairedQuant2Int8
    from paddle_int8.tasks.engines.paddle.quantization.calibrator import Calibrator
    from paddle_int8.tasks.engines.paddle.quantization.fast_calibrator import FastCalibrator

    bases = {Calibrator: 1, FastCalibrator: 2, RepairedQuant2Int8: 1}
    return {
        ours.__name__: [
            name for name in vars(ours) if hasattr(ours.__mro__[base], name) and not name.endswith("__")
        ]
        for ours, base in bases.items()
    }


def _names(borrowed: Borrowed) -> set[str]:
    return {name for names in borrowed.names.values() for name in names}


def test_installed_paddle_has_everything_that_is_taken_of_it(tmp_path: Path) -> None:
    said = run_isolated(refusal_of_the_installed_paddle, step="guard", log=tmp_path / "log", timeout_s=300)
    assert said == ""


def test_paddle_that_lacks_a_name_is_refused_with_that_name(tmp_path: Path) -> None:
    said = run_isolated(refusals_of_a_changed_paddle, step="guard", log=tmp_path / "log", timeout_s=300)
    assert [text.partition(" without ")[2] for text in said] == [
        "paddle.base.framework:Block._insert_op",
        f"{guard.SLIM}:PostTrainingQuantization._load_model_data, "
        f"{guard.SLIM}:PostTrainingQuantization._sampling",
        "paddle.static.quantization:Quant2Int8MkldnnPass._propagate_scales",
    ]


def test_program_is_not_read_by_a_paddle_that_was_not_tested(tmp_path: Path) -> None:
    (tmp_path / "model.pdmodel").write_bytes(b"")
    with pytest.raises(InstallationError) as refused:
        run_isolated(
            read_with_another_paddle,
            tmp_path / "model.pdmodel",
            step="guard",
            log=tmp_path / "log",
            timeout_s=300,
        )
    assert refused.value.required.startswith(f"paddlepaddle {UPGRADED}")
    assert "docs/upgrading.md" in refused.value.remedy


def test_training_does_not_begin_on_a_paddle_that_was_not_tested(tmp_path: Path) -> None:
    with pytest.raises(InstallationError, match=f"required: paddlepaddle {UPGRADED}"):
        run_isolated(train_with_another_paddle, step="guard", log=tmp_path / "log", timeout_s=300)


def test_every_member_that_a_subclass_of_paddles_replaces_is_in_its_guard(tmp_path: Path) -> None:
    replaced = run_isolated(overridden, step="guard", log=tmp_path / "log", timeout_s=300)
    assert set(replaced["Calibrator"]) <= _names(guard.CALIBRATOR)
    assert set(replaced["FastCalibrator"]) <= _names(guard.CALIBRATOR)
    assert set(replaced["RepairedQuant2Int8"]) <= _names(guard.QUANT2INT8)
    assert all(replaced.values())
