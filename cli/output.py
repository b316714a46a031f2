"""How every verb prints: JSON, tables, errors."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import typer

from cli.options import OPENED
from connectors.errors import DamagedData, KpiError

if TYPE_CHECKING:
    from jobs.project.project import Project

log = logging.getLogger(__name__)


@contextmanager
def reported(debug: bool) -> Iterator[None]:
    """Errors become their text on stderr and exit status 1, unexpected ones go to the log; --debug: a traceback."""
    try:
        yield
    except KpiError as error:
        typer.echo(_traceback() if debug else f"kpi: {error}", err=True)
        raise typer.Exit(1) from None
    except (typer.Exit, typer.Abort, typer.BadParameter, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        from jobs.project.log import mask

        if debug:
            typer.echo(_traceback(), err=True)
            raise typer.Exit(1) from None
        log.exception("unexpected %s", type(error).__name__)
        typer.echo(mask(f"kpi: unexpected {type(error).__name__}: {error}\nReport it with the log above."), err=True)
        raise typer.Exit(1) from None


def _traceback() -> str:
    """Of the error that is handled, as Python prints it, without secrets."""
    from jobs.project.log import mask

    return mask(traceback.format_exc())


def verb(function: Callable[..., None], *, of: typer.Typer) -> Callable[..., None]:
    """A verb of the command, with errors reported. A trailing _ keeps Python's own names free."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> None:
        _warned.clear()
        OPENED.clear()
        with reported(bool(options.get("debug"))):
            try:
                try:
                    function(*args, **options)
                except DamagedData as error:  # found in the middle of reading; the generation before it is whole
                    if not error.again:
                        raise
                    function(*args, **options)
            finally:
                for project in OPENED:
                    for words in project.stood_in():
                        warn(words)
                    project.close()
                OPENED.clear()

    return of.command(function.__name__.rstrip("_"))(run)


def current_name(project: Project, name: str) -> str:
    """The name of today of a KPI; a former one is told on stderr. A name that nobody knows stays as it is."""
    new = project.renamed(name)
    if new:
        warn(f"{name} is now called {new}")
    return new or name


_warned: set[str] = set()


def warn(words: str) -> None:
    """One line on stderr, once in a run."""
    if words not in _warned:
        _warned.add(words)
        typer.echo(f"warning: {words}", err=True)


def print_json(value: Any, *, data: bool = False) -> None:
    """One line of JSON without secrets. data: a KPI's own values and segments, which are shown as they are."""
    from jobs.project.log import masked

    typer.echo(json.dumps(value if data else masked(value), indent=None, ensure_ascii=False))


def print_table(rows: list[dict[str, Any]], columns: list[str], *, data: bool = False) -> None:
    """Columns for people, without secrets. data: as for `print_json`."""
    from jobs.project.log import masked
    from metrics.presentation.table import as_table

    typer.echo(as_table(rows if data else masked(rows), columns), nl=False)


def print_rows(rows: list[dict[str, Any]], columns: list[str], *, as_json: bool, data: bool = False) -> None:
    """All that is known of rows for programs, these columns for people. data: as for `print_json`."""
    if as_json:
        print_json(rows, data=data)
    else:
        print_table(rows, columns, data=data)
