"""query and list: the numbers, and the catalogue that they are defined in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DebugOption, JsonOption, NowOption, ProjectOption, clock, open_project_at
from cli.output import current_name, print_json, print_rows, print_table, verb

if TYPE_CHECKING:
    from metrics.engine.query import Query

app = typer.Typer()


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
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="As a role of settings.yml sees it.")] = "",
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
    if role:
        from jobs.access.audience import part_of

        opened = part_of(opened, role)
    asked: Query = make_query(current_name(opened, kpi), grain, (start, end), by, where or [], compare, as_of)
    if sql or explain:
        typer.echo(run_explain(opened, asked, words=explain))
        return
    series = run_query(opened, asked)
    for note in (*series.notes, *series.gaps):
        typer.echo(f"kpi: {note}", err=True)
    if format_ == "json":
        print_json(export.as_dict(series), data=True)
    elif format_ == "csv":
        typer.echo(export.as_csv(series), nl=False)
    else:
        rows = export.rows(series)
        print_table(rows, list(rows[0]) if rows else ["period", "value"], data=True)


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
    print_rows(rows, ["name", "label", "area", "type", "grain", "owner", "status", "additivity"], as_json=json_)
