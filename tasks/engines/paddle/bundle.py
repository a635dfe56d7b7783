"""What Paddle's engine puts into a bundle: the program and its parameters, and how to serve them."""

from __future__ import annotations

from dataclasses import asdict, replace
from importlib.metadata import metadata, version
from pathlib import Path

from paddle_int8.tasks.contracts.artifacts import Bundle
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.engines.bundle import MODEL, Contents, Deployment, bundled, fill_bundle
from paddle_int8.tasks.engines.engine import BundleRequest
from paddle_int8.tasks.engines.paddle.bundle_texts import TRITON, render
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import FILES

SERVING = Path(__file__).with_name("serving.py")
TRITON_MODEL = Path(__file__).with_name("triton_model.py")
BUNDLED = bundled(FILES)
PADDLE = "paddlepaddle"
SERVED_WITH = (PADDLE, "numpy")
PYTHON_OF_A_WHEEL = "Programming Language :: Python :: 3."


def write_bundle(request: BundleRequest) -> Bundle:
    """Fills the folder of a request with Paddle's bundle. Raises: see `fill_bundle`."""
    contents = Contents(
        files=FILES,
        script=SERVING,
        switches=asdict(replace(request.switches, max_isa=held_to(request.evidence))),
        versions={name: version(name) for name in SERVED_WITH}
        | {"onednn": request.evidence.host.onednn_version},
        requirements=requirements(),
        pythons=pythons(),
    )
    return fill_bundle(request, contents, _texts)


def _texts(deployment: Deployment) -> dict[str, str]:
    """The bundle's own pages, and the backend of Triton where the bundle can be a model of Triton's."""
    texts = render(deployment)
    if TRITON in texts:
        texts |= {"1/model.py": TRITON_MODEL.read_text(encoding="utf-8")}
    return texts


def bundle_digest(bundle: Path) -> str:
    """The digest of the model in a bundle."""
    return program_digest(bundle / MODEL)


def requirements() -> tuple[str, ...]:
    """What a server installs. Paddle imports setuptools without declaring it."""
    return (f"{PADDLE}=={version(PADDLE)}", "numpy<2", "setuptools<81")


def pythons() -> tuple[str, ...]:
    """The versions of Python that this Paddle has wheels for, from "3.8" on."""
    classifiers = metadata(PADDLE).get_all("Classifier") or []
    return tuple(text.split()[-1] for text in classifiers if text.startswith(PYTHON_OF_A_WHEEL))


def held_to(evidence: CandidateEvidence) -> str:
    """The instruction set that oneDNN was held to when the model was measured for this host.

    "" when it was measured with all that the CPU has.
    """
    served = next((item.isa for item in evidence.per_isa if not item.emulated), evidence.host.isa)
    return "" if served is evidence.host.isa else served.value
