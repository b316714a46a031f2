"""pandas steps that a definition may list. One file = one transform = one function of the file's name.

A transform takes the values of one segment over its full history (a float Series, one entry per
period, NaN = unknown) and returns a Series of the same index. It must be causal: the value at a
period may depend on that period and earlier ones only. Its keyword arguments are its options.
Analysts put their own beside their KPIs: <project>/transforms/<name>.py. Those are loaded and run in a worker
(connectors/cage) and nowhere else: they are trusted code, but no endless loop of theirs holds up others, and no secret
of this process is theirs to read.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.cage.cage import cage
from connectors.cage.limits import USUAL, Limits
from connectors.errors import Problem, QueryLimit, TransformError, did_you_mean
from connectors.reading import read_regular

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 1 << 20  # of one file
BUILT_IN = Path(__file__).parent


@dataclass(frozen=True)
class Transform:
    """One transform: where its code is, and the hash of that code. Loaded when first used.

    limits: of the worker that runs it; None = one of ours, which is run here.
    """

    name: str
    path: Path
    code: str
    limits: Limits | None = None

    def apply(self, values: pd.Series, options: Mapping[str, Any]) -> pd.Series:
        """The transformed values, same index. Raises TransformError or QueryLimit, never anything else."""
        keyed = {key: value for key, value in options.items() if key != "as"}
        result: pd.Series = self._asked("applied", values, keyed)
        return result

    def option_problems(self, options: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(message, hint) for each option of a definition that the transform does not take."""
        try:
            found: list[tuple[str, str]] = self._asked("misfits", dict(options))
        except (TransformError, QueryLimit) as error:
            return [(error.message, error.hint)]
        return found

    def _asked(self, function: str, *arguments: Any) -> Any:
        if self.limits is None:
            return globals()[function](self.name, self.path, self.code, *arguments)
        try:
            return cage(self.limits).ask(f"{__name__}:{function}", self.name, self.path, self.code, *arguments)
        except QueryLimit as error:
            raise QueryLimit(error.message, where=f"transform {self.name}", hint=error.hint) from error


def applied(name: str, path: Path, code: str, values: pd.Series, options: Mapping[str, Any]) -> pd.Series:
    """What a transform makes of values, same index. Raises TransformError, never anything else."""
    try:
        result = _function(name, path, code)(values.copy(), **options)
    except TransformError:
        raise
    except Exception as error:  # analysts' code may raise anything; the KPI says so, others go on
        raise TransformError(f"{type(error).__name__}: {error}", where=f"transform {name}") from error
    if getattr(result, "index", None) is None or not result.index.equals(values.index):
        raise TransformError(
            "returned other periods than it was given",
            where=f"transform {name}",
            hint="Return a Series with the index of the one passed in.",
        )
    return result.astype("float64")


_loaded: dict[tuple[str, str], Callable[..., Any]] = {}


def _function(name: str, path: Path, code: str) -> Callable[..., Any]:
    if (name, code) not in _loaded:
        function = getattr(_module(name, path, code), name, None)
        if not callable(function):
            raise TransformError(f"has no function '{name}'", where=str(path), hint=f"Write def {name}(values, …).")
        _loaded[(name, code)] = function
    return _loaded[(name, code)]


def _module(name: str, path: Path, code: str) -> types.ModuleType:
    """The module of exactly the text that `code` is the hash of.

    Not by Python's import system: its kept bytecode is told from an older text by size and whole seconds only, so that
    a file saved twice within a second would go on as it was.
    """
    module = types.ModuleType(f"kpi_transform_{name}")
    module.__file__ = str(path)
    try:
        text = path.read_bytes()
        if _hash(text) != code:
            raise TransformError("was changed while it was read", where=str(path), hint="Ask again.")
        exec(compile(text, str(path), "exec"), module.__dict__)  # noqa: S102 - analysts' code is what is asked for
    except TransformError:
        raise
    except Exception as error:  # a broken file of an analyst is their finding, not our crash
        raise TransformError(f"{type(error).__name__}: {error}", where=str(path)) from error
    return module


def _options_of(name: str, path: Path) -> dict[str, inspect.Parameter]:
    """The options of one of ours, from its text: to check a definition nobody waits for pandas."""
    functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    stated = next(node.args for node in functions if node.name == name)
    found = {}
    for option, default in zip(stated.kwonlyargs, stated.kw_defaults, strict=True):
        usual = inspect.Parameter.empty if default is None else ast.literal_eval(default)
        hint = _hint(option.annotation)
        found[option.arg] = inspect.Parameter(
            option.arg, inspect.Parameter.KEYWORD_ONLY, default=usual, annotation=hint
        )
    return found


def _hint(written: ast.expr | None) -> Any:
    """int, float or Literal[…], as they are written."""
    if isinstance(written, ast.Subscript):
        choices: Any = ast.literal_eval(written.slice)
        return typing.Literal[choices]
    return {"int": int, "float": float}[written.id] if isinstance(written, ast.Name) else Any


def known_transforms(
    own_folder: Path, *, shown_as: str = "", limits: Limits = USUAL
) -> tuple[dict[str, Transform], list[Problem]]:
    """Built-in transforms and those of a project; a project's file of a built-in name is a problem."""
    found = {p.stem: _transform(p, p.read_bytes()) for p in sorted(BUILT_IN.glob("*.py")) if p.stem != "__init__"}
    problems = []
    for path in sorted(own_folder.glob("*.py")):
        if path.stem in found:
            place = f"{shown_as}transforms/{path.name}"
            text = f"'{path.stem}' is a built-in transform"
            problems.append(Problem(place, 0, "error", "transform_name", text, "Give the file another name."))
        elif path.stem.isidentifier() and not path.stem.startswith("_"):
            try:
                code = read_regular(path, most=MOST_BYTES, within=own_folder.parent)
            except OSError as error:
                words = error.strerror or str(error)
                problems.append(Problem(f"{shown_as}transforms/{path.name}", 0, "error", "unreadable", words))
            else:
                found[path.stem] = _transform(path, code, limits)
    return found, problems


def _transform(path: Path, code: bytes, limits: Limits | None = None) -> Transform:
    return Transform(path.stem, path, _hash(code), limits)


def _hash(code: bytes) -> str:
    return hashlib.sha256(code).hexdigest()[:12]


def misfits(name: str, path: Path, code: str, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(message, hint) for each option that a transform does not take. Raises TransformError."""
    if path.parent == BUILT_IN:
        parameters = _options_of(name, path)
        hints = {option: parameter.annotation for option, parameter in parameters.items()}
    else:
        function = _function(name, path, code)
        parameters = dict(list(inspect.signature(function).parameters.items())[1:])
        hints = typing.get_type_hints(function)
    found = []
    for name, value in options.items():
        if name == "as":
            if not (isinstance(value, str) and value.isidentifier()):
                found.append((f"`as` must be a plain name, not '{value}'", ""))
        elif name not in parameters:
            found.append((f"unknown option '{name}'", did_you_mean(name, [*parameters, "as"])))
        elif not _fits(value, hints.get(name, Any)):
            found.append((f"'{name}' cannot be {value!r}", f"Wanted: {_words(hints[name])}."))
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            found.append((f"missing option '{name}'", f"Wanted: {_words(hints.get(name, Any))}."))
    return found


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if hint is Any:
        return True
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, inner) for inner in typing.get_args(hint))
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is type(None):
        return value is None
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _words(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(map(str, typing.get_args(hint)))
    return str(getattr(hint, "__name__", hint))
