"""One range of a Google Sheet, whole at each change: its first row names the columns.

Cells come as they are shown, in the sheet's own locale, and are read as those of a CSV: `dates` and `numbers` say how.
"""

from __future__ import annotations

import csv
import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from connectors.errors import SourceError, counted
from connectors.sources.contract import Batch, Cursor, FileScan, SourceOptions
from connectors.sources.rest.auth import ServiceAccount
from connectors.sources.rest.budget import shared
from connectors.sources.rest.client import Client
from connectors.sources.rest.paging import at
from connectors.sources.rest.source import RestSource

SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
LIMIT = (60, 60.0)  # reading requests of one user in a project
RIGHTS = "Share the sheet with the service account's address, as one who may read it."
LOADING = "Loading..."
# What a cell shows whose formula fails.
FAILED = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#ERROR!", "#NULL!"}
OPTIONS = {
    "formatted": {"valueRenderOption": "FORMATTED_VALUE"},
    "unformatted": {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "FORMATTED_STRING"},
}


class GoogleSheetsOptions(SourceOptions):
    """Options of `type: google_sheets`."""

    spreadsheet: str = Field(description="The sheet's address, or its ID, which is the long part of it.")
    range: str = Field(description="Range in A1 notation, such as KPI!A1:F, or the name of a tab: KPI.")
    key_file: str = Field("", description="JSON file of a service account's key, relative to the project folder.")
    key_json: str = Field("", description="What is in that file, as ${NAME}, in place of `key_file`.")
    render: Literal["formatted", "unformatted"] = Field(
        "formatted",
        description="Cells as they are shown, or numbers as they are stored: without currency and rounding.",
    )
    null_values: tuple[str, ...] = Field(("",), description="Texts that mean unknown.")
    text_columns: tuple[str, ...] = Field((), description="Columns kept as text: ids with leading zeros.")
    types: dict[str, str] = Field(
        default_factory=dict, description="Column → SQL type; rows that do not fit go to quarantine."
    )
    url: str = Field("https://sheets.googleapis.com", description="Address of the API.")

    @field_validator("spreadsheet")
    @classmethod
    def _id(cls, value: str) -> str:
        found = re.search(r"/spreadsheets/d/([\w-]+)", value)
        name = found[1] if found else value
        if not re.fullmatch(r"[\w-]+", name):
            raise ValueError(
                f"'{value}' is no sheet\nWrite its address: https://docs.google.com/spreadsheets/d/…/edit, or its ID."
            )
        return name

    @model_validator(mode="after")
    def _fit(self) -> GoogleSheetsOptions:
        if bool(self.key_file) == bool(self.key_json):
            raise ValueError("write either `key_file` or `key_json`")
        if self.load == "append":
            raise ValueError("`load: append` would keep rows twice\nLeave it out: a changed sheet replaces its rows.")
        return self


@dataclass(frozen=True)
class Sheet:
    """A range as a table. notes: what of it was left out, in sentences."""

    header: list[str]
    rows: list[list[str]]
    notes: list[str]

    @property
    def digest(self) -> str:
        """Of all that is in it."""
        return hashlib.sha256(repr((self.header, self.rows)).encode()).hexdigest()


