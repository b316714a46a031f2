"""The audit in the state store: entries that are only ever added, each chained to the one before by a key.

hash: of what an entry says. chain: HMAC over the chain of the entry before and that, so who has no key can neither
change, take out, put in nor move one without a trace. Sequences have no gaps: a number is a count, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any

from sqlalchemy import Connection, Index, PrimaryKeyConstraint, String, and_, delete, func, insert, or_, select

from connectors.secrets import mask, masked
from connectors.state import acting
from connectors.state.audit_keys import HEAD_NOTE, AuditKeys, Head, Key
from connectors.state.tables import Label, Name, Segment, cells, read, rows, table

Stamp = Annotated[str, String(27)]  # 2026-11-23T02:30:07.123456Z: as it is signed, and in the order of time
Digest = Annotated[str, String(64)]
Word = Annotated[str, String(30)]
WHATS = {  # what is recorded → in words
    "signed_in": "signed in",
    "sign_in_refused": "was refused at sign-in",
    "exported": "took a file",
    "acknowledged": "acknowledged an incident",
    "silenced": "silenced a rule",
    "marked": "marked an incident",
    "new_normal": "called a level normal",
    "undone": "took an act back",
    "launch_added": "added a launch",
    "launch_changed": "changed a launch",
    "launch_removed": "removed a launch",
    "launch_decided": "decided about a launch",
    "snapshot_taken": "took a snapshot",
    "snapshot_noted": "wrote a note beside a snapshot",
    "snapshot_sent": "sent a snapshot",
    "source_added": "added a source",
    "token_created": "created a service token",
    "token_revoked": "revoked a service token",
    "sync_began": "began a sync",
    "sync_ended": "ended a sync",
    "definition_changed": "published a changed definition",
    "key_changed": "signs with another key from here on",
    "log_broken": "found entries missing or replaced",
    "trimmed": "removed old entries",
}
LONGEST = {"who": 200, "role": 100, "subject": 400}
MOST_DETAILS = 4_000  # letters
AT_A_TIME = 1_000  # entries that are read


@dataclass(frozen=True)
class Act:
    """What is to be recorded. what: one of WHATS. details: plain values, never a secret.

    via: by which way, one of acting.WAYS; empty = that of this process.
    """

    what: str
    subject: str
    who: str
    details: Mapping[str, Any] = field(default_factory=dict)
    via: str = ""


@dataclass(frozen=True)
class Entry:
    """What somebody did. details: JSON. key: name of the key that signed it."""

    sequence: int
    at: Stamp
    who: Label
    role: Name
    via: Word
    what: Word
    subject: Segment
    details: str
    key: Word
    hash: Digest
    chain: Digest

    def canonical(self) -> bytes:
        """What is signed."""
        said = [self.sequence, self.at, self.who, self.role, self.via, self.what, self.subject, self.details, self.key]
        return json.dumps(said, ensure_ascii=True, separators=(",", ":")).encode()


ENTRIES = table(
    "audit_entries",
    Entry,
    PrimaryKeyConstraint("sequence"),
    Index("ix_audit_entries_what", "what", "subject"),
    Index("ix_audit_entries_at", "at"),
)


@dataclass(frozen=True)
class Checkpoint:
    """All entries up to this one were removed by retention. chain: of the last of them. signature: of all this."""

    sequence: int
    at: Stamp
    chain: Digest
    key: Word
    signature: Digest

    def canonical(self) -> bytes:
        """What is signed: never what an entry's chain could be."""
        return json.dumps(["checkpoint", self.sequence, self.at, self.chain, self.key]).encode()


CHECKPOINTS = table("audit_checkpoints", Checkpoint, PrimaryKeyConstraint("sequence"))


def stamp(at: datetime) -> str:
    """A moment as entries have it."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def chained(key: Key, before: str, canonical: bytes) -> str:
    """The chain of an entry after another one; `before` is empty for the first."""
    return key.sign(before.encode() + b"\n" + canonical)


def head(connection: Connection) -> Head | None:
    """The last entry, also where retention removed it; None before the first."""
    last = select(ENTRIES.c.sequence, ENTRIES.c.chain, ENTRIES.c.hash).order_by(ENTRIES.c.sequence.desc())
    point = select(CHECKPOINTS.c.sequence, CHECKPOINTS.c.chain).order_by(CHECKPOINTS.c.sequence.desc())
    found = connection.execute(last.limit(1)).first() or connection.execute(point.limit(1)).first()
    return Head(*found) if found is not None else None


def append(connection: Connection, keys: AuditKeys, act: Act, at: datetime) -> Entry:
    """Add an entry, in the writing transaction of what it is about: both are kept, or neither. Raises StateError.

    Before it, what is found out about the log is recorded: that it signs with another key, or is not as it was left.
    """
    key, last = keys.current(), head(connection)
    before = _key_of(connection, last.sequence) if last is not None else ""
    told = [Act("key_changed", "audit", "", {"old": before, "new": key.name}, "system")]
    told = told if before not in ("", key.name) else []
    if lost := _lost(connection, keys.head(), last):
        told.append(Act("log_broken", "audit", "", lost, "system"))
    for one in (*told, act):
        made = _put(connection, key, last, one, at)
        last = Head(made.sequence, made.chain, made.hash)
    connection.info[HEAD_NOTE] = last  # noted outside of the store once it is committed
    return made


def _put(connection: Connection, key: Key, last: Head | None, act: Act, at: datetime) -> Entry:
    assert act.what in WHATS and (act.via or acting.way()) in acting.WAYS
    details = json.dumps(masked(dict(act.details)), ensure_ascii=False, sort_keys=True, default=str)
    if len(details) > MOST_DETAILS:  # JSON all the same
        details = json.dumps({"cut": details[: MOST_DETAILS - 100]}, ensure_ascii=False)
    said = {
        "who": act.who,
        "role": acting.role() if act.via in ("", "page", "api") else "",
        "subject": act.subject,
    }
    clean = {name: _clean(mask(text))[: LONGEST[name]] for name, text in said.items()}
    made = Entry(
        sequence=(last.sequence if last else 0) + 1,
        at=stamp(at),
        via=act.via or acting.way(),
        what=act.what,
        details=_clean(details),
        key=key.name,
        hash="",
        chain="",
        **clean,
    )
    signed = made.canonical()
    chain = chained(key, last.chain if last else "", signed)
    made = Entry(**{**vars(made), "hash": sha256(signed).hexdigest(), "chain": chain})
    connection.execute(insert(ENTRIES).values(**cells(made)))
    return made


def _clean(text: str) -> str:
    """What every store keeps as it is: no NUL, no half of a letter."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


