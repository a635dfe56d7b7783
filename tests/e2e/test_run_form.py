"""A person starts a release in Prefect's pages: fills in the form, watches the run, opens the report."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from paddle_int8.tasks.config.hardware import HardwarePolicy
from tests.e2e.run_form import CREATED, browser_page, open_run_form
from tests.e2e.servers import ENDED, PrefectServer, wait_until
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

NAME = "from-the-form"
RUN_S = 240


def test_release_started_from_the_form_finishes_and_shows_its_report(
    working: PrefectServer, inputs: SmallInputs
) -> None:
    deployment = working.deployments()["release"]["id"]
    with browser_page() as page:
        form = open_run_form(page, working.url, deployment)
        form.fill(NAME, "config", "Name")
        form.kind("Model files", "config", "Model")
        form.fill(str(inputs.folder / "model"), "config", "Model", "Path")
        for part in ("Calibration", "Validation"):
            form.kind("NumPy archive", "config", "Data", part)
            form.fill(str(inputs.folder / f"{part.lower()}.npz"), "config", "Data", part, "Path")
        form.choose("as_is", "config", "Data", "Preprocessing", "Layout")
        form.kind("None", "config", "Data", "Preprocessing", "Resize")
        assert form.options("config", "Hardware", "Policy") == [policy.value for policy in HardwarePolicy]
        form.choose("ignore", "config", "Hardware", "Policy")
        for unwanted in ("hist", "KL"):
            form.drop(unwanted, "config", "Quantization", "Algorithms")
        form.fill("5", "config", "Validation", "Repeats")  # of at least 20
        assert form.submit() != CREATED
        expect(page.get_by_text("5 is less than the minimum of 20").first).to_be_visible()
        form.fill("20", "config", "Validation", "Repeats")
        form.fill("8", "config", "Data", "Calibration Samples")
        assert form.submit() == CREATED
        page.get_by_text("scheduled to start").first.wait_for()
        (run,) = working.runs("release")
        page.goto(f"{working.url}/runs/flow-run/{run['id']}")
        ended = wait_until(
            lambda: working.runs("release")[0]["state"],
            lambda state: state["type"] in ENDED,
            seconds=RUN_S,
            what="its end",
        )
        assert ended["type"] == "COMPLETED", ended["message"]
        page.get_by_text("Completed", exact=True).first.wait_for()
        page.locator(".p-tab", has_text="Artifacts").click()
        page.get_by_text("release-report").first.click()
        expect(page.get_by_text("abs_max-offline").first).to_be_visible()
