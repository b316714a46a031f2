"""A YAML 1.2 file with the line of every key, and its validation against a pydantic model."""

from __future__ import annotations

import copy
import io
import json
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from connectors.errors import Problem, did_you_mean
from connectors.reading import NoPlainFile, read_regular

LIMITS = {
    "greater_than_equal": "must be at least {}",
    "greater_than": "must be above {}",
    "less_than": "must be below {}",
    "less_than_equal": "must be at most {}",
    "too_short": "needs at least {} entries",
}
HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")  # of a pair of two, as JSON writes letters beyond 16 bits
MOST_BYTES = 1 << 20  # of one file: what somebody wrote has a thousandth of that
MOST_PARSED, MOST_LETTERS = 1024, 1 << 14  # texts that stay parsed, and letters of one
MOST_PLACES = 100_000  # keys and values of one file; aliases could make them endless
Place = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    """One parsed file. data: plain values; lines: place → 1-based line; file: its name for people."""

    file: str
    data: Any
    text: str = ""
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Sequence[str | int]) -> int:
        """Line of the nearest known key on the way to `place`."""
        found = tuple(place)
        while found and found not in self.lines:
            found = found[:-1]
        return self.lines.get(found, 1)

    def problem(
        self, place: Sequence[str | int], code: str, message: str, hint: str = "", level: str = "error"
    ) -> Problem:
        """A Problem at the line of `place`."""
        return Problem(self.file, self.line(place), level, code, message, hint)


def read_document(path: Path, *, shown_as: str, within: Path | None = None) -> tuple[Document, list[Problem]]:
    """Parse one YAML file. What is no file or no YAML gives an empty document and one problem.

    within: the folder that a link may not leave; the file's own if it is not stated.
    """
    try:
        text = io.TextIOWrapper(
            io.BytesIO(read_regular(path, most=MOST_BYTES, within=within or path.parent)), encoding="utf-8"
        ).read()
    except NoPlainFile as error:
        hint = "Put a plain YAML file in its place, or take it away."
        return Document(shown_as, None), [Problem(shown_as, 0, "error", "unreadable", str(error), hint)]
    except (OSError, UnicodeDecodeError) as error:
        hint = "Save it as UTF-8." if isinstance(error, UnicodeDecodeError) else ""
        return Document(shown_as, None), [Problem(shown_as, 0, "error", "unreadable", f"cannot be read: {error}", hint)]
    return parse_document(text, shown_as=shown_as)


def parse_document(text: str, *, shown_as: str) -> tuple[Document, list[Problem]]:
    """Parse YAML text as if it stood in a file of that name. What was parsed lately is not parsed again."""
    document, problems = (_parsed if len(text) <= MOST_LETTERS else _parsed.__wrapped__)(text, shown_as)
    return document, list(problems)


@lru_cache(maxsize=MOST_PARSED)
def _parsed(text: str, shown_as: str) -> tuple[Document, list[Problem]]:
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
        data = None if node is None else yaml.constructor.construct_document(node)
    except RecursionError:
        problem = Problem(shown_as, 0, "error", "yaml", "is nested too deep to be read")
        return Document(shown_as, None, text), [problem]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 0
        what = (error.problem or "is not YAML").splitlines()[0]
        problem = Problem(shown_as, line, "error", "yaml", what, "Look for a missing colon, quote or indent here.")
        return Document(shown_as, None, text), [problem]
    except ReaderError as error:  # a character that no YAML has
        line = text.count("\n", 0, error.position) + 1
        words = f"holds the character U+{ord(text[error.position]):04X}, which no YAML file may"
        return Document(shown_as, None, text), [Problem(shown_as, line, "error", "yaml", words, "Take it out.")]
    except ValueError as error:  # a date that no calendar has
        words = f"holds a date that does not exist: {error}"
        return Document(shown_as, None, text), [
            Problem(shown_as, _wrong_date(node), "error", "yaml", words, "Write it as 2026-11-23.")
        ]
    half = HALF.search(text)
    if half and not _is_whole(data):
        line = text[: half.start()].count("\n") + 1
        words = f"{half[0]} is half a letter, and no text can hold it"
        return Document(shown_as, None, text), [Problem(shown_as, line, "error", "yaml", words, "Write the letter.")]
    lines: dict[Place, int] = {}
    if node is not None:
        try:
            _note_lines(node, (), lines)
        except OverflowError:
            words = f"its aliases stand for more than {MOST_PLACES:,} values"
            return Document(shown_as, None, text), [Problem(shown_as, 0, "error", "yaml", words, "Write values out.")]
        except RecursionError:  # `&a [*a]`: what was composed has no end
            words = "is nested too deep to be read, or an alias stands for what it is part of"
            return Document(shown_as, None, text), [Problem(shown_as, 0, "error", "yaml", words, "Write values out.")]
    return Document(shown_as, data, text, lines), []


def _wrong_date(node: Node) -> int:
    """The line of the first date that cannot be one."""
    if isinstance(node, ScalarNode) and str(node.tag).endswith(":timestamp"):
        try:
            YAML(typ="safe", pure=True).load(node.value)
        except ValueError:
            return int(node.start_mark.line) + 1
    parts = node.value if isinstance(node, (MappingNode, SequenceNode)) else ()
    inner = [item for part in parts for item in (part if isinstance(part, tuple) else (part,))]
    return next((line for item in inner if (line := _wrong_date(item))), 0)


