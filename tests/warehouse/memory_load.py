"""What a generation in memory is, and how one source's rows come into its table (memory.py)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from connectors.errors import LoadError
from connectors.sources.contract import Batch, Cursor, FileScan, SourceOptions
from connectors.warehouse.contract import DatasetState, Failure, Generation, Loaded
from tests.warehouse.batch_rows import differing, rows_of
from tests.warehouse.in_sqlite import kinds
from tests.warehouse.memory_rollups import KeptFrames

QUARANTINE = ["source", "file", "line", "column_name", "reason", "raw", "seen_at"]
MOST_CHANGED = 0.2  # of a table's rows, unless they are few


@dataclass
class Version:
    """One value, or the series of values (key: grain and dimension only), and the generations it is valid in."""

    kpi: str
    definition: str
    key: tuple[Any, ...]
    facts: tuple[Any, ...]
    start: int
    end: int | None = None

    def valid(self, sequence: int) -> bool:
        return self.start <= sequence and (self.end is None or self.end > sequence)


@dataclass
class Pulled:
    """How far one source was pulled."""

    cursor: dict[str, str]
    full_at: datetime | None
    at: datetime


@dataclass
class Content:
    """All that a generation is. Frames are replaced, never changed."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    changed: dict[str, pd.DataFrame | None] = field(default_factory=dict)
    pulled: dict[str, Pulled] = field(default_factory=dict)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    states: dict[int, dict[str, DatasetState]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    values: list[Version] = field(default_factory=list)
    series: list[Version] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    rollups: KeptFrames = field(default_factory=KeptFrames)


class MemoryLoad:
    """One source's rows on their way into its table."""

    def __init__(self, content: Content, options: SourceOptions, now: datetime, *, anew: bool, retype: bool) -> None:
        self._content, self._options, self._now = content, options, now
        self._full, self._anew, self._retype = anew, anew or retype, retype
        self._rows: list[pd.DataFrame] = []
        self._quarantined = 0
        self._notes: tuple[str, ...] = ()
        self._all_from: Any = None
        if self._anew:
            self._judge_anew()

    def add(self, batch: Batch) -> int:
        if batch.restart and not self._anew:
            self._anew = True
            self._judge_anew()
        self._all_from = batch.all_from or self._all_from
        back = {new: old for old, new in self._options.columns.items() if new not in ("drop", "hash")}
        known = {} if self._retype else kinds(self._content.tables.get(self._options.table, pd.DataFrame()))
        origin = batch.rows.origin if isinstance(batch.rows, FileScan) else self._options.name
        rows = rows_of(batch)
        told = {back.get(c, c): kind for c, kind in known.items()} if isinstance(batch.rows, FileScan) else batch.types
        for column, kind in {**rows.attrs.get("guessed", {}), **told, **rows.attrs.get("types", {})}.items():
            if column in rows and kinds(rows)[column] != kind.upper():
                rows = self._cast(rows, column, kind.upper(), origin)
        rows = rows.drop(columns=[c for c, rule in self._options.columns.items() if rule == "drop"])
        for column in [c for c, rule in self._options.columns.items() if rule == "hash"]:
            rows[column] = [None if pd.isna(v) else hashlib.sha256(str(v).encode()).hexdigest() for v in rows[column]]
        rows = rows.rename(columns={old: new for new, old in back.items()})
        for column, kind in kinds(rows).items():
            if known.get(column, kind) != kind:
                raise LoadError(f"column '{column}' is {kind} in the source and {known[column]} in the table")
        self._rows.append(rows)
        return len(rows)

    def finish(self, cursor: Cursor | None) -> Loaded:
        name = self._options.name
        before = self._content.pulled.get(name)
        reached = dict(cursor) if cursor is not None else before.cursor if before else {}
        full_at = self._now if self._full else before.full_at if before else None
        loaded = self._brought() if self._rows else 0
        self._content.pulled[name] = Pulled(reached, full_at, self._now)
        return Loaded(loaded, self._quarantined, self._notes)

    def _brought(self) -> int:
        table = self._options.table
        old, new = self._content.tables.get(table), pd.concat(self._rows, ignore_index=True)
        merge, keys = self._options.load_mode == "merge", list(self._options.primary_key)
        if merge:
            keyless = new[keys].isna().any(axis=1)
            self._notes = (f"{keyless.sum()} rows have no '{', '.join(keys)}'",) if keyless.any() else ()
            new = new[keyless | ~new.duplicated(keys, keep="last")]
        if old is None or self._anew:
            same = old is not None and kinds(old) == kinds(new)
            changed = pd.concat(differing(old, new)) if same else None
            self._content.tables[table] = new.reset_index(drop=True)
            self._content.changed[table] = changed
            return len(new) if self._retype or changed is None or len(changed) else 0
        gone = pd.DataFrame(columns=old.columns)
        if merge:
            names = [*old.columns, *new.columns.difference(old.columns)]
            _, new = differing(old.reindex(columns=names), new.reindex(columns=names))
            keyed = new[new[keys].notna().all(axis=1)]
            replaced = old.set_index(keys).index.isin(keyed.set_index(keys).index)
            gone, old = old[replaced], old[~replaced]
            if self._all_from is not None:
                column, start = self._all_from
                lost = (old[column] >= pd.Timestamp(start)) & ~old.set_index(keys).index.isin(self._come(keys))
                gone, old = pd.concat([gone, old[lost]]), old[~lost]
        self._content.tables[table] = pd.concat([old, new], ignore_index=True).astype(
            {c: old[c].dtype for c in old if c in new and not new[c].isna().any()}
        )
        changed = pd.concat([part for part in (gone, new) if len(part)] or [new])
        much = len(changed) > max(10, MOST_CHANGED * len(self._content.tables[table]))
        self._content.changed[table] = None if much else changed
        return len(new)

    def _come(self, keys: list[str]) -> pd.Index:
        """The keys of all rows that came."""
        return pd.concat(self._rows).set_index(keys).index

    def _cast(self, rows: pd.DataFrame, column: str, kind: str, origin: str) -> pd.DataFrame:
        """Values as the type they must have; a row with one that cannot be goes to quarantine."""
        given = rows[column]
        if kind in ("BIGINT", "DOUBLE"):
            cast = pd.to_numeric(given, errors="coerce")
        elif kind in ("DATE", "TIMESTAMP"):
            cast = pd.to_datetime(given, errors="coerce", format="ISO8601")
        else:
            cast = given.astype("str")
        rows = rows.assign(**{column: cast})
        rows = self._put_aside(rows, given.notna() & cast.isna(), column, f"'{column}' is not {kind}", origin, given)
        return rows.astype({column: "int64"}) if kind == "BIGINT" and not rows[column].isna().any() else rows

    def _put_aside(
        self, rows: pd.DataFrame, bad: pd.Series, column: str, reason: str, origin: str, given: Any = None
    ) -> pd.DataFrame:
        for place, row in rows[bad].iterrows():
            raw = json.dumps({**row, **({column: given[place]} if given is not None else {})}, default=str)
            line = int(str(place)) + 2 if rows.attrs else None
            item = dict(
                zip(QUARANTINE, (self._options.name, origin, line, column, reason, raw, self._now), strict=True)
            )
            if line or not any({**q, "seen_at": 0} == {**item, "seen_at": 0} for q in self._content.quarantine):
                self._content.quarantine.append(item)
                self._quarantined += 1
        return rows[~bad]

    def _judge_anew(self) -> None:
        self._content.quarantine = [q for q in self._content.quarantine if q["source"] != self._options.name]
