"""What every page reads: the project, the live data, cached view models."""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, cast

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from connectors.errors import KpiError, Withheld
from jobs.access.person import Person
from jobs.access.rights import Rights, kept_out, rights_of
from jobs.access.seen import seen_by
from jobs.project.as_of import AsOf
from jobs.project.clock import utc_now
from jobs.project.project import Project, open_project
from metrics.catalog.catalogue import Catalogue
from metrics.engine.data_context import DataContext
from ui.shell import logs, signed
from ui.shell.live import ASKED, Live, Shown
from ui.shell.templates import banner
from ui.shell.views import Key, Views
from ui.shell.waiting import waited

P = ParamSpec("P")
R = TypeVar("R")


@st.cache_resource
def served() -> Project:
    """The served project, whole; one per server. From here on the log is as its settings say.

    For what asks for everybody, and for acts that somebody has the right to: pages show `project`.
    """
    opened = open_project()
    logs.server_logs(opened.settings.log.format, opened.settings.log.level)
    logs.started(str(opened.folder))
    opened.warm()  # while the first page is drawn: it may ask for what is not stored
    return opened


def project() -> Project:
    """The project as the reader sees it: what their role does not see is not there. Raises Withheld."""
    making: Project | None = getattr(_making, "project", None)
    if making is not None:
        return making
    whole = served()
    return _seen(rights()) if whole.settings.roles else whole


def _seen(those: Rights) -> Project:
    with _parts_lock:
        found = _parts.get(those.key)
        if found is None:
            found = _parts[those.key] = seen_by(served(), those)
        _parts.move_to_end(those.key)
        while len(_parts) > PARTS:
            _parts.popitem(last=False)
        return found


@st.cache_resource
def as_of() -> AsOf:
    """What the clock changes in the project's views."""
    return AsOf(served())


def _look() -> Shown:
    """Looked up anew: generation, files, last sync, state store, and what time alone changes."""
    opened = served()
    files = hash((opened.definitions.marks(), opened.sources.mark()))
    rest = hash(((opened.state.mark(), opened.state.trouble()), opened.sync_log.read().get("finished_at")))
    reader = opened.reader() if opened.has_data() else None
    generation = reader.generation.id if reader else ""
    mark = f"{opened.folder}|{generation}|{files}|{rest}|{as_of()(utc_now())}"
    return Shown(mark, files, partial(opened.bound, reader), opened.warnings())


def _ready(old: Shown, new: Shown, until: float) -> None:
    """Make the views that were asked for lately, as they are in `new`, while pages show `old`."""
    for key in views().asked(old.mark, within=ASKED.total_seconds()):
        function = _functions.get(key[0])
        if time.monotonic() > until:
            return
        if function is not None and not key[1]:  # of the whole
            with suppress(Exception):  # whoever asks for it is told
                _view(new, key, partial(function, *key[2], **dict(key[3])), served())


live = Live(_look, _ready)
_functions: dict[str, Callable[..., Any]] = {}  # of each view the newest: a page's run defines its own anew
_making = threading.local()
PARTS = 200  # of the project, that are kept: as many roles and claims are at work at a time
_parts: OrderedDict[str, Project] = OrderedDict()
_parts_lock = threading.Lock()


def shown() -> Shown:
    """What the pages show. A view that is being made sees what it is made for. Raises DamagedData."""
    making: Shown | None = getattr(_making, "shown", None)
    return making or live.shown()


def changed() -> None:
    """Look again at once: this session has just changed something."""
    live.changed()


@st.cache_resource
def views() -> Views:
    """All view models that are kept."""
    return Views()


def cached_view(function: Callable[P, R]) -> Callable[P, R]:
    """A view model, cached for all sessions by its arguments, what the reader sees, and the mark of what is shown.

    View models are frozen values, so all sessions share one copy. Ages ("loaded 3 min ago") are no part of them: a view
    says since when, and the page how long that is.
    """

    # The file, not the module: Streamlit runs every page as __main__, and several have a `view`.
    name = f"{inspect.unwrap(function).__code__.co_filename}:{function.__qualname__}"
    _functions[name] = function

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        seen, settings = project(), served().settings
        key = (name, seen.audience, args, tuple(sorted(kwargs.items())))
        of, make = shown(), lambda: function(*args, **kwargs)
        if not settings.engine:
            return cast("R", _view(of, key, make, seen))
        return waited(key, lambda: cast("R", _view(of, key, make, seen)), settings.limits.seconds)

    return run


def _view(of: Shown, key: Key, make: Callable[[], Any], seen: Project) -> Any:
    """A view of what is shown: all that it reads is of one generation, and of what the reader sees."""

    def bound() -> Any:
        before = getattr(_making, "shown", None), getattr(_making, "project", None)
        _making.shown, _making.project = of, seen
        try:
            with of.bound():
                return make()
        finally:
            _making.shown, _making.project = before

    return views().get(of.mark, key, bound)


def warn() -> None:
    """Say on every page what is wrong with the data folder."""
    try:
        found = shown().warnings
    except KpiError:  # the page says what cannot be read
        found = served().warnings()
    for words in found:
        banner(words)


def person() -> Person | None:
    """Whoever signed in; None where nobody has to."""
    opened = served()
    return signed.person(st.context.cookies, st.context.headers, opened) if opened.settings.sign_in else None


def signed_out() -> bool:
    """Whether nobody is signed in any more who may see the dashboard."""
    found, settings = person(), served().settings
    return settings.sign_in and (found is None or bool(kept_out(found, settings)))


def require_session() -> None:
    """For clicks, which run before the gate. Raises KpiError where `signed_out`."""
    if signed_out():
        raise KpiError("your session has ended, and nothing was done", hint="Sign in again.")


def who() -> str:
    """The reader's name, for what people do: signed in, else of the machine's user. Raises KpiError."""
    require_session()
    found = person()
    return found.name if found is not None else os.environ.get("USER") or "local user"


def asker() -> str:
    """For whom this run computes: whoever signed in, whatever their tabs are; else this session."""
    found, context = person(), get_script_run_ctx()
    return found.id if found is not None else context.session_id if context is not None else ""


def rights() -> Rights:
    """What the reader may see and do. Raises Withheld if no role is theirs: the gate lets nobody through then."""
    found = rights_of(person(), served().settings)
    if found is None:
        raise Withheld("no role of this dashboard names you", hint="Ask whoever keeps its settings.yml.")
    return found


def may(action: str) -> bool:
    """Whether the reader may do it, of connectors.roles.ACTIONS."""
    return rights().may(action)


@cached_view
def catalogue() -> Catalogue:
    """The definitions as the pages show them: reading them again is looking at every file. Raises NoData."""
    return context().catalogue


def context(now: datetime | None = None) -> DataContext:
    """The live data for view models. Raises NoData."""
    return project().context(now or utc_now())
