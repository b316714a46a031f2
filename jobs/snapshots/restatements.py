"""restatements: which published numbers of a frozen week are different now, with the cause."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from jobs.access.audience import part_of
from jobs.authoring.diff import defined_by
from jobs.project.project import Project
from metrics.catalog.catalogue import Catalogue
from metrics.snapshots.document import Document
from metrics.snapshots.inputs import WeekInputs
from metrics.snapshots.restated import Restatement, restated


def restated_since(project: Project, document: Document, *, now: datetime) -> tuple[Restatement, ...]:
    """Published numbers that are different now, with the cause. Raises NoData."""
    project = part_of(project, document.role)
    return restated_in(project, document, WeekInputs(project.context(now)))


def restated_in(
    project: Project, document: Document, inputs: WeekInputs, *, points: bool = True
) -> tuple[Restatement, ...]:
    """The same of the part of a project that a document is of, by what is live there. points: False = headlines."""
    with _old_definitions(project, document) as old:
        return restated(document, inputs, old, points=points)


@contextmanager
def _old_definitions(project: Project, document: Document) -> Iterator[Any]:
    """The catalogue of then, read only if it is asked for."""
    with tempfile.TemporaryDirectory() as scratch:
        loaded: list[Catalogue] = []

        def old() -> Catalogue:
            if not loaded:
                texts = {k: v for k, v in document.definitions.items() if not k.startswith("snapshot:")}
                then = defined_by(project.whole, texts, Path(scratch)).catalogue(project.reader())
                loaded.append(project.part_of(then))
            return loaded[0]

        yield old


def diff_rows(found: tuple[Restatement, ...], *, points: bool) -> list[dict[str, Any]]:
    """`kpi snapshot diff --json`: headline numbers; with `points`, weeks and months, too."""
    return [
        {
            "kpi": item.kpi,
            "published": item.published,
            "now": item.now,
            "cause": item.cause,
            **({"segment": item.segment} if item.segment else {}),
            **({"grain": item.grain, "period": item.period} if points else {}),
        }
        for item in found
        if points or item.headline
    ]
