"""The flows' parameters as the schema from which Prefect's pages draw the run form."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema

from tasks.config import ReleaseConfig
from tests.unit.test_deployments import DEPLOYMENTS

ENTRYPOINTS = sorted({each["entrypoint"] for each in DEPLOYMENTS.values()})
FREE_NUMBERS = {"op_ids_to_skip", "mean", "std"}
"""Lists whose numbers have no bounds of their own."""


def schema_of(entrypoint: str) -> dict[str, Any]:
    module, _, flow = entrypoint.rpartition(".")
    return parameter_schema(getattr(import_module(module), flow)).model_dump_for_openapi()


def models(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every nested model with its fields."""
    for name, definition in schema.get("definitions", {}).items():
        if "properties" in definition:
            yield name, definition["properties"]


def numbers(field: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in (field, *field.get("anyOf", ())):
        if each.get("type") in {"integer", "number"}:
            yield each


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_form_every_field_is_described_and_has_its_place(entrypoint: str) -> None:
    found = dict(models(schema_of(entrypoint)))
    assert found
    for model, fields in found.items():
        assert [name for name, field in fields.items() if not field.get("description")] == [], model
        assert [field["position"] for field in fields.values()] == list(range(len(fields))), model


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_form_every_number_has_a_lower_bound(entrypoint: str) -> None:
    for model, fields in models(schema_of(entrypoint)):
        for name, field in fields.items():
            bounds = [{"minimum", "exclusiveMinimum"} & number.keys() for number in numbers(field)]
            assert all(bounds) or name in FREE_NUMBERS, f"{model}.{name}"


def test_form_positions_are_those_of_the_model() -> None:
    (_, fields), *_ = [
        each for each in models(schema_of("flows.release.release")) if each[0] == "ReleaseConfig"
    ]
    by_position = sorted(fields, key=lambda name: fields[name]["position"])
    assert by_position == list(ReleaseConfig.model_fields)
