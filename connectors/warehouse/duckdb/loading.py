"""From a source's batches to rows of its table: rename, evolve the schema, then merge, append or replace.

All batches of one pull are gathered in a table of their own first, which for a new table simply becomes it.
What really changed (the old and the new version of each row) is kept for the refresh of the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from connectors.errors import LoadError
from connectors.sources.contract import Batch, FileScan, SourceOptions
from connectors.warehouse.contract import Loaded
from connectors.warehouse.duckdb.incoming import (
    LONGEST_RAW,
    WIDER,
    Reading,
    Rejected,
    doubtful,
    quoted,
    read,
    unreadable,
)
from connectors.warehouse.duckdb.reader import BOOKS, described, one, tables

INCOMING = "bellwether_incoming"  # a table of main that lives within one transaction
CHANGED = "bellwether_changed"  # schema of the rows that a sync changed, one table each; gone when it publishes
UNTYPED = '"NULL"'
HIDDEN = "(not kept: this source hashes or drops columns)"
# Beyond this many changed rows and this share of the table, its values are computed anew in whole.
MANY_CHANGED, MUCH_CHANGED = 100_000, 0.2


@dataclass(frozen=True)
class Changes:
    """What a load changed in a table. relation: old and new versions of the rows; None = any row may have."""

    relation: str | None


class Load:
    """One source's rows on their way into its table. Call within a transaction: `add` batches, then `finish`."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        options: SourceOptions,
        seen_at: datetime,
        *,
        anew: bool = False,
        retype: bool = False,
    ) -> None:
        """anew: the table's rows are replaced by what comes. retype: its columns too."""
        self._run, self._connection = connection.execute, connection
        self.options, self._seen_at = options, seen_at
        self._target = f"main.{quoted(options.table)}"
        self._before = tables(connection).get(options.table, {})
        self._anew, self._retype = anew or retype, retype
        self._columns: dict[str, str] = {}  # of INCOMING
        self._pulled = self._quarantined = 0
        self._notes: list[str] = []
        self._whole = False
        if self._anew:
            self._forget_quarantine("")

    def add(self, batch: Batch) -> int:
        """Read one batch. Returns its rows. Raises LoadError, SourceError."""
        if batch.restart and not self._anew:
            self._anew = True
            self._forget_quarantine("")
        known = {} if self._retype else self._typed_before()
        have = {
            c: kind
            for c, name in self._names([*known, *self._columns]).items()
            if (kind := self._columns.get(name) or known.get(name))
        }
        self._whole |= batch.whole
        if isinstance(batch.rows, FileScan):
            self._forget_quarantine(batch.rows.origin)
        reading = read(self._connection, self.options, batch, have, thorough=self._pulled > 0)
        shaped = self._shaped(reading.columns)
        rows = self._take(reading, shaped, known)
        place = f"(SELECT {', '.join(f'{quoted(n)} AS {quoted(c)}' for c, n in shaped.items())} FROM {INCOMING})"
        if doubtful(self._connection, reading, place, rows):
            self._run(f"DROP TABLE {INCOMING}")
            self._columns.clear()
            reading = read(self._connection, self.options, batch, have, thorough=True)
            rows = self._take(reading, shaped, known)
        for rejected in reading.rejected(rows):
            self._quarantine(rejected, reading.origin)
        self._connection.unregister("pulled")
        if reading.kept is not None:
            reading.kept.close()
        lacking = [c for c in self._before if c not in shaped.values()]
        if lacking and not self._whole and not self._anew:
            self._notes.append(f"{reading.origin} has no column '{lacking[0]}'; its rows have none there")
        self._pulled += rows
        return rows

    def _take(self, reading: Reading, shaped: Mapping[str, str], known: Mapping[str, str]) -> int:
        """Append what a batch holds to INCOMING. Returns its rows."""
        self._evolve(INCOMING, self._columns, {name: reading.columns[c] for c, name in shaped.items()}, known)
        select = ", ".join(self._taken(c, name) for c, name in shaped.items())
        names = ", ".join(map(quoted, shaped.values()))
        try:
            row = one(self._connection, f"INSERT INTO {INCOMING} ({names}) SELECT {select} FROM {reading.relation}")
        except duckdb.Error as error:
            raise unreadable(self.options, reading.origin, error) from error
        return int(row[0]) if row else 0

    def finish(self) -> tuple[Loaded, Changes]:
        """Bring what was read into the table. Raises LoadError."""
        if not self._columns:
            return Loaded(0, self._quarantined), Changes("")
        self._refuse_dropped()
        self._clean()
        if not self._before or self._anew:
            loaded = self._become()
        else:
            self._evolve(self.options.table, dict(self._before), self._columns, {})
            loaded = self._merge() if self.options.load_mode == "merge" else self._append()
        self._run(f"DROP TABLE IF EXISTS {INCOMING}")
        return loaded

    # ---- columns

    def _names(self, names: list[str]) -> dict[str, str]:
        """Source column → column of the table, of those whose values stay as they are."""
        back = {new: old for old, new in self.options.columns.items() if new not in ("drop", "hash")}
        changed = {old for old, new in self.options.columns.items() if new in ("drop", "hash")}
        return {back.get(name, name): name for name in names if back.get(name, name) not in changed}

    def _shaped(self, found: Mapping[str, str]) -> dict[str, str]:
        """Source column → column of the table, as sources.yml renames and drops."""
        rules = self.options.columns
        unknown = [c for c in rules if c not in found]
        if unknown:
            raise LoadError(
                f"column '{unknown[0]}' is not in the source",
                where=f"source {self.options.name}",
                hint=f"It has: {', '.join(found)}.",
            )
        kept = {c: c if rules.get(c) == "hash" else rules.get(c, c) for c in found if rules.get(c) != "drop"}
        missing = [key for key in self.options.primary_key if key not in kept.values()]
        if self.options.load_mode == "merge" and (missing or not self.options.primary_key):
            raise LoadError(
                f"`load: merge` needs its primary key; '{', '.join(missing) or 'primary_key'}' is missing",
                where=f"source {self.options.name}",
                hint=f"Columns: {', '.join(kept.values())}.",
            )
        return kept

    def _taken(self, column: str, name: str) -> str:
        if self.options.columns.get(column) == "hash":
            return f"sha256(CAST({quoted(column)} AS VARCHAR)) AS {quoted(name)}"
        return f"{quoted(column)} AS {quoted(name)}"

    def _evolve(self, table: str, have: dict[str, str], incoming: Mapping[str, str], known: Mapping[str, str]) -> None:
        """Add new columns, widen where no value changes; else fail naming table, column and both types.

        have: columns of `table`, changed in place. known: types that new columns of it should take.
        """
        hashed = {c for c, rule in self.options.columns.items() if rule == "hash"}
        made = bool(have)
        for column, given in incoming.items():
            kind = "VARCHAR" if column in hashed else given
            before = have.get(column)
            if before is None:
                start = known.get(column, UNTYPED)
                have[column] = self._settled(column, start, kind, self.options.table)
                if made:
                    self._run(f"ALTER TABLE main.{quoted(table)} ADD COLUMN {quoted(column)} {have[column]}")
                continue
            wanted = self._settled(column, before, kind, table)
            if wanted != before:
                self._run(f"ALTER TABLE main.{quoted(table)} ALTER {quoted(column)} TYPE {wanted}")
                have[column] = wanted
        if not made:
            # Typed columns, not `AS SELECT … LIMIT 0`: DuckDB 2.0.0 then answers count(*), min(x) over rows
            # inserted later with 0, NULL until the next checkpoint (docs/decisions/0003-duckdb.md).
            columns = ", ".join(f"{quoted(c)} {kind}" for c, kind in have.items())
            self._run(f"CREATE TABLE main.{quoted(table)} ({columns})")

    def _settled(self, column: str, have: str, kind: str, table: str) -> str:
        """The type that holds both what a column has and what comes. Raises LoadError."""
        if have == UNTYPED:
            return "VARCHAR" if kind == UNTYPED else kind
        if kind in (have, UNTYPED) or (kind, have) in WIDER:
            return have
        if (have, kind) in WIDER:
            return kind
        if self._is_empty(column, table):
            return kind
        if have == "VARCHAR":
            return have
        raise LoadError(
            f"column '{column}' is {kind} in the source and {have} in the table",
            where=f"source {self.options.name}, table {self.options.table}",
            hint=f"Rename it in sources.yml (columns: {{{column}: new_name}}) or state its type.",
        )

    def _typed_before(self) -> dict[str, str]:
        """Columns of the table, but for texts without any value: their type was never found out."""
        return {
            c: kind
            for c, kind in self._before.items()
            if kind != "VARCHAR" or not self._is_empty(c, self.options.table)
        }

    def _is_empty(self, column: str, table: str) -> bool:
        """Whether no row has a value there yet, so that the column may take any type."""
        if column not in tables(self._connection).get(table, {}):
            return True
        row = one(self._connection, f"SELECT 1 FROM main.{quoted(table)} WHERE {quoted(column)} IS NOT NULL LIMIT 1")
        return row is None

    def _refuse_dropped(self) -> None:
        if self._retype or not (self._whole or self._anew):
            return
        gone = [c for c in self._before if c not in self._columns]
        if gone:
            raise LoadError(
                f"column '{gone[0]}' of the table is no longer in the source",
                where=f"source {self.options.name}, table {self.options.table}",
                hint=f"Bring it back, or accept it: kpi sync {self.options.name} --full rebuilds the table.",
            )

    # ---- rows

    def _clean(self) -> None:
        """NaN is unknown; infinite numbers and rows without a key go to quarantine."""
        floats = [c for c, kind in self._columns.items() if kind in ("DOUBLE", "FLOAT")]
        seen = ", ".join(f"bool_or(isnan({quoted(c)})), bool_or(isinf({quoted(c)}))" for c in floats)
        flags = one(self._connection, f"SELECT {seen} FROM {INCOMING}") if floats else None
        for index, column in enumerate(floats):
            nan, infinite = (flags or ())[2 * index : 2 * index + 2] or (False, False)
            if nan:
                self._run(f"UPDATE {INCOMING} SET {quoted(column)} = NULL WHERE isnan({quoted(column)})")
            if infinite:
                self._put_aside(f"isinf({quoted(column)})", column, f"'{column}' is infinite")
        for key in self.options.primary_key if self.options.load_mode == "merge" else ():
            self._put_aside(f"{quoted(key)} IS NULL", key, f"primary key '{key}' is empty")

    def _put_aside(self, condition: str, column: str, reason: str) -> None:
        rows = self._run(f"SELECT to_json(i) FROM {INCOMING} AS i WHERE {condition}").fetchall()
        for (raw,) in rows:
            self._quarantine(Rejected(None, column, reason, raw), self.options.table)
        if rows:
            self._run(f"DELETE FROM {INCOMING} WHERE {condition}")
            self._pulled -= len(rows)

    def _become(self) -> tuple[Loaded, Changes]:
        """What was read is the table from now on. Its rows count as changed only where they differ from before."""
        if self.options.load_mode == "merge":
            self._keep_last()
        changes = Changes(None)
        now = described(self._connection, f"SELECT * FROM {INCOMING}")
        if self._before and dict(self._before) == now:
            names = ", ".join(map(quoted, now))
            old, new = f"SELECT {names} FROM {self._target}", f"SELECT {names} FROM {INCOMING}"
            changes = self._changed(f"({old} EXCEPT ALL {new}) UNION ALL ({new} EXCEPT ALL {old})")
        self._run(f"DROP TABLE IF EXISTS {self._target}")
        self._run(f"ALTER TABLE {INCOMING} RENAME TO {quoted(self.options.table)}")
        return self._loaded(self._pulled if self._retype or changes.relation != "" else 0), changes

    def _append(self) -> tuple[Loaded, Changes]:
        changes = self._changed(f"SELECT * FROM {INCOMING}")
        return self._loaded(self._insert()), changes

    def _merge(self) -> tuple[Loaded, Changes]:
        """Rows that are as they were stay; new and changed ones take the place of those with their key."""
        self._keep_last()
        keys = " AND ".join(f"t.{quoted(k)} = i.{quoted(k)}" for k in self.options.primary_key)
        rest = [c for c in self._columns if c not in self.options.primary_key]
        same = "".join(f" AND t.{quoted(c)} IS NOT DISTINCT FROM i.{quoted(c)}" for c in rest)
        self._run(f"DELETE FROM {INCOMING} i USING {self._target} t WHERE {keys}{same}")
        names = ", ".join(map(quoted, self._columns))
        changes = self._changed(
            f"SELECT {names} FROM {self._target} t WHERE EXISTS (SELECT 1 FROM {INCOMING} i WHERE {keys}) "
            f"UNION ALL SELECT {names} FROM {INCOMING}"
        )
        if changes.relation != "":
            self._run(f"DELETE FROM {self._target} t USING {INCOMING} i WHERE {keys}")
        return self._loaded(self._insert()), changes

    def _keep_last(self) -> None:
        """Of rows with the same key the last one stays: files and cursors deliver in time order."""
        keys = ", ".join(map(quoted, self.options.primary_key))
        row = one(self._connection, f"SELECT count(*) - count(DISTINCT ({keys})) FROM {INCOMING}")
        if row and row[0]:
            last = f"SELECT max(rowid) FROM {INCOMING} GROUP BY {keys}"
            self._run(f"DELETE FROM {INCOMING} WHERE rowid NOT IN ({last})")
            self._pulled -= row[0]

    def _insert(self) -> int:
        names = ", ".join(map(quoted, self._columns))
        row = one(self._connection, f"INSERT INTO {self._target} ({names}) SELECT {names} FROM {INCOMING}")
        return int(row[0]) if row else 0

    def _changed(self, select: str) -> Changes:
        """Keep the rows of `select`, unless they are so many that everything is computed anew."""
        relation = f"{CHANGED}.{quoted(self.options.table)}"
        self._run(f"CREATE OR REPLACE TABLE {relation} AS {select}")
        row = one(self._connection, f"SELECT count(*), (SELECT count(*) FROM {self._target}) FROM {relation}")
        changed, total = row or (0, 0)
        if changed and changed <= max(MANY_CHANGED, MUCH_CHANGED * total):
            return Changes(relation)
        self._run(f"DROP TABLE {relation}")
        return Changes(None if changed else "")

    def _loaded(self, rows: int) -> Loaded:
        return Loaded(rows, self._quarantined, tuple(dict.fromkeys(self._notes)))

    # ---- quarantine

    def _forget_quarantine(self, origin: str) -> None:
        """Rows of a file that is read again are judged anew; of all files, if the table is."""
        where, values = ("", []) if not origin else (" AND file = ?", [origin])
        self._run(f"DELETE FROM {BOOKS}.quarantine WHERE source = ?{where}", [self.options.name, *values])

    def _quarantine(self, row: Rejected, origin: str) -> None:
        private = any(rule in ("drop", "hash") for rule in self.options.columns.values())
        raw = HIDDEN if private else row.raw if len(row.raw) <= LONGEST_RAW else row.raw[:LONGEST_RAW] + "…"
        found = one(
            self._connection,  # a row without a line comes again with every look back: it is kept once
            f"INSERT INTO {BOOKS}.quarantine SELECT $1, $2, $3, $4::BIGINT, $5, $6, $7, $8::TIMESTAMP "
            f"WHERE $4 IS NOT NULL OR NOT EXISTS (SELECT 1 FROM {BOOKS}.quarantine q WHERE q.source = $1 "
            "AND q.file = $3 AND q.column_name = $5 AND q.raw = $7)",
            [self.options.name, self.options.table, origin, row.line, row.column, row.reason, raw, self._seen_at],
        )
        self._quarantined += int(found[0]) if found else 0
