"""`python -m docs.generate.picture` takes the README's picture: the first screen of the newest report."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from paddle_int8.tasks.config.settings import Settings

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1100, 820
PICTURE = Path(__file__).parents[1] / "screenshots" / "release-report.png"


def take(report: Path, picture: Path = PICTURE) -> None:
    """What a person sees of `report` before scrolling. Raises: LookupError without a browser."""
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        raise LookupError(
            f"no browser: none of {', '.join(BROWSERS)} is installed (apt-get install chromium)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.resolve().as_uri())
        page.screenshot(path=picture)
        browser.close()


def newest_report() -> Path:
    """Raises: LookupError when no release left a report."""
    reports = sorted((Settings().root / "reports").glob("*.html"), key=lambda path: path.stat().st_mtime)
    if not reports:
        raise LookupError("no report at home: run a release first, such as `make demo`")
    return reports[-1]


if __name__ == "__main__":
    shown = newest_report()
    take(shown)
    sys.stdout.write(f"{PICTURE} shows {shown}\n")
