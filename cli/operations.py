"""run, status, sources, backup, restore, doctor, schedule: what keeps an installation running."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.options import GRACE, DebugOption, GraceOption, JsonOption, NowOption, ProjectOption, clock, open_project_at
from cli.output import print_json, print_rows, print_table, verb, warn
from connectors.errors import counted

app = typer.Typer()


@partial(verb, of=app)
def run(
    project: ProjectOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard.")] = 8501,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    allow_open: Annotated[
        bool, typer.Option("--allow-open", help="Others may look without a sign-in: a proxy keeps strangers out.")
    ] = False,
    with_scheduler: Annotated[
        bool, typer.Option("--with-scheduler", help="Also sync, and do what is due between syncs: `kpi scheduler`.")
    ] = False,
    grace: GraceOption = GRACE,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Serve the dashboard.

    example: kpi run --project shop --port 8600
    """
    opened = open_project_at(project)
    from jobs.operations.serve import serve

    clock(now)  # the server, a process of its own, inherits it
    beside = grace if with_scheduler else None
    raise typer.Exit(serve(opened, host=host, port=port, allow_open=allow_open, scheduler_grace=beside))


@partial(verb, of=app)
def status(
    project: ProjectOption = None, json_: JsonOption = False, now: NowOption = None, debug: DebugOption = False
) -> None:
    """Print the live generation, and how fresh each dataset and source is.

    example: kpi status --json
    """
    from jobs.operations.status import status as read

    found = read(open_project_at(project), now=clock(now))
    if json_:
        print_json(found)
        return
    typer.echo(f"generation {found['generation'] or 'none yet'}, published {found['published_at'] or 'never'}")
    print_table(found["datasets"], ["name", "watermark", "state", "rows"])
    print_table(found["sources"], ["name", "state", "last_success", "error"])
    if found["scheduler"]:
        typer.echo(f"scheduler {found['scheduler']['leader'] or 'none runs'}, seen {found['scheduler']['seen_at']}")
        print_table(found["scheduler"]["jobs"], ["job", "state", "started_at", "failures", "next_at", "error"])
    for words in found["warnings"]:
        warn(words)


@partial(verb, of=app)
def sources(project: ProjectOption = None, json_: JsonOption = False, debug: DebugOption = False) -> None:
    """List the source types, each with an example and its options.

    example: kpi sources
    """
    from jobs.operations.source_types import by_type, source_options

    rows = source_options()
    if json_:
        print_json(rows, data=True)
        return
    for name, example, options in by_type(rows):
        typer.echo(f"{name}\n{example}\n" if example else name)
        print_table(options, ["option", "default", "description"], data=True)
        typer.echo()


@partial(verb, of=app)
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE.zip|DIR", help="New file or folder.")],
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Put definitions and live data into one file or folder, and verify it.

    example: kpi backup shop-2026-11-23.zip --project shop
    """
    from jobs.operations.backup import backup as run_backup

    made = run_backup(open_project_at(project, lenient=True), target, now=clock(now))
    size = f"{made.size / (1 << 20):,.1f} MB"
    typer.echo(
        f"{target}: {counted(len(made.files), 'file')}, {size}, generation {made.generation or 'none'}, verified"
    )


@partial(verb, of=app)
def restore(
    origin: Annotated[Path, typer.Argument(metavar="FILE.zip|DIR", help="What `kpi backup` made.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New folder of the project.")],
    trust_transforms: Annotated[
        bool, typer.Option("--trust-transforms", help="Its transforms, which are programs, may run here.")
    ] = False,
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Make a project folder from a backup, checked in whole first.

    example: kpi restore shop-2026-11-23.zip shop
    """
    from jobs.operations.backup import restore as run_restore

    def trusted(names: Sequence[str]) -> bool:
        asked = f"{origin} holds programs that a sync and the pages run: {', '.join(names)}. Do you trust who made it?"
        return trust_transforms or (sys.stdin.isatty() and typer.confirm(asked, err=True))

    made = run_restore(origin, directory, trusted)
    typer.echo(f"{directory}: {counted(len(made.files), 'file')}, generation {made.generation or 'none'}")
    typer.echo(f"Next: kpi run --project {directory}")


@partial(verb, of=app)
def upgrade(
    back: Annotated[bool, typer.Option("--back", help="Put the data of before the last upgrade in its place.")] = False,
    state_saved: Annotated[
        bool, typer.Option("--state-saved", help="The database of `state` was backed up by its own means.")
    ] = False,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Take the project to this version: tried on a copy, backed up, then migrated; or go back.

    example: kpi upgrade --project shop
    """
    from jobs.operations.upgrade import back as run_back
    from jobs.operations.upgrade import upgrade as run_upgrade

    opened, at = open_project_at(project), clock(now)
    done = run_back(opened, now=at) if back else run_upgrade(opened, now=at, state_saved=state_saved)
    if json_:
        print_json({**done.__dict__, "backup": str(done.backup)})
        return
    store = f"state store {done.before or 'none'} to {done.after or 'none'}, generation {done.generation or 'none'}"
    typer.echo(f"{'back: ' if back else ''}{store}; backup {done.backup}")
    if back:
        typer.echo("Next: install the version of before, and start it. Until then run no other verb.")


@partial(verb, of=app)
def doctor(
    project: ProjectOption = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every generation and the state store in whole.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put damaged files aside, make the newest good generation live.")
    ] = False,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Check what a sync and the dashboard need; say what to do.

    example: kpi doctor --deep --project shop
    """
    from jobs.operations.doctor import FAILED
    from jobs.operations.doctor import doctor as examine

    rows = list(examine(open_project_at(project, lenient=True), deep=deep, repair=repair, now=clock(now)))
    print_rows(rows, ["check", "state", "detail", "todo"], as_json=json_)
    raise typer.Exit(1 if any(row["state"] == FAILED for row in rows) else 0)


@partial(verb, of=app)
def schedule(
    kind: Annotated[str, typer.Argument(metavar="cron|systemd|github")] = "cron",
    every: Annotated[str, typer.Option(help="How often, such as 15 min, 1h or 1d.")] = "1d",
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Print the lines that make a machine sync by itself.

    example: kpi schedule systemd --every 1h --project shop
    """
    from jobs.operations.schedule import schedule as lines

    typer.echo(lines(open_project_at(project), kind, every), nl=False)