class GoogleSheets(RestSource):
    """Rows of a range. The cursor is a digest of them: where nothing changed, nothing is loaded."""

    Options = GoogleSheetsOptions
    watermark = "data"  # people fill a sheet when they come to it
    example = """\
- name: plan
  type: google_sheets
  table: plan
  spreadsheet: https://docs.google.com/spreadsheets/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit
  range: Plan!A1:F
  key_file: sheets.json"""

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield all rows, if any of them changed. Raises SourceError."""
        options: GoogleSheetsOptions = self.options
        sheet = _sheet(self._values(), self.where, options.range)
        self.notes += sheet.notes
        if sheet.digest == cursor.get("digest"):
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sheet.csv"
            with path.open("w", encoding="utf-8", newline="", errors="replace") as file:
                # All in quotes, so that the reader need not guess what a quote or a # at the start of a line means.
                csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([sheet.header, *sheet.rows])
            yield Batch(options.table, self._scan(path), {"digest": sheet.digest}, restart=True)

    def probe(self) -> str:
        """Read it."""
        sheet = _sheet(self._values(), self.where, self.options.range)
        return f"answers; {counted(len(sheet.rows), 'row')} with {', '.join(sheet.header)}"

    def _scan(self, path: Path) -> FileScan:
        options: GoogleSheetsOptions = self.options
        return FileScan(
            path,
            f"{options.name} {options.range}",
            "csv",
            null_values=options.null_values,
            text_columns=options.text_columns,
            types=options.types,
            now=self.now,
        )

    def _values(self) -> list[list[Any]]:
        """Rows of cells; empty ones at the end of a row, and empty rows at the end, are not there."""
        options: GoogleSheetsOptions = self.options
        account = ServiceAccount(key_file=options.key_file, key_json=options.key_json, scope=SCOPE)
        client = Client(
            options.url,
            place=self.place,
            auth=account.auth(self.place),
            budget=shared(options.url, options.key_file or options.key_json, LIMIT),
            rights=RIGHTS,
        )
        path = f"v4/spreadsheets/{options.spreadsheet}/values/{quote(options.range, safe='')}"
        with client:
            body = client.get(path, {"majorDimension": "ROWS", **OPTIONS[options.render]}).body
        values = at(body, "values")
        if not isinstance(body, dict) or not isinstance(values, list | None) or "range" not in body:
            raise SourceError(
                "the answer is no range of a sheet", where=self.where, hint="`url` is the address of Google's API."
            )
        return [row if isinstance(row, list) else [row] for row in values or ()]


def _sheet(values: list[list[Any]], where: str, range: str) -> Sheet:
    """Cells as a table: rows filled up to the header, without what no name stands over. Raises SourceError."""
    cells = [[_text(cell) for cell in row] for row in values]
    names = [" ".join(cell.split()) for cell in cells[0]] if cells else []
    if not any(names):
        raise SourceError(
            f"the range {range} has no names of columns in its first row",
            where=where,
            hint="Let `range` begin with the row that names the columns, such as KPI!A3:F. Nothing was changed.",
        )
    if any(LOADING in row for row in cells):
        raise SourceError(
            f"cells of {range} are still loading",
            where=where,
            hint="Google computes them, as IMPORTRANGE does; the next sync tries again. Nothing was changed.",
            retryable=True,
        )
    width = max(map(len, cells))
    names += [""] * (width - len(names))
    filled = [[*row, *[""] * (width - len(row))] for row in cells[1:] if any(cell.strip() for cell in row)]
    kept = [place for place, name in enumerate(names) if name]
    failed = Counter(cell for row in filled for place in kept if (cell := row[place]) in FAILED)
    unnamed = [n for n, name in enumerate(names) if not name and any(row[n] for row in filled)]
    rows = [["" if row[n] in FAILED else row[n] for n in kept] for row in filled]
    return Sheet([names[n] for n in kept], rows, [*_left_out(unnamed), *_failed(failed)])


def _text(cell: Any) -> str:
    """A cell as a CSV has it."""
    return ("true" if cell else "false") if isinstance(cell, bool) else "" if cell is None else str(cell)


def _left_out(places: list[int]) -> list[str]:
    if not places:
        return []
    numbers = ", ".join(str(place + 1) for place in places)
    what = f"column {numbers} of the range has" if len(places) == 1 else f"columns {numbers} of the range have"
    return [f"{what} values but no name in the first row: left out"]


def _failed(counts: Counter[str]) -> list[str]:
    total = sum(counts.values())
    if not total:
        return []
    shown = ", ".join(sorted(counts))
    return [f"{total:,} {'cell shows' if total == 1 else 'cells show'} an error of a formula ({shown}): empty here"]
