"""scheduler and due: syncs and what is due between them, by themselves."""

from __future__ import annotations

import signal
import threading
from functools import partial

import typer

from cli.options import (
    GRACE,
    ByOption,
    DebugOption,
    GraceOption,
    JsonOption,
    NowOption,
    ProjectOption,
    clock,
    open_project_at,
    who,
)
from cli.output import print_json, verb

app = typer.Typer()


@partial(verb, of=app)
def scheduler(
    project: ProjectOption = None, grace: GraceOption = GRACE, now: NowOption = None, debug: DebugOption = False
) -> None:
    """Sync by `sync_every`, and between syncs judge alerts, take snapshots, send messages. Of several, one leads.

    example: kpi scheduler --project shop
    """
    from jobs.project.log import set_up
    from jobs.scheduler.scheduler import Scheduler

    opened = open_project_at(project)
    set_up(format=opened.settings.log.format, level=opened.settings.log.level or "info")
    clock(now)
    stop = threading.Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: stop.set())
    Scheduler(opened).run(stop, grace)


@partial(verb, of=app)
def due(
    project: ProjectOption = None,
    json_: JsonOption = False,
    by: ByOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Do what is due between two syncs: judge alerts, read launches, take and send snapshots, send messages.

    example: kpi due --project shop
    """
    from jobs.afterwards import between
    from jobs.audit.acting import begin

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it lets go of what it was doing
    opened = open_project_at(project)
    begin("command", who(by))
    told = between(opened, now=clock(now))
    if json_:
        print_json({"told": told.lines, "failed": told.failed})
    elif not told.lines:
        typer.echo("done; nothing to tell")
    for line in told.lines:
        typer.echo(f"kpi: {line}", err=True)
    raise typer.Exit(1 if told.failed else 0)
