"""An engine of somebody else, with its layout: this file is all there is of them.

It runs PaddleSlim's simulation of INT8 in Paddle's own kernels and says that these are INT8, which nobody
can tell from its answers. It stands in for engines whose libraries are not installed here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import OperatorCensus
from paddle_int8.tasks.contracts.evidence import KernelAudit
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome, QuantizedForm
from paddle_int8.tasks.engines.engine import Engine, Predictor
from paddle_int8.tasks.engines.paddle.bundle import BUNDLED, bundle_digest, write_bundle
from paddle_int8.tasks.engines.paddle.conversion.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.serving import load_bundle
from paddle_int8.tasks.engines.paddle.switches import NATIVE_FP32, Switches
from paddle_int8.tasks.hardware.onednn import effective_isa
from paddle_int8.tasks.layouts.layout import ConversionRequest, Layout
from tests.e2e.ground import Ground
from tests.installed import install

pytestmark = pytest.mark.paddle

LAYERS = 3


def open_model(folder: Path, switches: Switches, threads: int) -> Predictor:
    return open_predictor(spec_of(folder, switches, threads))


def audit(
    predictor: Predictor,
    feed: Feed,
    *,
    inferences: int,
    expect_int8: bool,
    census: OperatorCensus | None = None,
) -> KernelAudit:
    """The engine's word for it."""
    for _ in range(inferences):
        predictor.run(feed)
    layers = census.quantizable if census else LAYERS
    return KernelAudit(
        isa="the stand-in's",
        inferences=inferences,
        compute_primitives=layers,
        int8_primitives=layers,
        int8_share_by_count=1.0,
        int8_share_by_time=1.0,
        reorders=0,
        reorder_time_ms=0.0,
        shares=(),
        fp32_layers=(),
    )


def isa() -> IsaLevel:
    return effective_isa()


def load() -> None:
    """There is nothing to import."""


def convert(request: ConversionRequest) -> ConvertedModel:
    request.folder.mkdir(parents=True, exist_ok=True)
    for path in (request.source.program, request.quantized / "model.pdiparams"):
        shutil.copyfile(path, request.folder / path.name)
    return ConvertedModel(
        folder=request.folder,
        layout="simulated",
        digest=program_digest(request.folder),
        int8_ops={"conv2d": LAYERS},
        repairs={},
        size_bytes=sum(path.stat().st_size for path in request.folder.iterdir()),
    )


ENGINE = Engine(
    name="stand_in",
    description="Paddle's own kernels, which simulate INT8.",
    packages=("numpy",),
    load=load,
    open=open_model,
    audit=audit,
    isa=isa,
    write_bundle=write_bundle,
    bundled=BUNDLED,
    digest=bundle_digest,
    open_bundle=load_bundle,
)
LAYOUT = Layout(
    name="simulated",
    description="The fake-quantized program as it is.",
    engine="stand_in",
    form=QuantizedForm.FAKE_QUANT,
    convert=convert,
    switches=NATIVE_FP32,
)


def test_engine_of_another_package_runs_a_release_to_its_end(
    warm_ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddle_int8.flows.release import release

    install(
        tmp_path / "site",
        monkeypatch,
        engines=f"stand_in = {__name__}:ENGINE",
        layouts=f"simulated = {__name__}:LAYOUT",
    )
    grid = {"algorithms": ["abs_max"], "layouts": ["simulated"]}
    path = warm_ground.inputs.approvable(
        warm_ground.folder / "release.yaml", warm_ground.name, quantization=grid
    )
    released = release(load_config(path))
    assert released.outcome is Outcome.APPROVED, [verdict.results for verdict in released.verdicts]
    (evidence,) = released.evidence
    found = evidence.per_isa[0]
    assert (found.audit.isa, found.audit.int8_share_by_count) == ("the stand-in's", 1.0)
    assert found.baseline_audit.isa not in ("", found.audit.isa)  # the baseline is Paddle's
    assert np.isfinite(found.sqnr_db)
    assert released.registered is not None
    assert released.bundle is not None
    deployment = json.loads((released.bundle.folder / "deployment.json").read_text(encoding="utf-8"))
    assert deployment["layout"] == "simulated"
    assert not deployment["switches"]["onednn"]
