"""Packs a recurrent model for Paddle's quantizer: fused ahead, with its calibration batch.

`convert_recurrent` runs in the isolated process; importing this module does not load Paddle.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.conversion.converted import ConvertedModel
from tasks.errors import ConversionError
from tasks.inference.serving import CALIBRATION
from tasks.model.digest import deployable_digest
from tasks.model.files import ModelSource

if TYPE_CHECKING:
    from tasks.model.program import LoadedProgram

FUSED = frozenset({"fusion_gru", "multi_gru", "fusion_lstm"})
UNFUSED = frozenset({"gru", "lstm"})
FUSIONS = ("fc_gru_fuse_pass", "mul_gru_fuse_pass", "fc_lstm_fuse_pass", "mul_lstm_fuse_pass")
BIDIRECTIONAL_FUSIONS = ("multi_gru_fuse_pass", "multi_gru_seq_fuse_pass")
EXPECTED_ATTRIBUTES: dict[str, Any] = {
    "use_mkldnn": True,
    "mkldnn_data_type": "float32",
    "force_fp32_output": False,
    "Scale_data": 1.0,
    "Shift_data": 0.0,
    "Scale_weights": [1.0],
}
"""Of `fusion_gru`. The first fusion leaves them out, and `multi_gru_fuse_pass` then passes the operator by
without a word: in Paddle's own predictor it never fuses anything."""

logger = logging.getLogger(__name__)


def convert_recurrent(source: ModelSource, folder: Path) -> ConvertedModel:
    """Writes `source`, recurrent operators fused, into `folder`, and its calibration batch beside it.

    `int8_ops` are the fused operators, which the predictor will quantize when it loads them.
    Raises: ModelFormatError for files that cannot be used, ConversionError when nothing fused.
    """
    from tasks.model.program import load_program, save_program

    loaded = fuse_recurrent(load_program(source))
    counts = Counter(op.type for op in loaded.program.global_block().ops)
    if left := UNFUSED & counts.keys():
        raise ConversionError(
            found=f"{', '.join(f'{counts[name]} {name}' for name in sorted(left))} that did not fuse",
            required="every recurrent operator behind a fully connected layer of its own, without an initial "
            "state, and with all its outputs in the program",
            remedy="save the model with `clip_extra=False`; export it without an initial state",
        )
    save_program(loaded, folder)
    shutil.copyfile(source.program.with_name(CALIBRATION), folder / CALIBRATION)
    int8_ops = {name: counts[name] for name in sorted(FUSED & counts.keys())}
    logger.info("fused recurrent operators: %s", int8_ops)
    return ConvertedModel(
        folder=folder,
        digest=deployable_digest(folder),
        int8_ops=int8_ops,
        repairs={},
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
    )


def fuse_recurrent(loaded: LoadedProgram) -> LoadedProgram:
    """`gru` and `lstm` with the layer before them in one operator, both directions and layers in one."""
    from paddle.base import core
    from paddle.base.framework import IrGraph

    from tasks.model.program import LoadedProgram

    graph = IrGraph(core.Graph(loaded.program.desc), for_test=True)
    graph.graph.set_not_owned("__param_scope__", loaded.scope)
    for name in FUSIONS:
        core.get_pass(name).apply(graph.graph)
    for node in graph.all_op_nodes():
        if node.op().type() == "fusion_gru":
            for attribute, value in EXPECTED_ATTRIBUTES.items():
                node.op()._set_attr(attribute, value)
    for name in BIDIRECTIONAL_FUSIONS:
        core.get_pass(name).apply(graph.graph)
    program = graph.to_program()
    return LoadedProgram(program=program, scope=loaded.scope, feeds=loaded.feeds, fetches=loaded.fetches)
