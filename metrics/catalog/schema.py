"""JSON Schemas of the definition files, for editors that complete and check YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.launch import Launch
from metrics.catalog.models.plan import Plan
from metrics.catalog.models.snapshot import Snapshot
from metrics.catalog.types import kpi_type, type_names

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, Any]:
    """Of kpi, dataset, launch, plan and snapshot. What is parsed further (durations, thresholds) is a string."""
    kinds = {name: _schema(model) for name, model in ((name, kpi_type(name)) for name in type_names())}
    definitions: dict[str, Any] = {}
    for name, kind in kinds.items():
        definitions.update(kind.pop("$defs", {}))
        definitions[f"type_{name}"] = kind
    chosen = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/type_{name}"},
        }
        for name in kinds
    ]
    plain = {"if": {"not": {"required": ["type"]}}, "then": {"$ref": "#/$defs/type_simple"}}
    kpi = {
        "$schema": DIALECT,
        "title": "KPI",
        "type": "object",
        "properties": {"type": {"enum": sorted(kinds)}},
        "allOf": [plain, *chosen],
        "$defs": definitions,
    }
    others: dict[str, type[BaseModel]] = {"dataset": Dataset, "launch": Launch, "plan": Plan, "snapshot": Snapshot}
    return {"kpi": kpi, **{name: _schema(model) for name, model in others.items()}}


def write(folder: Path) -> None:
    """Write one file per schema."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.schema.json").write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    for definition in schema.get("$defs", {}).values():
        if definition.get("title") == "Threshold":
            text = {"type": "string", "title": "Threshold", "description": definition.get("description", "")}
            definition.clear()
            definition.update(text)
    loose: dict[str, Any] = _loosened(schema)
    return loose


def _loosened(part: Any) -> Any:
    """What a validator accepts before it parses: durations as text, lists in short form, dates as text."""
    if isinstance(part, dict):
        if part.get("format") == "duration":
            return {**{k: v for k, v in part.items() if k != "format"}, "type": "string"}
        found = {key: _loosened(value) for key, value in part.items() if key not in ("default",)}
        properties = found.get("properties", {})
        if "transforms" in properties:
            steps = properties["transforms"].get("items", {})
            properties["transforms"]["items"] = {"anyOf": [{"type": "string"}, steps]}
        for key, short in (("dimensions", "array"), ("primary_key", "string")):
            if "time_dimension" in properties and key in properties:
                properties[key] = {"anyOf": [properties[key], {"type": short}]}
        return found
    return [_loosened(item) for item in part] if isinstance(part, list) else part
