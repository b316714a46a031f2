"""Load the demo with readers who speak Streamlit's protocol, beside a bare page in the same run.

    python benchmarks/load/run.py                        # every measure but the soak
    python benchmarks/load/run.py pages --users 50 --think 5 --page kpi --json
    python benchmarks/load/run.py soak --reruns 10000

Tables and what they mean: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.load import measures  # noqa: E402
from benchmarks.load.servers import KPI, Server, bare_page, dashboard, environment, kpi  # noqa: E402

MEASURES = ("pages", "burst", "slow", "publish", "files", "soak")
LIMITS = {"overview": 60.0}  # p95 in ms; of the other pages LIMIT
LIMIT = 120.0
HEAVY = tuple(
    f"kpi={name}&grain=day&range=all&by=country&platform={platform}"
    for name in ("daily_active_users", "weekly_active_users", "stickiness")
    for platform in ("web", "ios", "android")
)


def pages(options: argparse.Namespace, demo: Path) -> list[dict[str, Any]]:
    """Readers who think, on each page."""
    found = []
    with bare_page(demo) as bare:
        told = _paced(bare, "bare", options)
        found.append({**told, "ratio": 1.0})
    base = told["cpu"] or 1.0
    with dashboard(demo) as server:
        for page in options.page or measures.PAGES:
            told = _paced(server, page, options)
            found.append({**told, "ratio": told["cpu"] / base, "limit": LIMITS.get(page, LIMIT)})
    return found


def _paced(server: Server, page: str, options: argparse.Namespace) -> dict[str, Any]:
    return asyncio.run(measures.paced(server, page, options.users, options.think, options.seconds)).as_dict()


def burst(options: argparse.Namespace, demo: Path) -> dict[str, Any]:
    """All at once."""
    with bare_page(demo) as bare:
        beside = asyncio.run(measures.burst(bare, "bare", options.burst_users))
    with dashboard(demo) as server:
        rate = asyncio.run(measures.burst(server, "kpi", options.burst_users))
    return {"users": options.burst_users, "per_second": rate, "bare_per_second": beside, "limit": 60.0}


def slow(_: argparse.Namespace, demo: Path) -> dict[str, Any]:
    """A slow neighbour."""
    with dashboard(demo) as server:
        told = asyncio.run(measures.slow_neighbour(server, HEAVY))
    more = told.beside - told.alone
    return {"alone": told.alone, "beside": told.beside, "more": more, "slow": told.slow, "limit": 300.0}


def publish(options: argparse.Namespace, demo: Path) -> dict[str, Any]:
    """A generation is published while readers look."""
    with dashboard(demo) as server:
        _new_rows(demo)
        before = _live(demo)
        command = (*KPI, "sync", "--project", str(demo))
        most, p95 = asyncio.run(measures.publishing(server, command, environment(), options.users, options.think))
    return {
        "users": options.users,
        "most": most,
        "p95": p95,
        "limit": 500.0,
        "before": before,
        "generation": _live(demo),
    }


def _live(demo: Path) -> str:
    return (demo / "data" / "live").resolve().stem


def _new_rows(demo: Path) -> None:
    """Something to publish: the newest file of support tickets once more, a number higher."""
    newest = sorted((demo / "data" / "demo" / "support").glob("*.csv"))[-1]
    head, *rows = newest.read_text().splitlines()
    newest.with_name("later.csv").write_text("\n".join((head, *(f"9{row}" for row in rows[-20:]))) + "\n")


def files(options: argparse.Namespace, demo: Path) -> dict[str, Any]:
    """Open files with many sessions."""
    with dashboard(demo, most_files=1024) as server:
        before, after = asyncio.run(measures.open_files(server, options.sessions))
    return {"sessions": options.sessions, "before": before, "with_all": after, "limit": 1024}


def soak(options: argparse.Namespace, demo: Path) -> dict[str, Any]:
    """Memory over many reruns."""
    with dashboard(demo) as server:
        early, late = asyncio.run(measures.soak(server, options.reruns))
    megabytes = {"early_mb": early / 1e6, "late_mb": late / 1e6}
    return {"reruns": options.reruns, **megabytes, "growth_percent": 100 * (late / early - 1), "limit": 5.0}


def lines(name: str, told: Any) -> Iterator[str]:
    """A measure in words."""
    if name != "pages":
        yield f"{name}: " + ", ".join(
            f"{key} {value if isinstance(value, str) else f'{value:,.5g}'}" for key, value in told.items()
        )
        return
    yield "| page | reruns | p50 ms | p95 ms | most ms | limit | server CPU ms | × bare | kB | load |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in told:
        limit = f"{row['limit']:.0f}" if "limit" in row else ""
        times = f"{row['p50']:.0f} | {row['p95']:.0f} | {row['most']:.0f} | {limit}"
        rest = f"{row['cpu']:.1f} | {row['ratio']:.1f} | {row['kilobytes']:.0f} | {row['load']:.1f}"
        yield f"| {row['page']} | {row['reruns']} | {times} | {rest} |"


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "measures", nargs="*", metavar="measure", help=f"of {', '.join(MEASURES)}; default: all but soak"
    )
    parser.add_argument("--demo", type=Path, help="a demo that `kpi demo DIR` made; a copy of it is served")
    parser.add_argument("--page", action="append", choices=measures.PAGES, help="this page only; may be repeated")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--think", type=float, default=5.0, help="seconds between two reruns of a user, on average")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each page is loaded")
    parser.add_argument("--burst-users", type=int, default=25)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--reruns", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    found = parser.parse_args(arguments)
    if wrong := sorted(set(found.measures) - set(MEASURES)):
        parser.error(f"no measure {', '.join(wrong)}; there are {', '.join(MEASURES)}")
    return found


def main(arguments: list[str] | None = None) -> None:
    """Make or copy the demo, measure, print."""
    options = parsed(arguments)
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        if options.demo:
            shutil.copytree(options.demo, demo, symlinks=True)
        else:
            kpi("demo", str(demo))
        for name in options.measures or MEASURES[:-1]:
            told[name] = globals()[name](options, demo)
            if not options.json:
                print("\n".join(lines(name, told[name])), flush=True)
    if options.json:
        print(json.dumps({**told, "load": os.getloadavg(), "cores": os.cpu_count()}, indent=1))


if __name__ == "__main__":
    main()
