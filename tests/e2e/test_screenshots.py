"""`make screenshots`: what a person sees of the demo in Prefect's pages, from the form to the report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.run_form import CREATED, browser_page, open_run_form, picture
from tests.e2e.servers import ENDED, PrefectServer, wait_until

pytestmark = [pytest.mark.paddle, pytest.mark.sweep, pytest.mark.timeout(0)]

FOLDER = os.environ.get("SCREENSHOTS")
"""Where the pictures are kept."""
RUN_S = 1800
GRAPH_MS = 10_000
"""The graph of a run is drawn on a canvas, of which nothing tells when it is done."""
WIDE = {"width": 1600, "height": 1000}


def test_pictures_of_the_demo_from_its_form_to_its_approved_report(working: PrefectServer) -> None:
    folder = Path(FOLDER) if FOLDER else None
    with browser_page() as page:
        form = open_run_form(page, working.url, working.deployments()["release"]["id"])
        picture(page, folder, "form-defaults")
        form.options("config", "Hardware", "Policy")
        picture(page, folder, "form-menus")
        assert form.submit() == CREATED
        page.get_by_text("scheduled to start").first.wait_for()
        (run,) = working.runs("release")
        ended = wait_until(
            lambda: working.runs("release")[0]["state"],
            lambda state: state["type"] in ENDED,
            seconds=RUN_S,
            what="its end",
        )
        assert ended["type"] == "COMPLETED", ended["message"]
        page.set_viewport_size(WIDE)  # type: ignore[arg-type] # a plain dict of the two
        page.goto(f"{working.url}/runs/flow-run/{run['id']}")
        page.get_by_text("Completed", exact=True).first.wait_for()
        picture(page, folder, "run", drawn_ms=GRAPH_MS)
        page.locator(".p-tab", has_text="Artifacts").click()
        page.get_by_text("release-report").first.click()
        # a host on which other work runs leaves the speed undecided, which is no picture for the pages
        expect(page.get_by_text("Approved: digits-mobilenet-v1").first).to_be_visible()
        picture(page, folder, "report")
