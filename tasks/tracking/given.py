"""What the report says of models that were quantized elsewhere: what they are, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from paddle_int8.tasks.contracts.artifacts import QuantizedArtifact
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.layouts import LAYOUTS

NOTHING = "Nothing is wrong with how it is quantized."


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRow:
    """One model: its candidate's name, where it came from, how it is quantized, and sentences about it."""

    name: str
    source: str
    form: str
    findings: tuple[str, ...]


def given_rows(release: Release) -> tuple[GivenRow, ...]:
    """The given models of a release, in their order."""
    return tuple(_row(release, each) for each in release.given)


def _row(release: Release, quantized: QuantizedArtifact) -> GivenRow:
    given = quantized.given
    assert given is not None, quantized.candidate
    layers = f"{given.quantized} of {given.layers} layers quantized"
    findings = given.findings + _by_the_log(release, quantized)
    return GivenRow(
        name=quantized.candidate.name,
        source=given.source,
        form=f"{given.form}; {layers}",
        findings=findings or (NOTHING,),
    )


def _by_the_log(release: Release, quantized: QuantizedArtifact) -> tuple[str, ...]:
    """Where oneDNN's log disagrees with the program about which layers run in INT8.

    A kernel stands for one layer only in some layouts, and nothing is said of the others. And products of two
    activations are no layers: where the model has any, a kernel too many may be one of these.
    """
    given, candidate = quantized.given, quantized.candidate
    evidence = next((each for each in release.evidence if each.candidate == candidate), None)
    if given is None or evidence is None or not LAYOUTS.find(candidate.layout).operator_per_kernel:
        return ()
    measured = evidence.per_isa[0]
    more = measured.audit.int8_primitives - given.quantized
    left_out, on = given.layers - given.quantized, f"on {measured.isa}, by oneDNN's log"
    if more < 0:
        return (f"{-more} of its {given.quantized} quantized layers ran in FP32 {on}.",)
    if 0 < more <= left_out and release.model.census.quantizable == given.layers:
        return (
            f"{more} of the {left_out} layers without scales ran in INT8 all the same {on}: Paddle took the "
            "scales of tensors beside them.",
        )
    return ()
