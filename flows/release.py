"""From a trained FP32 model to a verdict."""

from __future__ import annotations

import time
from dataclasses import replace

from prefect import flow

from paddle_int8.flows.releasing.candidates import Findings, explore
from paddle_int8.flows.releasing.inputs import Inputs, gather
from paddle_int8.flows.server.events import announce_verdict, failure_announced
from paddle_int8.flows.server.lifecycle.release_run import begun
from paddle_int8.tasks.config.callables import require_all_allowed
from paddle_int8.tasks.config.parameter import Parameter
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.verdict import Judged, Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.choice import choose
from paddle_int8.tasks.layouts.task import pack_bundle
from paddle_int8.tasks.tracking.task import count_looks, publish_report, register


@flow(
    name="release",
    flow_run_name="{config.name}",
    persist_result=False,
    result_serializer="json",  # of its errors; nothing is ever unpickled
)
def release(config: Parameter[ReleaseConfig]) -> Release:
    """Gathers what candidates share, explores them, chooses one, and registers it when the gate approved it.

    The verdict, or the error that there is none, is announced to Prefect's automations.
    Raises: PipelineError when a step that every candidate needs fails, or no candidate gets through.
    """
    with failure_announced(config.name):
        released = _released(config)
    announce_verdict(released)
    return released


def _released(config: ReleaseConfig) -> Release:
    started = time.monotonic()
    require_all_allowed(config)
    with begun(config) as run_id:
        inputs = gather(config, run_id)
        findings = explore(inputs)
        chosen = findings.confirmed or choose(findings.judged)
        if chosen is None:
            raise findings.errors[0]
        looks = count_looks(run_id, tuple(each.evidence for each in findings.tested), config.gate)
        result = replace(_conclude(inputs, findings, chosen, started), looks=looks)
        report = publish_report(result, config, tuple(each.quantized for each in findings.judged))
        return replace(result, report=report)


def _conclude(inputs: Inputs, findings: Findings, chosen: Judged, started: float) -> Release:
    """Packs the chosen candidate, and registers it when the gate approved."""
    config, verdict = inputs.config, chosen.verdict
    bundle = pack_bundle(
        chosen.deployable,
        inputs.model,
        chosen.evidence,
        config.data.preprocessing,
        config.validation.threads,
        config.serving,
    )
    approved = verdict.outcome is Outcome.APPROVED and config.registry.enabled
    registered = (
        register(inputs.run_id, bundle, chosen.evidence, verdict, config.registry, config.name)
        if approved
        else None
    )
    return Release(
        name=config.name,
        outcome=verdict.outcome,
        host=inputs.host,
        model=inputs.model,
        calibration=inputs.calibration,
        validation=findings.unseen or inputs.confirmation or inputs.validation,
        evidence=tuple(each.evidence for each in findings.judged),
        failed=findings.failed,
        verdicts=tuple(each.verdict for each in findings.judged),
        chosen=chosen.candidate,
        bundle=bundle,
        registered=registered,
        run_id=inputs.run_id,
        tracking_uri=Settings().tracking_uri,
        report=None,
        seconds=time.monotonic() - started,
        sensitivity=findings.sensitivity,
        given=inputs.given,
    )
