"""What a person reads whose flow run has wrong parameters."""

from __future__ import annotations

from importlib import import_module
from typing import Any, get_type_hints

import pytest
from prefect.exceptions import ParameterTypeError
from prefect.utilities.schema_tools.validation import validate

from paddle_int8.flows.promote import promote
from paddle_int8.flows.release import release
from paddle_int8.tasks.config.parameter import REMEDY
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.promotion.request import PromoteRequest
from tests.unit.test_config_messages import TECHNICAL
from tests.unit.test_deployments import DEPLOYMENTS

CONFIG: dict[str, Any] = DEPLOYMENTS["release"]["parameters"]["config"]


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(ParameterTypeError) as caught:
        release.validate_parameters({"config": config})
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"data": {**CONFIG["data"], "preprocessing": {"resize": 224}}},
            "`data.preprocessing.resize` is 224",
        ),
        ({"name": "my classifier/1"}, "my-classifier-1"),
        ({"nome": "a"}, "unknown key `nome`, did you mean `name`?"),
    ],
    ids=["a number for two", "a name", "a key"],
)
def test_wrong_parameter_is_told_in_the_words_of_a_configuration(changes: dict[str, Any], words: str) -> None:
    told = refusal({**CONFIG, **changes})
    assert words in told
    assert REMEDY in told
    assert not TECHNICAL.search(told)


def test_wrong_parameter_is_told_so_by_every_flow() -> None:
    for name in DEPLOYMENTS:
        module, _, flow = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
        found = getattr(import_module(module), flow)
        ((parameter, _),) = [pair for pair in get_type_hints(found.fn).items() if pair[0] != "return"]
        with pytest.raises(ParameterTypeError, match="unknown key `no such key`"):
            found.validate_parameters({parameter: {"no such key": 1}})


def test_right_parameter_becomes_the_section_and_its_form_stays() -> None:
    found = release.validate_parameters({"config": CONFIG})
    assert found == {"config": ReleaseConfig.model_validate(CONFIG)}
    assert release.validate_parameters(found) == found
    schema = promote.parameters.model_dump()
    assert schema["definitions"]["PromoteRequest"]["properties"].keys() == PromoteRequest.model_fields.keys()
    assert validate({"request": {"model": "digits"}}, schema) == []
    assert validate({"request": {"model": 1}}, schema) != []
