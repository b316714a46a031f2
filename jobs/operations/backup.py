"""backup and restore: a project in one file or folder, every part with its checksum, verified both ways."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import shutil
import tempfile
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

from connectors.errors import BackupError, KpiError
from connectors.reading import refusal
from connectors.warehouse.contract import LiveFiles
from connectors.warehouse.open import open_warehouse
from jobs.project.project import Project
from metrics.presentation.format import iso

FORMAT = 1
MANIFEST = "manifest.json"
DEFINITIONS = ("settings.yml", "sources.yml", "datasets", "kpis", "launches", "plans", "transforms", "snapshots")
CHUNK = 1 << 20
# All that a backup of ours can hold: no key, no secret, nothing that another program would run.
PLACES = re.compile(
    r"(settings|sources)\.yml|(datasets|kpis|launches|plans|transforms|snapshots)/.+"
    r"|data/(last_sync\.json|state\.sqlite|generations/.+)",
    re.DOTALL,
)
STRANGE = re.compile(r"[\x00-\x1f\x7f\\]")  # in a name: another system would read it otherwise
MOST_MANIFEST = 64 << 20


@dataclass(frozen=True)
class Backup:
    """What a backup holds. files: path within it → sha256."""

    path: Path
    generation: str | None
    files: dict[str, str]
    size: int


def backup(project: Project, target: Path, *, now: datetime) -> Backup:
    """Write definitions, the live generation and how the last sync fared to `target` (`.zip`, or a new folder).

    A sync may run meanwhile: a published generation never changes. Raises BackupError; leaves nothing half-made.
    """
    if target.exists():
        raise BackupError(f"{target} exists already", hint="Name a new file or folder.")
    live = project.warehouse.live_files()
    fresh = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
    scratch = Path(tempfile.mkdtemp())
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        parts = dict(_parts(project, live, scratch))
        sums = _write_zip(fresh, parts) if target.suffix == ".zip" else _write_folder(fresh, parts)
        _is_published(sums, live)
        manifest = {
            "format": FORMAT,
            "made_at": iso(now),
            "project": project.name,
            "generation": live.generation if live else None,
            "files": sums,
        }
        text = json.dumps(manifest, indent=1)
        if target.suffix == ".zip":
            with zipfile.ZipFile(fresh, "a") as archive:
                archive.writestr(MANIFEST, text)
        else:
            (fresh / MANIFEST).write_text(text)
        verify(fresh, shown_as=target)
        os.replace(fresh, target)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        _remove(fresh)
        _remove(scratch)
    size = sum(p.stat().st_size for p in target.rglob("*") if p.is_file()) if target.is_dir() else target.stat().st_size
    return Backup(target, live.generation if live else None, sums, size)


# What a file that is no backup of ours may raise; RuntimeError: a password is asked for, or an unknown way to pack.
UNREADABLE = (
    *(OSError, KeyError, ValueError, TypeError, RuntimeError, EOFError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
Trust = Callable[[Sequence[str]], bool]  # names of transforms → whether their code may run here


def restore(source: Path, folder: Path, trust: Trust = lambda _: False) -> Backup:
    """Make the project `folder` from a backup. It is checked in whole before anything is written.

    trust: is asked about the transforms in it, which are programs that the next sync runs.
    Raises BackupError if the folder is not empty, a file of the backup is not what was put in, or the answer is no.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} exists and is not empty", hint="Restore into a new folder, look, then move it.")
    _require_room(source, folder)
    manifest = verify(source, shown_as=source)
    programs = programs_in(manifest.files)
    if programs and not trust(programs):
        raise BackupError(
            f"{source} holds programs that a sync and the pages would run: {', '.join(programs)}",
            hint="Read them. If you trust who made the backup: kpi restore … --trust-transforms. Nothing was written.",
        )
    fresh = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    try:
        for name in manifest.files:
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with _opened(source, name) as read, place.open("wb") as write:
                shutil.copyfileobj(read, write, CHUNK)
        if manifest.generation:
            _make_live(fresh / "data", manifest.generation, source)
        if folder.exists():
            folder.rmdir()
        os.replace(fresh, folder)
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        _remove(fresh)
    return manifest


def programs_in(files: Iterable[str]) -> list[str]:
    """What is Python among the files of a backup, whatever its name is spelled like."""
    parts = {name: PurePosixPath(name.replace("\\", "/")) for name in files}
    return sorted(n for n, p in parts.items() if p.suffix.lower().startswith(".py") or "transforms" in p.parts[:-1])


