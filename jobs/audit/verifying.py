"""verify: is the log what was written, all of it? If not, which entries, and how that is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from sqlalchemy import Connection

from connectors.errors import KpiError, counted
from connectors.state import audit
from connectors.state.audit import Checkpoint, Entry
from connectors.state.audit_keys import Head, Key, head_of
from connectors.warehouse.contract import OF_THE_AUDIT
from jobs.project.project import Project

Row = Mapping[str, Any]
KINDS = {  # kind of a finding → what it says of its entries; {} = "entry 3" or "entries 3 to 7"
    "altered": "{} not what was written: changed, put in, or moved",
    "removed": "{} gone, although later ones are there",
    "truncated": "{} gone from the end",
    "replaced": "{} not what was written under that number",
    "restored": "{} of those that retention removed, there again",
    "checkpoint": "{}: what retention left of them is not what it signed",
    "broken": "{}: when it was written, entries before it were gone or replaced",
    "key": "{}: signed by a key that is not here, so nothing proves them",
}


@dataclass(frozen=True)
class Finding:
    """What is wrong with entries, by number, both included. words: with what is known of it."""

    kind: str
    first: int
    last: int
    words: str


@dataclass(frozen=True)
class Verification:
    """entries: how many there are, from first to last (0 = none). notes: what could not be compared, in sentences."""

    entries: int
    first: int
    last: int
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tampered(self) -> bool:
        """Whether anything was changed, as far as that is known: a key that is not here is no such finding."""
        return any(found.kind != "key" for found in self.findings)

    def line(self) -> str:
        """What it comes to, in a sentence."""
        if self.tampered:
            return f"The audit is not what was written: {counted(len(self.findings), 'finding')}."
        if self.findings:
            return "A key of the audit is not here: nothing proves what it signed. That is no sign of a change."
        many = counted(self.entries, "entry", "entries")
        return f"{many}, as they were written." if self.entries else "No entry yet."

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        findings = [vars(found) for found in self.findings]
        told = {"ok": not self.findings, "tampered": self.tampered, "entries": self.entries}
        return {**told, "first": self.first, "last": self.last, "findings": findings, "notes": list(self.notes)}


@dataclass(frozen=True)
class Anchor:
    """What somebody outside of the store knows of it. by: who, in words."""

    head: Head
    by: str


def verify(project: Project) -> Verification:
    """Read all of the log, and hold it against its key, this machine's head and the generations. Raises StateError."""
    state = project.state
    head, keys = state.keys.head(), state.keys.known()
    anchors, notes = _anchors(project)
    if head is not None:
        anchors = [*anchors, Anchor(head, "this machine")]
    else:
        notes.append("This machine has noted no head, so only generations tell whether the last entries are there.")
    if not state.exists():
        return _verified([], [], keys, anchors, notes)
    with state.reading() as connection:
        return _verified(audit.every(connection), audit.checkpoints(connection), keys, anchors, notes)


def verified_here(connection: Connection, keys: Sequence[Key], head: Head | None) -> Verification:
    """The same within a transaction, without the generations."""
    anchors = [Anchor(head, "this machine")] if head is not None else []
    return _verified(audit.every(connection), audit.checkpoints(connection), keys, anchors, [])


def _anchors(project: Project) -> tuple[list[Anchor], list[str]]:
    """What each generation that is kept knows of the log, and what could not be asked."""
    found = []
    try:
        texts = project.warehouse.kept_texts(OF_THE_AUDIT)
    except (KpiError, OSError) as error:
        words = error.message if isinstance(error, KpiError) else str(error)
        return [], [f"The generations were not asked: {words}."]
    for generation, text in texts.items():
        with suppress(ValueError):
            found.append(Anchor(head_of(text or ""), f"generation {generation}"))
    return found, []


