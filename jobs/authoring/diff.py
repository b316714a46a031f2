"""diff: old against new definitions, in numbers, on the same rows."""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from connectors.errors import KpiError, ProjectError, UnknownName, require
from jobs.project.project import Project
from jobs.project.settings_file import read_settings
from metrics.catalog.catalogue import Catalogue
from metrics.engine.answer import answer
from metrics.engine.frames import known_value
from metrics.engine.query import Query
from metrics.presentation.export import period
from metrics.presentation.precision import same

PERIODS = 8
PARTS = ("datasets", "kpis", "transforms")


@dataclass(frozen=True)
class Diff:
    """rows: kpi, period, old, new (None = unknown or not defined). notes: what could not be computed."""

    rows: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether any number does."""
        return any(not same(row["old"], row["new"]) for row in self.rows)


def diff(project: Project, names: Sequence[str], against: str | None, *, periods: int = PERIODS) -> Diff:
    """The last complete periods of each KPI by both definitions, counted from the rows of the live generation.

    names: default every KPI whose definition differs. against: a git revision; default what was published last.
    Raises NoData, UnknownName, ProjectError for a revision that git does not know.
    """
    reader = project.reader()
    with tempfile.TemporaryDirectory() as scratch:
        old_project = _old(project, against, Path(scratch))
        old, new = old_project.catalogue(reader), _strict(project).catalogue(reader)
        known = sorted({*old.kpis, *new.kpis, *new.broken})
        for name in names:
            require(name, known, kind="KPI")
        chosen = list(names) or [n for n in known if _definition(old, n) != _definition(new, n)]
        rows: list[dict[str, Any]] = []
        notes: list[str] = []
        for name in chosen:
            both = [_values(project, catalogue, name, notes, side) for catalogue, side in ((old, "old"), (new, "new"))]
            found = pd.concat(both, axis=1, keys=["old", "new"]).sort_index().tail(periods)
            grain = (new.kpis.get(name) or old.kpis[name]).grain if name in {*new.kpis, *old.kpis} else "day"
            rows += [
                {"kpi": name, "period": period(pd.Timestamp(at), grain), "old": known_value(a), "new": known_value(b)}
                for at, a, b in zip(found.index, found["old"], found["new"], strict=True)
            ]
        return Diff(tuple(rows), tuple(dict.fromkeys(notes)))


def _strict(project: Project) -> Project:
    """The project without the published versions standing in for files that are wrong."""
    return dataclasses.replace(project, hold=False)


def defined_by(project: Project, texts: Mapping[str, str], scratch: Path) -> Project:
    """The project with these definitions ("kpi:name" → text) in place of its own, written to an empty folder."""
    for key, text in texts.items():
        kind, _, name = key.partition(":")
        if f"{kind}s" not in PARTS:  # what a generation keeps beside its definitions
            continue
        path = scratch / f"{kind}s" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if (project.folder / "transforms").is_dir():
        (scratch / "transforms").symlink_to(project.folder / "transforms")
    return dataclasses.replace(project, folder=scratch, hold=False)


def _old(project: Project, against: str | None, scratch: Path) -> Project:
    """The project with its definitions as published, or as of a revision."""
    if against is None:
        return defined_by(project, project.reader().published_files(), scratch)
    for name in _git(project, "ls-tree", "-r", "--name-only", "-z", against, "--", ".").split("\0"):
        if name.split("/")[0] in PARTS or name == "settings.yml":
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_git(project, "show", f"{against}:./{name}"), encoding="utf-8")
    settings, _ = read_settings(scratch / "settings.yml", f"settings.yml at {against}")
    return dataclasses.replace(project, folder=scratch, settings=settings, hold=False)


def _git(project: Project, *arguments: str) -> str:
    try:
        found = subprocess.run(["git", "-C", str(project.folder), *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        raise ProjectError("git is not installed, so no revision can be read", hint="Leave out --against.") from None
    if found.returncode:
        words = found.stderr.strip().splitlines()
        raise ProjectError(f"git: {words[0] if words else 'failed'}", hint="--against takes a revision, such as main.")
    return found.stdout


def _definition(catalogue: Catalogue, name: str) -> str:
    return catalogue.definition(name) if name in catalogue.kpis else ""


def _values(project: Project, catalogue: Catalogue, name: str, notes: list[str], side: str) -> pd.Series:
    """Complete periods of the home grain → value; empty where the definition is missing or has no value."""
    try:
        series = answer(Query(name), catalogue, project.reader(), from_facts=True)
    except UnknownName:
        notes.append(f"{name}: there is no {side} definition")
        return pd.Series(dtype="float64")
    except KpiError as error:
        notes.append(f"{name}: the {side} definition has no value: {error.message}")
        return pd.Series(dtype="float64")
    done = series.frame[series.frame["complete"]]
    return done.set_index("period")["value"]
