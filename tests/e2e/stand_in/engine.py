"""The records of the stand-in engine and of its layout."""

from __future__ import annotations

import zipfile
from importlib.metadata import version
from pathlib import Path

from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import Bundle, OperatorCensus
from paddle_int8.tasks.contracts.evidence import KernelAudit
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, QuantizedForm
from paddle_int8.tasks.engines.bundle import MODEL, Contents, Deployment, bundled, fill_bundle
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.engine import BundleRequest, Engine, Predictor
from paddle_int8.tasks.hardware.onednn import effective_isa
from paddle_int8.tasks.layouts.layout import ConversionRequest, Layout
from paddle_int8.tasks.store.folder import file_digest
from tests.e2e.stand_in import predict
from tests.e2e.stand_in.predict import FILE, PARAMS, PROGRAM

LAYERS = 3
ISA = "the stand-in's"
REQUIREMENTS = ("paddlepaddle>=2.6", "numpy>=1.26")
SWITCHES = {"rounding": "simulated"}


def load() -> None:
    """There is nothing to import."""


def open_model(folder: Path, switches: dict[str, str], threads: int) -> Predictor:
    assert switches == SWITCHES
    return predict.Predictor(folder / FILE, threads)


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
        isa=ISA,
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


def convert(request: ConversionRequest) -> ConvertedModel:
    path = request.folder / FILE
    with zipfile.ZipFile(path, "w") as archive:
        for name, source in ((PROGRAM, "model.pdmodel"), (PARAMS, "model.pdiparams")):
            entry = zipfile.ZipInfo(name)  # of no time of day, so that equal models are equal files
            archive.writestr(entry, (request.quantized / source).read_bytes())
    return ConvertedModel(
        folder=request.folder,
        layout="simulated",
        digest=file_digest(path),
        int8_ops={"conv2d": LAYERS},
        repairs={},
        size_bytes=path.stat().st_size,
    )


def write_bundle(request: BundleRequest) -> Bundle:
    contents = Contents(
        files=(FILE,),
        script=Path(predict.__file__),
        switches=request.switches,
        versions={"paddlepaddle": version("paddlepaddle")},
        requirements=REQUIREMENTS,
        pythons=("3.11",),
    )
    return fill_bundle(request, contents, read_me)


def read_me(deployment: Deployment) -> dict[str, str]:
    return {"README.md": f"A model of the stand-in engine, {deployment.digest}.\n"}


def digest(bundle: Path) -> str:
    return file_digest(bundle / MODEL / FILE)


ENGINE = Engine(
    name="stand_in",
    description="Paddle's own kernels, which simulate INT8.",
    packages=("numpy",),
    load=load,
    open=open_model,
    audit=audit,
    isa=isa,
    write_bundle=write_bundle,
    bundled=bundled((FILE,)),
    digest=digest,
    open_bundle=predict.open_bundle,
)
LAYOUT = Layout(
    name="simulated",
    description="The fake-quantized program as it is, in one file.",
    engine="stand_in",
    form=QuantizedForm.FAKE_QUANT,
    convert=convert,
    switches=SWITCHES,
)
