"""Launches that people made on a page or with `kpi launch add`: kept in the state store, read like files."""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import sha256
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from sqlalchemy import Connection

from connectors.errors import DefinitionError, require
from connectors.state import launches as store
from connectors.state.launches import LaunchRow
from jobs.audit.record import Act, record
from jobs.project.project import Project
from metrics.catalog.models.launch import Launch
from metrics.catalog.registered import parsed
from metrics.catalog.segments import segments
from metrics.launches.scorecard import terms_of


def add(
    project: Project, text: str, *, by: str, now: datetime, replace: bool = False, from_page: bool = False
) -> Launch:
    """Keep a launch, given as its file would read. replace: one of that name may be there.

    from_page: its filters may name values of one column and nothing else, for whoever can open a page could write them.
    Raises DefinitionError with every problem, StateError.
    """
    catalogue = project.catalogue()
    launch, problems = parsed(text, catalogue)
    if launch is None:
        hint = "\n".join(map(str, problems))
        raise DefinitionError("this launch cannot be saved", hint=hint, problems=tuple(problems))
    if launch.draft:
        raise DefinitionError("a launch that is kept here is no draft", hint="Take `draft: true` out.")
    if from_page:
        _refuse_sql(launch)
    if launch.name in files_of(project):
        raise DefinitionError(f"launches/{launch.name}.yml already exists", hint="Edit that file, or choose a name.")
    with project.state.writing() as connection:
        known = {row.name for row in store.launches(connection)}
        if launch.name in known and not replace:
            raise DefinitionError(f"there is a launch '{launch.name}' already", hint="Choose another name, or edit it.")
        _refuse_other_terms(project, connection, launch)
        store.put_launch(connection, LaunchRow(launch.name, text, by, now, now))
        what = "launch_changed" if launch.name in known else "launch_added"
        told = {"kind": launch.kind, "on": launch.starts_on.isoformat(), "text": sha256(text.encode()).hexdigest()[:12]}
        record(project.state, connection, Act(what, f"launch:{launch.name}", by, told), now)
    return launch


def _refuse_sql(launch: Launch) -> None:
    given = [launch.audience, launch.adoption.used if launch.adoption else ""]
    for text in given:
        if text and segments(text) is None:
            raise DefinitionError(
                f"`{text}` is more than a page may ask for",
                hint="Write it as editor = 'new' or country IN ('DE', 'FR'); other SQL goes into a file in launches/.",
            )


def _refuse_other_terms(project: Project, connection: Connection, launch: Launch) -> None:
    """Whoever launches the same thing again, or to others, makes a new launch: its verdicts are others."""
    for row in store.readings(connection, launch.name):
        if terms_of(project.state.parsed(Launch.model_validate_json, row.terms)) != terms_of(launch):
            raise DefinitionError(
                f"verdicts of {launch.name} were published: its days, audience and control stay as they are",
                hint="Make a launch of another name.",
            )


def remove(project: Project, name: str, *, by: str, now: datetime) -> None:
    """Forget a kept launch that has no verdicts yet. Raises UnknownName, DefinitionError, StateError."""
    if name in files_of(project):
        raise DefinitionError(f"{name} is a file: launches/{name}.yml", hint="Delete the file.")
    with project.state.writing() as connection:
        require(name, [row.name for row in store.launches(connection)], kind="launch")
        if store.readings(connection, name):
            raise DefinitionError(
                f"verdicts of {name} were published, so it stays",
                hint="Decide to roll it back, and say why: `kpi launch decide`.",
            )
        store.drop_launch(connection, name)
        record(project.state, connection, Act("launch_removed", f"launch:{name}", by), now)


def text_of(project: Project, name: str) -> str | None:
    """The text of a kept launch; None if it is a file, or does not exist."""
    if not project.state.exists() or name in files_of(project):
        return None
    with project.state.reading() as connection:
        return next((row.text for row in store.launches(connection) if row.name == name), None)


def files_of(project: Project) -> set[str]:
    """Names of the launches that are files."""
    return {path.stem for path in (project.folder / "launches").glob("*.yml")}


BREAKS = re.compile(r"[\x85\u2028\u2029]")  # which end a line in YAML, as they do where somebody pastes them


class _Written(RoundTripRepresenter):
    """Texts with BREAKS get quotes in which they are escaped; in others they would be read as spaces."""


def _text(representer: _Written, text: str) -> ScalarNode:
    style = '"' if BREAKS.search(text) else None
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Written.add_representer(str, _text)


def as_text(values: dict[str, Any]) -> str:
    """YAML of a launch's keys, empty ones left out."""
    yaml = YAML(pure=True)
    yaml.Representer = _Written
    yaml.default_flow_style = False
    yaml.width = 4096
    stream = StringIO()
    yaml.dump({key: value for key, value in values.items() if value not in ("", None, [], {}, ())}, stream)
    return stream.getvalue()
