"""What is done with what is live after each sync, and between two of them: alerts, launches, snapshots, messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from connectors.errors import KpiError
from connectors.secrets import mask
from jobs.project.pace import Progress
from jobs.project.project import Project
from jobs.project.settled import Settled

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """What an operator should know, in sentences. failed: those of jobs that were not done."""

    lines: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def between(project: Project, *, now: datetime) -> Told:
    """Do what is due between two syncs. Safe beside a sync, and beside another. Nothing where nothing is published."""
    told = Told()
    if project.has_data():
        for _ in afterwards(project, told, 0, now):
            pass
    return told


def afterwards(project: Project, told: Told, steps: int, now: datetime) -> Iterator[Progress]:
    """Do it all; each job that fails leaves the others alone. Yields progress.

    told: gets what there is to tell. steps: how many of the progress are done by now.
    """
    settled, left = Settled(project, now), list[str]()
    same = settled.holds()
    for doing, failed, job, settles in AFTERWARDS:
        yield Progress(steps, steps, doing)
        if settles and same and not told.lines:
            continue
        said, good = _done(failed, job, project, now)
        told.lines.extend(said)
        told.failed.extend([] if good else said)
        left += said if settles else []
    if not same and not left:
        settled.keep()


def _alerts(project: Project, now: datetime) -> Iterable[str]:
    """Evaluate the alerts on what is live now."""
    from jobs.alerts.evaluate import evaluate, told  # loads the state store, which a sync without rules does not need
    from jobs.snapshots.message import dressed

    return told(evaluate(project, now=now, render=dressed))


def _launches(project: Project, now: datetime) -> Iterable[str]:
    """Verdicts whose day has come, and guardrails."""
    if not project.catalogue().launches:
        return ()
    from jobs.launches.verdicts import publish_verdicts, told  # the state store, which few syncs need
    from jobs.snapshots.message import dressed

    return told(publish_verdicts(project, now=now, render=dressed))


def _impacts(project: Project, now: datetime) -> Iterable[str]:
    """What the pages of launches show, so that no reader waits for it."""
    if not project.catalogue().launches:
        return ()
    from jobs.launches.impacts import measure_launches  # which few syncs need
    from jobs.launches.scorecards import published_by_launch

    measure_launches(project, published_by_launch(project), now=now)
    return ()


def _drafts(project: Project, now: datetime) -> Iterable[str]:
    """Launches from releases and changes of flags, as drafts for a person to look at."""
    if not any(source.options.launches for source in project.sources.read()[0].values()):
        return ()
    from jobs.launches.drafts import draft_launches, told  # the state store, which few syncs need

    return told(draft_launches(project, now=now))


def _snapshots(project: Project, now: datetime) -> Iterable[str]:
    """Weeks that are complete, frozen and sent; after alerts and launches, which are in them."""
    catalogue = project.catalogue()
    if not catalogue.snapshots and not catalogue.broken_snapshots:
        return ()
    from jobs.snapshots.take import take_due, told  # the state store, which few syncs need

    return told(take_due(project, now=now))


# What it does, what is told where it fails, the job, and whether there is nothing to do where all is settled.
AFTERWARDS: tuple[tuple[str, str, Callable[[Project, datetime], Iterable[str]], bool], ...] = (
    ("Evaluating alerts", "alerts were not evaluated", _alerts, False),
    ("Evaluating launches", "launches were not evaluated", _launches, True),
    ("Measuring launches", "impacts of launches were not stored", _impacts, True),
    ("Drafting launches", "launches were not drafted", _drafts, False),
    ("Taking snapshots", "snapshots were not taken", _snapshots, True),
)


def _done(
    failed: str, job: Callable[[Project, datetime], Iterable[str]], project: Project, now: datetime
) -> tuple[list[str], bool]:
    """What a job after the sync has to tell, and whether it was done. What fails there never fails a sync."""
    try:
        return list(job(project, now)), True
    except KpiError as error:
        log.warning("%s", failed, exc_info=error)
        return [f"{failed}: {error}"], False
    except Exception as error:
        log.exception("%s", failed)
        return [mask(f"{failed}: unexpected {type(error).__name__}: {error}")], False
