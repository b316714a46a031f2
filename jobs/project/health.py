"""What is wrong with the project's data, for every page and verb: damage, and what is gone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from connectors.errors import DamagedData, StateError

if TYPE_CHECKING:
    from jobs.project.project import Project

P = ParamSpec("P")
R = TypeVar("R")
GONE = (
    "Put data/generations of a backup back (`kpi restore` into a new folder), or `kpi sync --anew` begins without what "
    "was published."
)
LOST = (
    "Incidents, silences, launches, decisions, notes and snapshots that it held are not here. Put data/state.sqlite of "
    "a backup in its place, or `kpi doctor --repair` goes on with what is there."
)


def warnings(project: Project) -> tuple[str, ...]:
    """Everything that is wrong with the data folder, in sentences. Cheap enough for every rerun; writes nothing."""
    found = [*project.warehouse.damage()]
    if words := project.sync_log.problem():
        found.append(words)
    state = project.state
    if words := state.problem():
        found.append(f"The state store {state.path} {words}; alerts, launches and snapshots are not known. {HINT}")
    elif (words := state.trouble()) or (words := lost_state(project)):
        found.append(words)
    return tuple(found)


HINT = "Nothing was overwritten. `kpi doctor` says what to do."


def without_store(nothing: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function of pages that only adds to them what the state store knows: `nothing` while that cannot be read.

    `warnings` says so on every page.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except StateError:
                found: R = nothing
                return found

        return run

    return decorate


def require_no_history(project: Project) -> None:
    """Nothing is published. Raises DamagedData if something was: then it is gone, and nothing begins anew by itself."""
    generation = project.sync_log.read().get("generation")
    if generation:
        told = f"the last sync left generation {generation}"
    elif words := _used_state(project):
        told = words
    else:
        return
    raise DamagedData(f"the generations are gone: {told}", where=str(project.data), hint=GONE)


def _used_state(project: Project) -> str:
    """Why the state store tells of an earlier generation; empty = it does not."""
    state = project.state
    if state.path is None or not state.exists():
        return ""
    if words := state.problem():
        return f"there is a state store, which {words}"
    from connectors.state.evidence import of_a_generation  # SQLAlchemy, only where there is a store

    try:
        with state.reading() as connection:
            return "the state store was used with one" if of_a_generation(connection) else ""
    except StateError as error:
        return f"there is a state store: {error.message}"


def lost_state(project: Project) -> str:
    """A sentence if the state store is not the one of the last sync; empty otherwise."""
    known, state = project.sync_log.read().get("state"), project.state
    if known is None or state.path is None or state.problem():
        return ""
    if not state.path.exists():
        return f"The state store {state.path} is gone. {LOST}"
    if state.identity() != known:
        return f"The state store {state.path} is not the one of the syncs before, but a new or another one. {LOST}"
    return ""


def remember_state(project: Project, *, anyway: bool = False) -> str:
    """Note which state store goes with the data; not over another one that was noted, but for `anyway`.

    Returns a sentence if that cannot be done.
    """
    known, state = project.sync_log.read().get("state"), project.state
    if state.path is None or (known is not None and not anyway):
        return ""
    try:
        identity = state.give_identity() if state.exists() else None
    except StateError as error:
        return str(error)
    return project.sync_log.write_state(identity)
