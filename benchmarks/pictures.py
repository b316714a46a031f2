"""Take the pictures of docs/images/ anew, from a demo that is served.

    python benchmarks/pictures.py DEMO_FOLDER

Whole pages at 1280 px, light, cut at the height that each needs; parts of a KPI's page from their heading to the next.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.servers import dashboard  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDTH = 1280
PAGES = {  # picture: address, most pixels of height
    "overview": ("", 1100),
    "launch": ("launch?launch=new_editor", 1500),
    "alerts": ("alerts", 900),
    "snapshot": ("snapshots", 1500),
}
PARTS = {  # picture: address, heading that it begins with, heading before which it ends
    "funnel": ("kpi?kpi=trial_to_paid", "Steps", "Where the change sits"),
    "retention": ("kpi?kpi=week_4_retention", "Who comes back", "Where the change sits"),
    "lifecycle": ("kpi?kpi=quick_ratio", "Gained and lost", "Where the change sits"),
    "survey": ("kpi?kpi=nps", "Who answered what", "Where the change sits"),
}


def shown(page: Any, url: str, path: str) -> None:
    """Open a page and wait until it is drawn."""
    page.set_viewport_size({"width": WIDTH, "height": 900})
    page.goto(f"{url}/{path}")
    page.wait_for_selector(".bw-done", state="attached", timeout=60_000)
    page.wait_for_timeout(3000)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": int(height) + 10})
    page.wait_for_timeout(1500)


def shown_height(page: Any) -> int:
    """Pixels of the page that the window shows."""
    return int(page.evaluate("window.innerHeight"))


def top_of(page: Any, words: str) -> float:
    """Where a heading begins, in pixels."""
    return float(page.get_by_role("heading", name=words).first.bounding_box()["y"])


def take(page: Any, name: str, top: float, end: float) -> None:
    """One picture, of the whole width."""
    page.screenshot(path=IMAGES / f"{name}.png", clip={"x": 0, "y": top, "width": WIDTH, "height": end - top})


def main() -> None:
    """Take them all."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    with dashboard(chosen.folder) as server, sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium")
        page: Any = browser.new_page(color_scheme="light")
        url = f"http://127.0.0.1:{server.port}"
        for name, (path, most) in PAGES.items():
            shown(page, url, path)
            take(page, name, 0, min(most, shown_height(page)))
        for name, (path, first, after) in PARTS.items():
            shown(page, url, path)
            take(page, name, top_of(page, first) - 12, top_of(page, after) - 12)
        shown(page, url, "kpi?kpi=error_free_sessions&rule=try_limit")
        take(page, "threshold", 0, 900)
        browser.close()


if __name__ == "__main__":
    main()
