"""How much people may put into the state store, whatever page or command it came by: letters, rows, rows a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, select

from connectors.errors import StateError

MINUTE = timedelta(minutes=1)
LONGEST_NAME = 400  # letters of whatever is a name: who, which rule, which segment


@dataclass(frozen=True)
class Limit:
    """Of one table. letters: of each text; rows: in all; each: of one thing (a launch, a week); a_minute: in all."""

    what: str
    at: str  # the column that says when
    letters: int
    rows: int
    each: int
    a_minute: int = 120


LIMITS = {
    "launches": Limit("launches", "changed_at", 20_000, 1_000, 1),
    "launch_decisions": Limit("decisions", "decided_at", 5_000, 5_000, 100),
    "snapshot_notes": Limit("notes", "created_at", 2_000, 5_000, 50),
    "alert_silences": Limit("silences", "created_at", LONGEST_NAME, 1_000, 1_000),
    "service_tokens": Limit("tokens", "created_at", LONGEST_NAME, 1_000, 100),
    "alert_normals": Limit("new normals", "created_at", LONGEST_NAME, 5_000, 200),
}


def admit(
    connection: Connection,
    table: Table,
    row: Mapping[str, Any],
    of: Mapping[str, Any],
    now: datetime,
    *,
    new: bool = True,
) -> None:
    """Let one more row into a table, in the transaction that writes it. of: column → value of the thing it is about.
    new: False for one that is replaced.

    Raises StateError that names the limit; then nothing is written.
    """
    limit = LIMITS[table.name]
    for name, value in row.items():
        most = limit.letters if name in ("text", "why") else LONGEST_NAME
        if isinstance(value, str) and len(value) > most:
            raise StateError(f"`{name}` has {len(value):,} letters; {most:,} are the most", hint="Write less.")
    count = select(func.count()).select_from(table)
    same = count.where(*(table.c[name] == value for name, value in of.items()))
    if limit.each > 1 and connection.execute(same).scalar_one() >= limit.each:
        raise StateError(f"there are {limit.each:,} {limit.what} of it, and no more fit", hint="Remove what is old.")
    if new and connection.execute(count).scalar_one() >= limit.rows:
        raise StateError(f"there are {limit.rows:,} {limit.what}, and no more fit", hint="Remove what is old.")
    lately = count.where(table.c[limit.at] > now - MINUTE, table.c[limit.at] <= now)
    if connection.execute(lately).scalar_one() >= limit.a_minute:
        raise StateError(
            f"{limit.a_minute} {limit.what} were written within a minute, and no more are taken in it",
            hint="Wait a minute and try again.",
        )
