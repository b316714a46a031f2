"""doctor: is everything here that a sync and the dashboard need, and if not, what to do."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from connectors.clock import disk_skew
from connectors.errors import KpiError
from jobs.alerts.incidents import read_state
from jobs.authoring.validate import validate
from jobs.project.project import REPOSITORY, Project

OK, WARNING, FAILED = "ok", "warning", "failed"
CLOCK_SKEW = timedelta(minutes=5)


def doctor(project: Project, *, now: datetime) -> Iterator[dict[str, str]]:
    """Yield one row per check: check, state (ok, warning, failed), detail, todo. Never raises for what it finds."""
    checks: list[tuple[str, Callable[[Project, datetime], tuple[str, str, str]]]] = [
        ("python", _python),
        ("packages", _packages),
        ("folder", _folder),
        ("disk", _disk),
        ("clock", _clock),
        ("definitions", _definitions),
        ("generation", _generation),
        ("last sync", _last_sync),
        ("contact points", _contacts),
    ]
    for name, check in checks:
        yield _row(name, lambda check=check: check(project, now))  # type: ignore[misc]
    try:
        sources = project.sources.read()[0]
    except KpiError:
        return
    for name, source in sources.items():
        yield _row(f"source {name}", lambda source=source: (OK, source.probe(), ""))  # type: ignore[misc]


def _row(name: str, check: Callable[[], tuple[str, str, str]]) -> dict[str, str]:
    try:
        state, detail, todo = check()
    except KpiError as error:
        state, detail, todo = FAILED, error.message, error.hint
    except OSError as error:
        state, detail, todo = FAILED, str(error), "Look at the folder's owner and rights."
    return {"check": name, "state": state, "detail": detail, "todo": todo}


def _python(_project: Project, _now: datetime) -> tuple[str, str, str]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return (OK, version, "") if good else (FAILED, version, "Python 3.11 or newer is needed: make setup PYTHON=…")


def _packages(_project: Project, _now: datetime) -> tuple[str, str, str]:
    wrong, count = [], 0
    for line in (REPOSITORY / "requirements.txt").read_text().splitlines():
        match = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", line.strip())
        if line.startswith("# Tests"):
            break
        if match is None:
            continue
        count += 1
        try:
            found = importlib.metadata.version(match.group(1))
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != match.group(2):
            wrong.append(f"{match.group(1)} is {found}, pinned {match.group(2)}")
    return (WARNING, "; ".join(wrong), "make setup") if wrong else (OK, f"{count} as pinned", "")


def _contacts(project: Project, now: datetime) -> tuple[str, str, str]:
    """Whether messages arrive where they should."""
    points = project.settings.contact_points
    if not points:
        return OK, "none: alerts are on the page only", ""
    dead = [c for c in read_state(project, now=now).contacts if c.dead]
    if dead:
        told = "; ".join(f"{c.name}: {c.error}" for c in dead)
        return WARNING, told, f"kpi alerts test {dead[0].name}"
    return OK, f"{len(points)} in settings.yml", ""


def _folder(project: Project, _now: datetime) -> tuple[str, str, str]:
    project.data.mkdir(parents=True, exist_ok=True)
    return OK, f"{project.data} can be written; {project.warehouse.describe()}", ""


def _disk(project: Project, _now: datetime) -> tuple[str, str, str]:
    room = project.warehouse.room()
    detail = f"{_megabytes(room.free)} free, a generation takes {_megabytes(room.live)}"
    if room.free < room.needed:
        return FAILED, detail, f"A sync needs {_megabytes(room.needed)}. Make room."
    if room.free < 4 * room.needed:
        return WARNING, detail, "Room for few syncs more if the data grows."
    return OK, detail, ""


def _clock(project: Project, now: datetime) -> tuple[str, str, str]:
    probe = project.data / f".doctor-{uuid.uuid4().hex[:8]}"
    try:
        probe.write_text("x")
        skew = abs(disk_skew(probe.stat().st_mtime).total_seconds())
    finally:
        probe.unlink(missing_ok=True)
    if skew > CLOCK_SKEW.total_seconds():
        return WARNING, f"the disk's clock is {skew:.0f} s off", "Set the clock of both machines by NTP."
    if project.has_data():
        published = project.reader().generation.published_at
        if published > now + CLOCK_SKEW:
            text = f"the live generation is from {published:%Y-%m-%d %H:%M} UTC, in the future"
            return FAILED, text, "Set this machine's clock; then sync."
    return OK, f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC", ""


def _definitions(project: Project, now: datetime) -> tuple[str, str, str]:
    problems = validate(project, [], now=now)
    errors = [p for p in problems if p.level == "error"]
    count = f"{len(project.catalogue().kpis)} KPIs"
    if errors:
        return FAILED, f"{len(errors)} errors, the first: {errors[0]}".split("\n")[0], "kpi validate"
    if problems:
        return WARNING, f"{count}, {len(problems)} warnings", "kpi validate"
    return OK, count, ""


def _generation(project: Project, _now: datetime) -> tuple[str, str, str]:
    if not project.has_data():
        return WARNING, "nothing synced yet", "kpi sync"
    generation = project.reader().generation
    return OK, f"{generation.id}, number {generation.sequence}", ""


def _last_sync(project: Project, now: datetime) -> tuple[str, str, str]:
    failed = [name for name, run in project.sync_log.runs().items() if run.status == "failed"]
    late = project.sync_log.overdue(now)
    if failed:
        return FAILED, f"failed: {', '.join(failed)}", "kpi status says why"
    if late:
        return WARNING, late, "kpi schedule prints the lines for a regular sync"
    finished = project.sync_log.read().get("finished_at", "")
    return OK, f"finished {finished[:16].replace('T', ' ')}" if finished else "none yet", ""


def _megabytes(size: float) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MB"
