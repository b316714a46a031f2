"""demo: make the files of Larkspur, an invented app, and its dated story, then sync. Idempotent for one day."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.demo import larkspur
from connectors.errors import ProjectError
from jobs.project.pace import Progress
from jobs.project.project import DEFAULT_FOLDER, Project, open_project
from jobs.sync import SyncResult, sync

DAYS_OF_STORY = 2  # after which its data counts as late, and the pages say so
# `day-100` is the date that many days before yesterday; larkspur.py counts the same way.
MARKS = {
    "summer_campaign": """\
label: Referral campaign
kind: campaign
on: day-100
until: day-87
kpis: [sign_ups, activation, trial_to_paid]
owner: growth@larkspur.example
""",
    "guided_onboarding": """\
label: Guided onboarding
on: day-70
area: Growth
owner: growth@larkspur.example
hypothesis: A checklist at the start brings more new people to their first document.
audience: platform = 'web'
control: platform != 'web'
success: [{kpi: activation, expect: +4pp}]
guardrails: [{kpi: sign_ups, limit: "> 2,340"}, {kpi: trial_to_paid, limit: "> 7.5%"}]
go_to_market:
      - {audience: New accounts on the web, message: A first document in ten minutes, channel: App, done: true}
      - {audience: Support, message: What the checklist asks for, channel: Team meeting, done: true}
""",
    "mobile_onboarding": """\
label: Mobile onboarding
on: day+9
area: Growth
owner: growth@larkspur.example
hypothesis: The checklist that works on the web brings new people on phones to their first document, too.
audience: platform != 'web'
control: platform = 'web'
success: [{kpi: activation, expect: +4pp}]
guardrails: [{kpi: sign_ups, limit: "> 2,340"}]
go_to_market:
      - {audience: New accounts on phones, message: A first document in ten minutes, channel: App, done: false}
      - {audience: Support, message: What the checklist asks for, channel: Team meeting, done: true}
""",
    "activation_redefined": """\
label: Activation redefined
kind: redefinition
on: day-40
kpis: [activation]
owner: growth@larkspur.example
""",
    "checkout_outage": """\
label: Checkout outage, EU cards
kind: incident
on: day-33
until: day-31
kpis: [new_mrr, trial_to_paid, tickets, tickets_per_1000]
owner: revenue@larkspur.example
""",
    "new_editor": """\
label: New editor
rollout:
      - {on: day-18, share: 0.1}
      - {on: day-11, share: 0.5}
      - {on: day-4, share: 1.0}
owner: editor@larkspur.example
hypothesis: People who write together stay longer.
adoption: {dataset: sessions, used: editor = 'new'}
feedback: nps
success: [{kpi: stickiness, expect: +1pp}, {kpi: new_editor_adoption, expect: 25%}]
guardrails: [{kpi: p95_load_time, limit: "< 2.6"}, {kpi: nps, limit: "> 40"}]
kpis: [weekly_active_users]
go_to_market:
      - {audience: Teams of ten and more, message: Tables that behave, channel: E-mail, done: true}
      - {audience: Everybody, message: The new editor is here, channel: Blog and in the app, done: true}
      - {audience: Support, message: How to go back to the classic editor, channel: Handbook, done: false}
links: {Plan: "https://larkspur.example/plans/new-editor", Design: "https://larkspur.example/design/new-editor"}
""",
    "android_8_2": """\
label: Android 8.2
kind: incident
on: day-3
kpis: [error_free_sessions]
owner: platform@larkspur.example
""",
}


def demo_project(folder: str | None) -> Project:
    """The repository's own demo project, or a copy of its definitions in `folder`. Raises ProjectError."""
    if folder is None:
        return open_project(DEFAULT_FOLDER)
    path = Path(folder).expanduser().resolve()
    if path.exists() and any(path.iterdir()) and not _is_demo(path):
        raise ProjectError(f"{folder} is not empty and holds no demo", hint="Name a new folder.")
    if not _is_demo(path):
        shutil.copytree(DEFAULT_FOLDER, path, dirs_exist_ok=True)
    return open_project(path)


def _is_demo(path: Path) -> bool:
    return (path / "settings.yml").exists() and "demo: true" in (path / "settings.yml").read_text()


def demo(project: Project, *, now: datetime) -> Iterator[Progress | SyncResult]:
    """Yield progress, then the sync's result. Does nothing but look if today's demo already exists."""
    if not project.settings.demo:
        raise ProjectError(
            f"{project.folder} is not the demo", hint="`kpi demo DIR` makes one; `kpi sync` loads yours."
        )
    folder = project.data / "demo"
    last = (now - timedelta(days=1)).date()
    mark = {"last_day": last.isoformat(), "format": larkspur.FORMAT}
    made = folder / "made.json"
    fresh = False
    if _made(project).get("mark") != mark:
        yield Progress(0, 1, "Making thirteen months of an invented app")
        folder.mkdir(parents=True, exist_ok=True)
        made.unlink(missing_ok=True)
        larkspur.write(folder, last)
        story = larkspur.Story(last)
        _write_launches(project.folder / "launches", story)
        made.write_text(json.dumps({"mark": mark, "questions": _questions(story)}, indent=1))
        fresh = True
    yield from sync(project, full=fresh, now=now)


def _made(project: Project) -> dict[str, Any]:
    """What was noted when the demo was made; nothing if that is gone or damaged: then it is made anew."""
    try:
        found: dict[str, Any] = json.loads((project.data / "demo" / "made.json").read_text())
        date.fromisoformat(found["mark"]["last_day"])
        return found if isinstance(found["questions"], list) else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def questions(project: Project) -> list[dict[str, str]]:
    """The strip's questions, `text` and `address` of the page that answers it; empty if this is no demo."""
    asked = _made(project).get("questions", []) if project.settings.demo else []
    return [question for question in asked if "address" in question]  # a demo of an earlier version has others


def outdated(project: Project, now: datetime) -> str:
    """One line that says how, if the demo was made some days ago: its story ends with the day before it was made."""
    made = _made(project)
    if not project.settings.demo or not made:
        return ""
    last = date.fromisoformat(made["mark"]["last_day"])
    if (now.date() - last).days <= DAYS_OF_STORY:
        return ""
    where = "" if project.folder == DEFAULT_FOLDER else f" {project.shown_as.rstrip('/')}"
    return (
        f"This demo's story ends on {last:%-d %b %Y}, so its data is late: `kpi demo{where}` tells it up to yesterday."
    )


def _questions(story: larkspur.Story) -> list[dict[str, str]]:
    campaign = story.on(larkspur.CAMPAIGN)
    asked = {
        "Did the new editor pay off?": "launch?launch=new_editor",
        "What broke on Android?": "kpi?kpi=error_free_sessions&range=28d&by=app_version",
        f"Why did activation fall in {campaign:%B}?": "kpi?kpi=activation&range=365d&by=channel",
    }
    return [{"text": text, "address": address} for text, address in asked.items()]


def _write_launches(folder: Path, story: larkspur.Story) -> None:
    """The story's dated marks. They follow yesterday, so they are written here and not kept in git."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in MARKS.items():
        dated = re.sub(r"day([+-]\d+)", lambda found: story.on(-int(found[1])).isoformat(), text)
        (folder / f"{name}.yml").write_text(f"name: {name}\n{dated}")
