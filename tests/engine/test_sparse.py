"""Parts with few rows: known as far as their source is, and where not, said with its reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.kpi_views.kpi_page import kpi_page
from metrics.kpi_views.origin import origin
from tests.conftest import Builder, run_cli
from tests.engine.test_first_period import state
from tests.sampling import sampled

pytestmark = pytest.mark.breadth(4)

NOW = datetime(2024, 1, 12, 2, tzinfo=UTC)
DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]
REFUNDS = {"2024-01-03": 30.0, "2024-01-05": 5.0}
EXPECTED: dict[str, float | None] = {day: 100.0 - REFUNDS.get(day, 0.0) for day in DAYS}


def money(rows: dict[str, float], kind: str) -> pd.DataFrame:
    return pd.DataFrame({"at": [date.fromisoformat(day) for day in rows], "v": list(rows.values()), "kind": kind})


def net(project: Builder) -> Builder:
    for name, dataset in (("revenue", "orders"), ("refunded", "refunds")):
        project.kpi(name, f"dataset: {dataset}\nagg: sum\nexpr: v\ngrain: day")
    project.kpi("net", "type: derived\nexpr: '{revenue} - {refunded}'\ngrain: day\ngrains: [day, week]")
    project.kpi("share", "type: ratio\nnumerator: refunded\ndenominator: revenue\ngrain: day")
    project.sync(NOW)
    return project


def one_file(project: Builder, refunds: dict[str, float] | None = None, more: str = "") -> Builder:
    """Orders and refunds as rows of one file; two datasets choose theirs."""
    refunds = REFUNDS if refunds is None else refunds
    frame = pd.concat([money(dict.fromkeys(DAYS, 100.0), "order"), money(refunds, "refund")])
    frame.to_parquet(project.folder / "files" / "t.parquet", index=False)
    project.source("- {name: t, type: files, table: t, path: files/t.parquet}")
    for name, kind in (("orders", "order"), ("refunds", "refund")):
        text = f"name: {name}\nsql: SELECT * FROM t WHERE kind = '{kind}'\ntime_dimension: at\n"
        project.write("datasets", name, text + (more if name == "refunds" else ""))
    return net(project)


def two_files(project: Builder) -> Builder:
    project.rows("orders", money(dict.fromkeys(DAYS, 100.0), "order"))
    project.rows("refunds", money(REFUNDS, "refund"))
    return net(project)


@pytest.mark.breadth(2)
@pytest.mark.parametrize("facts", [False, True])
@pytest.mark.parametrize("more", ["", "watermark: data\n", "watermark: whole_days\n"])
def test_refunds_of_one_file_with_their_orders_are_known_as_long_as_those(
    project: Builder, facts: bool, more: str
) -> None:
    assert one_file(project, more=more).values("net", facts=facts) == EXPECTED
    assert project.ask("net", facts=facts).frame["complete"].all() and project.ask("net").gaps == ()
    assert project.values("share", facts=facts)["2024-01-10"] == 0
    assert project.values("refunded", start=date(2024, 1, 1), facts=facts)["2024-01-02"] is None, "before its own first"


@pytest.mark.breadth(1)
@pytest.mark.parametrize("refunds", [{}, {"2024-01-10": 1.0}, {"2024-01-01": 2.0}])
def test_no_refund_at_all_is_zero_where_its_source_was_observed(project: Builder, refunds: dict[str, float]) -> None:
    want = {day: 100 - refunds.get(day, 0.0) for day in DAYS}
    assert one_file(project, refunds).values("net") == want


def test_two_columns_of_one_file_are_complete_alike(project: Builder) -> None:
    """An order and when it was sent back, in one row."""
    frame = money(dict.fromkeys(DAYS, 100.0), "order")
    frame["back"] = [day if f"{day}" in REFUNDS else None for day in frame["at"]]
    project.rows("orders", frame)
    text = "name: refunds\nsql: SELECT back, v FROM orders WHERE back IS NOT NULL\ntime_dimension: back\n"
    project.write("datasets", "refunds", text)
    assert net(project).values("net") == {day: 0 if day in REFUNDS else 100 for day in DAYS}


def test_due_dates_say_nothing_of_when_a_file_was_made(project: Builder) -> None:
    frame = money(dict.fromkeys(DAYS[:5], 100.0), "order")
    frame["due"] = [day + timedelta(days=5 * i) for i, day in enumerate(frame["at"])]
    project.rows("orders", frame)
    project.write("datasets", "dues", "name: dues\nsource: orders\ntime_dimension: due\n")
    project.kpi("n", "dataset: orders\nagg: count\ngrain: day")
    project.sync(NOW)
    assert list(project.values("n")) == DAYS[:5]


@pytest.mark.parametrize("facts", [False, True])
def test_refunds_of_a_file_of_their_own_are_unknown_and_it_is_said_why(project: Builder, facts: bool) -> None:
    asked: dict[str, Any] = {"end": date(2024, 1, 11), "facts": facts}
    series = two_files(project).ask("net", **asked)
    want = {day: EXPECTED[day] if "2024-01-03" <= day <= "2024-01-05" else None for day in DAYS}
    assert project.values("net", **asked) == want
    assert project.values("net", facts=facts) == {day: want[day] for day in DAYS[:5]}
    assert list(series.frame["complete"]) == [want[day] is not None for day in DAYS]
    ends, begins = series.gaps
    assert ends.startswith("known only to 2024-01-05, where refunds ends; orders goes on to 2024-01-10. If refunds")
    assert "`watermark: sync` in datasets/refunds.yml" in ends
    assert begins.startswith("known only from 2024-01-03 on, where refunds begins. If there was nothing")
    inner: dict[str, Any] = {"start": date(2024, 1, 3), "end": date(2024, 1, 6)}
    assert project.ask("net", **inner).gaps == () and project.ask("revenue").gaps == ()
    assert len(project.ask("net", grain="total").gaps) == 2 and len(project.ask("net", grain="week").gaps) == 1


def test_pages_commands_and_validate_say_why(project: Builder) -> None:
    two_files(project)
    page = kpi_page(project.open().context(NOW), "net")
    assert [note.split(",")[0] for note in page.notes] == [
        "Known only to 2024-01-05", "Known only from 2024-01-03 on",
    ]  # fmt: skip
    folder, now = str(project.folder), NOW.isoformat()
    said = run_cli("query", "net", "--project", folder, "--now", now, check=True)
    assert "kpi: known only to 2024-01-05" in said.stderr and "watermark" not in said.stdout
    said = run_cli("validate", "--project", folder, "--now", now, check=True)
    assert "kpis/net.yml:1: warning: known only to 2024-01-05" in said.stdout and "datasets/refunds.yml" in said.stdout
    world = project.open()
    reader = world.reader()
    facts = dict(origin("net", world.catalogue(reader), reader, {}, {}).facts)
    assert facts["refunds is observed from"] == "Wed 3 Jan 2024, 00:00 UTC, its first row"


def test_what_is_said_is_what_helps(project: Builder) -> None:
    two_files(project)
    path = project.folder / "datasets" / "refunds.yml"
    path.write_text(path.read_text() + "watermark: sync\n")
    state(project, "2024-01-01", "refunds")
    project.sync(NOW)
    project.settings("timezone: UTC\n")
    assert project.values("net") == EXPECTED
    assert project.values("refunded")["2024-01-11"] == 0
    (gap,) = project.ask("net").gaps
    assert gap.startswith("known only to 2024-01-10, where orders ends; refunds goes on to 2024-01-12")


def test_a_part_without_any_row_is_named(project: Builder) -> None:
    two_files(project)
    money({}, "refund").astype({"at": "datetime64[us]"}).to_parquet(
        project.folder / "files" / "refunds.parquet", index=False
    )
    project.sync(NOW)
    (gap,) = project.ask("net").gaps
    assert gap.startswith("nothing is known, for refunds has no rows yet") and "`since:`" in gap


rows = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 90)), max_size=6)


@sampled(fast=3, slow=9, full=200)
@given(refunds=rows, orders=st.lists(st.integers(0, 9), min_size=2, max_size=8, unique=True))
def test_net_of_one_file_by_hand(
    tmp_path_factory: pytest.TempPathFactory, refunds: list[tuple[int, int]], orders: list[int]
) -> None:
    """Whatever rows of either kind there are, each day between the file's first and last row is known."""
    project = Builder(Path(tmp_path_factory.mktemp("net")) / "project")
    lines = [(DAYS[day], float(v), "refund") for day, v in refunds] + [(DAYS[day], 100.0, "order") for day in orders]
    frame = pd.DataFrame(lines, columns=["at", "v", "kind"])
    frame["at"] = [date.fromisoformat(day) for day in frame["at"]]
    frame.to_parquet(project.folder / "files" / "t.parquet", index=False)
    project.source("- {name: t, type: files, table: t, path: files/t.parquet}")
    for name, kind in (("orders", "order"), ("refunds", "refund")):
        text = f"name: {name}\nsql: SELECT * FROM t WHERE kind = '{kind}'\ntime_dimension: at\n"
        project.write("datasets", name, text)
    net(project)
    days = [day for day, *_ in lines]
    first, last = min(days), max(days)
    for facts in (False, True):
        found = project.values("net", facts=facts)
        for day in (day for day in DAYS if first <= day <= last):
            signed = [v if kind == "order" else -v for at, v, kind in lines if at == day]
            assert found[day] == pytest.approx(sum(signed)), (facts, day)
