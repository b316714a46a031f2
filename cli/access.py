"""whoami and access: what a role sees and may do, and by which rule."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from cli.options import DebugOption, JsonOption, ProjectOption, open_project_at, who
from cli.output import current_name, print_json, print_rows, verb

app = typer.Typer()
RoleOption = Annotated[str, typer.Option("--role", metavar="ROLE", help="A role of settings.yml.")]


@partial(verb, of=app)
def whoami(
    role: RoleOption = "", project: ProjectOption = None, json_: JsonOption = False, debug: DebugOption = False
) -> None:
    """Who you are here, and what you, or a role, may see and do.

    example: kpi whoami --role emea
    """
    from jobs.access.rights import everything, rights_of_role
    from jobs.access.told import facts_of
    from jobs.access.told import whoami as run

    opened = open_project_at(project)
    rights = rights_of_role(role, opened.settings) if role else everything()
    name = f"role {role}" if role else who(None)
    if json_:
        print_json(run(opened, rights, name=name))
        return
    for label, words in (("Name", name), *facts_of(rights)):
        typer.echo(f"{label}: {words}")


@partial(verb, of=app)
def access(
    kpi: Annotated[str, typer.Argument(metavar="KPI", help="Name of a KPI.")],
    role: RoleOption = "",
    project: ProjectOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """What each role sees of a KPI, and which rule says so.

    example: kpi access sign_ups
    """
    from jobs.access.told import access as run

    opened = open_project_at(project)
    rows = [vars(item) for item in run(opened, current_name(opened, kpi), role)]
    print_rows(rows, ["role", "sees", "rows", "why"], as_json=json_)
