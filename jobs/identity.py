"""Whose each id is: the tables that sources name by `identity`, made of what their rows say, once all are loaded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from sqlglot import exp

from connectors.errors import DiskFull, KpiError
from connectors.sources.contract import Batch, IdLink, Source, SourceOptions
from connectors.warehouse.contract import Columns, SourceRun, Staging
from connectors.warehouse.names import IDENTITIES
from metrics.engine.identity import COLUMNS, People, resolved
from metrics.engine.sql.dialects import render

log = logging.getLogger(__name__)
SCHEMA = pa.schema({"id": pa.string(), "person": pa.string(), "linked_at": pa.timestamp("us")})


def identify(staging: Staging, sources: Mapping[str, Source], runs: dict[str, SourceRun]) -> bool:
    """Make each table of identities anew where rows that it is made of changed. Returns whether any differs.

    What is to be told goes with the runs of its sources: ids of which nobody knows whose they are, and ids that are
    another person's than before, whose rows count for that one from their first on. A table that cannot be made stays
    as it was, and that is told.
    """
    fed = {source.options.table for source in sources.values()}  # by a source that took the name over
    booked = [name.removeprefix(IDENTITIES) for name in staging.pulled_at() if name.startswith(IDENTITIES)]
    groups: dict[str, list[Source]] = {table: [] for table in booked if table not in fed}
    for source in sources.values():
        if source.options.identity is not None:
            groups.setdefault(source.options.identity.table, []).append(source)
    differs = False
    for table, members in groups.items():
        try:
            changed, notes = _identified(staging, table, members)
        except DiskFull:
            raise
        except KpiError as error:
            log.warning("identities %s were not made", table, exc_info=error)
            changed, notes = False, (f"{table}: whose each id is could not be made and is as it was: {error.message}",)
        differs |= changed
        named = [source.options.name for source in members] or list(runs)
        for name in [name for name in named if name in runs][:1]:
            runs[name] = dataclasses.replace(runs[name], notes=(*runs[name].notes, *notes))
    return differs


def _identified(staging: Staging, table: str, members: list[Source]) -> tuple[bool, tuple[str, ...]]:
    """Whether a table of identities differs, and sentences about it.

    members: none = no source names it any more; then it loses `person`, so that who still reads it is told.
    """
    tables = staging.tables()
    there = [source for source in members if source.options.table in tables]
    rules = _digest(there, tables)
    kept = staging.cursor(f"{IDENTITIES}{table}")
    same = kept.get("rules") == rules and all(staging.changes(s.options.table) == "" for s in there)
    if (members and not there) or (same and table in tables):
        return False, tuple(json.loads(kept.get("notes", "[]")))
    found = resolved(_links(staging, there, tables))
    standing = [*_unfit(table, there, tables), *_told(table, found)]
    moved = _moved(staging, table, found) if kept and members and "person" in tables.get(table, {}) else 0
    options = SourceOptions(
        name=f"{IDENTITIES}{table}", type="identity", table=table, primary_key=("id",), load="merge"
    )
    rows = pa.Table.from_pandas(found.table, schema=SCHEMA, preserve_index=False)
    rows = rows if members else rows.select(["id"])
    retype = not kept or not members  # a table of that name may be left of a source
    with staging.transaction():
        load = staging.begin_load(options, anew=True, retype=retype)
        load.add(Batch(table, rows, {}, restart=True))
        load.finish({"rules": rules, "notes": json.dumps(standing)})
    words = f"{table}: {moved:,} {'id is' if moved == 1 else 'ids are'} another person's than before; what was done by"
    words += f" {'it' if moved == 1 else 'them'} counts for that person from the first row on, as late data does"
    return staging.changes(table) != "", (*standing, *([words] if moved else []))


def _digest(members: list[Source], tables: Mapping[str, Columns]) -> str:
    """Of the rules, and of the tables that they are about."""
    told = [(s.options.table, [str(link) for link in _rules(s, tables)]) for s in members]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _rules(source: Source, tables: Mapping[str, Columns]) -> list[IdLink]:
    """Rules of a source that its table has the columns for."""
    return [link for link in _stated(source) if not _missing(link, tables[source.options.table])]


def _stated(source: Source) -> tuple[IdLink, ...]:
    identity = source.options.identity
    return (identity.links if identity else ()) or source.id_links()


def _missing(link: IdLink, columns: Columns) -> list[str]:
    return [str(c) for c in (link.known[0], link.other[0], *(link.event or ())[:1]) if c not in columns]


def _unfit(table: str, members: list[Source], tables: Mapping[str, Columns]) -> list[str]:
    """Rules that a table has no columns for, and moments that are none."""
    told = []
    for source in members:
        name, links = source.options.table, _stated(source)
        columns = tables[name]
        lacking = [missing for link in links if (missing := _missing(link, columns))]
        own = source.options.identity is not None and source.options.identity.links
        if lacking and (own or len(lacking) == len(links)):
            told.append(f"{table}: table {name} has no column '{lacking[0][0]}', so it says of no id whose it is")
        unread = [link.at for link in _rules(source, tables) if link.at and not _is_time(columns.get(link.at, ""))]
        if unread:
            kind = columns.get(unread[0], "not there")
            told.append(
                f"{table}: '{unread[0]}' of table {name} is {kind} and no time, so nobody "
                "knows which of two people an anonymous id came with first; state `dates` or `types` of its source"
            )
    return told


def _is_time(kind: str) -> bool:
    return kind.startswith(("DATE", "TIMESTAMP"))


def _links(staging: Staging, members: list[Source], tables: Mapping[str, Columns]) -> pd.DataFrame:
    """All that rows say, each pair of ids once: COLUMNS."""
    frames = []
    for source in members:
        for link in _rules(source, tables):
            query = _query(link, source.options.table, tables[source.options.table])
            frame = pd.DataFrame(staging.rows(render(query, staging.dialect)), columns=COLUMNS[:3])
            frame["at"] = pd.to_datetime(frame["at"], utc=True, errors="coerce", format="ISO8601")
            frames.append(frame.assign(merges=link.merges))
    whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)
    return whole.astype({"known": object, "other": object, "merges": bool})


def _query(link: IdLink, table: str, columns: Columns) -> exp.Select:
    known, other = _text(link.known, columns), _text(link.other, columns)
    there = exp.and_(*(exp.not_(exp.Is(this=item.copy(), expression=exp.null())) for item in (known, other)))
    if link.prefix:
        other = exp.DPipe(this=exp.Literal.string(link.prefix), expression=other)
    at: exp.Expr = exp.null()
    if _is_time(columns.get(link.at, "")):
        at = exp.cast(exp.Min(this=exp.column(link.at, quoted=True)), "TEXT")
    query = exp.select(known.as_("k"), other.as_("o"), at.as_("a")).from_(exp.to_table(table, quoted=True)).where(there)
    if link.event is not None:
        column, value = link.event
        query = query.where(exp.column(column, quoted=True).eq(exp.Literal.string(value)))
    return query.group_by(exp.Literal.number(1), exp.Literal.number(2))


def _text(place: tuple[str | int, ...], columns: Columns) -> exp.Expr:
    """What stands at a place, as text; a whole number as one, also where its column is of others: 1 and 1.0 are one."""
    column = exp.column(str(place[0]), quoted=True)
    if len(place) == 1:
        plain = exp.cast(column, "TEXT")
        if columns[str(place[0])] not in ("DOUBLE", "FLOAT"):
            return plain
        is_whole = exp.EQ(this=column.copy(), expression=exp.Floor(this=column.copy()))
        return exp.Case(
            ifs=[exp.If(this=is_whole, true=exp.cast(exp.cast(column.copy(), "BIGINT"), "TEXT"))], default=plain
        )
    keys = "".join(f"[{key}]" if isinstance(key, int) else f'."{key}"' for key in place[1:])
    return exp.func("JSON_EXTRACT_STRING", exp.cast(column, "JSON"), exp.Literal.string(f"${keys}"), dialect="duckdb")


def _moved(staging: Staging, table: str, found: People) -> int:
    """Ids that were somebody's and are another's now, or are somebody's now that were known by themselves."""
    query = exp.select("id", "person").from_(exp.to_table(table, quoted=True))
    before = dict(staging.rows(render(query, staging.dialect)))
    now = dict(zip(found.table["id"], found.table["person"], strict=True))
    return sum(before.get(i, i) != now.get(i, i) for i in {**before, **now})


def _told(table: str, found: People) -> list[str]:
    """What of the links was not followed."""
    told = []
    if found.shared:
        ids = "anonymous id" if found.shared == 1 else "anonymous ids"
        told.append(f"{table}: {found.shared:,} {ids} came with more than one person; each counts for the first")
    if found.refused:
        pairs = "pair of ids says" if found.refused == 1 else "pairs of ids say"
        told.append(
            f"{table}: {found.refused:,} {pairs} that a known person is another known one without a merge; both stay"
        )
    if found.placeholders:
        told.append(
            f"{table}: {found.placeholders:,} pairs of ids have a text in place of an id, such as 'null' or "
            "'undefined'; nobody is made one person by them"
        )
    return told
