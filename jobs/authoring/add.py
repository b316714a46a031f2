"""add: one more source, with dataset and first KPIs, or one more KPI, to a project that exists."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from connectors.clock import utc_now
from connectors.errors import DefinitionError, ProjectError, UnknownName, counted
from connectors.sources.contract import Source
from connectors.state import acting
from jobs.authoring.init import Order, entry, file_lines, file_name, file_source, look_at
from jobs.authoring.looking import Look
from jobs.authoring.names import flow, slug, text
from jobs.authoring.profile import Make, Texts
from jobs.authoring.told import kpi_lines, understood
from jobs.project.project import Project
from metrics.catalog.document import read_document

LOOKED_AT = 200_000  # rows of a table
LONGEST_NAME = 80
DEVICE = re.compile(r"con|prn|aux|nul|com\d|lpt\d")
LED = ("label", "description", "area", "type", "dataset")  # keys that come first in a file, in this order


def add_source(
    project: Project,
    origin: str,
    name: str | None,
    table: str | None = None,
    order: Order | None = None,
    *,
    by: str = "",
) -> Iterator[str]:
    """Look at a file or a table, propose source, dataset and KPIs, and write them; yield what was done, a line each.

    origin: a file, an http address, or a database's address with `table`. by: who adds it; empty = whoever this
    command acts for. Raises ProjectError if something of that
    name is there; then, and if the source cannot be read, nothing is written.
    """
    database = "://" in origin and not origin.startswith(("http://", "https://"))
    if database and not table:
        raise ProjectError("which table?", hint="A database has many: --table NAME, maybe with its schema.")
    name = name or (slug(str(table).rpartition(".")[2]) if database else file_name(origin))
    require_name(name)
    known = project.sources.all()
    if name in known or name in project.sources.by_table():
        raise ProjectError(f"source or table '{name}' already exists", hint="Choose another with --name.")
    if database:
        make, shown, secret = _table(project, name, origin, str(table))
        look = look_at(name, make, order)
        lines = _table_lines(shown, str(table), name, look)
    else:
        path, secret = origin, ""
        if not origin.startswith(("http://", "https://")):
            absolute = Path(origin).expanduser().absolute()
            path = str(absolute.relative_to(project.folder) if absolute.is_relative_to(project.folder) else absolute)
            origin = str(absolute)
        look = look_at(name, file_source(name, origin, project.settings.outbound_hosts), order)
        lines = file_lines(path)
    kpis = {path.stem for path in (project.folder / "kpis").glob("*.yml")}
    look = dataclasses.replace(look, proposal=look.proposal.apart_from(kpis))
    files = look.proposal.files()
    taken = [file for file in files if (project.folder / file).exists()]
    if taken:
        raise ProjectError(f"{taken[0]} already exists", hint="Choose another name with --name.")
    record_source(project, [name], "database" if database else "file", by)
    write_all(project, {**files, "sources.yml": extended(project.folder / "sources.yml", entry(name, lines, look))})
    yield from understood(look, table or origin)
    yield f"Added source {name} to sources.yml, with {counted(len(look.proposal.kpis), 'KPI')}:"
    yield from kpi_lines(look)
    if secret:
        yield f"The password is not in the file: set it with  export {secret}=…"
    yield f"Next: look at them, then  kpi sync {name} --project {project.folder}"


def record_source(project: Project, names: Sequence[str], kind: str, by: str) -> None:
    """What is about to be added, before it is: no entry, no source. Raises StateError."""
    from jobs.audit.record import Act, is_kept, record_alone  # SQLAlchemy

    if is_kept(project):
        act = Act("source_added", f"source:{names[0]}", by or acting.who(), {"sources": [*names], "type": kind})
        record_alone(project.state, act, utc_now())


def _table(project: Project, name: str, url: str, table: str) -> tuple[Make, str, str]:
    """How the newest rows of a table are looked at; its address as the file has it; the name of its secret."""
    from connectors.sources.sql import Sql, SqlOptions  # SQLAlchemy: only where a database is asked

    def make(_: Path, texts: Texts) -> Source:
        query = f"SELECT * FROM {table} LIMIT {LOOKED_AT}"
        try:
            options = SqlOptions.model_validate(
                {"name": name, "type": "sql", "table": name, "url": url, "query": query, "load": "append", **texts}
            )
        except ValidationError:
            raise ProjectError("this is no database address", hint="Write one such as sqlite:///shop.db.") from None
        return Sql(options, folder=project.folder, allow=project.settings.outbound_hosts)

    secret = f"{name.upper()}_PASSWORD"
    shown = re.sub(r"(://[^:/@\s]+):[^@\s]+@", rf"\1:${{{secret}}}@", url)
    return make, shown, secret if shown != url else ""


def _table_lines(url: str, table: str, name: str, look: Look) -> str:
    """The lines of a table's entry in sources.yml: by key and cursor where the columns offer them."""
    lines = [f"  type: sql\n  url: {url}"]
    lines += [f"  remote_table: {table}"] if table != name else []
    key, cursor = look.proposal.datasets[0].key, look.cursor
    lines += [f"  primary_key: {flow([key])}"] if key else []
    if cursor and key:
        lines += [
            f"  cursor: {text(cursor)}            # only what is new is pulled",
            "  lookback: 1d",
            "  full_every: 7d             # finds rows that were deleted",
        ]
    return "\n".join(lines) + "\n"


def add_kpi(project: Project, name: str, settings: Sequence[str]) -> Iterator[str]:
    """Write kpis/NAME.yml from `key=value` texts, if it is valid. Raises ProjectError, DefinitionError."""
    require_name(name)
    file = f"kpis/{name}.yml"
    if (project.folder / file).exists():
        raise ProjectError(f"{file} already exists", hint="Edit it, or choose another name.")
    keys: dict[str, str] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign:
            raise ProjectError(f"'{setting}' sets nothing", hint="Write key=value, such as agg=count.")
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
    write_all(project, {file: text})
    yield f"Wrote {file}:"
    yield text.rstrip()
    yield f"Next: kpi query {name} --project {project.folder}"


def require_name(name: str) -> None:
    """A name becomes a file's: no folder, no drive, nothing that a system keeps for itself. Raises ProjectError."""
    if len(name) > LONGEST_NAME:
        raise ProjectError(f"a name of {len(name)} letters is too long", hint=f"{LONGEST_NAME} are the most.")
    if name != slug(name):
        raise ProjectError(f"'{name}' is no name", hint=f"Lower case, digits and underscores: {slug(name)}.")
    if DEVICE.fullmatch(name):
        raise ProjectError(f"'{name}' is a device on some systems, not a file", hint=f"Choose another: {name}_kpi.")


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


def extended(path: Path, entry: str, entries: int = 1) -> str:
    """sources.yml with more at its end; comments stay. Raises ProjectError if that is no list any more."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    before = len(read_document(path, shown_as=path.name)[0].data or []) if path.exists() else 0
    new = old + ("\n" if old and not old.endswith("\n") else "") + entry
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        copy.write_text(new, encoding="utf-8")
        document, problems = read_document(copy, shown_as=path.name)
    if problems or not isinstance(document.data, list) or len(document.data) != before + entries:
        raise ProjectError(
            "sources.yml is not written as lines that start with `- `, so none can be added",
            hint=f"Add this by hand:\n{entry}",
        )
    return new


def write_all(project: Project, files: dict[str, str]) -> None:
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
