"""The catalogue as a list, searched by words."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.catalog.catalogue import Catalogue
from metrics.engine.data_context import DataContext
from metrics.kpi_views.card import Card, card
from metrics.kpi_views.types import in_words


@dataclass(frozen=True)
class Entry:
    """One KPI of the catalogue."""

    card: Card
    type: str
    grain: str
    additivity: str
    counted: str
    tags: tuple[str, ...]
    words: str  # everything that search looks at, in lower case


def kpi_list(context: DataContext) -> tuple[Entry, ...]:
    """All KPIs, by area and label; those with a wrong definition too."""
    catalogue, found = context.catalogue, []
    for name in sorted({*catalogue.kpis, *catalogue.broken}):
        kpi, own = catalogue.kpis.get(name), card(context, name)
        if kpi is None:
            found.append(Entry(own, "", "", "", own.status.why, (), f"{name} {own.label}".lower()))
            continue
        words = (name, kpi.title, kpi.description, kpi.area, kpi.owner, kpi.type, *kpi.tags, *kpi.synonyms)
        found.append(
            Entry(own, kpi.type, kpi.grain, kpi.additivity, in_words(kpi, catalogue), kpi.tags, " ".join(words).lower())
        )
    return tuple(sorted(found, key=lambda e: (e.card.area, e.card.label)))


def in_order(catalogue: Catalogue) -> dict[str, str]:
    """Name → title of all KPIs, by area and title: how people go from one to the next."""
    kpis = catalogue.kpis
    titles = {name: kpis[name].title if name in kpis else name for name in {*kpis, *catalogue.broken}}
    areas = {name: kpi.area for name, kpi in kpis.items()}
    return dict(sorted(titles.items(), key=lambda item: (areas.get(item[0], ""), item[1], item[0])))


def matching(entries: tuple[Entry, ...], search: str) -> list[Entry]:
    """Entries that have every word of the search."""
    return [e for e in entries if all(word in e.words for word in search.lower().split())]
