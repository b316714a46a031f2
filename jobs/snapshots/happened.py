"""What happened in a week, for the first lines of its snapshot: alerts that opened or ended, verdicts reached."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import pandas as pd

from connectors.errors import counted
from connectors.state.alerts import Incident
from jobs.alerts.incidents import read_state
from jobs.launches.scorecards import published_by_launch
from jobs.project.project import Project
from metrics.alerts.board import ENDS, title_of
from metrics.alerts.rules import Rule, rules_of
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.maturity import final_at
from metrics.kpi_views.consequence import Consequence, Matter
from metrics.launches import words as launch_words
from metrics.launches.impact import Words
from metrics.launches.reading import Reading
from metrics.presentation import format as fmt
from metrics.snapshots.week import Week

OVER = ("resolved", "new_normal", "dissolved")  # an alert whose rule is gone or changed says nothing of the product
OPENED = {"critical": Consequence.CRITICAL, "warning": Consequence.WARNING}
ENDED = {"critical": Consequence.CRITICAL_OVER, "warning": Consequence.WARNING_OVER}


def happened(
    project: Project, catalogue: Catalogue, shown: Collection[str], week: Week, now: datetime
) -> tuple[Matter, ...]:
    """Of the KPIs that are shown, in no order. An alert opens and ends when the value of its period is final."""
    rules = {rule.key: rule for kpi in catalogue.kpis.values() for rule in rules_of(kpi)}
    found = list[Matter]()
    for item in read_state(project, now=now).history:
        kpi, rule = catalogue.kpis.get(item.kpi), rules.get(item.rule_key)
        if kpi is not None and rule is not None and kpi.name in shown:
            matter = _alert(catalogue, item, kpi, rule, week)
            found += [matter] if matter is not None else []
    return (*found, *_verdicts(project, catalogue, shown, week))


def _alert(catalogue: Catalogue, item: Incident, kpi: KpiCommon, rule: Rule, week: Week) -> Matter | None:
    """One that ended in the week, else one that opened in it."""
    grain = rule.grain or kpi.grain
    title = fmt.plain(title_of(kpi, item.segment))

    def inside(at: datetime | None) -> bool:
        return at is not None and week.start < final_at(kpi, pd.Timestamp(at), grain, catalogue) <= week.end

    def told(at: datetime | None) -> str:
        return fmt.period_text(pd.Timestamp(at), grain, week.last.year)

    if item.closed_at is not None and item.closed_why in OVER and inside(item.closed_period):
        words = (
            f"{title}: {item.severity} alert over since {told(item.closed_period)}, {ENDS[item.closed_why].lower()}."
        )
        return Matter(ENDED[item.severity], kpi.name, title, words, segment=item.segment)
    if inside(item.opened_period):
        clause = f"{item.severity} alert since {told(item.opened_period)}"
        words = f"{title}: {clause}, {fmt.plain(rule.words)}."
        return Matter(OPENED[item.severity], kpi.name, title, words, segment=item.segment, clause=clause)
    return None


def _verdicts(project: Project, catalogue: Catalogue, shown: Collection[str], week: Week) -> Iterator[Matter]:
    """Readings whose day came in the week, a sentence for each launch."""
    published = published_by_launch(project)
    for launch in catalogue.launches:
        reached = [
            item.reading
            for item in published.get(launch.name, ())
            if item.reading.verdict
            and item.reading.kpi in shown
            and item.reading.kpi in catalogue.kpis
            and week.first < launch.reading_on(item.reading.days) <= week.end.date()
        ]
        for days in sorted({reading.days for reading in reached}):
            mine = [reading for reading in reached if reading.days == days]
            text = fmt.plain(f"{launch.title}, after {counted(days, 'day')}: {_said(catalogue, mine)}.")
            yield Matter(Consequence.VERDICT, mine[0].kpi, fmt.plain(launch.title), text)


def _said(catalogue: Catalogue, readings: Sequence[Reading]) -> str:
    """`Activation moved up by 4.6 points (+0.5 to +9.1 points); no clear change in NPS, Sign-ups`."""
    told, unclear = list[str](), list[str]()
    for reading in readings:
        kpi = catalogue.kpi(reading.kpi)
        if reading.verdict == Words.UNCLEAR:
            unclear.append(kpi.title)
        else:
            told.append(f"{kpi.title} {launch_words.verdict(kpi, reading)}")
    return "; ".join([*told, *([f"{Words.UNCLEAR} in {', '.join(unclear)}"] if unclear else [])])
