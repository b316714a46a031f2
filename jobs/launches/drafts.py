"""draft launches: releases and flag changes of sources that say `launches:` → a file each in launches/, once.

Part of every sync. What was written is kept in the state store, so that a key that a person changed stays as it is, and
a file that a person deleted is not made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd

from connectors.errors import KpiError, ProjectError
from connectors.reading import read_regular
from connectors.sources.contract import Source
from connectors.state import launches as store
from connectors.state.launches import DraftRow
from connectors.warehouse.names import quoted
from jobs.authoring.add import write_all
from jobs.authoring.names import slug
from jobs.launches.draft_text import Merged, is_draft, merged, untouched, whole
from jobs.launches.registry import as_text
from jobs.project.project import Project
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.launch import Launch
from metrics.catalog.registered import parsed
from metrics.launches.drafts import MOMENTS, Drafted, Rule, columns_read, drafted, proposed
from metrics.launches.readiness import stated

MOST_BYTES = 1 << 20  # of a launch's file
MOST_NAMED = 5  # files that a sync names
LONGEST_STEM = 60
WORDS = {
    "made": "Launches were drafted, `kpi launch draft` says what they lack",
    "changed": "Drafts of launches follow their release or flag",
    "withdrawn": "Drafts of launches are gone with their release or rollout",
}
FACTS = ("label", "origin", "on", "rollout", "until", "links")  # keys that the vendor tells


@dataclass(frozen=True)
class DraftChange:
    """One draft and what became of it. kept: keys that a person changed and that would read differently.

    action: made or changed (its file was written), same, finished (a person made a launch of it), deleted (by a
    person), withdrawn (its release or rollout is gone, and so is the file that nobody had changed), or left (gone, too,
    but a person had changed the file).
    """

    name: str
    action: str
    source: str
    origin: str
    of: str
    label: str
    start: str
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        told = {"source": self.source, "id": self.origin, "of": self.of}
        plain = {"name": self.name, "action": self.action, "origin": told, "label": self.label}
        return {**plain, "start": self.start or None, "kept": list(self.kept), "missing": list(self.missing)}


@dataclass(frozen=True)
class DraftRun:
    """What one call did, or would do. notes: what could not be drafted, in sentences."""

    changes: tuple[DraftChange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Step:
    """A change with what is written for it. text: of the file; None = it stays, or goes where `gone`."""

    change: DraftChange
    text: str | None = None
    gone: bool = False
    row: DraftRow | None = None


def draft_launches(project: Project, *, now: datetime, dry_run: bool = False) -> DraftRun:
    """Bring the drafts in line with the live data. Safe beside another; a second call changes nothing.

    dry_run: only say what would be done. Raises NoData, StateError, ProjectError.
    """
    sources = [source for source in project.sources.read()[0].values() if source.options.launches]
    if not sources:
        return DraftRun(notes=("No source says `launches:`, so there is nothing to draft from.",))
    found, notes = _told(project, sources, now)
    rows = []
    if project.state.exists():
        with project.state.reading() as connection:
            rows = store.drafts(connection)
    steps = list(_Planner(project, rows, now).steps(found))
    if dry_run or not any(step.text is not None or step.gone or step.row for step in steps):
        return DraftRun(tuple(step.change for step in steps), tuple(notes))
    with project.state.writing() as connection:  # one at a time: files are looked at and written inside
        steps = list(_Planner(project, store.drafts(connection), now).steps(found))
        for step in steps:
            _apply(project, step)
            if step.row is not None:
                store.put_draft(connection, step.row)
            elif step.gone:
                store.drop_draft(connection, step.change.source, step.change.origin)
    return DraftRun(tuple(step.change for step in steps), tuple(notes))


def told(done: DraftRun) -> list[str]:
    """What an operator should know of it, in sentences."""
    lines = []
    for action, words in WORDS.items():
        names = [f"launches/{change.name}.yml" for change in done.changes if change.action == action]
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            lines.append(f"{words}: {', '.join(names[:MOST_NAMED])}{more}.")
    return [*lines, *done.notes]


def _told(project: Project, sources: list[Source], now: datetime) -> tuple[dict[str, list[Drafted]], list[str]]:
    """Source → launches that its table tells; of a source that tells nothing that can be read, why."""
    found: dict[str, list[Drafted]] = {}
    notes = []
    reader = project.reader()
    tables, zone = reader.tables(), project.settings.timezone
    for source in sources:
        name, table = source.options.name, source.options.table
        if table not in tables:
            notes.append(f"source {name}: nothing was pulled yet.")
            continue
        try:
            columns = columns_read(tables[table])
            cells = (f"CAST({quoted(c)} AS VARCHAR) AS {quoted(c)}" if c == "id" else quoted(c) for c in columns)
            frame = reader.frame(f"SELECT {', '.join(cells)} FROM {quoted(table)}")
            rules = [Rule(**rule.model_dump()) for rule in source.options.launches]
            whole_days = "DATE" in {tables[table].get(name) for name in MOMENTS}
            tells = drafted(frame, rules, "UTC" if whole_days else zone, pd.Timestamp(now))
        except KpiError as error:
            notes.append(f"source {name}: {error}")
            continue
        found[name] = list(tells.drafts)
        notes += [f"source {name}: {words}" for words in tells.notes]
    return found, notes


def _apply(project: Project, step: _Step) -> None:
    path = f"launches/{step.change.name}.yml"
    if step.text is not None:
        write_all(project, {path: step.text})
    elif step.gone:
        try:
            (project.folder / path).unlink(missing_ok=True)
        except OSError as error:
            raise ProjectError(f"{path} cannot be removed: {error.strerror}") from error


class _Planner:
    """What is to be done, given what was written and what lies in the folder. Writes nothing."""

    def __init__(self, project: Project, rows: list[DraftRow], now: datetime) -> None:
        self._project, self._now = project, now
        self._catalogue: Catalogue = project.catalogue()
        self._rows = {(row.source, row.origin): row for row in rows}
        self._texts = {path.stem: _text(path) for path in sorted((project.folder / "launches").glob("*.yml"))}
        known = (*self._catalogue.drafts, *self._catalogue.launches)
        self._launches = {item.name: item for item in known}
        self._by_origin = {(x.origin.source, x.origin.id): x.name for x in reversed(known) if x.origin}
        self._made: dict[tuple[str, str], str] = {}
        self._taken = {*self._texts, *(item.name for item in known), *(row.name for row in rows)}

    def steps(self, told: Mapping[str, list[Drafted]]) -> Iterator[_Step]:
        """A step for each launch that was told, then for those that are told no more."""
        for source, drafts in told.items():
            for item in drafts:
                yield self._step(source, item)
            now = {item.id for item in drafts}
            for row in [row for row in self._rows.values() if row.source == source and row.origin not in now]:
                yield self._gone(row)

    def _step(self, source: str, item: Drafted) -> _Step:
        row = self._rows.get((source, item.id))
        name = row.name if row is not None and row.name in self._texts else self._by_origin.get((source, item.id))
        if name is not None:
            return self._known(source, item, name, row)
        if row is not None:
            return _Step(self._change(source, item, row.name, "deleted"))
        name = self._name(source, item)
        written = self._written(source, item, name)
        text = whole(written)
        self._texts[name] = text
        self._taken.add(name)
        made = DraftRow(source, item.id, name, json.dumps(written), self._now, self._now)
        return _Step(self._change(source, item, name, "made", text=text), text, row=made)

    def _known(self, source: str, item: Drafted, name: str, row: DraftRow | None) -> _Step:
        """Of a file that is there. One that nobody remembers writing is a person's, unless it reads as it would now."""
        text, written = self._texts.get(name) or "", self._written(source, item, name)
        was = self._remembered(row) if row else written if text == whole(written) else {}
        if row is not None and row.name != name:
            was.pop("name", None)  # a person gave the file another name
        other = tuple(key for key, lines in written.items() if lines not in text)
        done = merged(text, was, written) if was else Merged(text, other, {})
        if not is_draft(text):
            news = [key for key in FACTS if was.get(key) != written.get(key) and written.get(key, "") not in text]
            return _Step(self._change(source, item, name, "finished", kept=tuple(news)))
        if done.text != text and self._parsed(done.text) is None:
            # What a person wrote is wrong, or does not go with what is new.
            done = Merged(text, tuple(key for key in written if written[key] != was.get(key)), was)
        changed = done.text != text
        fresh = DraftRow(source, item.id, name, json.dumps(done.written), row.made_at if row else self._now, self._now)
        remember = row is None or row.name != name or self._remembered(row) != done.written
        kept = tuple(key for key in done.kept if key != "name")
        new = done.text if changed else ""
        change = self._change(source, item, name, "changed" if changed else "same", kept=kept, text=new)
        return _Step(change, done.text if changed else None, row=fresh if remember else None)

    def _remembered(self, row: DraftRow) -> dict[str, str]:
        """What was written of a draft, by what it says. Raises StateError where that is damaged."""
        return self._project.state.parsed(lambda text: dict(json.loads(text)), row.written)

    def _gone(self, row: DraftRow) -> _Step:
        """Of a release or rollout that is told no more."""
        name = row.name if row.name in self._texts else self._by_origin.get((row.source, row.origin), "")
        text, written = self._texts.get(name), self._remembered(row)
        start = f"{self._launches[name].starts_on}" if name in self._launches else ""
        plain = DraftChange(row.name, "deleted", row.source, row.origin, "", "", start)
        if text is None:
            return _Step(plain)
        if untouched(text, written):
            return _Step(replace(plain, name=name, action="withdrawn"), gone=True)
        return _Step(replace(plain, name=name, action="left" if is_draft(text) else "finished"))

    def _change(
        self, source: str, item: Drafted, name: str, action: str, *, kept: tuple[str, ...] = (), text: str = ""
    ) -> DraftChange:
        launch = self._parsed(text) if text else self._launches.get(name)
        lacks = tuple(check.words for check in stated(launch, self._catalogue)) if launch else ()
        start = launch.starts_on if launch else item.on or item.steps[0][0]
        return DraftChange(name, action, source, item.id, item.of, item.label, start.isoformat(), kept, lacks)

    def _parsed(self, text: str) -> Launch | None:
        return parsed(text, self._catalogue)[0]

    def _name(self, source: str, item: Drafted) -> str:
        """A file's name that nothing has; of two that would be called the same, the second has a digest at its end."""
        stem = slug(item.stem)[:LONGEST_STEM].rstrip("_")
        if stem not in self._taken:
            return stem
        digest = hashlib.sha256(f"{source}\n{item.id}".encode()).hexdigest()
        return next(n for size in range(6, 64) if (n := f"{stem}_{digest[:size]}") not in self._taken)

    def _written(self, source: str, item: Drafted, name: str) -> dict[str, str]:
        """Key → its lines, as a new file has them."""
        success, guardrails = proposed(self._catalogue, item.rule.area)
        values: dict[str, Any] = {
            "name": name,
            "label": item.label,
            "draft": True,
            "origin": {"source": source, "id": item.id, "of": item.of},
            "owner": item.rule.owner,
            "area": item.rule.area,
            "on": item.on,
            "rollout": [{"on": day, "share": share} for day, share in item.steps],
            "until": item.until,
            "success": [{"kpi": kpi} for kpi in success],
            "guardrails": [{"kpi": kpi} for kpi in guardrails],
            "links": {"Release" if item.on else "Flag": item.url} if item.url else {},
        }
        return {key: self._lines(key, value) for key, value in values.items() if value not in ("", None, [], {})}

    def _lines(self, key: str, value: Any) -> str:
        """A key as YAML. Most drafts share most of theirs, and writing YAML takes what time there is to take."""
        seen = (key, repr(value))
        if seen not in self._made:
            self._made[seen] = as_text({key: value})
        return self._made[seen]


def _text(path: Any) -> str:
    """A file's text; empty if it is none, which `kpi validate` tells."""
    try:
        return read_regular(path, most=MOST_BYTES, within=path.parent).decode("utf-8")
    except (OSError, ValueError):
        return ""
