"""Conversion to a deployable layout as a Prefect task."""

from __future__ import annotations

import time

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import DeployableArtifact, QuantizedArtifact
from paddle_int8.tasks.contracts.vocabulary import Layout
from paddle_int8.tasks.engines.paddle.conversion.converted import require_int8
from paddle_int8.tasks.engines.paddle.conversion.offline import WEIGHT_BITS, OfflineRequest, convert_offline
from paddle_int8.tasks.engines.paddle.conversion.qdq import convert_qdq
from paddle_int8.tasks.engines.paddle.conversion.recurrent import convert_recurrent
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.process import isolated as process
from paddle_int8.tasks.process.host_lock import computing
from paddle_int8.tasks.steps.step import cached, stage, step, step_log
from paddle_int8.tasks.store.folder import commit, scratch


@step(
    name="convert",
    task_run_name="convert {quantized.candidate.name}",
    **cached(convert_offline, convert_qdq, convert_recurrent),
)
def convert(quantized: QuantizedArtifact, config: ConversionConfig) -> DeployableArtifact:
    """The quantized model in the layout that its candidate names.

    config: see `own_section`.
    Raises: ConversionError when nothing in the result would run in INT8.
    """
    name = quantized.candidate.name
    log = step_log(f"convert-{name}")
    with stage(f"convert {name}") as summary, scratch(Settings().store, "deployable") as folder:
        started = time.monotonic()
        source = find_model(ModelFiles(path=quantized.folder))
        with computing():
            if quantized.candidate.layout in WEIGHT_BITS:
                request = OfflineRequest(
                    source=source,
                    folder=folder,
                    ops_to_quantize=config.ops_to_quantize,
                    op_ids_to_skip=config.op_ids_to_skip,
                    debug=config.debug,
                    weight_bits=WEIGHT_BITS[quantized.candidate.layout],
                )
                converted = process.run_isolated(
                    convert_offline, request, step=f"convert {name}", log=log, timeout_s=config.timeout_s
                )
            else:
                function = convert_qdq if quantized.candidate.layout is Layout.QDQ else convert_recurrent
                converted = process.run_isolated(
                    function, source, folder, step=f"convert {name}", log=log, timeout_s=config.timeout_s
                )
        require_int8(converted)
        summary.append(", ".join(f"{count} {op}" for op, count in sorted(converted.int8_ops.items())))
        return DeployableArtifact(
            candidate=quantized.candidate,
            folder=commit(folder, Settings().store, "deployable", converted.digest),
            digest=converted.digest,
            size_bytes=converted.size_bytes,
            int8_ops=converted.int8_ops,
            seconds=time.monotonic() - started,
            log=log,
            quantized=None if quantized.candidate.layout is Layout.RECURRENT else quantized.folder,
        )
