"""Launches that people made on a page or with `kpi launch add`: texts that are read like files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from connectors.errors import Problem
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.checks.launch import launch_problems
from metrics.catalog.document import parse_document, validated
from metrics.catalog.models.launch import Launch


def with_registered_launches(catalogue: Catalogue, texts: Iterable[str]) -> Catalogue:
    """The catalogue with launches of texts; what is wrong with one is among its problems. A file of that name wins."""
    in_files = {launch.name for launch in (*catalogue.launches, *catalogue.drafts)}
    launches, problems = list(catalogue.launches), list[Problem]()
    for text in texts:
        launch, wrong = parsed(text, catalogue)
        problems += wrong
        if launch is not None and launch.name not in in_files:
            launches.append(launch)
    ordered = tuple(sorted(launches, key=lambda item: item.starts_on))
    return dataclasses.replace(catalogue, launches=ordered, problems=tuple(sorted({*catalogue.problems, *problems})))


def parsed(text: str, catalogue: Catalogue) -> tuple[Launch | None, list[Problem]]:
    """A launch without errors, and all its problems."""
    document, problems = parse_document(text, shown_as=_place(text))
    if problems:
        return None, problems
    launch, problems = validated(document, Launch)
    if launch is not None:
        known = [*catalogue.kpis, *catalogue.broken]
        problems += launch_problems(launch, document, known, catalogue.datasets, catalogue.formerly, {})
    return (None if any(p.level == "error" for p in problems) else launch), problems


def _place(text: str) -> str:
    first = next((line for line in text.splitlines() if line.startswith("name:")), "name: launch")
    return f"launch {first.removeprefix('name:').strip()}"
