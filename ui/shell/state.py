"""What every page reads: the project, the live data, cached view models."""

from __future__ import annotations

import inspect
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import ParamSpec, TypeVar

import streamlit as st

from jobs.project.as_of import AsOf
from jobs.project.clock import utc_now
from jobs.project.project import Project, open_project
from metrics.catalog.catalogue import Catalogue
from metrics.engine.data_context import DataContext
from ui.shell import logs
from ui.shell.templates import banner
from ui.shell.views import Views

P = ParamSpec("P")
R = TypeVar("R")


@st.cache_resource
def project() -> Project:
    """The served project; one per server. From here on the log is as its settings say."""
    opened = open_project()
    logs.server_logs(opened.settings.log.format, opened.settings.log.level)
    logs.started(str(opened.folder))
    opened.warm()  # while the first page is drawn: it may ask for what is not stored
    return opened


@st.cache_resource
def as_of() -> AsOf:
    """What the clock changes in the project's views."""
    return AsOf(project())


def fingerprint() -> str:
    """Changes whenever a view may: generation, files, last sync, state store, and what time alone changes.

    Looked up at most once a second: a rerun asks several times, and looking stats every file.
    """
    global _seen
    seen, now = _seen, time.monotonic()
    if now - seen.at <= 1.0:
        return seen.mark
    opened = project()
    files = opened.definitions.marks(), opened.sources.mark(), (opened.state.mark(), opened.state.trouble())
    marks = hash((files, opened.sync_log.read().get("finished_at")))
    mark = f"{opened.folder}|{opened.warehouse.live() or ''}|{marks}|{as_of()(utc_now())}"
    if _seen is seen:  # else a session has synced meanwhile, and looks for itself
        _seen = Seen(now, mark)
    return mark


def changed() -> None:
    """Look again at once: this session has just synced."""
    global _seen
    _seen = Seen()


@dataclass(frozen=True)
class Seen:
    """What a look found, and when by the monotonic clock."""

    at: float = -math.inf
    mark: str = ""


_seen = Seen()


@st.cache_resource
def views() -> Views:
    """All view models that are kept."""
    return Views()


def cached_view(function: Callable[P, R]) -> Callable[P, R]:
    """A view model, cached for all sessions by its arguments, the reader's role and `fingerprint`.

    View models are frozen values, so all sessions share one copy. Ages ("loaded 3 min ago") are no part of them: a view
    says since when, and the page how long that is.
    """

    # The file, not the module: Streamlit runs every page as __main__, and several have a `view`.
    name = f"{inspect.unwrap(function).__code__.co_filename}:{function.__qualname__}"

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        key = (name, role(), args, tuple(sorted(kwargs.items())))
        found: R = views().get(fingerprint(), key, lambda: function(*args, **kwargs))
        return found

    return run


def warn(opened: Project) -> None:
    """Say on every page what is wrong with the data folder."""
    for words in opened.warnings():
        banner(words)


def role() -> str:
    """The reader's role. One for everybody until roles come; caches already keep them apart."""
    return "everyone"


def who() -> str:
    """The reader's name, for what people do: signed in, else of the machine's user."""
    if st.user.get("is_logged_in", False):
        return str(st.user.get("email") or st.user.get("name") or "somebody")
    return os.environ.get("USER") or "local user"


@cached_view
def catalogue() -> Catalogue:
    """The definitions as the pages show them: reading them again is looking at every file. Raises NoData."""
    return context().catalogue


def context(now: datetime | None = None) -> DataContext:
    """The live data for view models. Raises NoData."""
    return project().context(now or utc_now())
