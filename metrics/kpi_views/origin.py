"""Where a number comes from: in words first, SQL last."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from connectors.errors import counted
from connectors.warehouse.contract import DatasetState, Reader, SourceRun
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.answer import answer
from metrics.engine.frames import known_value
from metrics.engine.query import Query
from metrics.engine.rows_counted import counted_rows, undated_rows
from metrics.kpi_views.types import in_words
from metrics.presentation import format as fmt


@dataclass(frozen=True)
class Origin:
    """counted: what the number is made of, in a sentence. facts: (label, text) in reading order.

    sql: the statements that compute it from rows.
    """

    counted: str
    facts: tuple[tuple[str, str], ...]
    sql: tuple[str, ...]


def origin(
    name: str,
    catalogue: Catalogue,
    reader: Reader,
    runs: Mapping[str, SourceRun],
    table_sources: Mapping[str, str],
) -> Origin:
    """All that lies between the source and the number."""
    kpi = catalogue.kpi(name)
    states = reader.dataset_states(reader.generation.sequence)
    facts = [("What it is", kpi.description or kpi.title), ("How it is counted", in_words(kpi, catalogue))]
    for dataset in catalogue.datasets_of(kpi):
        state, item = states.get(dataset), catalogue.datasets[dataset]
        title = item.label or dataset
        whole = not (item.only or item.closed or catalogue.min_people)  # what a sync counted is of all rows
        if state is not None and whole:
            in_future = counted(state.future_rows, "lies in the future and is", "lie in the future and are")
            left = f"; {in_future} not counted" if state.future_rows else ""
            facts.append((f"Rows of {title}", f"{state.rows:,}{left}{_matching(kpi, dataset, catalogue, reader)}"))
        if state is not None:
            facts.append((f"{title} is observed from", _begin(state)))
            facts.append((f"{title} is complete to", fmt.moment_text(state.watermark)))
        run = runs.get(table_sources.get(item.source, ""))
        if run is not None:
            left = f"; {counted(run.quarantined, 'row')} left out as unreadable" if run.quarantined and whole else ""
            facts.append(
                (f"Source of {title}", f"{run.name}, last pulled {run.last_success[:16].replace('T', ' ')}{left}")
            )
    published = reader.generation.published_at
    facts.append(("Loaded", f"{fmt.moment_text(published)}, generation {reader.generation.id}"))
    facts.append(("Definition", f"{catalogue.documents[f'kpi:{name}'].file}, version {catalogue.definition(name)}"))
    for change in kpi.changes:
        facts.append(("Changed", f"{change.on:%d %b %Y}{f' by {change.by}' if change.by else ''}: {change.why}"))
    facts.append(("Owner", kpi.owner or "not set"))
    return Origin(_counted(kpi, catalogue, reader), tuple(facts), sql_of(Query(name), catalogue, reader))


def _counted(kpi: KpiCommon, catalogue: Catalogue, reader: Reader) -> str:
    """`16–22 Nov 2026: 1,094 of 2,695 is 40.6%.`: of the last complete period; empty if there is none."""
    frame = answer(Query(kpi.name), catalogue, reader, transforms=False).frame
    done = frame[frame["complete"].to_numpy(dtype=bool)]
    if done.empty:
        return ""
    row = done.iloc[-1]
    when = fmt.period_text(row["period"], kpi.grain, 0)
    value = fmt.value_text(known_value(row["value"]), kpi)
    above, below = known_value(row["numerator"]), known_value(row["denominator"])
    if above is not None and below is not None:
        of = "of" if kpi.is_rate else "divided by"
        return f"{when}: {above:,.10g} {of} {below:,.10g} is {value}."
    parts = [_part(part, row["period"], kpi.grain, catalogue, reader) for part in catalogue.references(kpi)]
    if parts:
        return f"{when}: {' and '.join(parts)} make {value}."
    return f"{when}: {value}" + ("." if pd.isna(row["n"]) else f", counted from n = {int(row['n']):,}.")


def _part(name: str, period: pd.Timestamp, grain: str, catalogue: Catalogue, reader: Reader) -> str:
    """`1,204 Support tickets`: what another KPI is in the same period."""
    part = catalogue.kpi(name)
    frame = answer(Query(name, grain), catalogue, reader, transforms=False).frame
    found = frame[frame["period"] == period]
    value = None if found.empty else known_value(found["value"].iloc[0])
    return f"{part.title} {fmt.value_text(value, part)}"


def _begin(state: DatasetState) -> str:
    """`Thu 8 Jan 2026, 10:30 UTC, its first row`: from when on a day without rows is 0."""
    if state.since is not None:
        return f"{fmt.instant_text(state.since)}, as its source states"
    first = state.source_first_at or state.first_at
    own = "its first row" if first == state.first_at else "the first row of its source"
    return "no rows yet" if first is None else f"{fmt.instant_text(first)}, {own}"


def sql_of(query: Query, catalogue: Catalogue, reader: Reader) -> tuple[str, ...]:
    """The statements that compute the answer from rows, stored values or not."""
    plain = dataclasses.replace(query, as_of=None, compare=None)
    found = answer(plain, catalogue, reader, from_facts=True)
    return found.sql


def _matching(kpi: KpiCommon, dataset: str, catalogue: Catalogue, reader: Reader) -> str:
    """How many rows each condition counts, how many entities they are of, and how many have no time."""
    item, found = catalogue.datasets[dataset], list[str]()
    for part in counted_rows(kpi, dataset, catalogue, reader):
        of = f", of {part.entities:,} distinct {item.entity}" if part.entities is not None else ""
        found.append(f"; {counted(part.rows, 'matches', 'match')}{f' {part.name}' if part.name else ''}{of}")
    undated = undated_rows(item, reader)
    if undated:
        have, are = ("has", "is") if undated == 1 else ("have", "are")
        found.append(f"; {undated:,} {have} no {item.time_dimension} and {are} in no period")
    return "".join(found)