def _is_whole(data: Any) -> bool:
    """Whether every text of a document can be written as UTF-8."""
    try:
        json.dumps(data, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


def _note_lines(node: Node, place: Place, lines: dict[Place, int]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if len(lines) > MOST_PLACES:
        raise OverflowError
    if isinstance(node, MappingNode):
        for key, value in node.value:
            inner = (*place, key.value if isinstance(key, ScalarNode) else "")  # `[a]: b`, which no model knows
            lines[inner] = key.start_mark.line + 1
            _note_lines(value, inner, lines)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*place, index), lines)


def validated(
    document: Document, model: type[Model], *, at: Place = (), data: Any = None
) -> tuple[Model | None, list[Problem]]:
    """`document` (or `data`, its part at `at`) as a `model`, or every problem it has."""
    value = document.data if data is None else data
    if not isinstance(value, Mapping):
        message = "is empty" if value is None else f"must be keys and values, not {_kind(value)}"
        return None, [document.problem(at, "shape", message)]
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, [_problem(document, model, at, item) for item in _told(error)]


def _told(error: ValidationError) -> list[dict[str, Any]]:
    """What is wrong. A list that is too short because its items are wrong is not told as too short."""
    items: list[dict[str, Any]] = [dict(item) for item in error.errors()]
    inner = {tuple(item["loc"])[:n] for item in items for n in range(1, len(item["loc"]))}
    return [item for item in items if not (item["type"] == "too_short" and tuple(item["loc"]) in inner)]


MOST_MENDED = 50  # wrong keys of one file, beyond which its names are not looked up
STAND_IN = "stand_in_of_what_is_missing"
STAND_INS = (STAND_IN, 1, {"agg": "count"}, [{"name": "a"}, {"name": "b"}])


def half_read(document: Document, model: type[Model]) -> Model | None:
    """What can be understood of a file whose keys are wrong: without them, and with stand-ins for what is missing.

    For looking up the names in it, so that all problems are told at once; never to be used.
    """
    value, lenient = copy.deepcopy(document.data), _lenient(model)
    for _ in range(MOST_MENDED):
        try:
            return lenient.model_validate(value)
        except ValidationError as error:
            if not _mended(value, _told(error)[-1], lenient):  # what is taken out of a list moves what follows
                return None
    return None


def _lenient(model: type[Model]) -> type[Model]:
    """The model without what its keys must be together."""
    after = (name for name, item in model.__pydantic_decorators__.model_validators.items() if item.info.mode == "after")
    return type(model.__name__, (model,), {name: lambda self: self for name in after})


def _mended(value: Any, item: dict[str, Any], model: type[BaseModel]) -> bool:
    """Take out of a document what is wrong, stand in for what is missing; whether that was possible."""
    place, inside = item["loc"], value
    way: list[tuple[Any, Any]] = []  # containers and keys, as far as the place is there: the rest names a kind of value
    for part in place:
        known = (isinstance(inside, dict) and part in inside) or (
            isinstance(inside, list) and isinstance(part, int) and part < len(inside)
        )
        if known:
            way.append((inside, part))
            inside = inside[part]
    if item["type"] == "missing" and isinstance(inside, dict):
        inside[place[-1]] = next((s for s in STAND_INS if not _wrong_at(model, value, place, s, inside)), STAND_IN)
        return True
    for container, key in reversed(way):
        del container[key]
        return True
    return False


def _wrong_at(model: type[BaseModel], value: Any, place: Place, stand_in: Any, inside: dict[Any, Any]) -> bool:
    """Whether a stand-in is wrong itself."""
    inside[place[-1]] = stand_in
    try:
        model.model_validate(value)
    except ValidationError as error:
        return any(tuple(found["loc"])[: len(place)] == tuple(place) for found in error.errors())
    finally:
        del inside[place[-1]]
    return False


def _problem(document: Document, model: type[BaseModel], at: Place, item: dict[str, Any]) -> Problem:
    inner = tuple(item["loc"])
    place, kind = (*at, *inner), item["type"]
    key = ".".join(str(part) for part in inner)
    if kind == "extra_forbidden":
        known = sorted(_keys(model, inner[:-1]))
        return document.problem(place, "unknown_key", f"unknown key '{inner[-1]}'", did_you_mean(str(inner[-1]), known))
    if kind == "missing":
        return document.problem(place, "missing_key", f"missing key '{key}'")
    if kind == "literal_error":
        allowed = [part.strip(" '") for part in item["ctx"]["expected"].replace(" or ", ",").split(",")]
        hint = did_you_mean(str(item["input"]), allowed)
        return document.problem(place, "not_allowed", f"'{key}' cannot be '{item['input']}'", hint)
    if kind in LIMITS:
        (limit,) = (value for name, value in item["ctx"].items() if name in ("ge", "gt", "le", "lt", "min_length"))
        return document.problem(place, "wrong_value", f"'{key}' {LIMITS[kind].format(limit)}")
    message = item["msg"].removeprefix("Value error, ")
    head, _, hint = message.partition("\n")
    return document.problem(place, "wrong_value", f"'{key}': {head}" if key else head, hint)


def _keys(model: type[BaseModel], path: Place) -> set[str]:
    """Keys allowed at `path` below `model`; empty where it cannot be told."""
    current: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        fields = getattr(current, "model_fields", {})
        found = next((f for n, f in fields.items() if part in (n, f.alias)), None)
        if found is None:
            return set()
        current = next((m for m in _models(found.annotation)), None)
    fields = getattr(current, "model_fields", {})
    return {f.alias or n for n, f in fields.items()}


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in _models(inner)]


def _kind(value: Any) -> str:
    return {"list": "a list", "str": "text", "int": "a number", "float": "a number"}.get(
        type(value).__name__, type(value).__name__
    )
