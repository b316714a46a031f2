"""The whole error tree on one page.

A KpiError is safe to show to a user: what is wrong, where, what is allowed, what to do. No secret is in it, whoever's
words it passes on: errors and problems are masked where they are made.
Anything else that escapes is our own bug; it goes to the log and `--debug`.
docs/errors.md lists every code; a test fails if one is missing there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from types import MappingProxyType

from connectors.secrets import mask


@dataclass(frozen=True, order=True)
class Problem:
    """One finding about one place of one definition file.

    file: path as the user knows it; line: 1-based, 0 if the whole file is meant.
    level: "error" (the definition cannot be used) or "warning" (it can, but look).
    """

    file: str
    line: int
    level: str
    code: str
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", mask(self.message))
        object.__setattr__(self, "hint", mask(self.hint))

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{place}: {self.level}: {self.message} [{self.code}]"
        return f"{text}\n    {self.hint}" if self.hint else text


class KpiError(Exception):
    """Safe to show to a user."""

    code = "kpi"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        message, where, hint = mask(message), mask(where), mask(hint)
        text = ": ".join(part for part in (where, message) if part)
        super().__init__(f"{text}\n{hint}" if hint else text)
        self.message, self.where, self.hint = message, where, hint

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross from worker processes as they are."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[KpiError], args: tuple[object, ...], fields: dict[str, object]) -> KpiError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class ProjectError(KpiError):
    """The project folder is missing, is no project, or cannot be made."""

    code = "project"


class SettingsError(KpiError):
    """settings.yml or sources.yml cannot be used."""

    code = "settings"


class DefinitionError(KpiError):
    """A KPI or dataset definition is wrong, so what it defines has no value."""

    code = "definition"

    def __init__(self, message: str, *, where: str = "", hint: str = "", problems: Iterable[Problem] = ()) -> None:
        super().__init__(message, where=where, hint=hint)
        self.problems = tuple(problems)


class UnknownName(KpiError):
    """A KPI, source, dimension, segment or grain that does not exist was asked for."""

    code = "unknown_name"


class QueryRefused(KpiError):
    """The question has no exact answer here, so none is given; the text says what to ask instead."""

    code = "refused"


class NotComputed(KpiError):
    """A KPI has no values yet that everybody may see: its definition came after the last sync, or failed in it."""

    code = "not_computed"


class Withheld(KpiError):
    """The role of whoever asks sees no value of this KPI, or may not do this."""

    code = "withheld"


class TransformError(KpiError):
    """A pandas transform failed or returned something unusable."""

    code = "transform"


class SourceError(KpiError):
    """A source could not be pulled. `retryable` says whether trying again unchanged can help."""

    code = "source"

    def __init__(self, message: str, *, where: str = "", hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, where=where, hint=hint)
        self.retryable = retryable


class LoadError(KpiError):
    """Pulled rows do not fit the table they belong to."""

    code = "load"


class NoData(KpiError):
    """Nothing was synced yet, so there is no generation to read."""

    code = "no_data"


class UnknownGeneration(KpiError):
    """`--as-of` names a generation that never was published."""

    code = "unknown_generation"


class SyncRunning(KpiError):
    """Another process is loading data into the same project."""

    code = "sync_running"


class DiskFull(KpiError):
    """There is no room for a new generation. The live one is untouched."""

    code = "disk_full"


class DamagedData(KpiError):
    """What was published is damaged or gone. again: whoever asks once more is given an earlier generation."""

    code = "damaged"

    def __init__(self, message: str, *, where: str = "", hint: str = "", again: bool = False) -> None:
        super().__init__(message, where=where, hint=hint)
        self.again = again


class FolderError(KpiError):
    """A file or folder of the project's data cannot be read or written by this process; it may be whole."""

    code = "folder"


class BackupError(KpiError):
    """A backup cannot be made, is damaged, or would overwrite something."""

    code = "backup"


class UpgradeError(KpiError):
    """A project cannot be taken to this version, or back. It is as it was."""

    code = "upgrade"


class ScheduleError(KpiError):
    """There are no scheduling lines for what was asked."""

    code = "schedule"


class StateError(KpiError):
    """The state store (incidents, silences, messages) cannot be read or written."""

    code = "state"


class SnapshotError(KpiError):
    """A week cannot be taken, shown or sent: it is not over, has no data, or was not taken."""

    code = "snapshot"


class ContactError(KpiError):
    """A contact point or webhook does not exist, or its address cannot be used."""

    code = "contact"


class OutboundRefused(KpiError):
    """A source, contact point or webhook names an address that this server may not connect to (`outbound_hosts`)."""

    code = "outbound"


class WarehouseError(KpiError):
    """The engine refused a statement; the text names the definition that caused it."""

    code = "warehouse"


class EngineFailed(WarehouseError):
    """The engine that has a project's rows does not answer, or has changed meanwhile: a sync publishes nothing then."""

    code = "engine"


class QueryLimit(KpiError):
    """A computation took more time or memory than it may, or answered with too much; it was ended, the others go on."""

    code = "query_limit"


MOST_LISTED = 40  # of known names; of more the nearest are told


def counted(count: int, one: str, several: str = "") -> str:
    """`1 row`, `2 rows`, `0 rows`. several: the word where it is not the one with an s."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


NO_OTHERS: Mapping[str, str] = MappingProxyType({})


def nearest(name: str, known: Sequence[str], most: int = 1) -> list[str]:
    """The known names that are most like this one, the nearest first; empty if none is."""
    small = {item.lower(): item for item in reversed(known)}
    return [small[found] for found in get_close_matches(name.lower(), small, n=most)]


def did_you_mean(name: str, known: Sequence[str], renamed: Mapping[str, str] = NO_OTHERS) -> str:
    """A hint that names the nearest known name, then all of them; of many the nearest first.

    renamed: what was called so once → its name of today.
    """
    close = nearest(name, known)
    shown = list(known)
    if len(known) > MOST_LISTED:
        shown = sorted(known, key=lambda item: -SequenceMatcher(None, name.lower(), item.lower()).ratio())[:MOST_LISTED]
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    listed = ", ".join(shown) + more if known else "none"
    if name in renamed:
        return f"It is called '{renamed[name]}' now. Known: {listed}."
    return (f"Did you mean '{close[0]}'? " if close else "") + f"Known: {listed}."


def require(
    name: str, known: Sequence[str], *, kind: str, where: str = "", renamed: Mapping[str, str] = NO_OTHERS
) -> None:
    """Raise UnknownName unless `name` is one of `known`. renamed: as of `did_you_mean`."""
    if name not in known:
        raise UnknownName(f"unknown {kind} '{name}'", where=where, hint=did_you_mean(name, known, renamed))
