"""The `kpi` command: parses, calls a job, prints. docs/cli.md is its reference."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import alerts, launch, snapshot
from cli.options import (
    DebugOption,
    JsonOption,
    NowOption,
    ProjectOption,
    clock,
    open_project_at,
    print_json,
    print_table,
    verb,
)

if TYPE_CHECKING:
    from metrics.engine.query import Query

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="KPIs from the shell. Exit status: 0 good, 1 what you asked about is wrong, 2 wrong usage.",
)


@app.callback()
def _before_the_verb(project: ProjectOption = None) -> None:
    if project:  # `kpi --project DIR VERB` is `kpi VERB --project DIR`
        os.environ["KPI_PROJECT"] = project


@partial(verb, of=app)
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project.")],
    from_: Annotated[str | None, typer.Option("--from", metavar="FILE-or-URL", help="Propose KPIs from this.")] = None,
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Make a new project folder; with --from, propose source, dataset and first KPIs.

    example: kpi init shop --from orders.csv
    """
    from jobs.authoring.init import init as run

    for line in run(directory, from_):
        typer.echo(line)


extend = typer.Typer(no_args_is_help=True, help="Extend a project by a source or a KPI.")
app.add_typer(extend, name="add")


@partial(verb, of=extend)
def source(
    origin: Annotated[str, typer.Argument(metavar="FILE-or-URL", help="A file, a web or a database address.")],
    table: Annotated[str | None, typer.Option(help="Table of a database, maybe with its schema.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of source, table and dataset; default its own.")] = None,
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Look at a file or table; add its source, a dataset and first KPIs.

    example: kpi add source refunds.csv --project shop
    """
    from jobs.authoring.add import add_source

    for line in add_source(open_project_at(project), origin, name, table):
        typer.echo(line)


@partial(verb, of=extend)
def kpi(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the KPI, and of its file.")],
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Keys of the definition.")] = None,
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Write a KPI's file, if what it would say is valid.

    example: kpi add kpi paying_users dataset=orders agg=count_distinct expr=customer_id
    """
    from jobs.authoring.add import add_kpi

    for line in add_kpi(open_project_at(project), name, keys or []):
        typer.echo(line)


@partial(verb, of=app)
def run(
    project: ProjectOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard.")] = 8501,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Serve the dashboard.

    example: kpi run --project shop --port 8600
    """
    opened = open_project_at(project)
    from jobs.operations.serve import serve

    clock(now)  # the server, a process of its own, inherits it
    serve(opened, host=host, port=port)


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
    from jobs.demo import demo as run_demo
    from jobs.demo import demo_project

    result = _follow(run_demo(demo_project(directory or project), now=clock(now)))
    typer.echo(
        f"demo: generation {result.generation} in {result.seconds:.1f} s"
        if result.published
        else f"demo: generation {result.generation} is up to date"
    )
    raise typer.Exit(1 if result.failed else 0)


@partial(verb, of=app)
def sync(
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Default: all.")] = None,
    project: ProjectOption = None,
    full: Annotated[bool, typer.Option("--full", help="Pull everything again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Pull and load, publish nothing.")] = False,
    json_: JsonOption = False,
    events: Annotated[bool, typer.Option("--events", help="Progress as JSON lines on stderr.")] = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Pull the sources, load, compute all values and publish one generation.

    example: kpi sync app_sessions
    """
    from jobs.sync import sync as run_sync

    opened = open_project_at(project)
    result = _follow(run_sync(opened, sources or [], full=full, dry_run=dry_run, now=clock(now)), events)
    if json_:
        print_json(result.as_dict())
    else:
        rows = [r.as_dict() for r in result.sources]
        print_table(rows, ["name", "status", "rows", "quarantined", "seconds"])
        made = "published" if result.published else "nothing new; live stays"
        typer.echo(f"{made} {result.generation or 'nothing'} in {result.seconds:.1f} s")
    for run_ in result.sources:
        for text in filter(None, (run_.error, *run_.notes)):
            typer.echo(text, err=True)
    for line in (*map(str, result.problems), *result.alerts):
        typer.echo(line, err=True)
    raise typer.Exit(1 if result.failed else 0)


def _follow(steps: Any, events: bool = False) -> Any:
    """Draw a sync's progress as a bar on a terminal, or as JSON lines; return its result."""
    from jobs.sync import Progress

    bar, result = sys.stderr.isatty() and not events, None
    for step in steps:
        if isinstance(step, Progress) and events:
            typer.echo(json.dumps(step.__dict__), err=True)
        elif isinstance(step, Progress) and bar:
            filled = round(24 * step.done / max(step.total, 1))
            typer.echo(f"\r\033[K{'━' * filled}{'─' * (24 - filled)} {step.text}", err=True, nl=False)
        elif not isinstance(step, Progress):
            result = step
    if bar:
        typer.echo("\r\033[K", err=True, nl=False)
    return result


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


@partial(verb, of=app)
def sources(project: ProjectOption = None, json_: JsonOption = False, debug: DebugOption = False) -> None:
    """List the source types and their options.

    example: kpi sources
    """
    from jobs.operations.status import source_options

    rows = source_options()
    if json_:
        print_json(rows)
    else:
        print_table(rows, ["type", "option", "default", "description"])


@partial(verb, of=app)
def list_(
    project: ProjectOption = None,
    tag: Annotated[str | None, typer.Option(help="Only KPIs with this tag.")] = None,
    area: Annotated[str | None, typer.Option(help="Only KPIs of this area.")] = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """List the catalogue.

    example: kpi list --area Growth
    """
    from jobs.operations.status import catalogue_rows

    rows = catalogue_rows(open_project_at(project), now=clock(now), tag=tag, area=area)
    if json_:
        print_json(rows)
    else:
        print_table(rows, ["name", "label", "area", "type", "grain", "owner", "status", "additivity"])


@partial(verb, of=app)
def validate(
    kpis: Annotated[list[str] | None, typer.Argument(metavar="[KPI]...", help="Default: all files.")] = None,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Report every problem of every definition, with file and line. Changes nothing.

    example: kpi validate activation
    """
    from jobs.authoring.validate import validate as run_validate

    problems = run_validate(open_project_at(project, lenient=True), kpis or [], now=clock(now))
    ok = not any(p.level == "error" for p in problems)
    if json_:
        print_json({"ok": ok, "problems": [p.__dict__ for p in problems]})
    else:
        for problem in problems:
            typer.echo(str(problem))
        errors = sum(p.level == "error" for p in problems)
        typer.echo(f"{errors} errors, {len(problems) - errors} warnings")
    raise typer.Exit(0 if ok else 1)


@partial(verb, of=app)
def check(
    kpis: Annotated[list[str] | None, typer.Argument(metavar="[KPI]...", help="Default: all.")] = None,
    project: ProjectOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run the data checks that the definitions state.

    example: kpi check activation
    """
    from jobs.authoring.check import check as run_check

    rows = run_check(open_project_at(project), kpis or [])
    if json_:
        print_json(rows)
    else:
        print_table(rows, ["kpi", "check", "ok", "detail"])
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 1)


@partial(verb, of=app)
def query(
    kpi: Annotated[str, typer.Argument(metavar="KPI", help="Name of a KPI.")],
    grain: Annotated[str | None, typer.Option(metavar="G|total", help="Default: the KPI's home grain.")] = None,
    start: Annotated[str | None, typer.Option(metavar="D", help="First day, inclusive.")] = None,
    end: Annotated[str | None, typer.Option(metavar="D", help="Last day, exclusive.")] = None,
    by: Annotated[str | None, typer.Option(metavar="DIM", help="Break down by a dimension.")] = None,
    where: Annotated[list[str] | None, typer.Option(metavar="DIM=VALUE", help="Filter; may be repeated.")] = None,
    compare: Annotated[
        str | None, typer.Option(metavar="C", help="previous_range, previous_period, same_period_last_year.")
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="GENERATION", help="As published then.")] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL instead of the numbers.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say where the number comes from.")] = False,
    format_: Annotated[str, typer.Option("--format", metavar="table|json|csv")] = "table",
    json_: JsonOption = False,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Print the values of one KPI.

    example: kpi query sign_ups --grain week --by platform --format csv
    """
    from jobs.query import explain as run_explain
    from jobs.query import make_query, run_query
    from metrics.presentation import export

    format_ = "json" if json_ else format_
    if format_ not in ("table", "json", "csv"):
        raise typer.BadParameter(f"'{format_}' is no format; write table, json or csv")
    opened = open_project_at(project)
    asked: Query = make_query(kpi, grain, start, end, by, where or [], compare, as_of)
    if sql or explain:
        typer.echo(run_explain(opened, asked, words=explain))
        return
    series = run_query(opened, asked)
    for note in series.notes:
        typer.echo(f"kpi: {note}", err=True)
    if format_ == "json":
        print_json(export.as_dict(series))
    elif format_ == "csv":
        typer.echo(export.as_csv(series), nl=False)
    else:
        rows = export.rows(series)
        print_table(rows, list(rows[0]) if rows else ["period", "value"])


@partial(verb, of=app)
def diff(
    kpis: Annotated[list[str] | None, typer.Argument(metavar="[KPI]...", help="Default: all that differ.")] = None,
    against: Annotated[str | None, typer.Option(metavar="REV", help="A git revision; default as published.")] = None,
    periods: Annotated[int, typer.Option(help="How many of the last complete periods.", min=1)] = 8,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if a number differs, for CI.")] = False,
    project: ProjectOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Old against new definitions, in numbers, on the same rows.

    example: kpi diff activation --against main
    """
    from jobs.authoring.diff import diff as run_diff

    found = run_diff(open_project_at(project), kpis or [], against, periods=periods)
    if json_:
        print_json(list(found.rows))
    elif found.rows:
        print_table(list(found.rows), ["kpi", "period", "old", "new"])
    else:
        typer.echo("no definition differs")
    for note in found.notes:
        typer.echo(note, err=True)
    raise typer.Exit(1 if exit_code and found.differs else 0)


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
    typer.echo(f"{target}: {len(made.files)} files, {size}, generation {made.generation or 'none'}, verified")


@partial(verb, of=app)
def restore(
    origin: Annotated[Path, typer.Argument(metavar="FILE.zip|DIR", help="What `kpi backup` made.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New folder of the project.")],
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Make a project folder from a backup, checked in whole first.

    example: kpi restore shop-2026-11-23.zip shop
    """
    from jobs.operations.backup import restore as run_restore

    made = run_restore(origin, directory)
    typer.echo(f"{directory}: {len(made.files)} files, generation {made.generation or 'none'}")
    typer.echo(f"Next: kpi run --project {directory}")


@partial(verb, of=app)
def doctor(
    project: ProjectOption = None, json_: JsonOption = False, now: NowOption = None, debug: DebugOption = False
) -> None:
    """Check what a sync and the dashboard need; say what to do.

    example: kpi doctor --project shop
    """
    from jobs.operations.doctor import FAILED
    from jobs.operations.doctor import doctor as examine

    rows = list(examine(open_project_at(project, lenient=True), now=clock(now)))
    if json_:
        print_json(rows)
    else:
        print_table(rows, ["check", "state", "detail", "todo"])
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


app.add_typer(alerts.app, name="alerts")
app.add_typer(launch.app, name="launch")
app.add_typer(snapshot.app, name="snapshot")


def main() -> None:
    """Entry point of the `kpi` command."""
    app(prog_name="kpi")


if __name__ == "__main__":
    main()
