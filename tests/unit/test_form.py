"""Whether a program is quantized already, and how, is read from its operators and their attributes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from paddle_int8.tasks.engines.paddle.form import Form, form_of


def program(*operators: str | tuple[str, str, str]) -> SimpleNamespace:
    """Operators by type, or by (type, name of a text attribute, its value), as a message has them."""
    ops = []
    for each in operators:
        kind, *attribute = (each,) if isinstance(each, str) else each
        attrs = [SimpleNamespace(name=attribute[0], s=attribute[1])] if attribute else []
        ops.append(SimpleNamespace(type=kind, attrs=attrs))
    return SimpleNamespace(blocks=[SimpleNamespace(ops=ops)])


@pytest.mark.parametrize(
    ("desc", "form"),
    [
        (program("feed", "conv2d", "cast"), Form.FLOAT),
        (program("moving_average_abs_max_scale", "conv2d"), Form.FLOAT),
        (program(("conv2d", "mkldnn_data_type", "float32")), Form.FLOAT),
        (program("fake_channel_wise_quantize_dequantize_abs_max", "conv2d"), Form.FAKE_QUANT),
        (program("quantize_linear", "dequantize_linear", "conv2d"), Form.QDQ),
        (program("quantize_linear", "dequantize_linear", "save"), Form.DEPLOYABLE_QDQ),
        (program("dequantize_linear", "conv2d"), Form.WEIGHTS),
        (program(("conv2d", "quantization_type", "post_weight_abs_max")), Form.WEIGHTS),
        (program("weight_only_linear"), Form.WEIGHTS),
        (program("quantize", "fused_conv2d", "dequantize"), Form.OFFLINE),
        (program(("fused_conv2d", "mkldnn_data_type", "int8")), Form.OFFLINE),
        (program("quantize", "multi_gru"), Form.RECURRENT),
        (program("multi_gru"), Form.FLOAT),
        (
            program("fake_quantize_abs_max", ("conv2d", "quantization_type", "post_avg")),
            Form.FAKE_QUANT,
        ),
    ],
    ids=[
        *("plain", "observed only", "FP32 on oneDNN", "fake", "QDQ", "deployable QDQ", "weights of QDQ"),
        *("quant_post_dynamic", "weight_only_linear", "offline", "INT8 attributes alone", "recurrent"),
        *("fused, FP32", "attributes of a static quantization"),
    ],
)
def test_form_is_read_from_operators_and_attributes(desc: SimpleNamespace, form: Form) -> None:
    found = form_of(desc)
    assert found.form is form
    assert bool(found.evidence) is (form is not Form.FLOAT)


def test_operators_of_loops_and_branches_count() -> None:
    desc = program("while")
    desc.blocks.append(program("quantize_linear", "dequantize_linear").blocks[0])
    assert form_of(desc).form is Form.QDQ


def test_evidence_names_three_kinds_and_counts_the_rest() -> None:
    found = form_of(program(*(f"fake_{name}" for name in "abcde")))
    assert str(found) == "in the fake-quant format (fake_a, fake_b, fake_c and 2 more)"
