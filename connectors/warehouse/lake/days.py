"""Which days of a table lie in one file: a large day alone, small ones in a row together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta

from connectors.warehouse.lake.manifest import LakeFile
from connectors.warehouse.names import quoted

LEAST_ROWS = 100_000  # of a file that later days get files of their own after: engines take some ms for each file
EPOCH = date(1970, 1, 1)
FIRST, END = date(1900, 1, 1), date(2200, 1, 1)  # of days: what lies outside, such as 9999-12-31 for never, has none
TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
Run = tuple[int, int]  # the first day and the last, both within, in days since 1970


def day_of(column: str) -> str:
    """DuckDB's SQL for the day of a row, in days since 1970 by UTC; NULL where it has none. The session is in UTC."""
    day = f"CAST(CAST({quoted(column)} AS TIMESTAMP) AS DATE)"
    return f"CASE WHEN {day} >= {_literal(FIRST)} AND {day} < {_literal(END)} THEN {day} - {_literal(EPOCH)} END"


def within(column: str, run: Run) -> str:
    """DuckDB's SQL for the rows of some days, in a form that its statistics of the column answer."""
    name, (first, last) = quoted(column), run
    return f"{name} >= {_literal(_day(first))} AND {name} < {_literal(_day(last + 1))}"


def outside(column: str) -> str:
    """DuckDB's SQL for the rows that have no day."""
    name = quoted(column)
    return f"{name} IS NULL OR {name} < {_literal(FIRST)} OR {name} >= {_literal(END)}"


def among(column: str, spans: Iterable[Run | None]) -> str:
    """DuckDB's SQL for the rows of all of these; None = those that have no day."""
    return " OR ".join(f"({within(column, span) if span else outside(column)})" for span in spans) or "false"


def span(file: LakeFile) -> Run | None:
    """The days of a file; None = it is of rows that have none."""
    return None if file.first is None or file.last is None else (file.first, file.last)


def named(run: Run | None) -> str:
    """The folder of a file: its first day, or that it has none."""
    return str(_day(run[0])) if run else "none"


def left(files: Sequence[LakeFile], touched: Collection[int | None], least: int) -> list[LakeFile]:
    """Files that stay as they are when these days changed. The newest is gone on with where it is small."""
    days = [day for day in touched if day is not None]
    stay, newest = [], max((run for file in files if (run := span(file))), default=None)
    for file in files:
        run = span(file)
        if run is None:
            changed = None in touched
        else:
            small = run == newest and file.rows < least and any(day > run[1] for day in days)
            changed = small or any(run[0] <= day <= run[1] for day in days)
        if file.rows and not changed:
            stay.append(file)
    return stay


def runs(counts: Iterable[tuple[int, int]], stay: Sequence[LakeFile], least: int) -> list[Run]:
    """Days to be written, with the rows of each, in order → files. No file reaches over one that stays."""
    found: list[Run] = []
    firsts, rows = [file.first for file in stay if file.first is not None], least
    for day, count in counts:
        if rows >= least or count >= least or any(found[-1][1] < first <= day for first in firsts):
            found.append((day, day))
            rows = count
        else:
            found[-1] = (found[-1][0], day)
            rows += count
    return found


def _day(number: int) -> date:
    return EPOCH + timedelta(days=number)


def _literal(day: date) -> str:
    return f"DATE '{day}'"
