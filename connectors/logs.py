"""The log: one setup for the command and the server, text or JSON lines on stderr, told by the one clock, no secrets.

Levels: error = something that nobody expected, with its traceback; warning = something failed that is told elsewhere,
too (a source, a message); info = what was done. A KpiError is expected, so it never has a traceback.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from connectors.clock import utc_now
from connectors.errors import KpiError, SettingsError
from connectors.secrets import mask

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
FORMAT_VARIABLE, LEVEL_VARIABLE = "KPI_LOG_FORMAT", "KPI_LOG_LEVEL"
OURS = ("api", "cli", "ui", "jobs", "metrics", "connectors")
OWN_KEYS = ("time", "level", "logger", "message", "traceback")  # of a JSON line; what else it has are its ids


def set_up(*, format: str, level: str) -> None:
    """Write the log of this process so, instead of as before; the environment's wish goes first. Raises SettingsError.

    level: of this program's own lines; of libraries only warnings and errors are written.
    """
    format, level = _wished(FORMAT_VARIABLE, FORMATS, format), _wished(LEVEL_VARIABLE, LEVELS, level)
    root, least = logging.getLogger(), logging.getLevelNamesMapping()[level.upper()]
    for before in [handler for handler in root.handlers if isinstance(handler, _Stderr)]:
        root.removeHandler(before)
    handler = _Stderr()
    handler.setFormatter(_Json() if format == "json" else _Text())
    root.addHandler(handler)
    root.setLevel(max(least, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(least)


def adopt(*families: str) -> None:
    """Let the loggers of libraries that write by themselves (streamlit, uvicorn) write here, and nowhere else."""
    for name, logger in list(logging.getLogger().manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.split(".")[0] in families:
            logger.handlers.clear()
            logger.setLevel(logging.NOTSET)
            logger.propagate = True


def of_a_child() -> dict[str, str]:
    """Environment of a child process whose log `relay` passes on: JSON lines, as much as here."""
    name = logging.getLevelName(logging.getLogger(OURS[0]).getEffectiveLevel()).lower()
    return {FORMAT_VARIABLE: "json", LEVEL_VARIABLE: name if name in LEVELS else "error"}


def relay(line: object) -> bool:
    """Write a child's line, read from JSON, into this log; False if it is no line of a log."""
    if not (isinstance(line, Mapping) and {"time", "level", "logger", "message"} <= line.keys()):
        return False
    number = logging.getLevelNamesMapping().get(str(line["level"]).upper(), logging.ERROR)
    text = "\n".join(str(line[key]) for key in ("message", "traceback") if line.get(key))
    ids = {key: value for key, value in line.items() if key not in OWN_KEYS}
    logging.getLogger(str(line["logger"])).log(number, "%s", text, extra={"ids": ids})
    return True


def _wished(variable: str, allowed: tuple[str, ...], otherwise: str) -> str:
    wish = os.environ.get(variable) or otherwise
    if wish not in allowed:
        raise SettingsError(f"{variable}='{wish}' is not known", hint=f"Write one of {', '.join(allowed)}.")
    return wish


class _Stderr(logging.StreamHandler[TextIO]):
    """To what is stderr when a line is written: it may have been replaced since."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # the base class keeps one stream for good
        return sys.stderr


class _Lines(logging.Formatter):
    """What both forms share."""

    def parts(self, record: logging.LogRecord) -> tuple[datetime, str, str]:
        """Time, message, traceback (empty for what was expected), without secrets."""
        found = record.exc_info[1] if record.exc_info else None
        message, trace = record.getMessage(), ""
        if isinstance(found, KpiError):
            message = f"{message}: {found.message}" if found.message not in message else message
        elif record.exc_info and found is not None:
            trace = self.formatException(record.exc_info)
        return _now(record), mask(message), mask(trace)


class _Text(_Lines):
    """2026-11-23T02:30:00Z ERROR jobs.sync: what happened; a traceback in the lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        at, message, trace = self.parts(record)
        head = f"{at:%Y-%m-%dT%H:%M:%SZ} {record.levelname} {record.name}: {message}"
        return f"{head}\n{trace}" if trace else head


class _Json(_Lines):
    """One JSON object a line: time, level, logger, message, traceback where there is one, and the record's ids.

    ids: what programs tell lines apart by, as `extra={"ids": {"run": …}}`; words have them where people need them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record as JSON."""
        at, message, trace = self.parts(record)
        line = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            **({"traceback": trace} if trace else {}),
        }
        ids = {key: value for key, value in getattr(record, "ids", {}).items() if key not in OWN_KEYS}
        line |= {key: mask(value) if isinstance(value, str) else value for key, value in ids.items()}
        return json.dumps(line, ensure_ascii=False)


def _now(record: logging.LogRecord) -> datetime:
    """The one clock's time; the machine's where that was set to nonsense, which is what the line is about then."""
    try:
        return utc_now()
    except SettingsError:
        return datetime.fromtimestamp(record.created, UTC)
