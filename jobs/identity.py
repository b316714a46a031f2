"""Whose each id is: the tables that sources name by `identity`, made of what their rows say, once all are loaded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from sqlglot import exp

from connectors.sources.contract import Batch, IdLink, Source, SourceOptions
from connectors.warehouse.contract import Columns, SourceRun, Staging
from metrics.engine.identity import COLUMNS, People, resolved
from metrics.engine.sql.dialects import render

SCHEMA = pa.schema({"id": pa.string(), "person": pa.string(), "linked_at": pa.timestamp("us")})


def identify(staging: Staging, sources: Mapping[str, Source], runs: dict[str, SourceRun]) -> bool:
    """Make each table of identities anew where rows that it is made of changed. Returns whether any differs.

    What is to be told goes with the runs of its sources: ids of which nobody knows whose they are, and ids that are
    another person's than before, whose rows count for that one from their first on.
    """
    groups: dict[str, list[Source]] = {}
    for source in sources.values():
        if source.options.identity is not None:
            groups.setdefault(source.options.identity.table, []).append(source)
    differs = False
    for table, members in groups.items():
        changed, notes = _identified(staging, table, members)
        differs |= changed
        for name in (s.options.name for s in members if s.options.name in runs):
            runs[name] = dataclasses.replace(runs[name], notes=(*runs[name].notes, *notes))
            break
    return differs


def _identified(staging: Staging, table: str, members: list[Source]) -> tuple[bool, tuple[str, ...]]:
    """Whether a table of identities differs, and sentences about it."""
    tables = staging.tables()
    there = [source for source in members if source.options.table in tables]
    rules = _digest(there, tables)
    name = f"identity {table}"
    kept = staging.cursor(name)
    same = kept.get("rules") == rules and all(staging.changes(s.options.table) == "" for s in there)
    if not there or (same and table in tables):
        return False, tuple(json.loads(kept.get("notes", "[]")))
    found = resolved(_links(staging, there, tables))
    standing = _told(table, found)
    moved = _moved(staging, table, found) if table in tables else 0
    options = SourceOptions(name=name, type="identity", table=table, primary_key=("id",), load="merge")
    rows = pa.Table.from_pandas(found.table, schema=SCHEMA, preserve_index=False)
    with staging.transaction():
        load = staging.begin_load(options, anew=True)
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
    identity, columns = source.options.identity, tables[source.options.table]
    links = (identity.links if identity else ()) or source.id_links()
    return [link for link in links if {link.known[0], link.other[0], *(link.event or ())[:1]} <= set(columns)]


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
    known, other = _text(link.known), _text(link.other)
    there = exp.and_(*(exp.not_(exp.Is(this=item.copy(), expression=exp.null())) for item in (known, other)))
    if link.prefix:
        other = exp.DPipe(this=exp.Literal.string(link.prefix), expression=other)
    at: exp.Expr = exp.null()
    if link.at in columns:
        at = exp.cast(exp.Min(this=exp.column(link.at, quoted=True)), "TEXT")
    query = exp.select(known.as_("k"), other.as_("o"), at.as_("a")).from_(exp.to_table(table, quoted=True)).where(there)
    if link.event is not None:
        column, value = link.event
        query = query.where(exp.column(column, quoted=True).eq(exp.Literal.string(value)))
    return query.group_by(exp.Literal.number(1), exp.Literal.number(2))


def _text(place: tuple[str | int, ...]) -> exp.Expr:
    """What stands at a place, as text."""
    column = exp.column(str(place[0]), quoted=True)
    if len(place) == 1:
        return exp.cast(column, "TEXT")
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
