"""Where a change sits: the page and the alert say the same of random projects and of the demo, and the parts add up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.state import alerts as store
from jobs.alerts.explained import open_incident
from jobs.project.project import Project, open_project
from metrics.alerts.change import USUAL, Change, pooled, where_it_sits
from metrics.alerts.compared import Comparison, Opened, change_of, of_incident, without_incident
from metrics.alerts.place import place_in, splits_of, whole_of
from metrics.engine import drivers
from metrics.engine.data_context import DataContext
from metrics.engine.periods import after
from metrics.engine.query import Filter
from tests.conftest import NOW, Builder, known
from tests.sampling import SEED, cases

PROJECTS = cases(fast=2, slow=4, full=40)
START = pd.Timestamp("2026-08-03")  # a Monday
RULES = (
    '{name: low, compare: previous_period, thresholds: {critical: "< -12%"}}',
    "{name: odd, compare: expected_range, sensitivity: sensitive}",
    '{name: high, compare: same_period_last_week, thresholds: {warning: "> 12%"}}',
)


def random_project(folder: Path, seed: int) -> tuple[Project, pd.DataFrame, datetime]:
    """Twelve weeks of visits by platform and country, with a fall or rise of one segment near the end."""
    random = np.random.default_rng((SEED, seed))
    days = 84
    countries = [f"c{i}" for i in range(random.integers(2, 18))]
    weights = random.dirichlet(np.ones(len(countries)))
    frames = []
    for day in range(days):
        count = int(random.integers(80, 110)) - (25 if day % 7 >= 5 else 0)
        frames.append(
            pd.DataFrame(
                {
                    "at": START + pd.Timedelta(days=day, hours=12),
                    "platform": random.choice(["web", "ios", "android"], count, p=[0.5, 0.3, 0.2]),
                    "country": random.choice(countries, count, p=weights),
                    "done": random.random(count) < 0.6,
                    "amount": random.integers(1, 50, count).astype(float),
                }
            )
        )
    rows = pd.concat(frames, ignore_index=True)
    hit = random.choice(["platform", "country"])
    value = random.choice(rows[hit].unique())
    grain = str(random.choice(["day", "week"]))
    length = (1 if grain == "day" else 7) if random.random() < 0.6 else int(random.integers(1, 9))
    late = rows["at"] >= START + pd.Timedelta(days=days - length)
    struck = late & (rows[hit] == value)
    rows.loc[struck, "done"] &= random.random(int(struck.sum())) < random.choice([0.1, 0.1, 1.0])
    rows.loc[struck, "amount"] *= random.choice([0.05, 0.1, 1.0, 6.0])
    project = Builder(folder)
    project.rows("visits", rows, dimensions="[platform, country]", watermark="whole_days")
    more = f"\ngrain: {grain}\nalerts: [{', '.join(RULES)}]"
    project.kpi("visits", f"dataset: visits\nagg: count{more}")
    project.kpi("amount", f"dataset: visits\nagg: sum\nexpr: amount{more}")
    share = "numerator: {dataset: visits, agg: count, filter: done}\ndenominator: {dataset: visits, agg: count}"
    by = 'alerts: [{name: low, by: [platform], compare: previous_period, thresholds: {warning: "< -3%"}}]'
    project.kpi("done", f"dataset: visits\nagg: count\nfilter: done\ngrain: {grain}\n{by}")
    project.kpi("share", f"type: ratio\n{share}\nformat: percent{more}")
    now = (START + pd.Timedelta(days=days, hours=2)).to_pydatetime().replace(tzinfo=UTC)
    project.sync(now)
    return project.open(), rows, now


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Project, pd.DataFrame, datetime]]:
    """Read only."""
    return [random_project(tmp_path_factory.mktemp("world") / str(number), number) for number in range(PROJECTS)]


def compared_of(
    context: DataContext, name: str, incident: Opened | None, where: tuple[Filter, ...] = ()
) -> tuple[pd.DataFrame, Comparison | None]:
    kpi = context.catalogue.kpi(name)
    whole = whole_of(kpi, context.catalogue, context.reader, where, kpi.grain)
    found = of_incident(whole, kpi, kpi.grain, incident) if incident is not None else None
    return whole, found or without_incident(whole, kpi, context.catalogue, context.country)


def checked(project: Project, name: str, now: datetime) -> tuple[Change | None, Comparison | None]:
    """The page of a KPI, held to its alert and to the sum of its parts."""
    context = project.context(now)
    kpi = context.catalogue.kpi(name)
    incident = open_incident(project, context, name, now=now)
    shown = where_it_sits(context, name, (), incident)
    whole, compared = compared_of(context, name, incident)
    if shown is None or compared is None:
        return shown, compared
    change = known(change_of(whole, kpi, compared))
    splits = splits_of(kpi, context.catalogue, context.reader, whole, compared)
    assert splits
    for split in splits:
        parts, small = pooled(split)
        assert sum(p.change for p in (*parts, *small)) == pytest.approx(change.change, rel=1e-6, abs=1e-9)
        assert sum(p.n for p in (*parts, *small)) == sum(p.n for p in split.parts)
    place = place_in(kpi, splits)
    if place is not None:
        split = next(s for s in splits if s.dimension == place.dimension)
        part = next(p for p in split.parts if p.segment == place.segment)
        assert part.change * change.change > 0, "what is named goes the way that the whole does"
        if "→" in place.words and "share of the whole" not in place.words:
            assert (part.after - part.before) * change.change > 0, "an alert of a fall names no segment going up"
    if incident is not None and compared.incident:
        assert incident.side * change.change >= 0
        with project.state.reading() as connection:
            mine = [i for i in store.open_incidents(connection).values() if i.kpi == name and not i.segment]
        told = {i.place for i in mine if (i.opened_period, i.last_period) == (incident.first, incident.last)}
        said = shown.place.words if shown.place is not None else ""
        assert said in told, "the alert says what the page says"
        assert not said or shown.blocks[0].line == said
    return shown, compared


@pytest.mark.sampled(PROJECTS)
def test_page_and_alert_say_the_same_and_the_parts_add_up(worlds: list[tuple[Project, pd.DataFrame, datetime]]) -> None:
    incidents = named = usual = 0
    for project, rows, now in worlds:
        for name in ("visits", "amount", "share"):
            shown, compared = checked(project, name, now)
            assert compared is not None, "twelve weeks always have two periods"
            levels = by_hand(rows, name, compared)
            assert (shown is None) == (levels[0] == levels[1]), "what did not change sits nowhere"
            if shown is None:
                continue
            kpi = project.context(now).catalogue.kpi(name)
            change = known(change_of(compared_of(project.context(now), name, None)[0], kpi, compared))
            assert change.change == pytest.approx(levels[1] - levels[0], rel=1e-6, abs=1e-9)
            incidents += compared.incident
            named += compared.incident and shown.place is not None
            usual += shown.note == USUAL
    assert incidents and named and (usual or PROJECTS < 40), "the cases meet all three"


@pytest.mark.sampled(PROJECTS)
def test_a_segment_that_fails_is_explained_alike_where_it_is_filtered_on(
    worlds: list[tuple[Project, pd.DataFrame, datetime]],
) -> None:
    seen = 0
    for project, _, now in worlds:
        context = project.context(now)
        with project.state.reading() as connection:
            mine = [i for i in store.open_incidents(connection).values() if i.kpi == "done"]
        assert open_incident(project, context, "done", now=now) is None, "no rule looks at the whole"
        for item in mine:
            where = (Filter("platform", (item.segment,)),)
            incident = known(open_incident(project, context, "done", where, now=now))
            shown = where_it_sits(context, "done", where, incident)
            compared = compared_of(context, "done", incident, where)[1]
            if shown is not None and compared is not None and compared.incident:
                assert item.place == (shown.place.words if shown.place is not None else "")
                assert all(block.dimension == "country" for block in shown.blocks)
                seen += 1
    assert seen


def by_hand(rows: pd.DataFrame, name: str, compared: Comparison) -> list[float]:
    """The two levels from the rows, without the engine."""
    levels = []
    for side in compared.both:
        inside = np.zeros(len(rows), dtype=bool)
        for period in side:
            inside |= ((rows["at"] >= period) & (rows["at"] < after(period, compared.grain))).to_numpy()
        mine = rows[inside]
        if name == "share":
            levels.append(float(mine["done"].mean()))
        else:
            levels.append((len(mine) if name == "visits" else float(mine["amount"].sum())) / len(side))
    return levels


def test_every_kpi_of_the_demo(demo_folder: Path) -> None:
    project = open_project(demo_folder)
    told = {name: checked(project, name, NOW)[0] for name in sorted(project.catalogue().kpis)}
    assert sum(shown is not None for shown in told.values()) >= 8
    crashes = known(told["error_free_sessions"])
    assert not crashes.folded and "before the incident of Thu 19 Nov" in crashes.heading
    assert crashes.blocks[0].line.startswith("Platform android accounts for")


def frames(segments: dict[str, tuple[float, float]]) -> list[pd.DataFrame]:
    """Before and after as engine answers have them, one period each."""
    made = []
    for side in (0, 1):
        values = [pair[side] for pair in segments.values()]
        nothing: Any = np.nan
        made.append(
            pd.DataFrame(
                {
                    "segment": list(segments),
                    "period": START + pd.Timedelta(days=side),
                    "value": values,
                    "numerator": nothing,
                    "denominator": nothing,
                    "n": [int(v) for v in values],
                }
            )
        )
    return made


def test_small_segments_are_pooled_and_large_ones_are_not() -> None:
    segments = {"big": (1000.0, 700.0), "mid": (500.0, 480.0), **{f"s{i}": (10.0, 9.0) for i in range(12)}}
    split = known(drivers.between("country", *frames(segments), adds_up=True))
    shown, (other,) = pooled(split)
    assert [p.segment for p in shown] == ["big", "mid"]
    assert (other.segment, other.change, other.n) == ("Other (12 small segments)", -12.0, 108)
    alone = {"big": (1000.0, 700.0), "mid": (500.0, 480.0), "s": (10.0, 9.0)}
    shown, small = pooled(known(drivers.between("country", *frames(alone), adds_up=True)))
    assert [p.segment for p in shown] == ["big", "mid", "s"] and small == ()


def test_what_cancels_out_names_nobody(demo_world: Any) -> None:
    kpi = demo_world.catalogue.kpi("sign_ups")
    both_ways = {"a": (100.0, 200.0), "b": (200.0, 95.0)}
    split = known(drivers.between("country", *frames(both_ways), adds_up=True))
    assert place_in(kpi, [split]) is None
    falls = {"a": (100.0, 98.0), "b": (200.0, 95.0)}
    place = known(place_in(kpi, [known(drivers.between("country", *frames(falls), adds_up=True))]))
    assert (place.segment, place.words) == ("b", "Country b accounts for 98% of the change: 200 → 95.")


def series(values: list[float], grain: str = "week") -> pd.DataFrame:
    at = [after(START, grain, i) for i in range(len(values))]
    return pd.DataFrame(
        {
            "segment": "",
            "period": at,
            "value": values,
            "numerator": np.nan,
            "denominator": np.nan,
            "n": 1,
            "complete": True,
        }
    )


def test_an_incident_is_held_against_the_level_before_it_and_not_against_itself(demo_world: Any) -> None:
    kpi = demo_world.catalogue.kpi("sign_ups")
    whole = series([100.0] * 9 + [60.0, 58.0])
    first, last = whole["period"].iloc[-2], whole["period"].iloc[-1]
    found = known(of_incident(whole, kpi, "week", Opened(first, last, -1)))
    assert found.words(2026) == "12–18 Oct against the 8 weeks before the incident of 5 Oct"
    assert known(change_of(whole, kpi, found)).change == -42 and not found.usual
    assert of_incident(whole, kpi, "week", Opened(first, last, 1)) is None, "an incident of a rise is no fall"
    growing = series([float(10 * i) for i in range(1, 12)] + [105.0])  # above its level of weeks, yet too low
    last = growing["period"].iloc[-1]
    found = known(of_incident(growing, kpi, "week", Opened(last, last, -1)))
    assert found.words(2026) == "19–25 Oct against the week before the incident of 19 Oct"


def test_days_are_held_against_the_same_weekdays(demo_world: Any) -> None:
    kpi = demo_world.catalogue.kpi("sign_ups")
    week = [100.0, 100, 100, 100, 100, 40, 40]
    whole = series([*week * 5, 100, 100, 100, 100, 70], "day")
    last = whole["period"].iloc[-1]
    found = known(of_incident(whole, kpi, "day", Opened(last, last, -1)))
    assert found.words(2026) == "Fri 11 Sep against the same weekday of the 4 weeks before the incident of Fri 11 Sep"
    assert known(change_of(whole, kpi, found)).change == -30
