"""An act of somebody that can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from connectors.state.audit import Act, append
from connectors.state.undo import Row, Scope, put_back, rows
from jobs.project.project import Project

__all__ = ["Scope", "Undo", "undoable"]


@dataclass(frozen=True)
class Undo:
    """What was done, in words, and the rows before and after it."""

    words: str
    scopes: tuple[Scope, ...]
    before: tuple[list[Row], ...]
    after: tuple[list[Row], ...]

    def apply(
        self, project: Project, *, by: str, now: datetime, then: Callable[[Connection, Undo], None] | None = None
    ) -> None:
        """Make it as it was, all of it or nothing. then: is done in the same transaction, afterwards.

        Raises StateError if somebody else changed it meanwhile.
        """
        with project.state.writing() as connection:
            for scope, before, after in zip(self.scopes, self.before, self.after, strict=True):
                put_back(connection, scope, before, after)
            rows = [{"table": scope.table, **dict(scope.where)} for scope in self.scopes]
            append(connection, project.state.keys, Act("undone", self.words, by, {"rows": rows}), now)
            if then is not None:
                then(connection, self)


def undoable(project: Project, words: str, scopes: Sequence[Scope], act: Callable[[], object]) -> Undo:
    """Do it, and keep how to take it back. scopes: the rows that it touches. Raises what the act raises."""
    before = _looked(project, scopes)
    act()
    return Undo(words, tuple(scopes), before, _looked(project, scopes))


def _looked(project: Project, scopes: Sequence[Scope]) -> tuple[list[Row], ...]:
    with project.state.reading() as connection:
        return tuple(rows(connection, scope) for scope in scopes)
