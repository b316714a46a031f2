"""What stops being right when an event or property is not as it was: KPIs, their alerts, launches, snapshots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon

MOST = 5  # of each kind that are named


@dataclass(frozen=True)
class Breaks:
    """Names, each kind in the order of its files. alerts: `kpi.rule`."""

    kpis: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    launches: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As the end of a sentence; empty if nothing breaks."""
        kinds = (("KPI", self.kpis), ("alert", self.alerts), ("launch", self.launches), ("snapshot", self.snapshots))
        told = [_named(kind, names) for kind, names in kinds if names]
        return f"; it breaks {', '.join(told)}" if told else ""


def _named(kind: str, names: tuple[str, ...]) -> str:
    plural = {"launch": "launches"}.get(kind, f"{kind}s")
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{kind if len(names) == 1 else plural} {', '.join(names[:MOST])}{more}"


def broken_by(catalogue: Catalogue, dataset: str, name: str, *, of_event: str = "") -> Breaks:
    """What reads an event, by its name as a text in SQL; or a property of an event, by its name as a text or column.

    of_event: the event whose property it is; a KPI that speaks of other events only is not meant.
    """
    direct = [kpi.name for kpi in catalogue.kpis.values() if _reads(catalogue, kpi, dataset, name, of_event)]
    kpis = [n for n in catalogue.kpis if n in direct or _made_of(catalogue, n, {*direct})]
    alerts = [f"{n}.{rule.name}" for n in kpis for rule in catalogue.kpis[n].alerts]
    launches = [item.name for item in catalogue.launches if {*item.judged_by} & {*kpis}]
    shown = [s.name for s in catalogue.snapshots if any(_shows(catalogue, section, kpis) for section in s.sections)]
    return Breaks(tuple(kpis), tuple(alerts), tuple(launches), tuple(shown))


def _reads(catalogue: Catalogue, kpi: KpiCommon, dataset: str, name: str, of_event: str) -> bool:
    if dataset not in catalogue.datasets_of(kpi):
        return False
    sources = [catalogue.datasets[dataset]] if of_event else []
    texts = [*_texts(kpi.model_dump(mode="json", by_alias=True)), *(t for d in sources for t in d.dimensions.values())]
    if not of_event:
        return any(_quotes(text, name) for text in texts)
    named = any(_quotes(text, name) or re.search(rf"\b{re.escape(name)}\b", text) for text in texts)
    own = [text for text in _texts(kpi.model_dump(mode="json", by_alias=True)) if "'" in text]
    return named and (not own or any(_quotes(text, of_event) for text in own))


def _quotes(text: str, name: str) -> bool:
    """Whether a text of SQL has this name in quotes, alone or as a path of JSON."""
    plain = name.replace("'", "''")
    return f"'{plain}'" in text or f"'$.{plain}'" in text or f'$."{plain}"' in text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _made_of(catalogue: Catalogue, name: str, found: set[str]) -> bool:
    """Whether a KPI is made of one of these, near or far."""
    references = catalogue.references(catalogue.kpis[name])
    return any(n in found or (n in catalogue.kpis and _made_of(catalogue, n, found)) for n in references)


def _shows(catalogue: Catalogue, section: Any, kpis: list[str]) -> bool:
    if section.kpis:
        return any(shown.kpi in kpis for shown in section.kpis)
    return any(catalogue.kpis[n].area == section.area for n in kpis)
