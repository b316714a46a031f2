"""kpi token: what programs show to the server: create, list, revoke."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from cli.options import ByOption, DebugOption, JsonOption, NowOption, ProjectOption, clock, open_project_at, who
from cli.output import print_json, print_rows, verb, warn

app = typer.Typer(no_args_is_help=True, help="Tokens of programs that ask the server: create, list, revoke.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What uses it, such as prometheus.")]


@partial(verb, of=app)
def create(
    name: NameArgument,
    scope: Annotated[
        list[str], typer.Option("--scope", metavar="SCOPE", help="What it opens: metrics, read, sync. Repeatable.")
    ],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="Whose limits it has; default none.")] = "",
    valid: Annotated[str, typer.Option("--valid", metavar="SPAN", help="How long, such as 30d.")] = "90d",
    by: ByOption = None,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Make a token and print it, this once: only its hash is kept.

    example: kpi token create prometheus --scope metrics --valid 90d
    """
    from jobs.access.rights import rights_of_role
    from jobs.access.tokens import create as run
    from jobs.access.tokens import row_of, span_of

    opened = open_project_at(project)
    try:
        lasts = span_of(valid)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    rights_of_role(role, opened.settings)  # one that is not there would open nothing
    made = run(opened.state, name, scope, lasts, by=who(by), now=clock(now), role=role)
    if json_:
        print_json({**row_of(made.token), "token": made.secret}, data=True)  # or it would be masked
        return
    typer.echo(made.secret)
    warn(f"it is shown this once, and opens {', '.join(scope)} until {made.token.expires_at:%Y-%m-%d %H:%M} UTC")


@partial(verb, of=app)
def list_(
    project: ProjectOption = None, json_: JsonOption = False, now: NowOption = None, debug: DebugOption = False
) -> None:
    """Every token, the latest first, also those that ended.

    example: kpi token list
    """
    from jobs.access.tokens import listed, row_of

    rows = [row_of(token) for token in listed(open_project_at(project).state, now=clock(now))]
    print_rows(rows, ["name", "state", "scopes", "role", "expires_at", "used_at", "created_at", "by"], as_json=json_)


@partial(verb, of=app)
def revoke(
    name: NameArgument,
    by: ByOption = None,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """End a token at once.

    example: kpi token revoke prometheus
    """
    from jobs.access.tokens import revoke as run
    from jobs.access.tokens import row_of

    token = run(open_project_at(project).state, name, by=who(by), now=clock(now))
    if json_:
        print_json(row_of(token))
    else:
        typer.echo(f"{token.name} opens nothing any more")
