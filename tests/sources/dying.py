"""A sync that kills its own process at a chosen step, as kill -9 does. Run in a process that was forked off clean."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.clock import set_clock
from connectors.sources.contract import source_type
from connectors.sources.rest import client
from connectors.sources.rest.source import RestSource
from jobs.project.project import open_project
from jobs.sync import sync

# In the order of a sync: a request, the middle of an answer, all pulled, loaded, computed, the pointer, published.
STEPS = ("first request", "mid-stream", "pulled", "loaded", "publish", "pointer", "published")
AFTER = ("published",)  # steps at which the new generation is live


def killed(step: str, folder: str, kind: str, now: datetime, tuned: Any) -> int:
    """The exit code of a process that syncs until the step; mid-stream is the second answer."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_syncs, args=(step, folder, kind, now, tuned))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def _dies(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _syncs(step: str, folder: str, kind: str, now: datetime, tuned: Any) -> None:
    for module, name, value in (
        *tuned,
        ("connectors.sources.rest.client", "USUAL", replace(client.USUAL, first=0.002)),
    ):
        setattr(importlib.import_module(module), name, value)
    set_clock(now)
    project = open_project(folder)
    _places(kind, type(project.warehouse))[step]()
    list(sync(project, now=now))


def _places(kind: str, warehouse: Any) -> dict[str, Callable[[], None]]:
    return {
        "first request": lambda: setattr(client.Client, "_sent", _dies),
        "mid-stream": _in_an_answer,
        "pulled": lambda: _when_all_is_pulled(source_type(kind)),
        "loaded": lambda: _instead_of("settle", warehouse),
        "publish": lambda: _instead_of("publish", warehouse),
        "pointer": _at_the_pointer,
        "published": lambda: setattr(RestSource, "loaded", _dies),
    }


def _in_an_answer() -> None:
    real, answers = client.Client._read, []

    def read(self: client.Client, response: Any, most: int) -> Iterator[bytes]:
        answers.append(1)
        for piece in real(self, response, most):
            if len(answers) > 1:
                _dies()
            yield piece

    client.Client._read = read  # type: ignore[method-assign]


def _when_all_is_pulled(kind: Any) -> None:
    real = kind.pull

    def pull(self: Any, cursor: Any) -> Iterator[Any]:
        yield from real(self, cursor)
        _dies()

    kind.pull = pull


def _instead_of(what: str, warehouse: Any) -> None:
    """Of the generation in the making."""
    real = warehouse.staging

    @contextmanager
    def staging(self: Any, now: datetime, *, anew: bool = False) -> Iterator[Any]:
        with real(self, now, anew=anew) as made:
            setattr(made, what, _dies)
            yield made

    warehouse.staging = staging


def _at_the_pointer() -> None:
    real = os.replace

    def moved(source: Any, target: Any, **more: Any) -> None:
        if str(target).endswith("live"):
            _dies()
        real(source, target, **more)

    os.replace = moved  # type: ignore[assignment]
