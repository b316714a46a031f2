"""What a browser waits for, carries and sees jump, page by page, on an idle machine: the table of decision 0018.

    python benchmarks/first_visit.py DEMO_FOLDER [--rounds 3]

Serves the folder, opens each page in Chromium with an empty cache and again with a full one. Columns: bytes of the
first and of the next visit; seconds until the first card (the number of a KPI, else the heading) is seen with an empty
cache, and until the page is complete with a full one (no running script, plots drawn); layout shift of
both widths. Medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.servers import dashboard  # noqa: E402

PAGES = {
    "": ".card",
    "kpi?kpi=sign_ups": "[data-testid=kpi-value]",
    "kpis": "h1",
    "launches": "h1",
    "launch?launch=new_editor": "h1",
    "alerts": "h1",
    "snapshots": "h1",
    "data": "h1",
}
PLOTTED = ("kpi?", "launch")
SHIFTS = """window.shifted = 0; new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({type: "layout-shift", buffered: true})"""
RUNNING = "document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]')"


def visit(page: Any, url: str, path: str) -> tuple[float, float]:
    """Seconds until the first card is seen, and until the page is complete."""
    began = time.perf_counter()
    page.goto(f"{url}/{path}", wait_until="commit")
    page.wait_for_selector(PAGES[path], timeout=60_000)
    first = time.perf_counter() - began
    if path.startswith(PLOTTED):
        page.wait_for_selector(".js-plotly-plot .cartesianlayer", timeout=60_000)
    while page.evaluate(f"!!{RUNNING}"):
        page.wait_for_timeout(20)
    return first, time.perf_counter() - began


def measured(browser: Any, url: str, path: str, width: int) -> dict[str, float]:
    """One page, in a browser that has never seen it."""
    context = browser.new_context(viewport={"width": width, "height": 844 if width < 600 else 900})
    page, came = context.new_page(), [0]
    page.add_init_script(SHIFTS)
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda told: came.append(int(told["encodedDataLength"])))
    first, _ = visit(page, url, path)
    page.wait_for_timeout(1500)
    weight, shifted = sum(came), float(page.evaluate("window.shifted"))
    came.clear()
    _, complete = visit(page, url, path)
    page.wait_for_timeout(500)
    found = {"first": first, "complete": complete, "bytes": weight, "again": sum(came), "shifted": shifted}
    context.close()
    return found


def filtered(browser: Any, url: str) -> float:
    """Seconds from a click on another range of a KPI's page to its chart and no running script."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    visit(page, url, "kpi?kpi=sign_ups")
    page.wait_for_timeout(800)
    taken = []
    for words in ("12 months", "90 days", "6 months"):
        page.locator(".st-key-range input").click()
        option = page.get_by_role("option", name=words, exact=True)
        option.wait_for()
        before = page.locator(".js-plotly-plot .xtick").all_text_contents()
        began = time.perf_counter()
        option.click()
        while page.locator(".js-plotly-plot .xtick").all_text_contents() == before or page.evaluate(f"!!{RUNNING}"):
            page.wait_for_timeout(10)
        taken.append(time.perf_counter() - began)
    page.close()
    return statistics.median(taken)


def main() -> None:
    """Measure and print the table."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with dashboard(chosen.folder) as server, sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium")
        url = f"http://127.0.0.1:{server.port}"
        sys.stdout.write("| page | first, MB | next, KB | first card, s | complete, warm, s | shift at 1440, 390 |\n")
        sys.stdout.write("|---|---|---|---|---|---|\n")
        for path in PAGES:
            wide = [measured(browser, url, path, 1440) for _ in range(chosen.rounds)]
            small = measured(browser, url, path, 390)
            one = {key: statistics.median(round_[key] for round_ in wide) for key in wide[0]}
            sys.stdout.write(
                f"| {path or 'overview'} | {one['bytes'] / 1e6:.2f} | {one['again'] / 1e3:.0f} | {one['first']:.2f} | "
                f"{one['complete']:.2f} | {one['shifted']:.3f}, {small['shifted']:.3f} |\n"
            )
            sys.stdout.flush()
        sys.stdout.write(f"\nAnother range on a KPI's page: {filtered(browser, url):.2f} s\n")


if __name__ == "__main__":
    main()