@dataclass
class _Reading:
    """The log on its way past. wanted: numbers that somebody knows; seen: those of them that are there."""

    keys: Mapping[str, Key]
    start: Head = field(default_factory=lambda: Head(0, ""))
    key: str | None = None  # name of the one that signed the entry before; None = not known
    wanted: frozenset[int] = frozenset()
    seen: dict[int, Head] = field(default_factory=dict)
    count: int = 0
    first: int = 0
    last: int = 0

    def entries(self, entries: Iterable[Row]) -> Iterator[Finding]:
        """What is wrong with each, against the one before it."""
        expected, before = self.start.sequence + 1, self.start.chain
        for row in entries:
            number, chain = row["sequence"], row["chain"]
            if number < expected:
                yield _finding("restored", number)
                continue
            if number > expected:
                yield _finding("removed", expected, number - 1)
            yield from self._entry(row, before if number == expected else None)
            if number in self.wanted:
                self.seen[number] = Head(number, str(chain), str(row["hash"]))
            self.count, self.first, self.last = self.count + 1, self.first or number, number
            before, expected, self.key = str(chain), number + 1, str(row["key"])

    def _entry(self, row: Row, before: str | None) -> Iterator[Finding]:
        """before: chain of the entry before; None = that is gone, so only its own hash tells."""
        number, said = row["sequence"], {name: row[name] for name in Entry.__dataclass_fields__}
        if not all(isinstance(value, str) for name, value in said.items() if name != "sequence"):
            yield _finding("altered", number)
            return
        entry = Entry(**said)
        key, signed = self.keys.get(entry.key), entry.canonical()
        whole = _same(sha256(signed).hexdigest(), entry.hash)
        if whole and key is not None and before is not None:
            whole = _same(audit.chained(key, before, signed), entry.chain)
        if self.key not in (None, entry.key) and entry.what != "key_changed":
            whole = False  # another key says so first
        if not whole:
            yield _finding("altered", number)
        elif key is None:
            yield _finding("key", number, more=f"key {entry.key}")
        elif entry.what == "log_broken":
            yield _finding("broken", number, more=entry.details)

    def begin(self, checkpoints: Sequence[Row]) -> Iterator[Finding]:
        """Take the newest of what retention left as the start."""
        for row in checkpoints:
            texts = {name: str(row[name]) for name in Checkpoint.__dataclass_fields__ if name != "sequence"}
            point = Checkpoint(row["sequence"], **texts)
            key = self.keys.get(point.key)
            if key is None:
                yield _finding("key", 1, point.sequence, more=f"key {point.key}")
            elif not _same(key.sign(point.canonical()), point.signature):
                yield _finding("checkpoint", 1, point.sequence)
            self.start = Head(point.sequence, point.chain)

    def anchored(self, anchor: Anchor) -> Iterator[Finding]:
        """What is wrong by what somebody outside knows. What retention removed since is not compared."""
        number, last = anchor.head.sequence, max(self.start.sequence, self.last)
        if number > last:
            yield _finding("truncated", last + 1, number, more=f"{anchor.by} knows of {number}")
        elif number >= max(self.start.sequence, 1):
            there = self.start if number == self.start.sequence else self.seen.get(number)
            if there is not None and not _alike(there, anchor.head):
                yield _finding("replaced", number, more=f"{anchor.by} knows another")


def _verified(
    entries: Iterable[Row], points: Sequence[Row], keys: Sequence[Key], anchors: Sequence[Anchor], notes: list[str]
) -> Verification:
    reading = _Reading({key.name: key for key in keys}, wanted=frozenset(one.head.sequence for one in anchors))
    found = [*reading.begin(points), *reading.entries(entries)]
    for anchor in anchors:
        found += reading.anchored(anchor)
    return Verification(reading.count, reading.first, reading.last, tuple(_joined(found)), tuple(notes))


def _alike(one: Head, other: Head) -> bool:
    """Whether they know the same entry; the hash, where both have it."""
    return _same(one.chain, other.chain) and (not one.hash or not other.hash or _same(one.hash, other.hash))


def _same(one: str, other: str) -> bool:
    return compare_digest(one.encode(), other.encode("utf-8", "replace"))


def _finding(kind: str, first: int, last: int = 0, *, more: str = "") -> Finding:
    return Finding(kind, first, max(first, last), more)


def _joined(found: Sequence[Finding]) -> Iterator[Finding]:
    """Neighbours of one kind as one, each with its sentence."""
    runs: list[Finding] = []
    for one in sorted(dict.fromkeys(found), key=lambda f: (f.kind, f.words, f.first)):
        if runs and (runs[-1].kind, runs[-1].words) == (one.kind, one.words) and one.first <= runs[-1].last + 1:
            runs[-1] = replace(runs[-1], last=max(runs[-1].last, one.last))
        else:
            runs.append(one)
    for run in sorted(runs, key=lambda f: (f.first, f.last)):
        many = run.last > run.first
        which = f"entries {run.first} to {run.last}" if many else f"entry {run.first}"
        said = KINDS[run.kind]
        verb = "" if said.startswith("{}:") else " are" if many else " is"
        yield replace(run, words=said.replace("{}", which + verb, 1) + (f" ({run.words})" if run.words else ""))
