"""What the keys of a candidate's steps hold of its own layout and its own engine."""

from __future__ import annotations

from paddle_int8.tasks.contracts.keys import Chosen
from paddle_int8.tasks.engines import ENGINES
from paddle_int8.tasks.layouts import LAYOUTS


def chosen_form(layout: str) -> Chosen:
    """What decides how a model is quantized for a layout."""
    return Chosen(values={"form": LAYOUTS.find(layout).form})


def chosen_conversion(layout: str) -> Chosen:
    """What decides a conversion: the code of the layout's own function."""
    record = LAYOUTS.find(layout)
    return Chosen(
        modules=frozenset({record.convert.__module__}),
        packages=ENGINES.find(record.engine).packages,
        values={"simulated": record.simulated},
    )


def chosen_engine(layout: str) -> Chosen:
    """What decides a measurement: how the engine opens, runs and audits the model.

    The conversion is left out, since its result is an input of the measurement.
    """
    record = LAYOUTS.find(layout)
    engine = ENGINES.find(record.engine)
    functions = (engine.load, engine.open, engine.audit, engine.isa)
    return Chosen(
        modules=frozenset(function.__module__ for function in functions),
        packages=engine.packages,
        values={
            "engine": record.engine,
            "switches": record.switches,
            "bf16_switches": record.bf16_switches,
            "operator_per_kernel": record.operator_per_kernel,
        },
    )
