"""kpi snapshot: weekly snapshots: take, list, show, render, diff, send, note."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

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

app = typer.Typer(no_args_is_help=True, help="Weekly snapshots: take, list, show, render, diff, send, note.")
NameOption = Annotated[
    str, typer.Option("--snapshot", metavar="NAME", help="Which definition; default the first of snapshots/.")
]
WeekOption = Annotated[str, typer.Option("--week", metavar="WEEK", help="Such as 2026-W46; default the latest.")]
RevisionOption = Annotated[int, typer.Option("--revision", metavar="N", help="Default the latest.")]
FORMS = ("html", "pdf", "png", "markdown", "csv", "json", "mail")


@partial(verb, of=app)
def take(
    week: WeekOption = "",
    snapshot: NameOption = "",
    anyway: Annotated[bool, typer.Option("--anyway", help="Also a week that no data reaches.")] = False,
    by: ByOption = None,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Freeze a week, by default the last one that is over; a week that was taken gets a new revision.

    example: kpi snapshot take --week 2026-W46
    """
    from jobs.snapshots.take import take_by_hand

    made = take_by_hand(open_project_at(project), snapshot, week, by=who(by), now=clock(now), anyway=anyway)
    if json_:
        print_json(
            {
                "snapshot": made.snapshot,
                "week": made.week,
                "revision": made.revision,
                "generation": made.generation,
                "missing": list(made.missing),
            }
        )
    else:
        typer.echo(f"{made.snapshot} {made.week} revision {made.revision}: {made.headline}")
    for sentence in made.missing:
        typer.echo(f"kpi: not complete: {sentence}", err=True)


@partial(verb, of=app)
def list_(project: ProjectOption = None, json_: JsonOption = False, debug: DebugOption = False) -> None:
    """Every week that was taken, with its revisions, the latest first.

    example: kpi snapshot list
    """
    from jobs.snapshots.archived import list_rows

    rows = list_rows(open_project_at(project))
    print_rows(rows, ["snapshot", "week", "revision", "taken_at", "by", "headline"], as_json=json_)


@partial(verb, of=app)
def show(
    week: WeekOption = "",
    snapshot: NameOption = "",
    revision: RevisionOption = 0,
    project: ProjectOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """What was frozen: as Markdown, or the whole document as JSON.

    example: kpi snapshot show --week 2026-W46 --json
    """
    from jobs.snapshots.archived import document_of
    from jobs.snapshots.render import render

    opened = open_project_at(project)
    document = document_of(opened, snapshot, week, revision)
    if json_:
        print_json(document.as_dict(), data=True)
    else:
        typer.echo(render(opened, document, "markdown").decode(), nl=False)


@partial(verb, of=app)
def render(
    format_: Annotated[str, typer.Option("--format", metavar="|".join(FORMS), help="Form.")] = "html",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Default standard output.")] = None,
    week: WeekOption = "",
    snapshot: NameOption = "",
    revision: RevisionOption = 0,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """A snapshot as a file: html, pdf, png (its head, for chats), markdown, csv, json, mail.

    example: kpi snapshot render --format pdf --output week.pdf
    """
    from jobs.audit.record import exported
    from jobs.snapshots.archived import document_of, subject_of
    from jobs.snapshots.render import render as run

    if format_ not in FORMS:
        raise typer.BadParameter(f"'{format_}' is no form; write one of {', '.join(FORMS)}")
    if output is None and format_ in ("pdf", "png") and sys.stdout.isatty():
        raise typer.BadParameter(f"{format_} is not for a terminal; name a file with --output")
    opened, at = open_project_at(project), clock(now)
    document = document_of(opened, snapshot, week, revision)
    exported(opened, subject_of(document), by=who(None), now=at, form=format_)
    found = run(opened, document, format_, now=at)
    if output is not None:
        output.write_bytes(found)
        typer.echo(f"{output}: {counted(len(found), 'byte')}")
    else:
        sys.stdout.buffer.write(found)
        sys.stdout.flush()


@partial(verb, of=app)
def diff(
    week: WeekOption = "",
    snapshot: NameOption = "",
    revision: RevisionOption = 0,
    points: Annotated[bool, typer.Option("--points", help="Its charts' weeks and months, too.")] = False,
    project: ProjectOption = None,
    json_: JsonOption = False,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Which published numbers are different now, and why: late data, a changed definition, or both.

    example: kpi snapshot diff --week 2026-W46 --json
    """
    from jobs.snapshots.archived import document_of
    from jobs.snapshots.restatements import diff_rows, restated_since

    opened = open_project_at(project)
    found = restated_since(opened, document_of(opened, snapshot, week, revision), now=clock(now))
    rows = diff_rows(found, points=points)
    if json_:
        print_json(rows)
    elif rows:
        columns = ["kpi", *(["segment"] if any("segment" in row for row in rows) else [])]
        print_table(rows, [*columns, *(["grain", "period"] if points else []), "published", "now", "cause"])
    else:
        typer.echo("Nothing was restated.")


@partial(verb, of=app)
def send(
    week: WeekOption = "",
    snapshot: NameOption = "",
    revision: RevisionOption = 0,
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="CONTACT", help="Default the recipients. Repeatable.")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Print what would be sent, and to whom.")] = False,
    by: ByOption = None,
    project: ProjectOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Send a revision to its recipients, each at most once.

    example: kpi snapshot send --to leads
    """
    from jobs.snapshots.archived import document_of
    from jobs.snapshots.send import preview as run_preview
    from jobs.snapshots.send import send as run
    from jobs.snapshots.send import status_rows

    opened = open_project_at(project)
    document = document_of(opened, snapshot, week, revision)
    if preview:
        typer.echo(run_preview(opened, document, to or []))
        return
    done = run(opened, document, to or [], by=who(by))
    rows = status_rows(opened, document)
    print_rows(rows, ["recipient", "status", "attempts", "finished_at", "error"], as_json=json_)
    if done.failed or done.unknown:
        raise typer.Exit(1)


@partial(verb, of=app)
def note(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What a reader should know.")],
    week: WeekOption = "",
    snapshot: NameOption = "",
    by: ByOption = None,
    project: ProjectOption = None,
    now: NowOption = None,
    debug: DebugOption = False,
) -> None:
    """Write a note beside a week, with your name and the time; its numbers stay as they are.

    example: kpi snapshot note "The fix for Android 8.2 is out since Sunday."
    """
    from jobs.snapshots.archived import document_of, write_note

    opened = open_project_at(project)
    document = document_of(opened, snapshot, week)
    write_note(opened, document, text, by=who(by), now=clock(now))
    typer.echo(f"{document.snapshot} {document.week}: noted")
