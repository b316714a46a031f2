"""The source `google_sheets`: ragged rows, a header that drifts, locales, cells that fail, the documented answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobs.sync import SyncResult
from tests.conftest import NOW, Builder
from tests.fakes.google import account
from tests.fakes.google_sheets import SHEET, GoogleSheets
from tests.fakes.server import Fake, impatient

pytestmark = pytest.mark.breadth(5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)


@pytest.fixture
def sheets() -> GoogleSheets:
    return GoogleSheets(int(NOW.timestamp()))


@pytest.fixture
def served(sheets: GoogleSheets) -> Iterator[Fake]:
    with Fake(sheets.app) as fake:
        yield fake


def entry(project: Builder, served: Fake, more: str = "", range: str = "KPI", spreadsheet: str = SHEET) -> None:
    (project.folder / "sheets.json").write_text(account(served.url))
    own = f"url: '{served.url}', spreadsheet: '{spreadsheet}', range: \"{range}\", key_file: sheets.json{more}"
    (project.folder / "sources.yml").write_text(f"- {{name: it, type: google_sheets, table: it, {own}}}\n")


def synced(project: Builder, **options: Any) -> tuple[str, tuple[str, ...]]:
    """What went wrong, and what was told."""
    result: SyncResult = project.sync(**options)
    return result.sources[0].error, result.sources[0].notes


def rows(project: Builder) -> list[tuple[Any, ...]]:
    frame = project.open().reader().frame("SELECT * FROM it")
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame.itertuples(index=False)]


def columns(project: Builder) -> dict[str, str]:
    return dict(project.open().reader().tables()["it"])


def test_ragged_rows_are_filled_up(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [
        [" week ", "nps\nscore", "", "n"],
        ["2026-11-02", "41", "", "88"],
        [],
        ["2026-11-09"],
        ["", "", "", ""],
        ["2026-11-16", "", "", "7", ""],
    ]
    entry(project, served)
    assert synced(project) == ("", ())
    assert columns(project) == {"week": "DATE", "nps score": "BIGINT", "n": "BIGINT"}
    assert [(f"{a:%Y-%m-%d}", b, c) for a, b, c in rows(project)] == [
        ("2026-11-02", 41, 88),
        ("2026-11-09", None, None),
        ("2026-11-16", None, 7),
    ]


def test_what_no_name_stands_over_is_told_each_time(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["# of users", ""], ["4", "why?", "and", "so"], ["5", "", "", "on"]]
    entry(project, served)
    note = "columns 2, 3, 4 of the range have values but no name in the first row: left out"
    assert synced(project) == ("", (note,)) == synced(project)
    assert columns(project) == {"# of users": "BIGINT"} and rows(project) == [(4,), (5,)]


def test_what_looks_like_a_comment_is_none(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["# tag", "n"], ["#a", "1"], ["# b, c", "2"], ["#d", "3"]]
    entry(project, served)
    assert synced(project) == ("", ()) and rows(project) == [("#a", 1), ("# b, c", 2), ("#d", 3)]
    assert list(columns(project)) == ["# tag", "n"]


def test_a_sheet_that_is_as_it_was_is_not_loaded_again(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["n"], *([str(n)] for n in range(20)), ["many"]]
    entry(project, served, ", types: {n: BIGINT}")
    first = project.sync()
    assert first.published and (first.sources[0].rows, first.sources[0].quarantined) == (20, 1)
    again = project.sync()
    assert not again.published and again.sources[0].quarantined == 0 and len(rows(project)) == 20


def test_a_renamed_column_is_told_and_changes_nothing(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["week", "nps"], ["2026-11-02", "41"]]
    entry(project, served)
    synced(project)
    sheets.tabs["KPI"] = [["week", "NPS score"], ["2026-11-02", "42"]]
    wrong, _ = synced(project)
    assert "column 'nps' of the table is no longer in the source" in wrong and "kpi sync it --full" in wrong
    assert [row[1] for row in rows(project)] == [41]
    entry(project, served, ", columns: {NPS score: nps}")
    assert synced(project) == ("", ()) and [row[1] for row in rows(project)] == [42]
    entry(project, served)
    assert synced(project, full=True) == ("", ()) and list(columns(project)) == ["week", "NPS score"]
    sheets.tabs["KPI"][0].append("n")
    sheets.tabs["KPI"][1].append("9")
    assert synced(project) == ("", ()) and rows(project)[0][1:] == (42, 9)


def test_dates_and_numbers_are_read_in_the_locale_of_the_sheet(
    project: Builder, sheets: GoogleSheets, served: Fake
) -> None:
    sheets.tabs["KPI"] = [["day", "revenue", "share"], ["3.2.2026", "1.234", "4,5 %"], ["4.2.2026", "2.345", "10,0 %"]]
    entry(project, served, ", dates: {day: dmy}, numbers: {revenue: '1.234,56', share: '1.234,56%'}")
    assert synced(project) == ("", ())
    assert [(f"{day:%Y-%m-%d}", revenue, share) for day, revenue, share in rows(project)] == [
        ("2026-02-03", 1234, 0.045),
        ("2026-02-04", 2345, 0.1),
    ]
    entry(project, served)
    _, notes = synced(project, full=True)
    assert [row[1] for row in rows(project)] == [1.234, 2.345] and any("day" in note for note in notes), notes


def test_numbers_as_they_are_stored(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["day", "revenue", "done", "n"], ["3.2.2026", "1,23 €", "TRUE", "1"]]
    sheets.stored["KPI"] = [["day", "revenue", "done", "n"], ["3.2.2026", 1.23456, True, 12345678901]]
    entry(project, served, ", render: unformatted, dates: {day: dmy}")
    assert synced(project) == ("", ())
    ((day, *others),) = rows(project)
    assert f"{day:%Y-%m-%d}" == "2026-02-03" and others == [1.23456, True, 12345678901]
    assert "dateTimeRenderOption=FORMATTED_STRING" in served.seen[-1].query


def test_cells_that_fail_are_empty_and_told(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["a", "b"], ["1", "#REF!"], ["#N/A", "2"], ["#N/A", "3"]]
    entry(project, served)
    note = "3 cells show an error of a formula (#N/A, #REF!): empty here"
    assert synced(project) == ("", (note,)) == synced(project)
    assert rows(project) == [(1, None), (None, 2), (None, 3)]


def test_a_sheet_that_is_loading_is_asked_again_next_time(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["a"], ["1"]]
    entry(project, served)
    synced(project)
    sheets.tabs["KPI"] = [["a"], ["Loading..."]]
    assert "are still loading" in synced(project)[0] and rows(project) == [(1,)]
    sheets.tabs["KPI"] = [["a"], ["2"]]
    assert synced(project) == ("", ()) and rows(project) == [(2,)]


@pytest.mark.parametrize(
    ("tab", "range", "words"),
    [
        ([], "KPI", "has no names of columns in its first row"),
        ([["", ""], ["1", "2"]], "KPI", "has no names of columns in its first row"),
        ([["a"], ["1"]], "KPIs!A1:B", "Unable to parse range: KPIs!A1:B"),
    ],
)
def test_a_range_that_is_none_is_told(
    project: Builder, sheets: GoogleSheets, served: Fake, tab: list[list[str]], range: str, words: str
) -> None:
    sheets.tabs["KPI"] = tab
    entry(project, served, range=range)
    assert words in synced(project)[0]


def test_a_header_alone_has_no_rows(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["a", "b"]]
    entry(project, served)
    assert synced(project) == ("", ()) and rows(project) == []
    sheets.tabs["KPI"].append(["1", "x"])
    assert synced(project) == ("", ()) and rows(project) == [(1, "x")]


def test_of_rows_with_the_same_key_the_last_one_stays(project: Builder, sheets: GoogleSheets, served: Fake) -> None:
    sheets.tabs["KPI"] = [["id", "v"], ["a", "1"], ["b", "2"], ["a", "3"]]
    entry(project, served, ", primary_key: id")
    assert synced(project) == ("", ()) and sorted(rows(project)) == [("a", 3), ("b", 2)]
    del sheets.tabs["KPI"][2]
    assert synced(project) == ("", ()) and rows(project) == [("a", 3)]


@pytest.mark.parametrize("range", ["KPI!A1:F", "'KPI'!A1:F", "KPI"])
@pytest.mark.parametrize("spreadsheet", [SHEET, f"https://docs.google.com/spreadsheets/d/{SHEET}/edit?gid=0#gid=0"])
def test_address_and_range_are_written_as_google_has_them(
    project: Builder, sheets: GoogleSheets, served: Fake, range: str, spreadsheet: str
) -> None:
    sheets.tabs["KPI"] = [["a"], ["1"]]
    entry(project, served, range=range, spreadsheet=spreadsheet)
    assert synced(project) == ("", ()) and sheets.asked == [range]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (", load: append", "would keep rows twice"),
        (", key_json: x", "write either `key_file` or `key_json`"),
        (", render: formula", "formatted"),
    ],
)
def test_options_that_do_not_fit_are_told(project: Builder, served: Fake, more: str, words: str) -> None:
    entry(project, served, more)
    (problem,) = project.open().sources.read()[1]
    assert words in f"{problem.message} {problem.hint}"


def test_what_is_no_sheet_is_told(project: Builder, served: Fake) -> None:
    entry(project, served, spreadsheet="https://example.com/a")
    assert "is no sheet" in project.open().sources.read()[1][0].message


# Of the documented shape: Item, Cost, Stocked and Ship Date, as a sheet in the USA shows them.
ANSWER = {
    "range": "Sheet1!A1:D5",
    "majorDimension": "ROWS",
    "values": [
        ["Item", "Cost", "Stocked", "Ship Date"],
        ["Wheel", "$20.50", "4", "3/1/2016"],
        ["Door", "$15", "2", "3/15/2016"],
        ["Engine", "$100", "1", "3/20/2016"],
        ["Totals", "$135.5", "7", "3/20/2016"],
    ],
}


def test_the_documented_answer_is_read(project: Builder, sheets: GoogleSheets) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse(ANSWER)

    path = f"/v4/spreadsheets/{SHEET}/values/Sheet1!A1:D5"
    with Fake(Starlette(routes=[sheets.tokens.route, Route(path, answer)])) as fake:
        entry(project, fake, range="Sheet1!A1:D5")
        wrong, notes = synced(project)
    assert not wrong, notes
    assert [(item, cost, stocked, f"{day:%Y-%m-%d}") for item, cost, stocked, day in rows(project)] == [
        ("Wheel", 20.5, 4, "2016-03-01"),
        ("Door", 15.0, 2, "2016-03-15"),
        ("Engine", 100.0, 1, "2016-03-20"),
        ("Totals", 135.5, 7, "2016-03-20"),
    ]
