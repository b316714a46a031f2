"""init, add, validate, check, diff: what helps to write definitions."""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from cli.options import DebugOption, JsonOption, NowOption, ProjectOption, clock, open_project_at
from cli.output import current_name, print_json, print_rows, print_table, verb
from connectors.errors import counted

if TYPE_CHECKING:
    from jobs.authoring.init import Order
    from jobs.project.project import Project

DatesOption = Annotated[
    Literal["dmy", "mdy", "ymd"] | None,
    typer.Option(help="Order of day, month and year where no row of a column decides it."),
]
app = typer.Typer()
extend = typer.Typer(no_args_is_help=True, help="Extend a project by a source or a KPI.")
app.add_typer(extend, name="add")


def order_of_days(stated: str | None) -> Order | None:
    """Who answers what no row decides: `--dates`, whoever sits at the terminal, or nobody."""
    if stated:
        return lambda _: stated
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None

    def asked(doubt: str) -> str:
        open_ = [order for order in ("dmy", "mdy", "ymd") if re.search(rf"\b{order}\b", doubt)]
        typer.echo(f"{doubt[:1].upper()}{doubt[1:]}.")
        answer = ""
        while answer not in open_:
            answer = typer.prompt(f"Which is it, {' or '.join(open_)}?").strip().lower()
        return str(answer)

    return asked


@partial(verb, of=app)
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project.")],
    from_: Annotated[str | None, typer.Option("--from", metavar="FILE-or-URL", help="Propose KPIs from this.")] = None,
    dates: DatesOption = None,
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Make a new project folder; with --from, propose source, dataset and first KPIs.

    example: kpi init shop --from orders.csv
    """
    from jobs.authoring.init import init as run

    for line in run(directory, from_, order_of_days(dates)):
        typer.echo(line)


@partial(verb, of=extend)
def source(
    origin: Annotated[
        str, typer.Argument(metavar="FILE-or-URL-or-TYPE", help="A file, an address, or a type such as posthog.")
    ],
    table: Annotated[str | None, typer.Option(help="Table of a database, maybe with its schema.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of source, table and dataset; default its own.")] = None,
    dates: DatesOption = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An answer; of a key, its variable's name.")
    ] = None,
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Look at a file or table, or ask a product's API; add its source, datasets and first KPIs.

    example: kpi add source refunds.csv --project shop
    """
    from jobs.authoring.add import add_source
    from jobs.authoring.add_type import add_type, starters

    if origin in starters() and not Path(origin).exists():
        given = dict(pair.partition("=")[::2] for pair in set_ or [])
        for line in add_type(
            open_project_at(project), origin, given, answer if sys.stdin.isatty() else None, name or ""
        ):
            typer.echo(line)
        return
    for line in add_source(open_project_at(project), origin, name, table, order_of_days(dates)):
        typer.echo(line)


def answer(question: Any, proposal: str) -> str:
    """Ask on the terminal. A secret is asked for by the name of the variable that holds it."""
    words = f"{question.words}; name of the variable that holds it" if question.secret else question.words
    return str(typer.prompt(words, default=proposal or None, err=True))


@partial(verb, of=extend)
def plan(
    file: Annotated[str, typer.Argument(metavar="FILE.json", help="A tracking plan of Segment, or JSON Schemas.")],
    dataset: Annotated[str, typer.Option(help="Dataset whose rows are the events.")] = "",
    name: Annotated[str, typer.Option(help="Name of the plan, and of its file; default the file's own.")] = "",
    event: Annotated[str, typer.Option(help="Column that holds an event's name.")] = "event",
    properties: Annotated[str, typer.Option(help="Column with the properties as JSON; default: a column each.")] = "",
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Write a tracking plan from one that was exported elsewhere.

    example: kpi add plan segment-plan.json --dataset events --project shop
    """
    from jobs.authoring.add_plan import add_plan

    for line in add_plan(open_project_at(project), file, name, dataset, properties, event):
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
def validate(
    kpis: Annotated[list[str] | None, typer.Argument(metavar="[KPI]...", help="Default: all files.")] = None,
    engine: Annotated[str, typer.Option(metavar="URL", help="What will not run on this engine, and why.")] = "",
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Report every problem of every definition, with file and line. Changes nothing.

    example: kpi validate activation
    """
    if engine:
        _validate_on(open_project_at(project), kpis or [], engine, json_=json_)
    from jobs.authoring.validate import validate as run_validate

    opened = open_project_at(project, lenient=True)
    names = [current_name(opened, name) for name in kpis or []]
    problems = run_validate(opened, names, now=clock(now))
    ok = not any(p.level == "error" for p in problems)
    if json_:
        print_json({"ok": ok, "problems": [p.__dict__ for p in problems]})
    else:
        for problem in problems:
            typer.echo(str(problem))
        errors = sum(p.level == "error" for p in problems)
        typer.echo(f"{counted(errors, 'error')}, {counted(len(problems) - errors, 'warning')}")
    raise typer.Exit(0 if ok else 1)


def _validate_on(opened: Project, names: list[str], url: str, *, json_: bool) -> NoReturn:
    """What of the KPIs will not run on the engine at a URL; exits with 1 if something will not."""
    from jobs.authoring.engine_fit import engine_fit

    dialect, tested, fits = engine_fit(opened, [current_name(opened, name) for name in names], url)
    run = sum(not fit.why for fit in fits)
    if json_:
        kpis = [{"kpi": fit.kpi, "runs": not fit.why, "why": fit.why, "not_compared": fit.doubts} for fit in fits]
        print_json({"ok": run == len(fits), "dialect": dialect, "tested": tested, "kpis": kpis})
    else:
        for fit in fits:
            for reason in fit.why:
                typer.echo(f"{fit.kpi}: will not run on {dialect}: {reason}")
            if fit.doubts:
                typer.echo(f"{fit.kpi}: may count otherwise on {dialect}: {', '.join(fit.doubts)} was not compared")
        how = "run" if tested else "can be written, which no engine tested,"
        typer.echo(f"{run} of {counted(len(fits), 'KPI')} {how} on {dialect}")
    raise typer.Exit(0 if run == len(fits) else 1)


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

    opened = open_project_at(project)
    rows = run_check(opened, [current_name(opened, name) for name in kpis or []])
    print_rows(rows, ["kpi", "check", "ok", "detail"], as_json=json_)
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 1)


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
        print_json(list(found.rows), data=True)
    elif found.rows:
        print_table(list(found.rows), ["kpi", "period", "old", "new"], data=True)
    else:
        typer.echo("no definition differs")
    for note in found.notes:
        typer.echo(note, err=True)
    raise typer.Exit(1 if exit_code and found.differs else 0)
