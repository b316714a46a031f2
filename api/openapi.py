"""The API's own description, OpenAPI 3.1, made of its resources and their models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from api.resource import Resource

REFERENCE = "#/components/schemas/{model}"
REFUSALS = {
    "400": "The address cannot be read",
    "401": "No token, or one that ended",
    "403": "A token without the scope, or with a role that is not known",
    "404": "There is no such thing",
    "405": "A method that it does not take",
    "409": "A sync runs, or the list has changed",
    "413": "A body that is too long",
    "422": "A parameter that is wrong",
    "429": "Too many questions of one token",
    "503": "It cannot be answered now",
}


class ProblemDetails(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="docs/errors.md")
    hint: str | None


def document(resources: Iterable[Resource], prefix: str) -> dict[str, Any]:
    """The whole. prefix: of every path, such as /api/v1."""
    listed = tuple(resources)
    models: dict[str, type[BaseModel]] = {"ProblemDetails": ProblemDetails}
    models |= {resource.gives.__name__: resource.gives for resource in listed}
    _, schemas = models_json_schema([(model, "serialization") for model in models.values()], ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for resource in listed:
        paths.setdefault(prefix + resource.path, {})[resource.method.lower()] = _operation(resource)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bellwether", "version": prefix.rpartition("/")[2], "description": "docs/api.md"},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(resource: Resource) -> dict[str, Any]:
    good = "202" if resource.method == "POST" else "200"
    answers: dict[str, Any] = {good: _answer("The answer", "application/json", resource.gives.__name__)}
    if resource.method == "GET":
        answers["304"] = {"description": "The asker has this answer"}
    for status, words in REFUSALS.items():
        answers[status] = _answer(words, "application/problem+json", "ProblemDetails")
    name = re.sub(r"\W+", "_", f"{resource.method.lower()}{resource.path}").strip("_")
    return {
        "operationId": name,
        "summary": resource.summary,
        "description": f"Needs a token of scope `{resource.scope}`.",
        "parameters": [*_in_path(resource.path), *_in_query(resource)],
        "responses": dict(sorted(answers.items())),
    }


def _answer(words: str, kind: str, model: str) -> dict[str, Any]:
    return {"description": words, "content": {kind: {"schema": {"$ref": REFERENCE.format(model=model)}}}}


def _in_path(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(resource: Resource) -> list[dict[str, Any]]:
    schema = resource.takes.model_json_schema()
    return [_parameter(name, given) for name, given in schema.get("properties", {}).items()]


def _parameter(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A query parameter: what may be left out is a text, not null."""
    schema = {key: value for key, value in given.items() if key not in ("description", "title", "anyOf")}
    if "anyOf" in given:
        schema = {"type": next(one["type"] for one in given["anyOf"] if one["type"] != "null")}
    if schema.get("default", 0) in (None, (), []):
        del schema["default"]
    return {"name": name, "in": "query", "description": given["description"], "schema": schema}