def _lost(connection: Connection, known: Head | None, last: Head | None) -> dict[str, Any]:
    """What is wrong where the log is not as this machine left it; empty if it is."""
    if known is None:
        return {}
    if last is None or last.sequence < known.sequence:
        return {"written": known.sequence, "found": last.sequence if last else 0}
    there = chain_at(connection, known.sequence)
    return {} if there in ("", known.chain) else {"written": known.sequence, "found": "another entry of that number"}


def chain_at(connection: Connection, sequence: int) -> str:
    """The chain of one entry; empty where it is not there: removed by retention, or not yet written."""
    found: str | None = connection.execute(select(ENTRIES.c.chain).where(ENTRIES.c.sequence == sequence)).scalar()
    return found or ""


def _key_of(connection: Connection, sequence: int) -> str:
    """The name of the key that signed an entry; empty where retention removed it."""
    found: str | None = connection.execute(select(ENTRIES.c.key).where(ENTRIES.c.sequence == sequence)).scalar()
    return found or ""


def is_recorded(connection: Connection, what: str, subject: str) -> bool:
    """Whether there is an entry of that kind about that."""
    query = select(ENTRIES.c.sequence).where(ENTRIES.c.what == what, ENTRIES.c.subject == subject).limit(1)
    return connection.execute(query).first() is not None


def count_since(connection: Connection, what: str, since: datetime) -> int:
    """Entries of that kind from a moment on."""
    query = select(func.count()).select_from(ENTRIES).where(ENTRIES.c.what == what, ENTRIES.c.at >= stamp(since))
    return int(connection.execute(query).scalar_one())


@dataclass(frozen=True)
class Search:
    """Which entries. text: anywhere in who, subject or details. since, until: half-open; before: a sequence."""

    who: str = ""
    what: str = ""
    subject: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int = 0


def found(connection: Connection, search: Search, limit: int) -> list[Entry]:
    """Entries, the latest first, so many at the most. Letters of either size are the same."""
    c, terms = ENTRIES.c, []
    for column, said in ((c.who, search.who), (c.subject, search.subject)):
        terms += [_has(column, said)] if said else []
    terms += [c.what == search.what] if search.what else []
    terms += [or_(*(_has(column, search.text) for column in (c.who, c.subject, c.details)))] if search.text else []
    terms += [c.at >= stamp(search.since)] if search.since else []
    terms += [c.at < stamp(search.until)] if search.until else []
    terms += [c.sequence < search.before] if search.before else []
    return read(connection, select(ENTRIES).where(and_(True, *terms)).order_by(c.sequence.desc()).limit(limit), Entry)


def _has(column: Any, said: str) -> Any:
    return func.lower(column).contains(said.lower(), autoescape=True)


def count(connection: Connection) -> int:
    """How many entries there are now."""
    return int(connection.execute(select(func.count()).select_from(ENTRIES)).scalar_one())


def every(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """All entries in order, as they lie there: whatever somebody has made of them. Some at a time are in memory."""
    query = select(ENTRIES).order_by(ENTRIES.c.sequence)
    for row in connection.execute(query, execution_options={"yield_per": AT_A_TIME}):
        yield dict(row._mapping)


def checkpoints(connection: Connection) -> list[dict[str, Any]]:
    """What retention left, in order, as it lies there."""
    return [dict(row._mapping) for row in rows(connection, select(CHECKPOINTS).order_by(CHECKPOINTS.c.sequence))]


def first_since(connection: Connection, at: datetime) -> int | None:
    """The number of the first entry that is not older than that; None if all are."""
    query = select(func.min(ENTRIES.c.sequence)).where(ENTRIES.c.at >= stamp(at))
    found: int | None = connection.execute(query).scalar()
    return found


def trim(connection: Connection, keys: AuditKeys, through: int, at: datetime) -> None:
    """Remove the entries up to one, by number, and leave what the rest is verified from. Raises StateError.

    Who calls it has verified them: afterwards nobody can.
    """
    key, chain = keys.current(), chain_at(connection, through)
    bare = Checkpoint(through, stamp(at), chain, key.name, "")
    made = Checkpoint(**{**vars(bare), "signature": key.sign(bare.canonical())})
    connection.execute(insert(CHECKPOINTS).values(**cells(made)))
    connection.execute(delete(ENTRIES).where(ENTRIES.c.sequence <= through))
