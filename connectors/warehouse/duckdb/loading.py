"""From a source's batches to rows of its table: rename, evolve the schema, then merge, append or replace.

All batches of one pull are gathered in a table of their own first, which for a new table simply becomes it.
What really changed (the old and the new version of each row) is kept for the refresh of the values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb

from connectors.errors import LoadError
from connectors.sources.contract import Batch, FileScan, SourceOptions
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import Loaded
from connectors.warehouse.duckdb.incoming import (
    WIDER,
    Reading,
    Rejected,
    doubtful,
    fractional,
    header_line,
    read,
    readable,
    unreadable,
)
from connectors.warehouse.duckdb.quarantine import Quarantine
from connectors.warehouse.duckdb.reader import CHANGED, described, one, recorded
from connectors.warehouse.duckdb.shared import SharedTable
from connectors.warehouse.duckdb.text_columns import TextColumns
from connectors.warehouse.names import quoted

GONE = "bellwether_gone"
INCOMING = "bellwether_incoming"  # a table of main that lives within one transaction
KEYS_AT_ONCE = 1_000_000  # that are compared in memory
UNTYPED = '"NULL"'
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
        kept: Mapping[str, TextReading],
        anew: bool = False,
        retype: bool = False,
    ) -> None:
        """anew: the table's rows are replaced by what comes. retype: its columns too.

        kept: source column → how its texts were read before.
        """
        self._run, self._connection = connection.execute, connection
        self.options, self._seen_at = options, seen_at
        self._target = f"main.{quoted(options.table)}"  # is read; rows are written to `self._shared.written`
        self._shared = SharedTable(connection, options.table)
        self._before = recorded(connection).get(options.table, {})
        self._anew, self._retype = anew or retype, retype
        self._columns: dict[str, str] = {}  # of INCOMING
        self._pulled = self._inserted = 0  # rows; inserted: with those that were put aside
        self._notes: list[str] = []
        self._whole = False
        self._all_from: tuple[str, date] | None = None
        self._fractional: set[str] = set()  # source columns of numbers that are not whole
        self._bad = Quarantine(connection, options, seen_at)
        self._texts = TextColumns(options, {} if retype else kept, seen_at)
        if self._anew:
            self._bad.forget()

    @property
    def readings(self) -> Mapping[str, TextReading]:
        """Source column → how its texts are read."""
        return self._texts.readings

    @property
    def has_table(self) -> bool:
        """Whether its table is there, once the load is finished: a first load without columns makes none."""
        return bool(self._columns or self._before)

    def add(self, batch: Batch) -> int:
        """Read one batch. Returns its rows. Raises LoadError, SourceError."""
        if batch.restart and not self._anew:
            self._anew = True
            self._bad.forget()
        self._whole |= batch.whole
        self._all_from = batch.all_from or self._all_from
        scan = batch.rows if isinstance(batch.rows, FileScan) else None
        if scan:
            self._bad.forget(scan.origin)
        reading, rows = self._read(batch, thorough=self._pulled > 0)
        if doubtful(self._connection, reading, self._place(reading), rows):
            self._forget_rows(rows)
            reading, rows = self._read(batch, thorough=True)
        csv = scan is not None and scan.format == "csv"
        split = fractional(self._connection, reading) if csv else []
        if split:
            self._forget_rows(rows)
            stated = {c: reading.columns[c] for c in split if c in scan.types} if scan else {}
            self._texts.expect(stated)
            self._fractional |= set(split) - set(stated)
            reading, rows = self._read(batch, thorough=self._pulled > 0)
        other = readable(self._connection, reading) if csv else []
        if other:
            self._forget_rows(rows)
            self._texts.expect({c: reading.columns[c] for c in other})
            reading, rows = self._read(batch, thorough=self._pulled > 0)
        rejected = reading.rejected()
        self._bad.add(reading.origin, rejected)
        header = header_line(scan, reading.columns) if csv and scan else 0
        lines = [row.line for row in rejected if row.line is not None]
        self._texts.came_from(reading.origin, self._inserted - rows, header, lines)
        self._connection.unregister("pulled")
        if reading.kept is not None:
            reading.kept.close()
        lacking = [c for c in self._before if c not in self._shaped(reading.columns).values()]
        if lacking and not self._whole and not self._anew:
            self._notes.append(f"{reading.origin} has no column '{lacking[0]}'; its rows have none there")
        self._pulled += rows
        return rows

    def _read(self, batch: Batch, *, thorough: bool) -> tuple[Reading, int]:
        """Append what a batch holds to INCOMING. Returns how it was read, and its rows."""
        known = self._known()
        have = {
            c: kind
            for c, name in self._names([*known, *self._columns]).items()
            if (kind := self._columns.get(name) or known.get(name))
        }
        have |= dict.fromkeys(self._fractional, "DOUBLE")
        roles = self._texts.roles
        reading = read(self._connection, self.options, batch, have, thorough=thorough, as_text=list(roles))
        roles |= reading.texts
        return reading, self._take(reading)

    def _known(self) -> dict[str, str]:
        """Columns of the table with the types that new rows should have."""
        return {} if self._retype else self._typed_before()

    def _place(self, reading: Reading) -> str:
        """INCOMING with the names of the source."""
        names = self._shaped(reading.columns).items()
        return f"(SELECT {', '.join(f'{quoted(n)} AS {quoted(c)}' for c, n in names)} FROM {INCOMING})"

    def _take(self, reading: Reading) -> int:
        """Append what a batch holds to INCOMING. Returns its rows."""
        shaped = self._shaped(reading.columns)
        roles, hashed = self._texts.roles, [c for c, rule in self.options.columns.items() if rule == "hash"]
        as_text = {name for c, name in shaped.items() if c in roles and c not in hashed}
        for name in as_text:
            if self._columns.get(name, "VARCHAR") != "VARCHAR":
                self._run(f"ALTER TABLE {INCOMING} ALTER {quoted(name)} TYPE VARCHAR")
                self._columns[name] = "VARCHAR"
        incoming = {name: "VARCHAR" if name in as_text else reading.columns[c] for c, name in shaped.items()}
        known = {name: kind for name, kind in self._known().items() if name not in as_text}
        self._evolve(INCOMING, self._columns, incoming, known)
        select = ", ".join(self._taken(c, name, as_text) for c, name in shaped.items())
        names = ", ".join(map(quoted, shaped.values()))
        try:
            row = one(self._connection, f"INSERT INTO {INCOMING} ({names}) SELECT {select} FROM {reading.relation}")
        except duckdb.Error as error:
            raise unreadable(self.options, reading.origin, error) from error
        rows = int(row[0]) if row else 0
        self._inserted += rows
        return rows

    def _forget_rows(self, rows: int) -> None:
        """Of the batch that was read last: it is read again in another way."""
        if self._pulled == 0:
            self._run(f"DROP TABLE {INCOMING}")
            self._columns.clear()
            self._inserted = 0
        elif rows:
            self._run(f"DELETE FROM {INCOMING} WHERE rowid > (SELECT max(rowid) - {rows} FROM {INCOMING})")

    def finish(self) -> tuple[Loaded, Changes]:
        """Bring what was read into the table. Raises LoadError."""
        if self._columns:
            self._refuse_dropped()
            names = self._names(list(self._columns))
            self._columns |= self._texts.read(self._connection, INCOMING, names, self._before, self._bad)
            self._clean()
        self._bad.refuse_too_many(self._rows_of(INCOMING), 0 if self._anew else self._rows_of(self._target))
        self._bad.keep()
        self._notes += self._texts.notes
        self._notes += [f"put aside as unreadable: {reason}" for reason in self._bad.reasons() if self._bad.kept]
        if not self._columns:
            return self._loaded(0), Changes("")
        if not self._before or self._anew:
            loaded, changes = self._become()
        else:
            now = dict(self._before)
            self._evolve(self.options.table, now, self._columns, {})
            self._shared.show()
            loaded, changes = self._merge() if self.options.load_mode == "merge" else self._append()
            if any((kind, now[column]) in WIDER for column, kind in self._before.items()):
                changes = Changes(None)  # a row that stayed may read differently, too: 1 is 1.0, a day is a moment
        self._run(f"DROP TABLE IF EXISTS {INCOMING}")
        return loaded, changes

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

    def _taken(self, column: str, name: str, as_text: Collection[str]) -> str:
        if self.options.columns.get(column) == "hash":
            return f"sha256(CAST({quoted(column)} AS VARCHAR)) AS {quoted(name)}"
        if name in as_text:
            return f"CAST({quoted(column)} AS VARCHAR) AS {quoted(name)}"
        return f"{quoted(column)} AS {quoted(name)}"

    def _evolve(self, table: str, have: dict[str, str], incoming: Mapping[str, str], known: Mapping[str, str]) -> None:
        """Add new columns, widen where no value changes; else fail naming table, column and both types.

        have: columns of `table`, changed in place. known: types that new columns of it should take.
        """
        hashed = {c for c, rule in self.options.columns.items() if rule == "hash"}
        made, place = bool(have), f"main.{INCOMING}" if table == INCOMING else self._shared.written
        for column, given in incoming.items():
            kind = "VARCHAR" if column in hashed else given
            before = have.get(column)
            if before is None:
                start = known.get(column, UNTYPED)
                have[column] = self._settled(column, start, kind, self.options.table)
                if made:
                    self._run(f"ALTER TABLE {place} ADD COLUMN {quoted(column)} {have[column]}")
                continue
            wanted = self._settled(column, before, kind, table)
            if wanted != before:
                self._run(f"ALTER TABLE {place} ALTER {quoted(column)} TYPE {wanted}")
                have[column] = wanted
        if not made:
            # Typed columns, not `AS SELECT … LIMIT 0`: DuckDB 2.0.0 then answers count(*), min(x) over rows
            # inserted later with 0, NULL until the next checkpoint (docs/decisions/0003-duckdb.md).
            columns = ", ".join(f"{quoted(c)} {kind}" for c, kind in have.items())
            self._run(f"CREATE TABLE {place} ({columns})")

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
        if column not in (self._columns if table == INCOMING else self._before):
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
        """NaN is unknown; infinite numbers go to quarantine."""
        floats = [c for c, kind in self._columns.items() if kind in ("DOUBLE", "FLOAT")]
        seen = ", ".join(f"bool_or(isnan({quoted(c)})), bool_or(isinf({quoted(c)}))" for c in floats)
        flags = one(self._connection, f"SELECT {seen} FROM {INCOMING}") if floats else None
        for index, column in enumerate(floats):
            nan, infinite = (flags or ())[2 * index : 2 * index + 2] or (False, False)
            if nan:
                self._run(f"UPDATE {INCOMING} SET {quoted(column)} = NULL WHERE isnan({quoted(column)})")
            if infinite:
                self._put_aside(f"isinf({quoted(column)})", column, f"'{column}' is infinite")

    def _put_aside(self, condition: str, column: str, reason: str) -> None:
        rows = self._run(f"SELECT to_json(i) FROM {INCOMING} AS i WHERE {condition}").fetchall()
        self._bad.add(self.options.table, [Rejected(None, column, reason, raw) for (raw,) in rows])
        if rows:
            self._run(f"DELETE FROM {INCOMING} WHERE {condition}")

    def _become(self) -> tuple[Loaded, Changes]:
        """What was read is the table from now on. Its rows count as changed only where they differ from before."""
        if self.options.load_mode == "merge":
            self._keep_last()
            self._tell_keyless()
        changes, rows = Changes(None), self._rows_of(INCOMING)
        now = described(self._connection, f"SELECT * FROM {INCOMING}")
        if self._before and dict(self._before) == now:
            names = ", ".join(map(quoted, now))
            old, new = f"SELECT {names} FROM {self._target}", f"SELECT {names} FROM {INCOMING}"
            differing = f"({old} EXCEPT ALL {new}) UNION ALL ({new} EXCEPT ALL {old})"
            changes = Changes("") if self._digest(old) == self._digest(new) else self._changed(differing)
        if changes.relation != "" or not self._shared.is_view:  # else its files can stay
            self._shared.drop()
            self._run(f"ALTER TABLE {INCOMING} RENAME TO {quoted(self.options.table)}")
        return self._loaded(rows if self._retype or changes.relation != "" else 0), changes

    def _digest(self, select: str) -> tuple[Any, ...] | None:
        """Of the rows of `select`, in whatever order: their count, and what their hashes are added up and in parity.

        Telling that two tables have the same rows from these takes no memory; telling which differ takes all of it.
        """
        return one(self._connection, f"SELECT count(*), sum(hash(r)), bit_xor(hash(r, 1)) FROM ({select}) AS r")

    def _append(self) -> tuple[Loaded, Changes]:
        changes = self._changed(f"SELECT * FROM {INCOMING}")
        return self._loaded(self._insert()), changes

    def _merge(self) -> tuple[Loaded, Changes]:
        """Rows that are as they were stay; new and changed ones take the place of those with their key."""
        self._keep_last()
        keys = " AND ".join(f"t.{quoted(k)} = i.{quoted(k)}" for k in self.options.primary_key)
        same = " AND ".join(f"t.{quoted(c)} IS NOT DISTINCT FROM i.{quoted(c)}" for c in self._columns)
        gone = self._take_gone(keys)
        self._run(f"DELETE FROM {INCOMING} i USING {self._target} t WHERE {keys} AND {same}")
        if self._tell_keyless():  # they come again with every look back
            self._run(f"DELETE FROM {INCOMING} i USING {self._target} t WHERE ({self._keyless('i.')}) AND {same}")
        names = ", ".join(map(quoted, self._columns))
        changes = self._changed(
            f"SELECT {names} FROM {self._target} t WHERE EXISTS (SELECT 1 FROM {INCOMING} i WHERE {keys}) "
            f"UNION ALL SELECT {names} FROM {INCOMING}" + (f" UNION ALL SELECT {names} FROM {GONE}" if gone else "")
        )
        if changes.relation != "":
            self._shared.bring_back(f"EXISTS (SELECT 1 FROM {INCOMING} i WHERE {keys})")
            self._run(f"DELETE FROM {self._shared.written} t USING {INCOMING} i WHERE {keys}")
        return self._loaded(self._insert()), changes

    def _take_gone(self, keys: str) -> bool:
        """Move rows that the source no longer has to GONE. Returns whether it was told where all of them came."""
        if self._all_from is None:
            return False
        column, start = self._all_from
        name = quoted(self.options.columns.get(column, column))
        lost = f"t.{name} >= ? AND NOT EXISTS (SELECT 1 FROM {INCOMING} i WHERE {keys})"
        self._run(f"CREATE OR REPLACE TEMP TABLE {GONE} AS SELECT * FROM {self._target} t WHERE {lost}", [start])
        self._shared.bring_back(lost, [start])
        self._run(f"DELETE FROM {self._shared.written} t WHERE {lost}", [start])
        return True

    def _keep_last(self) -> None:
        """Of rows with the same key the last one stays: files and cursors deliver in time order."""
        keys, keyed = ", ".join(map(quoted, self.options.primary_key)), f"NOT ({self._keyless()})"
        if self._has_repeated(keys, keyed):
            last = f"SELECT max(rowid) FROM {INCOMING} GROUP BY {keys}"
            self._run(f"DELETE FROM {INCOMING} WHERE {keyed} AND rowid NOT IN ({last})")

    def _has_repeated(self, keys: str, keyed: str) -> bool:
        """Whether two rows have one key; looked at in parts, so that memory holds the keys of one."""
        parts = self._rows_of(INCOMING) // KEYS_AT_ONCE + 1
        for part in range(parts):
            within = f" AND hash({keys}) % {parts} = {part}" if parts > 1 else ""
            asked = f"SELECT count(*) - count(DISTINCT ({keys})) FROM {INCOMING} WHERE {keyed}{within}"
            if (row := one(self._connection, asked)) and row[0]:
                return True
        return False

    def _keyless(self, of: str = "") -> str:
        return " OR ".join(f"{of}{quoted(key)} IS NULL" for key in self.options.primary_key)

    def _tell_keyless(self) -> int:
        """Rows without their key are rows of their own: nobody knows which row they are a new version of."""
        row = one(self._connection, f"SELECT count(*) FROM {INCOMING} WHERE {self._keyless()}")
        count = int(row[0]) if row else 0
        if count:
            key = ", ".join(self.options.primary_key)
            self._notes.append(f"{count:,} {'row has' if count == 1 else 'rows have'} no '{key}', which is their key")
        return count

    def _insert(self) -> int:
        names = ", ".join(map(quoted, self._columns))
        row = one(self._connection, f"INSERT INTO {self._shared.written} ({names}) SELECT {names} FROM {INCOMING}")
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
        return Loaded(rows, self._bad.kept, tuple(dict.fromkeys(self._notes)))

    def _rows_of(self, table: str) -> int:
        """Rows of a table of main; 0 if there is none."""
        row = one(self._connection, f"SELECT count(*) FROM {table}") if self._has(table) else None
        return int(row[0]) if row else 0

    def _has(self, table: str) -> bool:
        return bool(self._columns) if table == INCOMING else bool(self._before)
