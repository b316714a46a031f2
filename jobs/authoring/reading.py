"""A source as it is seen: loaded, and loaded again where columns that came as text are dates or numbers.

The loader finds those of CSV files itself. Of JSON, Parquet and databases it reads what is stated; what to state is
found here by giving it the texts of a column as a CSV.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from connectors.sources.contract import Source
from connectors.sources.files import FileOptions, Files, file_format
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import Loading
from connectors.warehouse.names import quoted
from jobs.authoring.names import words
from jobs.authoring.profile import TIMELY, Column, Make, Profile, Texts, loaded, profiled
from jobs.authoring.purposes import Purpose, purpose

MOST_TEXTS = 50_000  # different texts of a column that are looked at
COUNTED = (Purpose.AMOUNT, Purpose.QUANTITY, Purpose.PRICE, Purpose.RATE, Purpose.PEOPLE, Purpose.LEVEL)


def seen(name: str, make: Make, dates: Mapping[str, str]) -> Profile:
    """Load a source and look at its columns. dates: column → how they are written, where somebody says so."""
    stated: Texts = {"dates": dates}
    with loaded(make, stated) as (scratch, done):
        found = {} if _is_csv(make) else dict(_unread(scratch, name, dates))
        profile = profiled(scratch, name)
    if found:
        by_role = {role: {c: r.style for c, r in found.items() if r.role == role} for role in ("dates", "numbers")}
        with loaded(make, {**by_role, "dates": {**by_role["dates"], **dates}}) as (scratch, done):
            profile = profiled(scratch, name)
    readings = {**profile.readings, **found}
    told = {said for r in readings.values() for said in (r.note, r.doubt, r.mixed)}
    return replace(profile, readings=readings, notes=tuple(f"{note}." for note in done.notes if note not in told))


def _is_csv(make: Make) -> bool:
    source = make(Path(), {})
    return isinstance(source, Files) and file_format(Path(source.options.path.split("?")[0])) == "csv"


def _unread(scratch: Loading, name: str, stated: Mapping[str, str]) -> Iterator[tuple[str, TextReading]]:
    """Columns of texts whose names are those of times or amounts, with how the loader would read them."""
    texts = [c for c, kind in scratch.tables()[name].items() if kind == "VARCHAR" and c not in stated]
    timely = [c for c in texts if set(words(c)) & TIMELY]
    counted = [c for c in texts if c not in timely and purpose(Column(c, "BIGINT")) in COUNTED]
    for c in [*timely, *counted]:
        rows = scratch.rows(
            f"SELECT DISTINCT {quoted(c)} FROM {quoted(name)} WHERE {quoted(c)} <> '' LIMIT {MOST_TEXTS}"
        )
        if rows:
            with loaded(partial(_as_csv, c, rows), {}) as (alone, _):
                reading = alone.readings("texts").get(c)
            if reading is not None and (reading.role == "dates") == (c in timely):
                yield c, reading


def _as_csv(column: str, rows: Sequence[tuple[Any, ...]], folder: Path, _: Texts) -> Source:
    with (folder / "texts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([(column,), *rows])
    return Files(FileOptions(name="texts", type="files", table="texts", path="texts.csv", load="append"), folder=folder)
