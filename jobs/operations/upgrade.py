"""upgrade: take a project to this version of the program, tried on a copy first, and back again from the backup.

Between versions only the state store's tables change their shape; a generation is written anew by each sync. So going
back puts the state store, the live generation and the sync log of the backup in their places. Definitions are the
user's, and stay.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import uuid
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.errors import KpiError, UpgradeError, counted
from connectors.reading import read_regular
from connectors.warehouse.on_disk import fsync
from jobs.authoring.validate import validate
from jobs.operations.backup import Backup, backup, verify
from jobs.project.project import Project
from jobs.scheduler import book as books

FOLDER = "upgrades"  # of the data folder
LAST = "last.json"
STATE = "state.sqlite"
SAVED = "Back it up by its own means (pg_dump), then: kpi upgrade --state-saved."


@dataclass(frozen=True)
class Upgraded:
    """What was done. before, after: newest migration of the state store, empty = there is none. backup: the file."""

    before: str
    after: str
    backup: Path
    generation: str | None


def upgrade(project: Project, *, now: datetime, state_saved: bool = False) -> Upgraded:
    """Try it on a copy, back up, then migrate the state store, in one step each. No sync runs meanwhile.

    state_saved: the database of `state` was backed up, which is not done here.
    Raises SyncRunning, FolderError; UpgradeError, BackupError and StateError leave the project as it was.
    """
    state = project.state
    if state.path is None and not state_saved:
        raise UpgradeError("the state store is a database that is in no backup of ours", hint=SAVED)
    folder = project.data / FOLDER
    with project.warehouse.held():
        before = state.version()
        _rehearse(project, now)
        folder.mkdir(exist_ok=True)
        made = backup(project, folder / f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}.zip", now=now)
        if state.exists():
            with state.reading():  # it migrates, all steps or none
                pass
        after = state.version()
        noted = {"backup": made.path.name, "before": before, "after": after, "at": now.isoformat()}
        _write(folder / LAST, json.dumps(noted, indent=1))
    return Upgraded(before, after, made.path, made.generation)


def back(project: Project, *, now: datetime) -> Upgraded:
    """Put the data of before the last upgrade in its place; what is there now is kept beside the backup.

    The state store is not opened, which would migrate it: install the version of before, then go on. Being interrupted
    is no harm: what was begun is done by the next call. Raises UpgradeError, SyncRunning, FolderError, BackupError.
    """
    folder = project.data / FOLDER
    with project.warehouse.held():
        noted = _last(folder)
        book = books.read(project.data)
        if book is not None and book.leads(now):
            raise UpgradeError(f"a scheduler runs: {book.leader}", hint="Stop it and the servers, then go back.")
        if project.state.path is None:
            hint = "Put it back by its own means (pg_restore), and install the version of before."
            raise UpgradeError("the state store is a database that is in no backup of ours", hint=hint)
        saved = folder / noted["backup"]
        held = verify(saved, shown_as=saved)
        aside = folder / f"undone-{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        with tempfile.TemporaryDirectory(dir=folder, prefix=".back-") as scratch:
            _extract(saved, held, Path(scratch))
            _put_back(project, Path(scratch) / "data", held, aside)
        after = project.state.version()
        os.replace(folder / LAST, aside / LAST)
    return Upgraded(noted["after"], after, saved, held.generation)


def _rehearse(project: Project, now: datetime) -> None:
    """Do it on a copy of the state store, and read all with it. Raises UpgradeError with everything that is wrong."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / STATE
        if project.state.path is not None and project.state.exists():
            project.state.copy_to(copy)
        tried = Project(
            project.folder,
            project.data,
            project.settings.model_copy(update={"state": f"sqlite:///{copy}"}),
            project.settings_problems,
        )
        try:
            if copy.exists() and (words := tried.state.check()):
                wrong.append(f"the state store, migrated: {words}")
            wrong += [f"generation {c.name}: {c.detail}" for c in project.warehouse.check() if c.state == "damaged"]
            wrong += [str(problem) for problem in validate(tried, [], now=now) if problem.level == "error"]
        except KpiError as error:
            wrong.append(str(error))
        finally:
            tried.close()
    if wrong:
        raise UpgradeError(
            f"this version finds {counted(len(wrong), 'error')} in the project, so nothing was changed",
            hint="\n".join(
                [*wrong, "Fix them, then `kpi upgrade`; the version before goes on with the project as it is."]
            ),
        )


def _last(folder: Path) -> dict[str, str]:
    try:
        found = json.loads(read_regular(folder / LAST, most=1 << 16, within=folder))
        return {key: str(found[key]) for key in ("backup", "before", "after")}
    except FileNotFoundError:
        raise UpgradeError("there is no upgrade to go back from", hint="`kpi upgrade` makes the way back.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = f"Restore one of {folder}/*.zip into a new folder: kpi restore."
        raise UpgradeError(f"{folder / LAST} cannot be read: {error}", hint=hint) from error


def _extract(saved: Path, held: Backup, scratch: Path) -> None:
    """The data of a backup, which was verified. Raises UpgradeError."""
    try:
        with zipfile.ZipFile(saved) as archive:
            for name in held.files:
                if name.startswith("data/"):
                    archive.extract(name, scratch)
                    fsync(scratch / name)
    except (OSError, zipfile.BadZipFile) as error:
        raise UpgradeError(f"{saved} cannot be read: {error}. Nothing was changed.", hint="Make room.") from error


def _put_back(project: Project, data: Path, held: Backup, aside: Path) -> None:
    """Generation first, since nothing reads it before it is live; then what says that it is; the state store last."""
    state = project.state
    try:
        aside.mkdir()
        for file in sorted(path for path in (data / "generations").rglob("*") if path.is_file()):
            place = project.data / file.relative_to(data)
            if not place.exists() or not _is(place, held.files[str(file.relative_to(data.parent))]):
                place.parent.mkdir(parents=True, exist_ok=True)
                _placed(file, place)
        if held.generation:
            project.warehouse.restore(held.generation)
        _placed(data / "last_sync.json", project.data / "last_sync.json", aside)
        if state.path is not None:
            if state.exists():
                state.copy_to(aside / STATE)
            for end in ("-wal", "-shm"):  # of what goes: SQLite would read them into what comes
                Path(f"{state.path}{end}").unlink(missing_ok=True)
            _placed(data / STATE, state.path)
        fsync(project.data)
    except OSError as error:
        hint = f"What was there is in {aside}. Make room or give the right, then `kpi upgrade --back` again."
        raise UpgradeError(f"{project.data} cannot be written: {error.strerror or error}", hint=hint) from error


def _is(place: Path, digest: str) -> bool:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest


def _placed(saved: Path, place: Path, aside: Path | None = None) -> None:
    """Put what was saved in its place in one step, and keep what is there; what was not there then, is not there."""
    if aside is not None and place.exists():
        shutil.copy2(place, aside / place.name)
    if not saved.exists():
        place.unlink(missing_ok=True)
        return
    fresh = place.with_name(f".{place.name}.fresh")
    shutil.copyfile(saved, fresh)
    fsync(fresh)
    os.replace(fresh, place)


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(text)
    fsync(fresh)
    os.replace(fresh, path)
