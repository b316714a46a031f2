"""init: a new project folder; from a file or address, with proposed source, dataset and first KPIs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from connectors.errors import ProjectError, counted
from connectors.sources.contract import Source
from connectors.sources.files import FileOptions, Files
from jobs.authoring.looking import Look, doubtful, proposed
from jobs.authoring.names import flow, slug, text
from jobs.authoring.profile import Make, Texts
from jobs.authoring.reading import seen
from jobs.authoring.told import kpi_lines, understood
from jobs.project.folders import PARTS

Order = Callable[[str], str]  # what no row decides, in words → the order of day and month: dmy, mdy or ymd

SETTINGS = """\
# docs/settings.md lists every key.
timezone: UTC            # whose midnights bound days, weeks and months
week_start: monday
"""


SNAPSHOT = """\
# One weekly snapshot: frozen once the week is complete, sent to `recipients`. docs/snapshots.md lists every key.
name: weekly
title: Weekly snapshot
# sections:                       # default: one for each area
#   - {title: Growth, kpis: [sign_ups, {kpi: activation, where: {platform: ios}}]}
# recipients: [leads]             # contact points of settings.yml
"""


def init(directory: Path, origin: str | None, order: Order | None = None) -> Iterator[str]:
    """Make the folder; yield what was done, a line each. Writes nothing if anything is wrong.

    order: answers what no row of a column of dates decides; without it that is a caution. Raises ProjectError if the
    folder is not empty or the file has no time, SourceError if it cannot be read.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ProjectError(f"{directory} exists and is not empty", hint="Name a new folder.")
    files = {"settings.yml": SETTINGS, "snapshots/weekly.yml": SNAPSHOT}
    if origin is None:
        _write(
            directory, {**files, "sources.yml": "# - {name: orders, type: files, table: orders, path: orders.csv}\n"}
        )
        yield f"Made {directory}."
        yield f"Next: describe a source in {directory}/sources.yml (`kpi sources` lists the options), then"
        yield f"  kpi sync --project {directory}"
        return
    name = file_name(origin)
    path = origin if origin.startswith(("http://", "https://")) else str(Path(origin).expanduser().absolute())
    look = look_at(name, file_source(name, path, ()), order)
    _write(directory, {**files, "sources.yml": entry(name, file_lines(path), look), **look.proposal.files()})
    yield from understood(look, origin)
    yield f"Made {directory} with {counted(len(look.proposal.kpis), 'KPI')}:"
    yield from kpi_lines(look)
    yield "Next:"
    yield f"  kpi sync --project {directory}"
    yield f"  kpi run --project {directory}"


def file_name(origin: str) -> str:
    """What source, table and dataset of a file are called."""
    stem = re.sub(r"(\.\w+)+$", "", origin.split("?")[0].rstrip("/").rsplit("/", 1)[-1].replace("*", ""))
    return slug(stem or "data")


def file_source(name: str, path: str, allow: tuple[str, ...]) -> Make:
    """How the file is read, for `look_at`. allow: `outbound_hosts` of the settings."""

    def make(folder: Path, texts: Texts) -> Source:
        options = {"name": name, "type": "files", "table": name, "path": path, "load": "append", **texts}
        return Files(FileOptions.model_validate(options), folder=folder, allow=allow)

    return make


def file_lines(path: str) -> str:
    """The lines of a file's entry in sources.yml, below name and table."""
    return f"  type: files\n  path: {text(path)}\n"


def entry(name: str, lines: str, look: Look) -> str:
    """A source's entry in sources.yml: with how its texts are read, so that a later file is read alike."""
    return f"- name: {name}\n  table: {name}\n{lines}{_styles(look, 'dates')}{_styles(look, 'numbers')}"


def _styles(look: Look, key: str) -> str:
    styles = look.dates if key == "dates" else look.numbers
    if not styles:
        return ""
    lines = [f"  {key}:            # how the texts of a column are read; what cannot be is put aside"]
    open_ = doubtful(look.profile)
    lines += [f"    {flow(c)}: {flow(s)}{'    # no row decides' if c in open_ else ''}" for c, s in styles.items()]
    return "\n".join(lines) + "\n"


def look_at(name: str, make: Make, order: Order | None = None) -> Look:
    """Load the source into a scratch warehouse and look at its columns. Raises ProjectError, SourceError."""
    profile = seen(name, make, {})
    open_ = {c: r for c, r in profile.readings.items() if r.doubt and r.role == "dates"}
    answered = {c: order(r.doubt) for c, r in open_.items()} if order else {}
    return proposed(seen(name, make, answered) if answered else profile)


def _write(directory: Path, files: Mapping[str, str]) -> None:
    fresh = not directory.exists()
    try:
        for part in PARTS:
            (directory / part).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (directory / name).write_text(content, encoding="utf-8")
    except OSError as error:
        if fresh:
            shutil.rmtree(directory, ignore_errors=True)
        raise ProjectError(
            f"{directory} cannot be made: {error.strerror}", hint="Choose a folder you may write to."
        ) from error
