"""Where a number comes from: in words first, SQL last."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from connectors.warehouse.contract import Reader, SourceRun
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Cumulative, Derived, Funnel, KpiCommon, Measure, Ratio, Simple, Sql, Survey
from metrics.engine.answer import answer
from metrics.engine.query import Query
from metrics.engine.sql import trees
from metrics.kpi_views.followed import followed_in_words
from metrics.presentation import format as fmt

AGG_WORDS = {
    "count": "Count of rows",
    "count_distinct": "Distinct {0}",
    "sum": "Sum of {0}",
    "avg": "Mean of {0}",
    "min": "Least {0}",
    "max": "Greatest {0}",
    "median": "Median of {0}",
    "percentile": "{1} percentile of {0}",
    "first": "First {0}",
    "last": "Last {0}",
}


PICKED = {"first": "first", "last": "last", "min": "least", "max": "greatest"}


@dataclass(frozen=True)
class Origin:
    """facts: (label, text) in reading order. sql: the statements that compute it from rows."""

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
        if state is not None:
            future = f"; {state.future_rows:,} lie in the future and are not counted" if state.future_rows else ""
            facts.append((f"Rows of {title}", f"{state.rows:,}{future}{_matching(kpi, dataset, catalogue, reader)}"))
            facts.append((f"{title} is complete to", fmt.moment_text(state.watermark)))
        run = runs.get(table_sources.get(item.source, ""))
        if run is not None:
            left = f"; {run.quarantined:,} rows left out as unreadable" if run.quarantined else ""
            facts.append(
                (f"Source of {title}", f"{run.name}, last pulled {run.last_success[:16].replace('T', ' ')}{left}")
            )
    published = reader.generation.published_at
    facts.append(("Loaded", f"{fmt.moment_text(published)}, generation {reader.generation.id}"))
    facts.append(("Definition", f"{catalogue.documents[f'kpi:{name}'].file}, version {catalogue.definition(name)}"))
    for change in kpi.changes:
        facts.append(("Changed", f"{change.on:%d %b %Y}{f' by {change.by}' if change.by else ''}: {change.why}"))
    facts.append(("Owner", kpi.owner or "nobody is named"))
    return Origin(tuple(facts), sql_of(Query(name), catalogue, reader))


def in_words(kpi: KpiCommon, catalogue: Catalogue) -> str:
    """The definition as a sentence."""
    if isinstance(kpi, Simple):
        text = _measure(kpi.measure)
        if kpi.semi_additive:
            per = kpi.semi_additive.per or catalogue.datasets[kpi.dataset].entity
            text += f", over the {PICKED[kpi.semi_additive.pick]} row of each {per} in the period"
        text += f", over the {kpi.window.days} days up to and including each day" if kpi.window else ""
    elif isinstance(kpi, Ratio):
        text = f"{_part(kpi.parts['numerator'], catalogue)}, divided by: {_part(kpi.parts['denominator'], catalogue)}"
    elif isinstance(kpi, Cumulative):
        since = f"the start of each {kpi.grain_to_date}" if kpi.grain_to_date else "the first event"
        text = f"{_part(kpi.parts['measure'], catalogue)}, from {since} to the end of each period"
    elif isinstance(kpi, Derived):
        text = kpi.expr
        for name in catalogue.references(kpi):
            text = text.replace("{" + name + "}", catalogue.kpi(name).title)
    elif kpi.conditions or isinstance(kpi, Survey):
        text = followed_in_words(kpi)
    elif isinstance(kpi, Sql):
        text = "By its own SELECT"
        text += f"; a period counts once it is {kpi.maturity.days} days old" if kpi.maturity else ""
    else:
        text = f"Type {kpi.type}"
    steps = [next(iter(step)) for step in kpi.transforms if "as" not in next(iter(step.values()))]
    return text + (f", then {', '.join(steps)}" if steps else "") + "."


def sql_of(query: Query, catalogue: Catalogue, reader: Reader) -> tuple[str, ...]:
    """The statements that compute the answer from rows, stored values or not."""
    plain = dataclasses.replace(query, as_of=None, compare=None)
    found = answer(plain, catalogue, reader, from_facts=True)
    return found.sql


def _matching(kpi: KpiCommon, dataset: str, catalogue: Catalogue, reader: Reader) -> str:
    """How many rows meet the filter (of each condition), and how many entities they are of."""
    item = catalogue.datasets[dataset]
    named = [(_name(place, kpi), c.filter) for place, c in kpi.conditions.items() if c.dataset == dataset]
    if isinstance(kpi, (Simple, Survey)) and kpi.dataset == dataset:
        named = [("", kpi.filter)]
    found = []
    for name, rule in named:
        columns = [exp.Count(this=exp.Star()).as_("matching")]
        if item.entity:
            entities = exp.Distinct(expressions=[exp.column(item.entity, quoted=True)])
            columns.append(exp.Count(this=entities).as_("entities"))
        query = trees.from_dataset(exp.select(*columns), item)
        query = query.where(sql.expression(rule)) if rule else query
        row = reader.frame(query.sql(dialect=reader.dialect)).iloc[0]
        of = f", of {int(row['entities']):,} distinct {item.entity}" if item.entity else ""
        found.append(f"; {int(row['matching']):,} match{f' {name}' if name else ''}{of}")
    return "".join(found)


def _name(place: tuple[str | int, ...], kpi: KpiCommon) -> str:
    """A condition as people call it: its key, or its step's name."""
    return kpi.steps[int(place[1])].name if isinstance(kpi, Funnel) else str(place[0])


def _part(part: str | Measure, catalogue: Catalogue) -> str:
    return catalogue.kpi(part).title if isinstance(part, str) else _measure(part)


def _measure(measure: Measure) -> str:
    if measure.sql:
        text = measure.sql
    else:
        share = f"{measure.percentile:.0%}".rstrip("%") + "th" if measure.percentile else ""
        text = AGG_WORDS[str(measure.agg)].format(measure.expr, share)
    return f"{text} where {measure.filter}" if measure.filter else text
