"""Options that verbs share, each declared once, and what they stand for: the project, the time, the person."""

from __future__ import annotations

import atexit
import gc
import getpass
import os
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from jobs.project.project import Project

# What is expected has been said in words on stderr; a dashboard's server, which nobody watches, logs from info on.
LOG_LEVEL = "error"

# Modules are hundreds of thousands of objects that all stay: looking for garbage among them is a sixth of a question.
LOADING, RUNNING = (50_000, 50, 50), gc.get_threshold()  # of the garbage collector

GRACE = 45.0  # seconds that a scheduler gives its runs to end by themselves: a sync sends messages for 40 s at most

OPENED: list[Project] = []  # the project of this run

ProjectOption = Annotated[
    str | None, typer.Option("--project", envvar="KPI_PROJECT", metavar="DIR", help="Project folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NowOption = Annotated[str | None, typer.Option("--now", metavar="TIMESTAMP", help="Set the clock: tests, replays.")]
ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who; default $USER.")]
GraceOption = Annotated[
    float, typer.Option("--grace", min=0, metavar="SECONDS", help="That a scheduler's runs have to end when it stops.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def open_project_at(folder: str | None, *, lenient: bool = False) -> Project:
    """The project that a verb works on."""
    from jobs.audit.acting import begin
    from jobs.project.log import set_up
    from jobs.project.project import open_project

    begin("command", who(None))
    opened = open_project(folder, lenient=lenient)
    OPENED[:] = [opened]
    gc.freeze()  # what is loaded by now
    atexit.register(gc.unfreeze)  # else what is left at the end is told as leaked
    gc.set_threshold(*RUNNING)
    set_up(format=opened.settings.log.format, level=opened.settings.log.level or LOG_LEVEL)
    return opened


def clock(text: str | None) -> datetime:
    """The time it is; `--now` sets it for the whole process."""
    from jobs.project.clock import set_clock, utc_now

    if text is None:
        return utc_now()
    at = moment(text)
    set_clock(at)
    return at


def moment(text: str) -> datetime:
    """A timestamp that was typed."""
    from jobs.project.clock import timestamp

    try:
        return timestamp(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no timestamp; write 2026-11-23 or 2026-11-23T06:00:00Z") from None


def who(name: str | None) -> str:
    """`--by`, or the machine's user."""
    try:
        return name or os.environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):  # a container without users
        return "somebody"