def verify(source: Path, *, shown_as: Path) -> Backup:
    """Read a backup in whole: every file is there, as it was put in. Raises BackupError."""
    try:
        with _opened(source, MANIFEST) as file:
            manifest = json.loads(_no_longer_than(MOST_MANIFEST, file))
        files = {str(name): str(digest) for name, digest in dict(manifest["files"]).items()}
        if manifest["format"] != FORMAT:
            raise BackupError(f"{shown_as} has format {manifest['format']}; this version reads {FORMAT}")
        _require_names(files, manifest["generation"], shown_as)
        for name, digest in files.items():
            with _opened(source, name) as file:
                if _digest(file) != digest:
                    raise BackupError(f"{name} in {shown_as} is damaged", hint="Take another backup; restore nothing.")
    except UNREADABLE as error:
        raise BackupError(f"{shown_as} is no whole backup: {error}", hint="`kpi backup FILE.zip` makes one.") from error
    return Backup(shown_as, manifest["generation"], files, source.stat().st_size)


def _require_names(files: Mapping[str, str], generation: object, shown_as: Path) -> None:
    """Raises BackupError where a name leads elsewhere than to a part of a project, or where two are one file."""
    known: dict[str, str] = {}
    for name in files:
        if not PLACES.fullmatch(name) or STRANGE.search(name) or {"", ".", ".."} & {*name.split("/")}:
            raise BackupError(f"{shown_as} names a file outside of the project: {name[:200]!r}")
        same = known.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if same != name:
            raise BackupError(f"{shown_as} has {same} and {name}, which are one file on some systems")
    if generation is not None and f"data/generations/{generation}.duckdb" not in files:
        raise BackupError(f"{shown_as} has no generation {str(generation)[:80]!r}, which it names as the live one")


def _require_room(source: Path, folder: Path) -> None:
    """Raises BackupError before anything is read that would not fit: a small file may say that it holds a huge one."""
    try:
        if source.is_dir():
            size = sum(path.lstat().st_size for path in source.rglob("*"))
        else:
            with zipfile.ZipFile(source) as archive:
                size = sum(part.file_size for part in archive.infolist())
    except UNREADABLE:
        return  # whoever reads it says why
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if size > free:
        words = f"{source} holds {size / 1e9:,.1f} GB, and there is room for {free / 1e9:,.1f} GB in {there}"
        raise BackupError(words, hint="Make room, or restore elsewhere. Nothing was written.")


def _no_longer_than(most: int, file: IO[bytes]) -> bytes:
    found = file.read(most + 1)
    if len(found) > most:
        raise ValueError(f"{MANIFEST} is longer than {most >> 20} MB")
    return found


def _parts(project: Project, live: LiveFiles | None, scratch: Path) -> Iterator[tuple[str, Path]]:
    for name in DEFINITIONS:
        path = project.folder / name
        for file in sorted(p for p in path.rglob("*") if not p.is_dir()) if path.is_dir() else [path]:
            if "__pycache__" not in file.parts and os.path.lexists(file):
                if words := refusal(file, within=project.folder):
                    raise BackupError(f"{file.relative_to(project.folder)} {words}", hint="Take it away, then back up.")
                yield str(PurePosixPath(file.relative_to(project.folder))), file
    if live is not None:
        yield from live.files.items()
    if (project.data / "last_sync.json").exists():
        yield "data/last_sync.json", project.data / "last_sync.json"
    if project.state.path is not None and project.state.exists():
        copy = scratch / "state.sqlite"  # what is not in the file yet, but beside it, comes along
        project.state.copy_to(copy)
        yield "data/state.sqlite", copy


def _is_published(sums: dict[str, str], live: LiveFiles | None) -> None:
    """Raises BackupError if the generation that was copied is not the one that was published."""
    for name, digest in (live.sums if live else {}).items():
        if sums[name] != digest:
            raise BackupError(
                f"{name} is damaged: it is not what was published",
                hint="No backup was made. `kpi doctor --repair`, then back up again.",
            )


def _write_zip(path: Path, parts: dict[str, Path]) -> dict[str, str]:
    sums = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, file in parts.items():
            with file.open("rb") as read, archive.open(name, "w", force_zip64=True) as write:
                sums[name] = _copied(read, write)
    return sums


def _write_folder(path: Path, parts: dict[str, Path]) -> dict[str, str]:
    sums = {}
    for name, file in parts.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as read, (path / name).open("wb") as write:
            sums[name] = _copied(read, write)
    path.mkdir(exist_ok=True)
    return sums


def _copied(read: IO[bytes], write: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := read.read(CHUNK):
        digest.update(chunk)
        write.write(chunk)
    return digest.hexdigest()


def _digest(read: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := read.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _opened(source: Path, name: str) -> IO[bytes]:
    if source.is_dir():
        path = source / name
        if not path.resolve().is_relative_to(source.resolve()):
            raise BackupError(f"{name} in {source} is a link out of the backup", hint="Take another backup.")
        if words := refusal(path):
            raise BackupError(f"{name} in {source} {words}", hint="Take another backup.")
        return path.open("rb")
    with zipfile.ZipFile(source) as archive:
        return archive.open(name)


def _make_live(data: Path, generation: str, shown_as: Path) -> None:
    try:
        open_warehouse("", data, memory_limit="1GB", threads=1).restore(generation)
    except KpiError as error:
        raise BackupError(f"the generation in {shown_as} cannot be opened: {error}") from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
