"""schedule: the lines that make a machine sync by itself, with cron, systemd or GitHub Actions."""

from __future__ import annotations

import sys
from datetime import timedelta

from connectors.errors import ScheduleError
from connectors.settings import span
from jobs.project.project import REPOSITORY, Project

KINDS = ("cron", "systemd", "github")


def schedule(project: Project, kind: str, every: str) -> str:
    """The text to install, with comments that say where. Raises ScheduleError for a kind or span that has none."""
    if kind not in KINDS:
        raise ScheduleError(f"'{kind}' is not known", hint=f"Known: {', '.join(KINDS)}.")
    try:
        step: timedelta = span(every)
    except ValueError as error:
        raise ScheduleError(str(error)) from None
    minutes = int(step.total_seconds() // 60)
    if minutes < 5 or not ((minutes < 60 and 60 % minutes == 0) or (minutes % 60 == 0 and 1440 % minutes == 0)):
        raise ScheduleError(f"every {every} is no regular part of a day", hint="Write 15m… as 15 min, 1h, 6h or 1d.")
    return {"cron": _cron, "systemd": _systemd, "github": _github}[kind](project, minutes)


def _command(project: Project) -> str:
    own = REPOSITORY / ".venv" / "bin" / "kpi"
    return f"{own if own.exists() else sys.argv[0]} sync --project {project.folder}"


def _times(minutes: int) -> str:
    """Minute and hour of a cron line: a little after the full hour, when exports are there."""
    if minutes < 60:
        return f"*/{minutes} *"
    return "7 *" if minutes == 60 else "7 4" if minutes == 1440 else f"7 */{minutes // 60}"


def _cron(project: Project, minutes: int) -> str:
    log = project.data / "sync.log"
    return (
        "# Add with `crontab -e`. Secrets that sources.yml names (${NAME}) go above it as NAME=value lines.\n"
        f"{_times(minutes)} * * * {_command(project)} >> {log} 2>&1\n"
    )


def _systemd(project: Project, minutes: int) -> str:
    when = f"*:0/{minutes}" if minutes < 60 else "*-*-* 04:07" if minutes == 1440 else f"*-*-* 0/{minutes // 60}:07"
    return f"""\
# ~/.config/systemd/user/bellwether-sync.service
[Unit]
Description=Bellwether: sync {project.name}

[Service]
Type=oneshot
# Secrets that sources.yml names (${{NAME}}), one NAME=value per line, readable by you only.
EnvironmentFile=-%h/.config/bellwether.env
ExecStart={_command(project)}

# ~/.config/systemd/user/bellwether-sync.timer
[Unit]
Description=Bellwether: sync {project.name} regularly

[Timer]
OnCalendar={when}
Persistent=true

[Install]
WantedBy=timers.target

# Then: systemctl --user daemon-reload && systemctl --user enable --now bellwether-sync.timer
"""


def _github(project: Project, minutes: int) -> str:
    name = project.folder.name
    return f"""\
# .github/workflows/kpi-sync.yml in the repository that holds the project folder. It keeps the data between runs
# as a cache; a server that people look at is better off with cron or systemd.
name: kpi sync
on:
  schedule: [{{cron: "{_times(minutes)} * * *"}}]
  workflow_dispatch:
  pull_request:
concurrency: kpi-sync
jobs:
  sync:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: {{fetch-depth: 0}}
      - uses: actions/setup-python@v5
        with: {{python-version: "3.11"}}
      - uses: actions/cache@v4
        with: {{path: {name}/data, key: "kpi-${{{{ github.run_id }}}}", restore-keys: kpi-}}
      - run: make setup
      - run: .venv/bin/kpi validate --project {name}
      - run: .venv/bin/kpi sync --project {name}
        env: {{APP_DB_PASSWORD: "${{{{ secrets.APP_DB_PASSWORD }}}}"}}
      - if: github.event_name == 'pull_request'   # numbers by the old and the new definitions; a mark if they differ
        run: .venv/bin/kpi diff --project {name} --against "origin/${{{{ github.base_ref }}}}" --exit-code
        continue-on-error: true
"""
