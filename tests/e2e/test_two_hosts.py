"""One release on two hosts with separate disks: an object store is all they share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command_line import variables
from tests.e2e.crashes import computed, kill, release
from tests.e2e.object_store import running_store
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle


def test_release_killed_on_one_host_ends_on_another_with_what_the_first_had_computed(
    inputs: SmallInputs, tmp_path: Path, temporary: Path
) -> None:
    config = inputs.approvable(tmp_path / "release.yaml", "travelling")
    with running_store("int8") as store:
        one, two = (
            variables(tmp_path / name, TMPDIR=str(temporary), **store.environment) for name in ("one", "two")
        )
        kill(config, "pack bundle", "1", one)
        document = release(config, two)
        keys = store.keys()

    assert document["outcome"] == "approved"
    assert document["bundle"]["folder"].startswith(str(tmp_path / "two"))
    assert {step.split()[0] for step in computed(tmp_path / "one")} >= {"quantize", "convert", "measure"}
    assert not computed(tmp_path / "two"), "the second host computed anew what the first had"
    kinds = {key.split("/")[1] for key in keys}
    assert kinds >= {"models", "data", "quantized", "deployable", "evidence", "results", "bundles"}
    assert not [key for key in keys if key.endswith(".part")]
