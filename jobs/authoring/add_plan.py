"""add plan: a tracking plan from Segment Protocols, or from JSON Schemas of events as Avo exports them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.errors import ProjectError, counted, require
from connectors.reading import read_regular
from jobs.authoring.names import flow, slug
from jobs.project.project import Project

TYPES = ("string", "number", "integer", "boolean", "object", "array")
MOST_BYTES = 32 << 20


def add_plan(project: Project, file: str, name: str, dataset: str, properties: str, event: str) -> Iterator[str]:
    """Write plans/NAME.yml; yield what was done, a line each. Raises ProjectError; then nothing is written."""
    events = planned(_read(Path(file)))
    if not events:
        raise ProjectError(
            f"{file} names no event", hint="It is a tracking plan of Segment, or a JSON Schema per event."
        )
    name = slug(name or Path(file).stem)
    known = sorted(project.catalogue().datasets)
    if not dataset and len(known) != 1:
        raise ProjectError(
            "which dataset has the events?", hint=f"--dataset NAME. Known: {', '.join(known) or 'none'}."
        )
    if dataset:
        require(dataset, known, kind="dataset")
    target = project.folder / "plans" / f"{name}.yml"
    if target.exists():
        raise ProjectError(f"plans/{name}.yml already exists", hint="Choose another with --name.")
    head = [f"name: {name}", f"dataset: {dataset or known[0]}", f"event: {flow(event)}"]
    head += [f"properties: {flow(properties)}"] if properties else []
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join([*head, "events:", *_lines(events)]) + "\n", encoding="utf-8")
    yield f"Wrote plans/{name}.yml with {counted(len(events), 'event')}."
    yield f"Next: name the owners in it, then  kpi check --project {project.folder}"


def planned(document: Any) -> dict[str, dict[str, Any]]:
    """Event → {description, properties: name → {type, required, values}} of what a tracking plan says."""
    found = {}
    for name, schema, words in _events(document):
        body = schema.get("properties", {})
        inner = next((body[key] for key in ("properties", "traits") if isinstance(body.get(key), Mapping)), schema)
        required = set(inner.get("required") or ())
        properties = {
            str(key): _property(value, key in required)
            for key, value in (inner.get("properties") or {}).items()
            if isinstance(value, Mapping)
        }
        found[name] = {"description": words, "properties": properties}
    return found


def _events(document: Any) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Name, JSON Schema and description of each event, of the shapes that are known."""
    rules = document.get("rules", document) if isinstance(document, Mapping) else document
    listed = rules.get("events", rules) if isinstance(rules, Mapping) else rules
    if isinstance(listed, Mapping):
        items: list[Any] = [{"name": key, **value} for key, value in listed.items() if isinstance(value, Mapping)]
    else:
        items = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    for item in items:
        name = item.get("name") or item.get("key") or item.get("title")
        schema = item.get("rules") or item.get("jsonSchema") or item.get("schema") or item
        if name and isinstance(schema, Mapping) and item.get("type", "TRACK") in ("TRACK", "object"):
            yield str(name), schema, str(item.get("description") or schema.get("description") or "")


def _property(schema: Mapping[str, Any], required: bool) -> dict[str, Any]:
    kinds = schema.get("type", "any")
    several = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    kind = several[0] if len(several) == 1 and several[0] in TYPES else "any"
    if kind == "string" and schema.get("format") in ("date-time", "date"):
        kind = "datetime"
    found: dict[str, Any] = {"type": kind}
    if required:
        found["required"] = True
    if isinstance(schema.get("enum"), list):
        found["values"] = [value for value in schema["enum"] if value is not None]
    return found


def _lines(events: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, event in events.items():
        yield f"  {flow(name)}:"
        if event["description"]:
            yield f"    description: {flow(event['description'])}"
        yield "    properties:" if event["properties"] else "    properties: {}"
        for key, what in event["properties"].items():
            parts = ", ".join(f"{k}: {json.dumps(v) if k != 'type' else v}" for k, v in what.items())
            yield f"      {flow(key)}: {{{parts}}}"


def _read(path: Path) -> Any:
    try:
        return json.loads(read_regular(path, most=MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(f"{path} cannot be read as JSON: {error}", hint="Export the plan as JSON.") from None
