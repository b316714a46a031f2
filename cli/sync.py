"""sync and demo: fill a project, with progress."""

from __future__ import annotations

import json
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import ByOption, DebugOption, JsonOption, NowOption, ProjectOption, clock, open_project_at, who
from cli.output import print_json, print_table, verb, warn
from connectors.errors import counted

if TYPE_CHECKING:
    from metrics.engine.explain import Explained

app = typer.Typer()
QUIET = 10.0  # seconds between two lines of progress in a log: what is done by then says nothing
LONGEST_VALUE = 24  # letters of a value that a dry run shows


@partial(verb, of=app)
def sync(
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Default: all.")] = None,
    project: ProjectOption = None,
    full: Annotated[bool, typer.Option("--full", help="Pull everything again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Pull, show the first rows, publish nothing.")] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin without what was published, where none of it can be read.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what was read, for which KPIs, and what that took.")
    ] = False,
    json_: JsonOption = False,
    events: Annotated[bool, typer.Option("--events", help="Progress as JSON lines on stderr.")] = False,
    by: ByOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Pull the sources, load, compute all values and publish one generation.

    example: kpi sync app_sessions
    """
    from jobs.audit.acting import begin
    from jobs.sync import sync as run_sync

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it lets go of what it was making
    opened, explained = open_project_at(project), _explained() if explain else None
    begin("command", who(by))
    steps = run_sync(opened, sources or [], full=full, dry_run=dry_run, anew=anew, explained=explained, now=clock(now))
    result = _follow(steps, events)
    if json_:
        print_json(result.as_dict() | ({"plan": explained.as_dict()} if explained else {}))
    else:
        rows = [r.as_dict() for r in result.sources]
        print_table(rows, ["name", "status", "rows", "quarantined", "seconds"])
        stays = "nothing published; live stays" if result.failed else "nothing new; live stays"
        made = "published" if result.published else stays
        typer.echo(f"{made} {result.generation or 'nothing'} in {result.seconds:.1f} s")
        for name, sample in result.samples.items():
            typer.echo(f"\n{name}: {counted(len(sample.columns), 'column')}, and its first rows")
            first = [[row[column][:LONGEST_VALUE] for row in sample.rows] for column in sample.columns]
            told = zip(sample.columns.items(), first, strict=True)
            rows = [{"column": c, "type": kind, "first": " | ".join(values)} for (c, kind), values in told]
            print_table(rows, ["column", "type", "first"])
        if explained:
            _print_plan(explained.as_dict())
    for words in result.warnings:
        warn(words)
    for run_ in result.sources:
        for text in filter(None, (run_.error, *run_.notes)):
            typer.echo(text, err=True)
    for line in (*map(str, result.problems), *result.alerts):
        typer.echo(line, err=True)
    raise typer.Exit(1 if result.failed else 0)


def _explained() -> Explained:
    from metrics.engine.explain import Explained  # with all that computes

    return Explained()


def _print_plan(plan: dict[str, Any]) -> None:
    """What a refresh read: scans that KPIs shared, roll-ups, then what each asked for alone, the costliest first."""
    typer.echo("\nread for several KPIs at once")
    scans = [_of_several(scan) for scan in plan["scans"]]
    print_table(scans, ["dataset", "what", "from", "to", "by", "counts", "kpis", "statements", "seconds"])
    typer.echo("\nkept for filters and the next sync")
    rollups = [_of_several(rollup) for rollup in plan["rollups"]]
    print_table(rollups, ["dataset", "what", "state", "from", "to", "by", "counts", "kpis", "seconds"])
    typer.echo("\nread for one KPI")
    kpis = [
        {**one, "days": ", ".join(f"{a} to {b or 'now'}" for a, b in one["touched"]) or "all"}
        for one in sorted(plan["kpis"], key=lambda one: -one["seconds"])
    ]
    print_table(kpis, ["kpi", "days", "statements", "seconds"])


def _of_several(read: dict[str, Any]) -> dict[str, Any]:
    named = {"kpis": len(read["kpis"]), "by": ", ".join(read["dimensions"])}
    return {**read, **named, "from": read["start"], "to": read["end"]}


@partial(verb, of=app)
def demo(
    directory: Annotated[str | None, typer.Argument(metavar="DIR", help="Default: the repository's project.")] = None,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Make and fill the demo project; does nothing if today's is there.

    example: kpi demo
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from jobs.demo import demo as run_demo
    from jobs.demo import demo_project

    result = _follow(run_demo(demo_project(directory or project), now=clock(now)))
    typer.echo(
        f"demo: generation {result.generation} in {result.seconds:.1f} s"
        if result.published
        else f"demo: generation {result.generation} is up to date"
    )
    raise typer.Exit(1 if result.failed else 0)


def _follow(steps: Any, events: bool = False) -> Any:
    """Draw a sync's progress as a bar on a terminal, as lines elsewhere, or as JSON lines; return its result."""
    from jobs.project.pace import Progress, time_left

    bar, result, told = sys.stderr.isatty() and not events, None, time.monotonic()
    for step in steps:
        if not isinstance(step, Progress):
            result = step
            continue
        left = time_left(step.left)
        words = f"{step.text}, {left}" if left else step.text
        if events:
            typer.echo(json.dumps(step.__dict__), err=True)
        elif bar:
            filled = round(24 * step.done / max(step.total, 1))
            typer.echo(f"\r\033[K{'━' * filled}{'─' * (24 - filled)} {words}", err=True, nl=False)
        elif time.monotonic() - told >= QUIET:
            told = time.monotonic()
            typer.echo(f"{step.done} of {step.total}  {words}", err=True)
    if bar:
        typer.echo("\r\033[K", err=True, nl=False)
    return result
