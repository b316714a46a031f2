"""The load client: readers of a served demo, without a browser."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.load import run as load
from benchmarks.load.measures import PAGES, Paced, share
from benchmarks.load.protocol import PageError, Session
from benchmarks.load.servers import dashboard
from tests.conftest import ROOT, copied_demo


def test_every_page_is_loaded() -> None:
    assert sorted(PAGES) == sorted(path.stem for path in (ROOT / "pages").glob("*.py"))


def test_a_share_is_of_all_times() -> None:
    times = [float(n) for n in range(100, 0, -1)]
    assert (share(times, 0.5), share(times, 0.95), share(times, 1.0), share([7.0], 0.5)) == (50.0, 95.0, 100.0, 7.0)


def test_a_table_says_what_was_measured() -> None:
    row = Paced("kpi", 60, 17.2, 45.5, 170.0, 18.3, 29.0, 1.5).as_dict()
    table = list(load.lines("pages", [{**row, "ratio": 5.1, "limit": 120.0}]))
    assert table[-1] == "| kpi | 60 | 17 | 46 | 170 | 120 | 18.3 | 5.1 | 29 | 1.5 |"
    assert list(load.lines("files", {"sessions": 200, "limit": 1024})) == ["files: sessions 200, limit 1,024"]


def test_an_unknown_measure_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load.parsed(["pages", "brust"])
    assert "no measure brust; there are pages, burst" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.proof
def test_readers_load_the_demo(demo_folder: Path, tmp_path: Path) -> None:
    demo = copied_demo(demo_folder, tmp_path / "demo")
    options = "--users 2 --think 0.2 --seconds 1 --sessions 3 --burst-users 2 --reruns 40 --json"
    command = [sys.executable, "-m", "benchmarks.load.run", *load.MEASURES, "--demo", str(demo), *options.split()]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert [row["page"] for row in told["pages"]] == ["bare", *PAGES]
    assert all(row["reruns"] >= 2 and 0 < row["p50"] <= row["p95"] <= row["most"] for row in told["pages"])
    sizes = {row["page"]: row["kilobytes"] for row in told["pages"]}
    assert len(set(sizes.values())) == len(sizes), "each page is another one"
    assert told["burst"]["per_second"] > 1 and told["publish"]["generation"] != told["publish"]["before"]
    assert told["files"]["before"] < told["files"]["with_all"] < 100 and told["soak"]["late_mb"] > 50


@pytest.mark.slow
def test_a_page_that_is_not_there_is_an_error(demo_folder: Path, tmp_path: Path) -> None:
    async def visit(port: int) -> None:
        async with Session(port, "no_such_page") as session:
            await session.rerun()

    # In a thread of its own: a browser that an earlier test opened keeps an event loop in this one.
    with (
        dashboard(copied_demo(demo_folder, tmp_path / "demo")) as server,
        ThreadPoolExecutor(1) as thread,
        pytest.raises(PageError, match="no_such_page"),
    ):
        thread.submit(asyncio.run, visit(server.port)).result()
