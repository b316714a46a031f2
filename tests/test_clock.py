"""One clock: what sets it moves everything, and nothing else asks the machine."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from connectors.channels import mail
from connectors.channels.contract import Message
from connectors.clock import set_clock, utc_now
from connectors.errors import SettingsError
from tests.conftest import NOW, ROOT, Builder, run_cli

HOME = ROOT / "connectors" / "clock.py"
WALL_CLOCK = re.compile(
    r"""\b(?: datetime\.(?:now|utcnow|today) | date\.today | Timestamp\.(?:now|today|utcnow)
        | time\.(?:time|time_ns|localtime|gmtime|ctime|asctime|clock_gettime\w*) | formatdate | localtime | uuid1 )\s*\(
      | (?:Timestamp|to_datetime|datetime64)\(\s*["'](?:now|today)
      | \b(?:current_(?:timestamp|date|time)|localtimestamp|get_current_\w+|clock_timestamp|getdate|sysdate)\b
      | (?<![\w.{+]\s)(?<![\w.+])now\(\) | \bfunc\.(?:now|current_\w+)
      | \bnew\s+Date\(\s*\) | \bDate\.now\b""",
    re.VERBOSE | re.IGNORECASE,
)
# Words in lists of what definitions may use, and their tests: nothing is called there. And the test that asks on
# purpose.
NAMED_ONLY = {
    "client/bellwether.py",  # which runs elsewhere
    "benchmarks/measures.py",  # the clock of a process, which counts its CPU
    "connectors/sources/rest/subscriptions.py",  # SQL of proposed datasets, in which it is the moment of the sync
    "connectors/warehouse/duckdb/caged.py",
    "metrics/catalog/sql_functions.py",
    "metrics/catalog/sql_guard.py",
    "tests/catalog/test_catalogue.py",
    "tests/engine/test_rollups.py",
    "tests/warehouse/duckdb/test_functions.py",
    "tests/test_clock.py",
    "tests/operations/test_fuzz_definitions.py",
    "tests/test_moved_clocks.py",
    "tests/web/oidc.py",  # whose tokens a library judges, by the machine's clock
    "tests/web/test_forged_sign_in.py",  # the same
    "tests/web/test_sign_in.py",  # whose cookies Streamlit judges, likewise
    "tests/test_runaways.py",
}


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.js", "*.html", "*.sql", "*.j2", "*.typ"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if "/golden/" not in name and (ROOT / name).exists()]


def calls(text: str) -> list[str]:
    lines = (line.partition("#")[0] for line in text.splitlines())
    return [line.strip() for line in lines if WALL_CLOCK.search(line)]


def test_nobody_else_asks_the_machine_what_time_it_is() -> None:
    paths = [p for p in sources() if p != HOME and str(p.relative_to(ROOT)) not in NAMED_ONLY]
    assert len(paths) > 200
    assert {str(p.relative_to(ROOT)): found for p in paths if (found := calls(p.read_text()))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "at = datetime.now(UTC)",
        "x = date.today()",
        "pd.Timestamp.now('UTC')",
        'pd.Timestamp("now")',
        "time.time()",
        "mail['Date'] = formatdate()",
        "SELECT CURRENT_TIMESTAMP",
        "WHERE at < now()",
        "let t = Date.now()",
        "new Date()",
        "default=func.now()",
        "time.localtime()",
    ],
)
def test_a_new_call_would_be_found(line: str) -> None:
    assert calls(line) == [line]


@pytest.mark.parametrize("line", ["utc_now()", "time.monotonic()", "now=utc_now()", "started = time.perf_counter()"])
def test_what_asks_the_clock_or_a_stopwatch_is_no_call(line: str) -> None:
    assert calls(line) == []


def test_a_clock_that_was_set_runs_on() -> None:
    set_clock(datetime(2031, 12, 31, 23, 59, 59, 900_000, tzinfo=UTC))
    first = utc_now()
    assert first.year == 2031
    while utc_now().year == 2031:
        assert utc_now() - first < timedelta(seconds=1)
    assert utc_now() >= datetime(2032, 1, 1, tzinfo=UTC)


def test_a_clock_set_to_nonsense_says_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_NOW", "yesterday")
    with pytest.raises(SettingsError, match="KPI_NOW='yesterday' is no timestamp"):
        utc_now()
    told = run_cli("list", "--project", str(ROOT / "metrics" / "definitions"))
    assert told.returncode == 1 and "2026-11-23T06:00:00Z" in told.stderr


def test_without_a_setting_it_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KPI_NOW")
    code = "import datetime; print(datetime.datetime.now(datetime.UTC).isoformat())"
    real = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert abs(utc_now() - datetime.fromisoformat(real.strip())) < timedelta(seconds=30)


def test_now_moves_the_whole_run(project: Builder) -> None:
    """The sync, its log, mails and the child processes: one time."""
    (project.folder / "files" / "a.csv").write_text("at,x\n2026-11-02,1\n")
    project.source("- {name: t, type: files, table: t, path: files/a.csv}")
    run_cli("sync", "--project", str(project.folder), "--now", "2027-03-04T05:06:07Z", check=True)
    opened = project.open()
    assert opened.sync_log.read()["finished_at"].startswith("2027-03-04T05:06:07")
    assert opened.sync_log.runs()["t"].last_success.startswith("2027-03-04T05:06:07")
    assert opened.reader().generation.published_at == datetime(2027, 3, 4, 5, 6, 7, tzinfo=UTC)
    box = mail.Mailbox("127.0.0.1", 9, "insecure", "", "", "", "kpi@example.com", ("a@example.com",))
    sent = mail.compose(Message("t", "b", "<p>b</p>"), box)
    assert abs(parsedate_to_datetime(sent["Date"]) - NOW) < timedelta(minutes=1)
