"""The kernel audit reads verbose lines that oneDNN 3.2.1 printed."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_int8.tasks.contracts.artifacts import OperatorCensus
from paddle_int8.tasks.contracts.evidence import KernelAudit
from paddle_int8.tasks.contracts.json import from_json, to_json
from paddle_int8.tasks.engines.paddle.audit.kernels import audit, parse_verbose
from paddle_int8.tasks.engines.paddle.census import count_operators
from paddle_int8.tasks.engines.paddle.form import Form
from paddle_int8.tasks.engines.paddle.switches import (
    BASELINE,
    FOREIGN_QDQ,
    INT8_DELETED,
)
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.validation.audit_model import SWITCHES

HEADER = """\
onednn_verbose,info,oneDNN v3.2.1 (commit 01204edbda1c2a4ff0cccd40476ed6bd2fb62d56)
onednn_verbose,info,cpu,runtime:OpenMP,nthr:1
onednn_verbose,info,cpu,isa:Intel AVX2
onednn_verbose,info,gpu,runtime:none
onednn_verbose,info,prim_template:operation,engine,primitive,implementation,prop_kind,memory_descriptors,\
attributes,auxiliary,problem_desc,exec_time""".splitlines()


def convolution(source: str, weights: str, time: str = "0.5", shape: str = "mb1_ic64oc64_ih8oh8") -> str:
    return (
        f"onednn_verbose,exec,cpu,convolution,jit:avx2,forward_inference,src_{source}:a:blocked:acdb::f0 "
        f"wei_{weights}:ap:blocked:ABcd2b8a4b::f3:s8m1:sa0.5 bia_f32::blocked:a::f0 dst_u8::blocked:acdb::f0,"
        f"attr-scales:src0:0+dst:0+wei:1 attr-post-ops:eltwise_relu ,alg:convolution_direct,{shape},{time}"
    )


INT8 = convolution("u8", "s8", "0.75")
FP32 = convolution("f32", "f32", "0.25")
DEPTHWISE = convolution("f32", "f32", shape="g32mb1_ic32oc32_ih112oh112kh3")
FIRST = convolution("f32", "f32", shape="mb1_ic3oc32_ih224oh112kh3sh2")
NO_WEIGHT_SCALE = convolution("u8", "f32")
BF16 = convolution("bf16", "bf16")
REORDER = (
    "onednn_verbose,exec,cpu,reorder,jit:uni,undef,src_f32::blocked:abcd::f0 dst_s8::blocked:abcd::f0,"
    "attr-scales:src0:0 ,,1x3x224x224,0.125"
)
FC = (
    "onednn_verbose,exec,cpu,inner_product,x64:gemm_s8s8s32:jit,forward_inference,src_s8:a:blocked:ab::f0 "
    "wei_s8:a:blocked:ab::f0 bia_f32::blocked:a::f0 dst_f32:a:blocked:ab::f0,attr-scales:src0:0+wei:1 ,,"
    "mb1ic1024oc1000,0.25"
)
MATMUL = (
    "onednn_verbose,exec,cpu,matmul,brg:avx2,undef,src_f32::blocked:abcd::f0 wei_f32::blocked:abdc::f0 "
    "dst_f32::blocked:abcd::f0,attr-scratchpad:user ,,1x12x128x64:1x12x64x128:1x12x128x128,0.5"
)
LSTM = (
    "onednn_verbose,exec,cpu,rnn,ref:any,forward_inference,src_layer_u8::blocked:abc::f0 "
    "src_iter_f32::blocked:abcd::f0 wei_layer_s8:a:ldigo:packed::f0 wei_iter_s8:a:ldigo:packed::f0 "
    "bias_f32::blocked:abcd::f0 dst_layer_u8::blocked:abc::f0 dst_iter_f32::blocked:abcd::f0,"
    "attr-qparams ,alg:vanilla_lstm direction:unidirectional_left2right activation:undef,"
    "l1t60mb1sic256slc256dhc256dic256,0.5"
)


TRANSPOSED = FP32.replace(",convolution,", ",deconvolution,")
THREE_D = convolution("f32", "f32", shape="mb1_ic3oc8_id8od8kd3sd1dd0pd1_ih16oh16kh3")


def audited(
    *lines: str, inferences: int = 1, expect_int8: bool = True, census: OperatorCensus | None = None
) -> KernelAudit:
    return audit([*HEADER, *lines], inferences=inferences, expect_int8=expect_int8, census=census)


@pytest.mark.parametrize(
    ("line", "dtype"),
    [
        (INT8, "int8"),
        (convolution("s8", "s8"), "int8"),
        (FC, "int8"),
        (LSTM, "int8"),
        (FP32, "fp32"),
        (NO_WEIGHT_SCALE, "fp32"),
        (convolution("f32", "s8"), "fp32"),
        (BF16, "bf16"),
        (MATMUL, "fp32"),
    ],
    ids=["u8s8", "s8s8", "fc", "lstm", "f32", "u8_with_f32_weights", "s8_weights_only", "bf16", "matmul"],
)
def test_primitive_is_int8_only_when_source_and_weights_are(line: str, dtype: str) -> None:
    assert [primitive.dtype for primitive in parse_verbose([line])[1]] == [dtype]


def test_audit_counts_and_times_one_inference() -> None:
    found = audited(*[INT8, INT8, INT8, FP32, REORDER] * 4, inferences=4)
    assert (found.compute_primitives, found.int8_primitives, found.reorders) == (4, 3, 1)
    assert found.int8_share_by_count == 0.75
    assert found.int8_share_by_time == pytest.approx(0.9)
    assert found.reorder_time_ms == pytest.approx(0.125)
    assert found.isa == "Intel AVX2"
    assert [(share.kind, share.dtype, share.count) for share in found.shares] == [
        ("convolution", "int8", 3),
        ("convolution", "fp32", 1),
        ("reorder", "f32->s8", 1),
    ]


def test_audit_of_nothing_has_no_share() -> None:
    found = audited(REORDER)
    assert (found.compute_primitives, found.int8_share_by_count, found.int8_share_by_time) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (DEPTHWISE, "depthwise"),
        (FIRST, "first layer"),
        (FP32, "skip list"),
        (NO_WEIGHT_SCALE, "weight scale"),
        (MATMUL, "two activations"),
        (BF16, "BF16"),
        (FC.replace("s8:", "f32:"), "mul"),
        (LSTM.replace("u8:", "f32:"), "recurrent"),
        (TRANSPOSED, "`conv2d_transpose` is not"),
        (THREE_D, "`conv3d` is not"),
    ],
    ids=[
        "depthwise",
        "first",
        "other",
        "no_weight_scale",
        "matmul",
        "bf16",
        "fc",
        "lstm",
        "transposed",
        "3d",
    ],
)
def test_layer_left_in_fp32_is_listed_with_its_reason(line: str, words: str) -> None:
    (layer,) = audited(INT8, line).fp32_layers
    assert words in layer.reason


def test_model_without_any_int8_gets_that_as_reason() -> None:
    layers = audited(FP32, DEPTHWISE, FIRST).fp32_layers
    assert {layer.reason for layer in layers} == {layers[0].reason}
    assert "enable_mkldnn_int8" in layers[0].reason


def test_equal_layers_are_listed_once_each_per_inference() -> None:
    assert len(audited(*[INT8, FP32, FP32] * 3, inferences=3).fp32_layers) == 2


def test_baseline_lists_no_layer() -> None:
    assert audited(FP32, expect_int8=False).fp32_layers == ()


@pytest.mark.parametrize(
    ("lines", "operators", "outside", "share"),
    [
        pytest.param([INT8] * 11, ["conv2d"] * 6 + ["matmul_v2"] * 9, 4, 11 / 15, id="four FCs run natively"),
        pytest.param([INT8, FC], ["conv2d", "mul"], 0, 1.0, id="all executed"),
        pytest.param([INT8, INT8, FC], ["conv2d", "mul"], 0, 1.0, id="more executed than there are"),
        pytest.param([], ["conv2d"], 1, 0.0, id="nothing executed"),
        pytest.param([INT8], ["conv2d", "rnn"], 0, 1.0, id="announced and run natively"),
        pytest.param([INT8, TRANSPOSED], ["conv2d", "conv2d_transpose"], 0, 0.5, id="announced and executed"),
        pytest.param([INT8, TRANSPOSED], ["conv2d", "mul", "conv2d_transpose"], 1, 1 / 3, id="hides nothing"),
        pytest.param([FC, THREE_D], ["mul", "mul", "conv3d"], 1, 1 / 3, id="nor does a 3-D one"),
        pytest.param([FC, LSTM], ["mul", "mul", "lstm"], 0, 1.0, id="LSTM with the layer before it"),
        pytest.param([FC, LSTM], ["mul", "fusion_lstm"], 0, 1.0, id="LSTM fused in the program"),
        pytest.param([LSTM], ["mul", "fusion_lstm"], 1, 0.5, id="which accounts for itself only"),
        pytest.param([FC], ["mul", "gru"], 1, 0.5, id="GRU that did not fuse"),
    ],
)
def test_operators_that_onednn_did_not_execute_count_as_not_int8(
    lines: list[str], operators: list[str], outside: int, share: float
) -> None:
    found = audited(*lines * 3, inferences=3, census=count_operators(operators))
    assert found.outside_onednn == outside
    assert found.int8_share_by_count == pytest.approx(share)
    assert found.compute_operators == len(lines) + outside


def test_line_lost_of_one_inference_of_many_is_no_operator_outside() -> None:
    found = audited(*[INT8] * 29, inferences=10, census=count_operators(["conv2d"] * 3))
    assert (found.compute_primitives, found.outside_onednn, found.int8_share_by_count) == (3, 0, 1.0)


@given(st.lists(st.tuples(st.sampled_from([INT8, FC, FP32, MATMUL]), st.booleans()), min_size=1))
def test_share_never_rises_when_operators_are_missing(layers: list[tuple[str, bool]]) -> None:
    census = count_operators(["conv2d"] * len(layers))
    whole = audited(*(line for line, _ in layers), census=census)
    left = [line for line, executed in layers if executed]
    found = audited(*left, census=census)
    assert found.outside_onednn == len(layers) - len(left)
    assert found.int8_share_by_count <= whole.int8_share_by_count
    assert found.int8_share_by_count <= audited(*left).int8_share_by_count


def test_bodies_of_loops_are_outside_and_announced_those_of_branches_only_outside() -> None:
    loop = audited(INT8, census=count_operators(["conv2d", "while"], ["mul", "mul", "tanh"]))
    assert (loop.outside_onednn, loop.announced_fp32) == (2, {"looped operator": 2})
    branch = audited(INT8, census=count_operators(["conv2d", "conditional_block"], ["mul", "tanh"]))
    assert (branch.outside_onednn, branch.announced_fp32) == (1, {})


def test_announced_are_counted_by_kind_for_one_inference() -> None:
    found = audited(*[INT8, TRANSPOSED, TRANSPOSED, THREE_D, FP32] * 4, inferences=4)
    assert found.announced_fp32 == {"transposed convolution": 2, "3-D convolution": 1}


def test_baseline_is_not_compared_with_a_census() -> None:
    census = count_operators(["conv2d"] * 3 + ["conv2d_transpose"])
    found = audited(FP32, TRANSPOSED, expect_int8=False, census=census)
    assert (found.outside_onednn, found.announced_fp32) == (0, {})


@pytest.mark.parametrize("layout", LAYOUTS.names())
def test_recurrent_layouts_alone_have_no_operators_to_compare_with(layout: str) -> None:
    census = count_operators(["mul", "gru"])
    assert LAYOUTS.find(layout).comparable(census) == (None if layout.startswith("recurrent") else census)


def test_audit_in_words_names_what_ran_outside_and_what_was_announced() -> None:
    whole = audited(INT8, FP32)
    assert (whole.counted(), whole.aside()) == ("1 of 2 compute primitives", "")
    found = audited(INT8, TRANSPOSED, TRANSPOSED, THREE_D, census=count_operators(["conv2d"] * 3))
    assert found.counted() == "1 of 6 compute operators"
    assert found.aside() == (
        "; 2 ran outside oneDNN, in Paddle's own FP32 kernels; known beforehand to stay FP32: "
        "1 3-D convolution, 2 transposed convolutions"
    )


def test_audit_stored_before_operators_were_counted_is_read() -> None:
    stored = json.loads(to_json(audited(INT8)))
    del stored["outside_onednn"], stored["announced_fp32"]
    assert from_json(KernelAudit, json.dumps(stored)) == audited(INT8)


def test_fields_follow_the_template_of_another_version() -> None:
    lines = [
        "onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost",
        "onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,"
        "memory_descriptors,attributes,auxiliary,problem_desc,exec_time",
        "onednn_verbose,v1,graph,info,template:operation,engine,partition_id,partition_kind,exec_time",
        INT8.replace("onednn_verbose,", "onednn_verbose,v1,primitive,"),
    ]
    isa, (primitive,) = parse_verbose(lines)
    assert isa == "Intel AVX-512 with Intel DL Boost"
    assert (primitive.kind, primitive.dtype, primitive.time_ms) == ("convolution", "int8", 0.75)


def test_reordered_template_moves_the_fields() -> None:
    lines = [
        "onednn_verbose,info,prim_template:operation,exec_time,primitive,memory_descriptors",
        "onednn_verbose,exec,1.5,matmul,src_s8::blocked:ab::f0 wei_s8::blocked:ab::f0",
    ]
    ((primitive,),) = (parse_verbose(lines)[1],)
    assert (primitive.kind, primitive.dtype, primitive.time_ms) == ("matmul", "int8", 1.5)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "---  quantized 27 fused_conv2d ops",
        INT8[: len(INT8) // 2],
        INT8.rsplit(",", 1)[0],
        INT8.rsplit(",", 1)[0] + ",fast",
        INT8.rsplit(",", 1)[0] + ",nan",
        INT8.rsplit(",", 1)[0] + ",-1",
        INT8.replace(",exec,", ",create:cache_hit,"),
    ],
    ids=["empty", "paddle", "truncated", "no_time", "word", "nan", "negative", "created_not_run"],
)
def test_line_that_is_no_execution_is_passed_over(line: str) -> None:
    assert parse_verbose([*HEADER, line])[1] == []


def test_record_behind_other_output_on_its_line_is_read() -> None:
    glued = f"--- fused 3 pairs{INT8[:40]}{FC}"
    assert [primitive.kind for primitive in parse_verbose([glued])[1]] == ["inner_product"]


@given(st.lists(st.text(max_size=80) | st.sampled_from([*HEADER, INT8, FP32, REORDER, LSTM]), max_size=30))
def test_any_output_is_parsed_without_an_error(lines: list[str]) -> None:
    found = audit(lines, inferences=1, expect_int8=True)
    assert 0.0 <= found.int8_share_by_count <= 1.0
    assert found.int8_primitives <= found.compute_primitives


@given(st.integers(0, len(INT8)), st.integers(0, len(INT8)), st.text(alphabet=",:_ \x000159se", max_size=10))
def test_damaged_line_never_counts_as_more_than_one_execution(start: int, end: int, noise: str) -> None:
    damaged = INT8[:start] + noise + INT8[end:]
    primitives = parse_verbose([damaged])[1]
    assert len(primitives) <= 2
    assert all(math.isfinite(primitive.time_ms) and primitive.time_ms >= 0 for primitive in primitives)


def test_every_form_of_a_model_has_switches_that_open_it() -> None:
    assert SWITCHES.keys() == set(Form)


def test_only_qdq_asks_for_int8_at_load() -> None:
    assert [name for name in LAYOUTS.names() if LAYOUTS.find(name).switches.onednn_int8] == ["qdq"]
    assert FOREIGN_QDQ.onednn_int8


def test_every_layout_drops_the_fp32_fc_fusion_and_the_baseline_keeps_it() -> None:
    assert all(
        set(INT8_DELETED) <= set(LAYOUTS.find(layout).switches.deleted_passes) for layout in LAYOUTS.names()
    )
    assert BASELINE.deleted_passes == ()


OF_ONEDNN36 = """\
onednn_verbose,v1,info,oneDNN v3.6.2 (commit 28d696724426b943e2f4a0e607f90cdc19aedaf6)
onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost
onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,\
memory_descriptors,attributes,auxiliary,problem_desc,exec_time
onednn_verbose,v1,graph,info,template:operation,engine,partition_id,partition_kind,op_names,data_formats,\
logical_tensors,fpmath_mode,implementation,backend,exec_time
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:abcd::f0 \
dst:s8::blocked:abcd::f0,attr-scales:src0:0:f32,,1x3x16x16,0.5
onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core_vnni,forward_inference,\
src:s8:a:blocked:acdb::f0 wei:s8:ap:blocked:AcdB16a4b::f1:s8m1 bia:undef::undef::: dst:u8::blocked:acdb::f0,\
attr-scales:src0:0:f32,alg:convolution_direct,mb1_ic3oc8_ih16oh14kh3,0.75
onednn_verbose,v1,primitive,exec,cpu,inner_product,x64:gemm:jit,forward_inference,src:f32::blocked:ab::f0 \
wei:f32::blocked:ab::f0 bia:f32::blocked:a::f0 dst:f32:a:blocked:ab::f0,,,mb1ic64oc10,0.25""".splitlines()


def test_lines_of_the_onednn_in_paddle3_are_read_too() -> None:
    found = audit(OF_ONEDNN36, inferences=1, expect_int8=True)
    assert (found.int8_primitives, found.compute_primitives, found.reorders) == (1, 2, 1)
    assert found.int8_share_by_time == pytest.approx(0.75)
    assert {share.dtype for share in found.shares} == {"int8", "fp32", "f32->s8"}
    assert [layer.kind for layer in found.fp32_layers] == ["inner_product"]
