"""add: one more source, with dataset and first KPIs, or one more KPI, to a project that exists."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.errors import DefinitionError, ProjectError, UnknownName
from jobs.init import look, proposal, slug
from jobs.project import Project
from metrics.catalog.document import read_document

LED = ("label", "description", "area", "type", "dataset")  # keys that come first in a file, in this order


def add_source(project: Project, origin: str, name: str | None) -> Iterator[str]:
    """Look at a file, propose source, dataset and KPIs, and write them; yield what was done, a line each.

    Raises ProjectError if something of that name is there; then, and if the file cannot be read, nothing is written.
    """
    stem = re.sub(r"(\.\w+)+$", "", origin.split("?")[0].rstrip("/").rsplit("/", 1)[-1].replace("*", ""))
    name = name or slug(stem or "data")
    if name != slug(name):
        raise ProjectError(f"'{name}' is no name", hint=f"Lower case, digits and underscores: {slug(name)}.")
    known = project.sources()
    if name in known or name in project.table_sources():
        raise ProjectError(f"source or table '{name}' is there already", hint="Choose another with --name.")
    path = origin
    if not origin.startswith(("http://", "https://")):
        absolute = Path(origin).expanduser().absolute()
        inside = absolute.is_relative_to(project.folder)
        path = str(absolute.relative_to(project.folder) if inside else absolute)
    guess = look(name, path if origin.startswith("http") else str(Path(origin).expanduser().absolute()))
    files = proposal(name, path, guess)
    entry = files.pop("sources.yml")
    files.pop("settings.yml")
    taken = [file for file in files if (project.folder / file).exists()]
    if taken:
        raise ProjectError(f"{taken[0]} is there already", hint="Choose another name with --name.")
    _write(project, {**files, "sources.yml": _extended(project.folder / "sources.yml", entry)})
    yield f"Looked at {guess.rows:,} rows of {origin}: time is '{guess.time.name}', {guess.days:,} days of it."
    yield f"Added source {name} to sources.yml and wrote {', '.join(files)}."
    yield f"Next: look at them, then  kpi sync {name} --project {project.folder}"


def add_kpi(project: Project, name: str, settings: Sequence[str]) -> Iterator[str]:
    """Write kpis/NAME.yml from `key=value` texts, if it is valid. Raises ProjectError, DefinitionError."""
    file = f"kpis/{name}.yml"
    if (project.folder / file).exists():
        raise ProjectError(f"{file} is there already", hint="Edit it, or choose another name.")
    keys: dict[str, str] = {}
    for text in settings:
        key, sign, value = text.partition("=")
        if not sign:
            raise ProjectError(f"'{text}' sets nothing", hint="Write key=value, such as agg=count.")
        keys[key.strip()] = value.strip()
    datasets = sorted(project.catalogue().datasets)
    if "dataset" not in keys and keys.get("type", "simple") != "derived":
        if len(datasets) != 1:
            raise UnknownName("which dataset?", hint=f"Write dataset=NAME. Known: {', '.join(datasets) or 'none'}.")
        keys["dataset"] = datasets[0]
    if keys.get("type", "simple") == "simple" and not {"agg", "sql"} & set(keys):
        keys["agg"] = "count"
    ordered = sorted(keys, key=lambda k: LED.index(k) if k in LED else len(LED))
    text = "\n".join([f"name: {name}", *(f"{key}: {_scalar(key, keys[key])}" for key in ordered)]) + "\n"
    _check(project, name, text)
    _write(project, {file: text})
    yield f"Wrote {file}:"
    yield text.rstrip()
    yield f"Next: kpi query {name} --project {project.folder}"


def _scalar(key: str, value: str) -> str:
    """A value as YAML: lists and maps as they are written, text quoted where YAML would read it otherwise."""
    if value[:1] in "[{" and value[-1:] in "]}":
        return value
    wordy = key in ("label", "description", "owner", "format")
    plain = re.fullmatch(r"[A-Za-z_][\w .,/()*-]*" if wordy else r"\w[\w .,/()*-]*", value)
    return value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check(project: Project, name: str, text: str) -> None:
    """Load the definitions with the new file among them, beside the project. Raises DefinitionError."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for part in ("datasets", "transforms"):
            (folder / part).symlink_to(project.folder / part)
        (folder / "kpis").mkdir()
        for path in (project.folder / "kpis").glob("*.yml"):
            (folder / "kpis" / path.name).symlink_to(path)
        (folder / "kpis" / f"{name}.yml").write_text(text, encoding="utf-8")
        catalogue = dataclasses.replace(project, folder=folder).catalogue()
        shown = f"{folder}/"
        if name in catalogue.broken or name not in catalogue.kpis:
            found = [dataclasses.replace(p, file=p.file.removeprefix(shown)) for p in catalogue.broken.get(name, ())]
            raise DefinitionError(
                f"'{name}' would not be valid, so nothing was written", problems=found, hint="\n".join(map(str, found))
            )


def _extended(path: Path, entry: str) -> str:
    """sources.yml with one more entry at its end; comments stay. Raises ProjectError if that is no list any more."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    before = len(read_document(path, shown_as=path.name)[0].data or []) if path.exists() else 0
    new = old + ("\n" if old and not old.endswith("\n") else "") + entry
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        copy.write_text(new, encoding="utf-8")
        document, problems = read_document(copy, shown_as=path.name)
    if problems or not isinstance(document.data, list) or len(document.data) != before + 1:
        raise ProjectError(
            "sources.yml is not written as lines that start with `- `, so none can be added",
            hint=f"Add this by hand:\n{entry}",
        )
    return new


def _write(project: Project, files: dict[str, str]) -> None:
    """All files, each in one step, or none."""
    fresh: list[tuple[Path, Path]] = []
    try:
        for name, text in files.items():
            path = project.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            staged = path.with_name(f".{path.name}.new")
            fresh.append((staged, path))
            staged.write_text(text, encoding="utf-8")
        for staged, path in fresh:
            os.replace(staged, path)
    except OSError as error:
        for staged, _ in fresh:
            staged.unlink(missing_ok=True)
        raise ProjectError(f"{project.folder} cannot be written: {error.strerror}") from error
