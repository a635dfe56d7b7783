"""What quantizing each operator costs, as a table and as a figure."""

from __future__ import annotations

import csv
import io

from paddle_int8.tasks.contracts.sensitivity import OperatorSensitivity, Sensitivity
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.tracking.plots import BLUE, GREY, VERMILION, Plot, figure

CSV, PLOT = "sensitivity.csv", "plots/sensitivity.svg"
WORST = 10
"""How many of the worst operators a table lists."""
HEADS = ("Layer", "Type", "Output, dB", "Own, dB", "Share of noise", "INT8 saves, ms", "Likely reason")
NAMED = 5
"""How many of the worst operators the figure names."""
COLUMNS = (
    *(
        "place",
        "layer",
        "type",
        "tensor",
        "output_sqnr_db",
        "own_sqnr_db",
        "noise_share",
        "fp32_ms",
        "int8_ms",
    ),
    *("widest_input", "threshold", "greatest", "clipped_share", "channel_spread"),
    *("terms_spread", "saturated_share", "reason"),
)


def as_csv(measured: Sensitivity) -> str:
    """One row for each operator, in the order of the program; `place` counts from 1."""
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(COLUMNS)
    for place, each in enumerate(measured.operators, start=1):
        rows.writerow(
            (place, each.layer, each.type, each.tensor, *_figures(each), *_input(each), each.reason)
        )
    return stream.getvalue()


def _figures(each: OperatorSensitivity) -> tuple[str, ...]:
    times = ("" if time_ms is None else f"{time_ms:.4f}" for time_ms in (each.fp32_ms, each.int8_ms))
    return f"{each.output_sqnr_db:.2f}", f"{each.own_sqnr_db:.2f}", f"{each.noise_share:.6f}", *times


def _input(each: OperatorSensitivity) -> tuple[str, ...]:
    widest = max(each.inputs, key=lambda one: one.channel_spread or 0.0, default=None)
    if widest is None:
        return ("",) * 7
    shares = (widest.channel_spread, widest.terms_spread, widest.saturated_share)
    return (
        widest.tensor,
        f"{widest.threshold:.6g}",
        f"{widest.greatest:.6g}",
        f"{widest.clipped_share:.6f}",
        *("" if share is None else f"{share:.6g}" for share in shares),
    )


def worst_rows(measured: Sensitivity, most: int = WORST) -> list[tuple[str, ...]]:
    """The `most` worst operators, the worst first, in the columns of `HEADS`."""
    return [
        (
            each.layer,
            each.type,
            f"{each.output_sqnr_db:.1f}",
            f"{each.own_sqnr_db:.1f}",
            f"{100 * each.noise_share:.1f} %",
            "" if each.saved_ms is None else f"{each.saved_ms:.3f}",
            each.reason,
        )
        for each in measured.worst_first()[:most]
    ]


def measured_sentence(measured: Sensitivity) -> str:
    return (
        f"{len(measured.operators)} operators of {measured.candidate.name} were each quantized alone, on "
        f"{measured.samples} samples. All together leave {measured.together_db:.1f} dB; the sum of single "
        f"noises predicts {measured.added_db:.1f} dB."
    )


def advice(release: Release) -> str:
    """What is kept out of INT8, or what to do about wrong answers; "" where there is neither."""
    measured, chosen = release.sensitivity, release.chosen
    if measured is None:
        return ""
    layers = {each.tensor: each.layer for each in measured.operators}
    if chosen and chosen.overrides:
        kept = ", ".join(f"{layers.get(tensor, tensor)} ({tensor})" for tensor, _ in chosen.overrides)
        return f"{chosen.name} keeps in {chosen.kept_in}: {kept}."
    if release.outcome is Outcome.APPROVED or any(each.candidate.overrides for each in release.evidence):
        return ""
    worst = measured.worst_first()[0]
    return (
        "One line of the configuration goes on from here: `quantization.strategy: mixed` keeps in FP32 what "
        f"must be, and no more. To try the worst layer by hand: `quantization.keep_fp32: [{worst.layer}]`."
    )


def sensitivity_plot(measured: Sensitivity) -> Plot:
    """Draws along the network what each operator leaves of the outputs, and its own output, in decibel."""
    worst = measured.worst_first()[:NAMED]
    with figure(3.2) as ((axis,), save):
        places = range(1, len(measured.operators) + 1)
        own = [each.own_sqnr_db for each in measured.operators]
        outputs = [each.output_sqnr_db for each in measured.operators]
        axis.plot(places, own, color=GREY, linewidth=1, marker="o", markersize=3, label="its own output")
        axis.plot(
            places, outputs, color=BLUE, linewidth=1.4, marker="o", markersize=3.6, label="the model's output"
        )
        axis.axhline(measured.together_db, color=VERMILION, linewidth=1.2, linestyle="--")
        axis.annotate(
            f"all together {measured.together_db:.1f} dB",
            (len(outputs), measured.together_db),
            (0, -11),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            color=VERMILION,
        )
        for each in worst:
            place = measured.operators.index(each) + 1
            axis.plot(place, each.output_sqnr_db, color=VERMILION, marker="v", markersize=7)
            axis.annotate(
                each.layer,
                (place, each.output_sqnr_db),
                (0, -14),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axis.margins(y=0.2)
        axis.grid(axis="y")
        axis.set_xlabel(f"{len(outputs)} operators, from input to output; each is quantized alone")
        axis.set_ylabel("SQNR in dB")
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2, borderaxespad=0.2)
        return Plot(
            svg=save(),
            question="Which operators cost the outputs most?",
            description="What each operator, quantized alone, leaves of the outputs.",
        )
