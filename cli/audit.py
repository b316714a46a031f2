"""kpi audit: who did what: list, verify."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from cli.options import DebugOption, JsonOption, NowOption, ProjectOption, clock, open_project_at, who
from cli.output import print_json, print_rows, verb

app = typer.Typer(no_args_is_help=True, help="Who did what: list, verify.")


@partial(verb, of=app)
def list_(
    who_: Annotated[str, typer.Option("--who", metavar="NAME", help="Whose; a part of the name will do.")] = "",
    what: Annotated[str, typer.Option("--what", metavar="KIND", help="Such as exported; docs/cli.md has all.")] = "",
    subject: Annotated[str, typer.Option("--subject", metavar="TEXT", help="Such as launch:new_editor.")] = "",
    from_: Annotated[str, typer.Option("--from", metavar="T", help="First day, or a timestamp.")] = "",
    to: Annotated[str, typer.Option("--to", metavar="T", help="Last day, or a timestamp.")] = "",
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="Anywhere in who, subject or details.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most entries.")] = 100,
    before: Annotated[int, typer.Option(metavar="NO", min=0, help="Only entries before this one.")] = 0,
    csv: Annotated[bool, typer.Option("--csv", help="All that fit, as CSV.")] = False,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """What is recorded, the latest first.

    example: kpi audit list --what exported --from 2026-11-01
    """
    from dataclasses import replace

    from jobs.audit.listing import as_csv, listed, row_of, search_of
    from jobs.audit.record import exported

    opened, at = open_project_at(project), clock(now)
    search = search_of(who=who_, what=what, subject=subject, text=text, since=from_, until=to)
    search = replace(search, before=before)
    if csv:
        exported(opened, "audit", by=who(None), now=at, form="csv")
        typer.echo(as_csv(opened.state, search), nl=False)
        return
    rows = [row_of(entry) for entry in listed(opened.state, search, limit=limit).entries]
    print_rows(rows, ["sequence", "at", "who", "via", "what", "subject", "details"], as_json=json_)


@partial(verb, of=app)
def verify(project: ProjectOption = None, json_: JsonOption = False, debug: DebugOption = False) -> None:
    """Whether the log is what was written, all of it. Exit status 1 if not, or if that cannot be proved.

    example: kpi audit verify
    """
    from jobs.audit.verifying import verify as run

    found = run(open_project_at(project))
    if json_:
        print_json(found.as_dict())
    else:
        typer.echo(found.line())
        for one in found.findings:
            typer.echo(one.words)
        for words in found.notes:
            typer.echo(f"kpi: {words}", err=True)
    raise typer.Exit(1 if found.findings else 0)
