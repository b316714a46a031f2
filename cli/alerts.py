"""kpi alerts: where rules stand, what happened, and what people do about it."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Literal, cast

import typer

from cli.options import (
    ByOption,
    DebugOption,
    JsonOption,
    NowOption,
    ProjectOption,
    clock,
    moment,
    open_project_at,
    who,
)
from cli.output import current_name, print_json, print_rows, verb
from connectors.errors import counted

app = typer.Typer(no_args_is_help=True, help="Alert rules: evaluate, inspect, replay, silence, acknowledge.")
KpiOption = Annotated[str, typer.Option("--kpi", metavar="KPI", help="Only this KPI.")]


@partial(verb, of=app)
def evaluate(
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="warning|critical", help="Exit with 1 if one fires so.")
    ] = None,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Evaluate every rule on the live data, record what changed, send what is due. `kpi sync` does this, too.

    example: kpi alerts evaluate --fail-on critical
    """
    from jobs.alerts.evaluate import evaluate as run
    from jobs.alerts.evaluate import told
    from jobs.alerts.incidents import firing
    from jobs.snapshots.message import dressed

    if fail_on not in (None, "warning", "critical"):
        raise typer.BadParameter(f"'{fail_on}' is no severity; write warning or critical")
    opened, at = open_project_at(project), clock(now)
    done = run(opened, now=at, render=dressed)
    if json_:
        events = [{"incident": i, "rule": key, "segment": s or None, "event": e} for i, key, s, e in done.events]
        print_json({"rules": done.rules, "events": events, "sent": done.sent.__dict__, "untold": list(done.untold)})
    else:
        for number, key, segment, event in done.events:
            typer.echo(f"{event:10} {key}{f' · {segment}' if segment else ''}  (incident {number})")
        typer.echo(
            ", ".join(
                (
                    counted(done.rules, "rule"),
                    counted(len(done.events), "change"),
                    f"{counted(done.sent.delivered, 'message')} delivered",
                )
            )
        )
    for line in told(done):
        typer.echo(f"kpi: {line}", err=True)
    if fail_on and firing(opened, now=at, at_least=cast(Literal["warning", "critical"], fail_on)):
        raise typer.Exit(1)


@partial(verb, of=app)
def status(
    project: ProjectOption = None, json_: JsonOption = False, now: NowOption = None, debug: DebugOption = False
) -> None:
    """Where every rule stands since the last evaluation, firing first.

    example: kpi alerts status --json
    """
    from jobs.alerts.incidents import status_rows

    rows = status_rows(open_project_at(project), now=clock(now))
    print_rows(
        rows,
        ["kpi", "rule", "segment", "state", "severity", "value", "threshold", "since", "silenced_until"],
        as_json=json_,
    )


@partial(verb, of=app)
def history(
    kpi: KpiOption = "",
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Incidents, the latest first.

    example: kpi alerts history --kpi activation
    """
    from jobs.alerts.incidents import history_rows

    opened = open_project_at(project)
    rows = history_rows(opened, kpis=opened.names_of(current_name(opened, kpi)) if kpi else ())
    print_rows(rows, ["incident", "kpi", "rule", "segment", "opened", "closed", "peak", "ack_by"], as_json=json_)


@partial(verb, of=app)
def replay(
    kpi: Annotated[str, typer.Argument(metavar="KPI", help="Name of a KPI.")],
    rule: Annotated[str, typer.Option("--rule", metavar="R", help="Default: all rules of the KPI.")] = "",
    start: Annotated[str, typer.Option(metavar="D", help="First day, inclusive.")] = "",
    end: Annotated[str, typer.Option(metavar="D", help="Last day, exclusive.")] = "",
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """What a rule would have done, period by period, on today's values. Records and sends nothing.

    example: kpi alerts replay error_free_sessions --rule crashes
    """
    from jobs.alerts.replay import replay as run

    opened = open_project_at(project)
    rows = run(opened, current_name(opened, kpi), rule=rule, start=start, end=end)
    print_rows(rows, ["rule", "segment", "period", "event", "state", "severity", "value", "expected"], as_json=json_)


@partial(verb, of=app)
def silence(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="KPI.RULE, or a rule's name if only one KPI has it.")],
    until: Annotated[str, typer.Option(metavar="T", help="A timestamp, or a span such as 4h or 3d.")],
    segment: Annotated[str | None, typer.Option(metavar="S", help="Only this segment.")] = None,
    by: ByOption = None,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Send no notifications for a rule until then; it is still evaluated.

    example: kpi alerts silence error_free_sessions.crashes --until 2h --segment android
    """
    from jobs.alerts.incidents import silence as run
    from jobs.alerts.incidents import span_from

    at = clock(now)
    ends: datetime = span_from(at, until) or moment(until)
    if ends <= at:
        raise typer.BadParameter(f"--until {until} is not in the future")
    opened = open_project_at(project)
    kpi, dot, name = rule.partition(".")
    rule = f"{current_name(opened, kpi)}.{name}" if dot else rule
    made = run(opened, rule, ends, by=who(by), now=at, segment=segment)
    typer.echo(f"{made.rule_key}{f' · {segment}' if segment else ''} is silent until {ends:%Y-%m-%dT%H:%M:%SZ}")


@partial(verb, of=app)
def ack(
    incident: Annotated[int, typer.Argument(metavar="INCIDENT", help="Number from `kpi alerts history`.")],
    by: ByOption = None,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Acknowledge an incident: no more reminders of it.

    example: kpi alerts ack 12
    """
    from jobs.alerts.incidents import acknowledge

    found = acknowledge(open_project_at(project), incident, by=who(by), now=clock(now))
    typer.echo(f"incident {incident} ({found.rule_key}) is with {found.ack_by}")


@partial(verb, of=app)
def test(
    contact: Annotated[str, typer.Argument(metavar="CONTACT", help="A contact point or webhook of settings.yml.")],
    project: ProjectOption = None,
    debug: DebugOption = False,
) -> None:
    """Send one message to a contact point or webhook, now.

    example: kpi alerts test growth_team
    """
    from jobs.alerts.incidents import send_test

    found = send_test(open_project_at(project), contact)
    if found.status == "delivered":
        typer.echo(f"{contact}: delivered")
        return
    words = "not delivered" if found.status == "failed" else "it is unknown whether it arrived"
    typer.echo(f"kpi: {contact}: {words}: {found.detail}", err=True)
    raise typer.Exit(1)
