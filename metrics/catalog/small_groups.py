"""How many people are behind a KPI's values: what to count, or why that cannot be said."""

from __future__ import annotations

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon, Measure
from metrics.catalog.types.simple import Simple

PEOPLE = "people_behind_it"  # the name of a KPI that is made here and is in no catalogue


def people_behind(kpi: KpiCommon, catalogue: Catalogue) -> tuple[Simple, ...] | str:
    """KPIs that count the people of each of its parts; none = its numerator and denominator count people themselves.

    A text says why it cannot be said, or why it would not help.
    """
    if kpi.trailing_window:
        return "its windows overlap, so that each of its days could be told from two of them"
    measures = kpi.people_measures(catalogue.kpis)
    if isinstance(measures, str):
        return measures
    found = list[Simple]()
    for measure in measures:
        one = _of(measure, kpi, catalogue)
        if isinstance(one, str):
            return one
        found.append(one)
    return tuple(found)


def _of(measure: Measure, kpi: KpiCommon, catalogue: Catalogue) -> Simple | str:
    entity = catalogue.datasets[measure.dataset].entity
    if not entity:
        return f"dataset {measure.dataset} does not say whose its rows are (`entity`)"
    if measure.sql:
        return "an aggregate in SQL does not say which rows it counts: write `agg` and `expr`"
    rules = [f"({measure.filter})"] if measure.filter else []
    if measure.expr not in ("", "*"):
        rules.append(f"({measure.expr}) IS NOT NULL")
    return Simple(
        name=PEOPLE,
        type="simple",
        dataset=measure.dataset,
        agg="count_distinct",
        expr=f'"{entity}"',
        filter=" AND ".join(rules),
        grain=kpi.grain,
    )
