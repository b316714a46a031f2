"""kpi launch: launches and other marks; the scorecard of one; what was decided."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import (
    ByOption,
    DebugOption,
    JsonOption,
    NowOption,
    ProjectOption,
    clock,
    open_project_at,
    who,
)
from cli.output import print_json, print_rows, print_table, verb
from connectors.errors import counted

app = typer.Typer(no_args_is_help=True, help="Launches: list, add, draft, show the scorecard, decide.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a launch.")]


@partial(verb, of=app)
def list_(
    kind: Annotated[str, typer.Option(metavar="KIND", help="launch, incident, campaign …; default all.")] = "",
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Launches and other marks, the latest first.

    example: kpi launch list --kind launch
    """
    from jobs.launches.board import list_rows

    rows = list_rows(open_project_at(project), now=clock(now), kind=kind)
    print_rows(rows, ["name", "label", "kind", "start", "phase", "day", "owner", "verdicts"], as_json=json_)


@partial(verb, of=app)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and _.")] = "",
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="A launch as its file would read.")] = None,
    on: Annotated[str, typer.Option(metavar="D", help="The day.")] = "",
    label: Annotated[str, typer.Option(metavar="TEXT", help="Display name.")] = "",
    kind: Annotated[str, typer.Option(metavar="KIND", help="launch, incident, campaign, holiday, note.")] = "launch",
    owner: Annotated[str, typer.Option(metavar="NAME", help="Who is notified.")] = "",
    area: Annotated[str, typer.Option(metavar="AREA", help="Draw it on KPIs of this area.")] = "",
    hypothesis: Annotated[str, typer.Option(metavar="TEXT", help="What it was built to do.")] = "",
    audience: Annotated[str, typer.Option(metavar="FILTER", help="Who gets it: platform = 'web'.")] = "",
    control: Annotated[str, typer.Option(metavar="FILTER", help="Who never gets it, or the name of a KPI.")] = "",
    success: Annotated[
        list[str] | None, typer.Option(metavar="KPI[:EFFECT]", help="KPI to move: activation:+4pp. Repeatable.")
    ] = None,
    guardrail: Annotated[
        list[str] | None, typer.Option(metavar="KPI[:LIMIT]", help="KPI not to hurt: 'nps:> 40'. Repeatable.")
    ] = None,
    kpi: Annotated[list[str] | None, typer.Option(metavar="KPI", help="Draw it on this KPI. Repeatable.")] = None,
    until: Annotated[str, typer.Option(metavar="D", help="Last day.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="In place of one of that name.")] = False,
    by: ByOption = None,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Keep a launch or another mark, from options or a file.

    example: kpi launch add offline_mode --on 2026-12-01 --success stickiness:+1pp --guardrail 'nps:> 40'
    """
    from jobs.launches.registry import add as run
    from jobs.launches.registry import as_text

    if (file is None) == (not name):
        raise typer.BadParameter("give either NAME with options or --file FILE")
    if file is not None:
        if not file.is_file():
            raise typer.BadParameter(f"there is no file {file}")
        text = file.read_text(encoding="utf-8")
    else:
        text = as_text(
            {
                "name": name,
                "label": label,
                "kind": kind if kind != "launch" else "",
                "on": on,
                "until": until,
                "owner": owner,
                "area": area,
                "hypothesis": hypothesis,
                "audience": audience,
                "control": control,
                "success": _pairs(success, "expect"),
                "guardrails": _pairs(guardrail, "limit"),
                "kpis": kpi or [],
            }
        )
    made = run(open_project_at(project), text, by=who(by), now=clock(now), replace=replace)
    typer.echo(f"{made.name}: {made.title}, {made.kind} on {made.starts_on}")


@partial(verb, of=app)
def show(
    name: NameArgument,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compute each published verdict again, as of its generation.")
    ] = False,
    format_: Annotated[str, typer.Option("--format", metavar="table|json|markdown|html", help="Form.")] = "table",
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """The scorecard of a launch: readings, guardrails, adoption, what customers say.

    example: kpi launch show guided_onboarding --format markdown
    """
    from jobs.launches.board import scorecard_dict
    from jobs.launches.board import shown as run
    from jobs.launches.scorecards import read_again

    if format_ not in ("table", "json", "markdown", "html"):
        raise typer.BadParameter(f"'{format_}' is no form; write table, json, markdown or html")
    opened, at = open_project_at(project), clock(now)
    if verify:
        rows: list[dict[str, Any]] = read_again(opened, name, now=at)
        if json_ or format_ == "json":
            print_json(rows)
        else:
            print_table(rows, ["kpi", "days", "generation", "verdict", "identical", "why"])
        if any(row["identical"] is False for row in rows):
            raise typer.Exit(1)
    elif json_ or format_ == "json":
        print_json(scorecard_dict(opened, name, now=at), data=True)
    else:
        typer.echo(run(opened, name, now=at, html=format_ == "html"), nl=False)


@partial(verb, of=app)
def decide(
    name: NameArgument,
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="keep, change, roll back or wait.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason.")] = "",
    by: ByOption = None,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Write down what was decided about a launch, and why.

    example: kpi launch decide guided_onboarding keep --why "activation is up by five points"
    """
    from jobs.launches.scorecards import decide as run

    made = run(open_project_at(project), name, decision, why, by=who(by), now=clock(now))
    typer.echo(f"{name}: {made.decision}, decided by {made.by}")


@partial(verb, of=app)
def remove(
    name: NameArgument,
    by: ByOption = None,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Forget a launch that was made on a page or with add, and has no verdicts yet.

    example: kpi launch remove offline_mode
    """
    from jobs.launches.registry import remove as run

    run(open_project_at(project), name, by=who(by), now=clock(now))
    typer.echo(f"{name} is gone")


@partial(verb, of=app)
def read(
    project: ProjectOption = None, json_: JsonOption = False, now: NowOption = None, debug: DebugOption = False
) -> None:
    """Publish the verdicts that are due, check guardrails, notify owners. `kpi sync` does this, too.

    example: kpi launch read
    """
    from jobs.launches.verdicts import publish_verdicts, told
    from jobs.snapshots.message import dressed

    done = publish_verdicts(open_project_at(project), now=clock(now), render=dressed)
    if json_:
        readings = [{"launch": a, "kpi": b, "days": c, "verdict": d or None} for a, b, c, d in done.readings]
        breaches = [{"launch": a, "kpi": b, "event": c} for a, b, c in done.breaches]
        print_json({"readings": readings, "breaches": breaches, "sent": done.sent.__dict__})
    else:
        for launch, kpi, days, verdict in done.readings:
            typer.echo(f"{launch} D+{days} {kpi}: {verdict or 'no verdict'}")
        for launch, kpi, event in done.breaches:
            typer.echo(f"{launch} guardrail {kpi}: {'breached' if event == 'opened' else 'holds again'}")
        typer.echo(f"{counted(len(done.readings), 'reading')}, {counted(done.sent.delivered, 'message')} delivered")
    for line in told(done):
        typer.echo(f"kpi: {line}", err=True)


@partial(verb, of=app)
def draft(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Draft a launch for each release and flag rollout of sources with `launches:`. `kpi sync` does this, too.

    example: kpi launch draft --dry-run
    """
    from jobs.launches.drafts import draft_launches

    done = draft_launches(open_project_at(project), now=clock(now), dry_run=dry_run)
    if json_:
        print_json({"drafts": [change.as_dict() for change in done.changes], "notes": list(done.notes)})
        return
    rows = [
        {**change.as_dict(), "of": change.of, "kept": ", ".join(change.kept), "missing": " ".join(change.missing)}
        for change in done.changes
    ]
    print_table(rows, ["name", "action", "start", "of", "kept", "missing"])
    for words in done.notes:
        typer.echo(f"kpi: {words}", err=True)


def _pairs(texts: list[str] | None, key: str) -> list[dict[str, str]]:
    found = []
    for text in texts or []:
        name, _, rest = text.partition(":")
        found.append({"kpi": name.strip(), **({key: rest.strip()} if rest.strip() else {})})
    return found
