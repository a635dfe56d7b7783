"""What is used of Paddle's private interface, and a check that the installed Paddle has it.

Isolated process only.
"""

from __future__ import annotations

from functools import cache

from paddle_int8.tasks.contracts.borrowed import Borrowed

SLIM = "paddle.static.quantization.post_training_quantization"

PADDLE = Borrowed(
    package="paddlepaddle",
    release="2.6.2",
    adapter="tasks/engines/paddle/private",
    names={
        "paddle.base.core": ("Graph", "LoDTensor", "VarDesc", "get_op_extra_attrs", "get_pass"),
        "paddle.base.core:BlockDesc": ("_insert_op", "_remove_op", "_remove_var", "_rename_var"),
        "paddle.base.core:Graph": ("set_not_owned",),
        "paddle.base.core:LoDTensor": ("_dtype", "_is_initialized", "_layout", "_to_dlpack", "set_lod"),
        "paddle.base.core:OpDesc": (
            "_rename_input",
            "_rename_output",
            "_set_bool_attr",
            "_set_float32s_attr",
            "set_input",
            "set_output",
            "set_type",
        ),
        "paddle.base.core:ProgramDesc": (
            "get_feed_target_names",
            "get_fetch_target_names",
            "serialize_to_string",
        ),
        "paddle.base.core:VarDesc": ("VarType", "set_dtype", "set_shape"),
        "paddle.base.core:VarDesc.VarType": (
            "LOD_TENSOR",
            "LOD_TENSOR_ARRAY",
            "SELECTED_ROWS",
            "STEP_SCOPES",
        ),
        "paddle.base.data_feeder": ("convert_dtype",),
        "paddle.base.framework": ("IrGraph", "OpProtoHolder", "Parameter", "wrap_as_scalar"),
        "paddle.base.framework:Block": (
            "_find_var_recursive",
            "_insert_op",
            "_remove_op",
            "_remove_var",
            "_rename_var",
            "_var_recursive",
        ),
        "paddle.base.framework:IrGraph": ("all_op_nodes", "all_persistable_nodes", "to_program"),
        "paddle.base.framework:OpProtoHolder": ("get_op_proto", "has_op_proto", "instance"),
        "paddle.base.framework:Operator": ("_set_attr",),
        "paddle.base.framework:Program": ("_create_block", "_prune_with_input", "_rollback"),
        "paddle.base.proto": ("framework_pb2",),
        "paddle.optimizer:Optimizer": ("_global_learning_rate",),
        "paddle.static.io": (
            "append_fetch_ops",
            "is_persistable",
            "load_vars",
            "prepend_feed_ops",
        ),
    },
    fields={
        "paddle.nn:BatchNorm2D": ("_epsilon", "_mean", "_momentum", "_variance"),
        "paddle.nn:Conv2D": ("_groups", "_stride"),
        "paddle.nn:LayerNorm": ("_epsilon",),
    },
)

CALIBRATOR = Borrowed(
    package="paddlepaddle",
    release="2.6.2",
    adapter="tasks/engines/paddle/quantization/calibrator.py",
    names={
        SLIM: ("AddQuantDequantForInferencePass", "PostTrainingQuantization", "cal_kl_threshold", "utils"),
        f"{SLIM}:AddQuantDequantForInferencePass": ("apply",),
        f"{SLIM}:PostTrainingQuantization": (
            "_calculate_kl_hist_threshold",
            "_collect_activation_abs_min_max",
            "_collect_target_varnames",
            "_get_hist_scaling_factor",
            "_init_sampling_act_histogram",
            "_load_model_data",
            "_reset_activation_persistable",
            "_sample_histogram",
            "_sampling",
            "_save_output_threshold",
            "_set_activation_persistable",
            "_update_program",
            "quantize",
            "save_quantized_model",
        ),
        f"{SLIM}:utils": ("load_variable_data", "move_persistable_var_to_global_block"),
    },
    fields={
        f"{SLIM}:PostTrainingQuantization": (
            "_algo",
            "_batch_nums",
            "_data_loader",
            "_executor",
            "_feed_list",
            "_fetch_list",
            "_place",
            "_program",
            "_quantized_act_var_name",
            "_quantized_threshold",
            "_quantized_var_avg",
            "_quantized_var_threshold",
            "_quantized_weight_var_name",
            "_sampling_act_abs_min_max",
            "_sampling_act_histogram",
            "_scope",
            "_skip_tensor_list",
            "_zero_size_var_names",
        )
    },
)

QUANT2INT8 = Borrowed(
    package="paddlepaddle",
    release="2.6.2",
    adapter="tasks/engines/paddle/conversion/quant2int8.py",
    names={
        "paddle.static.quantization:Quant2Int8MkldnnPass": (
            "_apply_pass",
            "_compute_weight_scales",
            "_convert_scale2tensor",
            "_dequantize_op_weights",
            "_gather_output_scales_from_attr",
            "_gather_weight_thresholds_from_fake",
            "_is_any_of_op_types_in_graph",
            "_load_param",
            "_optimize_fp32_graph",
            "_propagate_scales",
            "_restore_var",
            "apply",
        )
    },
    fields={
        "paddle.static.quantization:Quant2Int8MkldnnPass": (
            "_conv_ops",
            "_fake_dequantize_types",
            "_pass_group",
            "_pass_idx",
            "_s8_max",
            "_scope",
            "_var_quant_scales",
            "_weight_thresholds",
        )
    },
)

SLIM_PACKAGE = Borrowed(
    package="paddleslim",
    release="2.6.0",
    adapter="tasks/engines/paddle/quantization/finetune.py",
    names={},
)


@cache
def require_tested_paddle() -> None:
    """Refuses a Paddle or a PaddleSlim that was not tested.

    All code that uses Paddle's private interface begins with this call: reading a program, and training.
    Raises: InstallationError for another version, or when one lacks something that is used here.
    """
    for borrowed in (PADDLE, SLIM_PACKAGE, CALIBRATOR, QUANT2INT8):
        borrowed.require()
