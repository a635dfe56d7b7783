"""A user of the registry: a fresh interpreter with MLflow, and nothing of this project's sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.verdict import Release

CODE = """
import sys
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
with np.load(sys.argv[3]) as arrays:
    answer = model.predict(dict(arrays))
np.savez(sys.argv[4], **answer)
"""


def require_validated_answers(release: Release, folder: Path) -> None:
    """The registered model answers the bundle's example as the validated predictor did.

    Python writes bytecode beside the registered files, as it does for most people.
    """
    assert release.bundle is not None
    assert release.registered is not None
    question, answer = release.bundle.folder / "example_input.npz", folder / "answer.npz"
    arguments = [release.tracking_uri, release.registered.uri, str(question), str(answer)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-W", "ignore", "-P", "-c", CODE, *arguments]
    subprocess.run(command, check=True, cwd=folder, env=environment)
    with np.load(answer) as found, np.load(release.bundle.folder / "example_output.npz") as expected:
        assert set(found.files) == set(expected.files)
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])
