"""What every verb of the `kpi` command shares: its options, its errors, how it prints."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.errors import KpiError

if TYPE_CHECKING:
    from jobs.project.project import Project

ProjectOption = Annotated[
    str | None, typer.Option("--project", envvar="KPI_PROJECT", metavar="DIR", help="Project folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NowOption = Annotated[str | None, typer.Option("--now", metavar="TIMESTAMP", help="Set the clock: tests, replays.")]
ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who; default $USER.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@contextmanager
def reported(debug: bool) -> Iterator[None]:
    """A KpiError becomes its text on stderr and exit status 1; anything else too, unless --debug."""
    try:
        yield
    except KpiError as error:
        if debug:
            raise
        typer.echo(f"kpi: {error}", err=True)
        raise typer.Exit(1) from None
    except (typer.Exit, typer.Abort, typer.BadParameter, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            raise
        typer.echo(f"kpi: unexpected {type(error).__name__}: {error}\nRun again with --debug and report it.", err=True)
        raise typer.Exit(1) from None


def verb(function: Callable[..., None], *, of: typer.Typer) -> Callable[..., None]:
    """A verb of the command, with errors reported. A trailing _ keeps Python's own names free."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> None:
        with reported(bool(options.get("debug"))):
            function(*args, **options)

    return of.command(function.__name__.rstrip("_"))(run)


def open_project_at(folder: str | None, *, lenient: bool = False) -> Project:
    """The project that a verb works on."""
    from jobs.project.project import open_project

    return open_project(folder, lenient=lenient)


def clock(text: str | None) -> datetime:
    """The time it is; `--now` sets it for the whole process."""
    from jobs.project.project import set_clock, utc_now

    if text is None:
        return utc_now()
    at = moment(text)
    set_clock(at)
    return at


def moment(text: str) -> datetime:
    """A timestamp that was typed."""
    from jobs.project.project import timestamp

    try:
        return timestamp(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no timestamp; write 2026-11-23 or 2026-11-23T06:00:00Z") from None


def print_json(value: Any) -> None:
    """One line of JSON."""
    typer.echo(json.dumps(value, indent=None, ensure_ascii=False))


def print_table(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Columns for people."""
    from metrics.presentation.table import as_table

    typer.echo(as_table(rows, columns), nl=False)


def who(name: str | None) -> str:
    """`--by`, or the machine's user."""
    try:
        return name or os.environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):  # a container without users
        return "somebody"
