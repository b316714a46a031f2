"""What `kpi sources` prints: every type with an example, its options, and the keys of those that have some."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors.sources.contract import SourceOptions, source_types

COMMON = SourceOptions.model_fields


def source_options() -> list[dict[str, Any]]:
    """Every option of every source type, as its file declares them, those that all types have last.

    example: an entry of sources.yml of this type. keys: what stands below the option: kind (which of several ways,
    empty where there is one), what it is about, key, default, description.
    """
    return [
        {
            "type": name,
            "option": option,
            "default": _default(field),
            "description": field.description or "",
            "example": kind.example,
            "keys": [_key(model, key, below) for model in _models(field.annotation) for key, below in _fields(model)],
        }
        for name, kind in source_types().items()
        for option, field in sorted(kind.Options.model_fields.items(), key=lambda item: item[0] in COMMON)
    ]


def by_type(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """The rows for people: type, example and lines of its own options; then those that every type has."""
    for name in dict.fromkeys(row["type"] for row in rows):
        mine = [row for row in rows if row["type"] == name]
        # A common option stands with a type only where it has another default there.
        own = [row for row in mine if row["option"] not in COMMON or row["default"] != _default(COMMON[row["option"]])]
        yield name, mine[0]["example"], [line for row in own for line in (row, *_lines(row))]
    first = {row["option"]: row for row in rows if row["type"] == rows[0]["type"]}
    shared = [
        {**first[option], "default": _default(field), "description": field.description or ""}
        for option, field in COMMON.items()
    ]
    yield "every type", "", [line for row in shared for line in (row, *_lines(row))]


def _lines(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each key, or for each way with its keys where there are several."""
    kinds = dict.fromkeys(key["kind"] for key in row["keys"])
    for kind in kinds:
        keys = [key for key in row["keys"] if key["kind"] == kind]
        if not kind:
            yield from ({**key, "option": f"  {row['option']}.{key['key']}"} for key in keys)
            continue
        told = [
            f"{key['key']} (required)" if key["default"] == "required" else key["key"] for key in keys if key["key"]
        ]
        words = keys[0]["about"] + (f" Keys: {', '.join(told)}." if told else "")
        yield {"option": f"  {row['option']}: {kind}", "default": "", "description": words}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a value of this annotation may be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo | None]]:
    """Its fields but the one that says its kind; one without a name where there are no others."""
    found = [(key, field) for key, field in model.model_fields.items() if key != "type"]
    yield from found
    if not found:
        yield "", None


def _key(model: type[BaseModel], key: str, field: FieldInfo | None) -> dict[str, str]:
    kind = model.model_fields.get("type")
    return {
        "kind": str(kind.default) if kind else "",
        "about": (model.__doc__ or "").strip().split("\n")[0],
        "key": key,
        "default": _default(field) if field else "",
        "description": (field.description or "") if field else "",
    }


def _default(field: FieldInfo) -> str:
    """As it is written in sources.yml; empty for none."""
    if field.is_required():
        return "required"
    return _written(field.get_default(call_default_factory=True))


def _written(value: Any) -> str:
    if value is None or value in ("", {}, timedelta(0)):
        return ""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(part) or repr(part) for part in value)}]" if value else ""
    if isinstance(value, timedelta):
        return f"{value.days}d" if not value.seconds else f"{value.total_seconds() / 60:.0f}min"
    return str(getattr(value, "type", "") if isinstance(value, BaseModel) else value)
