"""Uses Prefect's pages as a person does, in Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, sync_playwright

from tests.patience import allowed

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1280, "height": 900}
PATIENCE_MS = 20_000
ATTEMPTS = 5
BUSY, CREATED = 503, 201


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page that reaches loopback only. Skips, naming what is missing, without a browser."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type] # a plain dict of the two
            page.set_default_timeout(allowed(PATIENCE_MS))
            page.route("**/*", _loopback_only)
            yield page
        finally:
            browser.close()


def _loopback_only(route: Route) -> None:
    if "//127.0.0.1:" in route.request.url:
        route.continue_()
    else:
        route.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """The form under Run, Custom run. A field is known by its labels, outermost first."""

    page: Page

    def field(self, *labels: str) -> Locator:
        found: Page | Locator = self.page
        for label in labels:
            optional = f"{label} (Optional)"
            mark = " .schema-form-property__label"
            found = found.locator(
                f".schema-form-property:has(> .p-label__header{mark}:text-is('{label}')), "
                f".schema-form-property:has(> .p-label__header{mark}:text-is('{optional}'))"
            ).last  # an outer section comes after those of the same name inside its elders
        assert isinstance(found, Locator)
        return found

    def description(self, *labels: str) -> str:
        return self.field(*labels).locator(".schema-form-property__description").first.inner_text()

    def fill(self, value: str, *labels: str, place: int = 0) -> None:
        self.field(*labels).locator("textarea, input").nth(place).fill(value)

    def kind(self, name: str, *labels: str) -> None:
        """Takes one of several models for a field."""
        self.field(*labels).get_by_role("button", name=name, exact=True).first.click()

    def options(self, *labels: str) -> list[str]:
        """What a menu offers."""
        self._open_menu(*labels)
        found = self.page.locator(".p-select-option").all_inner_texts()
        self.page.keyboard.press("Escape")
        return found

    def choose(self, option: str, *labels: str) -> None:
        self._open_menu(*labels)
        self.page.locator(".p-select-option").get_by_text(option, exact=True).click()

    def drop(self, option: str, *labels: str) -> None:
        """Takes a chosen option off a list."""
        chosen = self.field(*labels).locator(".p-tag").filter(has_text=option).first
        chosen.locator(".p-tag__dismiss").click()

    def submit(self) -> int:
        """Status of the server's answer.

        On SQLite the server answers 503 while something else is written. Its own clients then try again; its
        pages show an error, and a person presses Submit again.
        """
        for _ in range(ATTEMPTS):
            with self.page.expect_response(lambda answer: answer.url.endswith("/create_flow_run")) as caught:
                self.page.get_by_role("button", name="Submit").click()
            if caught.value.status != BUSY:
                break
        return caught.value.status

    def _open_menu(self, *labels: str) -> None:
        """By keyboard: a click that scrolls the page closes the menu again."""
        control = self.field(*labels).locator(".p-select-button__control").first
        control.scroll_into_view_if_needed()
        control.focus()
        self.page.keyboard.press("ArrowDown")
        self.page.locator(".p-select-option").first.wait_for()


def open_run_form(page: Page, server: str, deployment_id: str) -> RunForm:
    page.goto(f"{server}/deployments/deployment/{deployment_id}")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    page.get_by_role("heading", name="Parameters").wait_for()
    return RunForm(page=page)


def picture(page: Page, folder: Path | None, name: str, *, drawn_ms: int = 500) -> None:
    """Keeps what the page shows, when there is a folder for it. drawn_ms: how long its animations take."""
    if folder is not None:
        page.wait_for_timeout(drawn_ms)
        page.screenshot(path=folder / f"{name}.png")
