"""The flow that measures what each operator of a model costs when it is quantized."""

from __future__ import annotations

from prefect import flow

from paddle_int8.flows.releasing.calibrations import Calibrations
from paddle_int8.flows.releasing.inputs import load
from paddle_int8.flows.server.lifecycle.release_run import begun
from paddle_int8.tasks.algorithms import section
from paddle_int8.tasks.algorithms.task import quantize
from paddle_int8.tasks.config.hardware import HardwareConfig, HardwarePolicy
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.data.task import draw_calibration_data
from paddle_int8.tasks.hardware.task import check_hardware
from paddle_int8.tasks.sensitivity.choice import simulated_candidate
from paddle_int8.tasks.sensitivity.task import sensitivity as measure
from paddle_int8.tasks.tracking.task import log_sensitivity
from paddle_int8.tasks.validation.task import served_isas


@flow(name="sensitivity", flow_run_name="{config.name}", persist_result=False)
def sensitivity(config: ReleaseConfig) -> Sensitivity:
    """Quantizes the first candidate of a release and measures its operators, each by itself.

    Nothing is converted, and no validation data is read. The result is logged in a run of MLflow.
    Raises: PipelineError when a step fails.
    """
    with begun(config) as run_id:
        candidate = simulated_candidate(config.quantization)
        host = check_hardware(HardwareConfig(policy=HardwarePolicy.IGNORE))  # nothing runs in INT8 here
        model = load(config, run_id)
        calibration = draw_calibration_data(config.data, model)
        calibrations = Calibrations(config, model, calibration)
        calibrations.make([candidate])
        own = section.own_section(config.quantization, candidate)
        size, limit_s = config.data.calibration_batch_size, config.quantization.timeout_s
        observed = calibrations.of(candidate)
        quantized = quantize(model, calibration, candidate, own, size, None, observed)
        isas = served_isas(host, config.validation)
        measured = measure(model, quantized, calibration, own, size, None, isas, limit_s)
        log_sensitivity(run_id, measured)
    return measured
