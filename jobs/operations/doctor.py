"""doctor: is everything here that a sync and the dashboard need, and if not, what to do."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

from connectors.clock import disk_skew
from connectors.errors import KpiError, counted
from connectors.secrets import mask
from connectors.sources.contract import Source
from connectors.state.audit_keys import VARIABLE
from connectors.state.store import DAMAGED
from connectors.warehouse.contract import Check
from connectors.warehouse.lake.bucket import LakeBucket
from connectors.warehouse.lake.opening import is_bucket
from jobs.alerts.incidents import read_state
from jobs.audit.verifying import verify
from jobs.authoring.validate import validate
from jobs.outbox.webhooks import unusable
from jobs.project.health import lost_state, remember_state
from jobs.project.project import REPOSITORY, Project
from jobs.scheduler import book as books

OK, WARNING, FAILED = "ok", "warning", "failed"
Told = tuple[str, str, str]  # state, detail, what to do
log = logging.getLogger(__name__)
CLOCK_SKEW = timedelta(minutes=5)


def doctor(project: Project, *, deep: bool = False, repair: bool = False, now: datetime) -> Iterator[dict[str, str]]:
    """Yield one row per check: check, state (ok, warning, failed), detail, todo. Never raises: that is a finding, too.

    deep: read every generation and the state store in whole. repair: first mend what can be mended.
    """
    if repair:
        yield _row("repair", lambda: _repair(project))
    checks: list[tuple[str, Callable[[Project, datetime], Told]]] = [
        ("python", _python),
        ("packages", _packages),
        ("folder", _folder),
        ("disk", _disk),
        ("clock", _clock),
        *([("warehouse", _engine)] if project.settings.engine else []),
        *([("lake", _lake)] if project.settings.lake else []),
        ("definitions", _definitions),
        ("generation", _generation),
        ("state store", _state),
        ("audit", _audit),
        ("last sync", _last_sync),
        *([("scheduler", _scheduler)] if (project.data / books.NAME).exists() else []),
        ("contact points", _contacts),
    ]
    for name, check in checks:
        yield _row(name, lambda check=check: check(project, now))  # type: ignore[misc]
    if deep:
        yield from _in_whole(project)
    sources: dict[str, Source] = {}
    yield from (row for row in [_row("sources", lambda: _sources(project, sources))] if row["state"] != OK)
    for name, source in sources.items():
        yield _row(f"source {name}", lambda source=source: (OK, source.probe(), ""))  # type: ignore[misc]


def _sources(project: Project, into: dict[str, Source]) -> Told:
    """The sources that can be asked; what is wrong with their file is told among the definitions."""
    into.update(project.sources.read()[0])
    return OK, f"{len(into)}", ""


def _row(name: str, check: Callable[[], Told]) -> dict[str, str]:
    try:
        state, detail, todo = check()
    except KpiError as error:
        state, detail, todo = FAILED, error.message, error.hint
    except OSError as error:
        state, detail, todo = FAILED, str(error), "Look at the folder's owner and rights."
    except Exception as error:  # a check that dies is a finding; the others go on
        log.exception("check %s", name)
        state, detail, todo = FAILED, f"unexpected {type(error).__name__}: {error}", "Report it with the log above."
    return {"check": name, "state": state, "detail": mask(detail), "todo": mask(todo)}


def _repair(project: Project) -> Told:
    """What can be mended without asking: the pointer, and which state store goes with the data."""
    done = [*project.warehouse.repair()]
    if lost := lost_state(project):
        if words := remember_state(project, anyway=True):
            return FAILED, words, ""
        done.append(f"{lost.partition('. ')[0]}: it is taken as it is")
    return OK, "; ".join(done) or "nothing to mend", ""


def _in_whole(project: Project) -> Iterator[dict[str, str]]:
    """A row for each generation, by its checksum, and one for the state store."""
    found: list[Check] = []

    def look() -> Told:
        found[:] = project.warehouse.check()
        return OK, "", ""

    looked = _row("generations", look)
    if looked["state"] != OK:
        yield looked
    states = {"ok": (OK, ""), "unknown": (OK, ""), "damaged": (FAILED, "kpi doctor --repair")}
    for check in found:
        state, todo = states[check.state]
        name = f"generation {check.name}" if check.name != "live" else "pointer"
        yield {"check": name, "state": state, "detail": check.detail, "todo": todo}
    yield _row("state store, in whole", lambda: _state_in_whole(project))
    yield _row("audit, in whole", lambda: _audit_in_whole(project))


def _state_in_whole(project: Project) -> Told:
    if not project.state.exists():
        return OK, "none yet", ""
    wrong = project.state.check()
    return (FAILED, wrong, DAMAGED) if wrong else (OK, "read in whole", "")


def _python(_project: Project, _now: datetime) -> Told:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return (OK, version, "") if good else (FAILED, version, "Python 3.11 or newer is needed: make setup PYTHON=…")


def _packages(_project: Project, _now: datetime) -> Told:
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


def _contacts(project: Project, now: datetime) -> Told:
    """Whether messages arrive where they should."""
    points, hooks = project.settings.contact_points, project.settings.webhooks
    if not points and not hooks:
        return OK, "none: alerts are on the page only", ""
    dead = [c for c in read_state(project, now=now).contacts if c.dead]
    if dead:
        told = "; ".join(f"{c.name}: {c.error}" for c in dead)
        return WARNING, told, f"kpi alerts test {dead[0].name}"
    wrong = [f"{hook.name}: {problem}" for hook in hooks if (problem := unusable(hook))]
    if wrong:
        return WARNING, "; ".join(wrong), "Set what is missing where the server and the syncs run."
    told = ", ".join([f"{len(points)}", *([counted(len(hooks), "webhook")] if hooks else [])])
    return OK, f"{told} in settings.yml", ""


def _folder(project: Project, _now: datetime) -> Told:
    try:
        project.data.mkdir(parents=True, exist_ok=True)
        return OK, f"{project.data} can be written; {project.warehouse.describe()}", ""
    except OSError as error:
        words = f"{project.data} cannot be written: {error.strerror or error}"
        return FAILED, words, "Pages go on; no sync can. Look at its owner and rights, and how its disk is mounted."


def _disk(project: Project, _now: datetime) -> Told:
    room = project.warehouse.room()
    detail = f"{_megabytes(room.free)} free, a generation takes {_megabytes(room.live)}"
    if room.free < room.needed:
        return FAILED, detail, f"A sync needs {_megabytes(room.needed)}. Make room."
    if room.free < 4 * room.needed:
        return WARNING, detail, "Room for few syncs more if the data grows."
    return OK, detail, ""


def _engine(project: Project, _now: datetime) -> Told:
    """Whether the engine that has the rows answers."""
    from connectors.warehouse.engines.opening import open_engine  # and its driver, which most projects have no use for
    from metrics.engine.sql.dialects import SESSION

    with closing(open_engine(project.settings.engine, SESSION)) as engine:
        if project.settings.lake:
            engine.frame("SELECT 1 AS answers")
            return OK, "the engine answers; it computes from the lake", ""
        count = len(engine.tables())
    detail = f"the engine answers, {counted(count, 'table')}"
    return (OK, detail, "") if count else (FAILED, detail, "Which database or schema does `warehouse` name?")


def _lake(project: Project, _now: datetime) -> Told:
    """Whether a sync can write its files; whether the engine sees them is told by what is asked of it."""
    settings = project.settings
    if is_bucket(settings.lake):
        LakeBucket(settings.lake, settings.lake_access, project.data).try_out()
        return OK, f"{settings.lake} can be written", ""
    folder = project.folder / settings.lake
    if os.access(folder if folder.exists() or project.has_data() else folder.parent, os.W_OK):
        return OK, f"{folder} can be written", ""
    todo = "Is its disk mounted, and may this user write to it? Finished values are shown all the same; no sync can."
    return FAILED, f"{folder} is not there, or cannot be written", todo


def _clock(project: Project, now: datetime) -> Told:
    probe = project.data / f".doctor-{uuid.uuid4().hex[:8]}"
    try:
        probe.write_text("x")
        skew = abs(disk_skew(probe.stat().st_mtime).total_seconds())
    except OSError:  # told by the check before
        skew = 0.0
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    if skew > CLOCK_SKEW.total_seconds():
        return WARNING, f"the disk's clock is {skew:.0f} s off", "Set the clock of both machines by NTP."
    if project.has_data():
        published = project.reader().generation.published_at
        if published > now + CLOCK_SKEW:
            text = f"the live generation is from {published:%Y-%m-%d %H:%M} UTC, in the future"
            return FAILED, text, "Set this machine's clock; then sync."
    return OK, f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC", ""


def _definitions(project: Project, now: datetime) -> Told:
    problems = validate(project, [], now=now)
    errors = [p for p in problems if p.level == "error"]
    count = counted(len(project.catalogue().kpis), "KPI")
    if errors:
        return FAILED, f"{counted(len(errors), 'error')}, the first: {errors[0]}".split("\n")[0], "kpi validate"
    if problems:
        return WARNING, f"{count}, {counted(len(problems), 'warning')}", "kpi validate"
    return OK, count, ""


def _generation(project: Project, _now: datetime) -> Told:
    if not project.has_data():
        return WARNING, "nothing synced yet", "kpi sync"
    generation = project.reader().generation
    detail = f"{generation.id}, number {generation.sequence}"
    if wrong := project.warehouse.damage():
        return FAILED, f"{detail}. {' '.join(wrong)}", "kpi doctor --repair"
    if kept := [path.name for path in (project.data / "damaged").glob("*")]:
        return WARNING, f"{detail}; {counted(len(kept), 'damaged file')} in data/damaged", "Delete what is not needed."
    return OK, detail, ""


def _state(project: Project, _now: datetime) -> Told:
    state = project.state
    if words := state.problem():
        return FAILED, f"{state.path} {words}", DAMAGED
    if words := lost_state(project):
        sentence, _, todo = words.partition(". ")
        return FAILED, sentence, todo
    if not state.exists():
        return OK, "none yet", ""
    with state.reading():
        return OK, f"{state.path or 'the database of `state`'} can be read", ""


def _audit(project: Project, _now: datetime) -> Told:
    """Where its key is; whether the log is whole says `--deep`."""
    keys = project.state.keys
    keys.known()  # raises where one cannot be used
    file, detail = keys.file, f"key in {keys.where()}"
    if file is None:
        return OK, detail if keys.known() else f"no key yet; the first entry makes {keys.where()}", ""
    if file.parent == project.data:
        words = f"{detail}, inside the data folder: who copies that folder has log and key"
        return WARNING, words, f"Set {VARIABLE}, or move the file to {project.data.parent}."
    if keys.lies_open():
        return WARNING, f"{detail}, which others may read", f"chmod 600 {file}"
    return OK, detail, ""


def _audit_in_whole(project: Project) -> Told:
    found = verify(project)
    return (FAILED if found.findings else OK), found.line(), "kpi audit verify" if found.findings else ""


def _last_sync(project: Project, now: datetime) -> Told:
    if words := project.sync_log.problem():
        return WARNING, words, "kpi sync"
    failed = [name for name, run in project.sync_log.runs().items() if run.status == "failed"]
    late = project.sync_log.overdue(now)
    if failed:
        return FAILED, f"failed: {', '.join(failed)}", "kpi status says why"
    if late:
        return WARNING, late, "kpi schedule prints the lines for a regular sync"
    finished = project.sync_log.read().get("finished_at", "")
    return OK, f"finished {finished[:16].replace('T', ' ')} UTC" if finished else "none yet", ""


def _scheduler(project: Project, now: datetime) -> Told:
    """Whether one leads, and how its jobs fare, where one has run."""
    book = books.read(project.data) or books.Book()
    if not book.leads(now):
        seen = f"none since {book.seen_at:%Y-%m-%d %H:%M} UTC" if book.seen_at else "none runs"
        return WARNING, seen, f"kpi scheduler; or delete data/{books.NAME}, if something else starts the syncs"
    if failing := {name: ran for name, ran in book.ran.items() if ran.failures and ran.ended_at}:
        told = "; ".join(f"{name} failed {ran.failures}×: {ran.error}" for name, ran in failing.items())
        return FAILED, told, "kpi status says when it is tried again"
    coming = ", ".join(f"{name} {at:%Y-%m-%d %H:%M} UTC" for name, at in sorted(book.next_at.items()))
    return OK, f"{book.leader} leads; next: {coming or 'nothing'}", ""


def _megabytes(size: float) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MB"
