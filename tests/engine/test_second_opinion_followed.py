"""Types that follow entities, surveys, balances and window medians against loops over the rows, in plain Python.

Nothing here is shared with the engine: no SQL, no window function, no pandas grouping. Rows have nulls, duplicates,
equal moments, users on two platforms, rows out of order, and both daylight saving days; three zones.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.engine.query import Filter
from metrics.presentation import export
from tests.conftest import Builder
from tests.engine.followed import DAY, KPIS, SCALES, US, Row, World, draw, instant, local
from tests.sampling import cases, sampled

# The first has both a skipped and a doubled hour, and weeks from Sunday on.
ZONES = ("America/New_York", "UTC", "Asia/Kolkata")[: cases(fast=1, slow=3, full=3)]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    found = {}
    for seed, zone in enumerate(ZONES):
        project = Builder(tmp_path_factory.mktemp("followed") / "project")
        project.settings(f"timezone: {zone}\nweek_start: {'sunday' if seed == 0 else 'monday'}\n")
        data = draw(seed)
        for name, rows in data.items():
            frame = pd.DataFrame(rows)
            if name == "payments":
                frame["at"] = frame["at"].dt.date
            dims = {} if name == "payments" else {"dimensions": "[platform]"}
            project.rows(name, frame, entity="user_id", primary_key="event_id", **dims)
        for name, text in KPIS.items():
            project.kpi(name, text + ("" if name == "sticky" else "\ngrains: [day, week, month]"))
        project.sync()
        marks = {}
        for name, rows in data.items():
            last = max(row["at"] for row in rows)
            marks[name] = instant(last + DAY, zone) if name == "payments" else last + US
            for row in rows:  # a date is that day wherever one is
                row["local"] = row["at"] if name == "payments" else local(row["at"], zone)
                row["platform"] = row.get("platform") or "(none)"
        found[zone] = World(project, zone, data, marks)
    return found


# --- by hand -----------------------------------------------------------------------------------------------------


def cut(at: pd.Timestamp, grain: str, zone: str) -> pd.Timestamp:
    day = at.normalize()
    if grain == "week":
        return day - timedelta(days=(day.day_of_week - (6 if zone == ZONES[0] else 0)) % 7)
    return day.replace(day=1) if grain == "month" else day


def after(period: pd.Timestamp, grain: str, count: int = 1) -> pd.Timestamp:
    if grain == "month":
        return period + pd.DateOffset(months=count)
    return period + timedelta(days=count * (7 if grain == "week" else 1))


@dataclass(frozen=True)
class Case:
    """One number: of the rows in [start, end) of the local clock, of these platforms."""

    world: World
    start: pd.Timestamp
    end: pd.Timestamp
    grain: str
    platforms: Sequence[str] | None

    def chosen(self, row: Row) -> bool:
        return self.platforms is None or row["platform"] in self.platforms

    def inside(self, row: Row) -> bool:
        return bool(self.start <= row["local"] < self.end)

    def base(self, dataset: str, kind: str = "") -> list[Row]:
        return [r for r in self.of(dataset, kind) if self.inside(r) and self.chosen(r)]

    def of(self, dataset: str, kind: str = "") -> list[Row]:
        return [r for r in self.world.rows[dataset] if r["user_id"] is not None and kind in ("", r.get("kind"))]

    def begins(self, *datasets: str) -> pd.Timestamp:
        """The day of the first row of the dataset that begins last."""
        return max(min(r["local"] for r in self.world.rows[name]).normalize() for name in datasets)

    def mature(self, window: timedelta | None, *datasets: str) -> bool:
        if self.start < self.begins(*datasets):
            return False
        mark = min(self.world.marks[name] for name in datasets)
        today = local(mark, self.world.zone).normalize()
        if self.grain == "total" and window is None and self.end == today + DAY:
            return True  # a range up to today is as complete as it can be
        return bool(instant(self.end, self.world.zone) + (window or timedelta(0)) <= mark)


Answer = tuple[float, float, list[float] | None, bool]  # numerator, denominator, parts, mature


def convert(
    c: Case, base: str, kind: str, to: str, to_kind: str, window: timedelta | None, *, later: bool = False
) -> Answer:
    rows, hits = c.base(base, kind), c.of(to, to_kind)
    dated = to == "payments"

    def converts(row: Row) -> bool:
        for hit in hits:
            if hit["user_id"] == row["user_id"]:
                first = row["local"].normalize() if dated else row["at"]
                then = row["local"] if dated else row["at"]
                if later and hit["at"] == row["at"]:  # rows of one moment may be one row
                    continue
                if hit["at"] >= first and (window is None or hit["at"] < then + window):
                    return True
        return False

    who = {row["user_id"] for row in rows}
    return len({r["user_id"] for r in rows if converts(r)}), len(who), None, c.mature(window, base, to)


def credit(c: Case, window: timedelta) -> Answer:
    touches = [r for r in c.of("events", "view") if c.chosen(r)]
    credited = 0
    for hit in c.of("events", "buy"):
        before = [t for t in touches if t["user_id"] == hit["user_id"] and t["at"] <= hit["at"]]
        if before:
            last = max(before, key=lambda t: t["at"])
            credited += c.inside(last) and hit["at"] < last["at"] + window
    return credited, len(c.base("events", "view")), None, c.mature(window, "events")


def funnel(c: Case, window: timedelta | None, *, daily: bool = False) -> Answer:
    counts = [0, 0, 0]
    starts: dict[Any, Row] = {}
    for row in c.base("events", "view"):
        key = (row["user_id"], row["local"].normalize() if daily else None)
        if key not in starts or row["at"] < starts[key]["at"]:
            starts[key] = row
    for first in starts.values():
        at, counts[0] = first["at"], counts[0] + 1
        for i, kind in enumerate(("cart", "buy"), start=1):
            later = [r["at"] for r in c.of("events", kind) if r["user_id"] == first["user_id"] and r["at"] >= at]
            if not later or (window is not None and min(later) >= first["at"] + window):
                break
            at, counts[i] = min(later), counts[i] + 1
    return counts[2], counts[0], [float(x) for x in counts], c.mature(window, "events")


def strict(c: Case, window: timedelta) -> Answer:
    best: dict[Any, int] = {}
    for user in {r["user_id"] for r in c.of("events")}:
        rows = sorted((r for r in c.of("events") if r["user_id"] == user), key=lambda r: (r["at"], r["event_id"]))
        for i, row in enumerate(rows):
            if row["kind"] == "view" and c.inside(row) and c.chosen(row):
                depth = 1
                for step, kind in enumerate(("cart", "buy"), start=1):
                    if i + step >= len(rows) or rows[i + step]["kind"] != kind:
                        break
                    if rows[i + step]["at"] >= row["at"] + window:
                        break
                    depth += 1
                best[user] = max(best.get(user, 0), depth)
    counts = [float(sum(depth > i for depth in best.values())) for i in range(3)]
    return counts[2], counts[0], counts, c.mature(window, "events")


def to_pay(c: Case, window: timedelta) -> Answer:
    """Sign-up, payment (a date: its day counts), purchase; on the project's clock, as a date takes part."""
    counts = [0, 0, 0]
    starts: dict[Any, Row] = {}
    for row in c.base("signups"):
        if row["user_id"] not in starts or row["local"] < starts[row["user_id"]]["local"]:
            starts[row["user_id"]] = row
    for user, first in starts.items():
        counts[0] += 1
        paid = [
            r["local"] for r in c.of("payments") if r["user_id"] == user and r["local"] >= first["local"].normalize()
        ]
        if not paid or min(paid) >= first["local"] + window:
            continue
        counts[1] += 1
        at = max(min(paid), first["local"])
        bought = [r["local"] for r in c.of("events", "buy") if r["user_id"] == user and r["local"] >= at]
        counts[2] += bool(bought and min(bought) < first["local"] + window)
    return counts[2], counts[0], [float(x) for x in counts], c.mature(window, "signups", "payments", "events")


def retention(  # noqa: PLR0913 (the ways to follow people that the engine knows, by name)
    c: Case,
    base: str,
    kind: str,
    back: str,
    unit: str,
    at: int,
    length: int,
    *,
    first: bool = True,
    own: bool = False,
    rolling: bool = False,
) -> Answer:
    zone = c.world.zone
    begins = c.of(base, kind)
    if first:
        ever: dict[Any, Row] = {}
        for row in sorted(begins, key=lambda r: (r["at"], r["event_id"])):
            ever.setdefault(row["user_id"], row)
        begins = list(ever.values())
    begins = [r for r in begins if c.inside(r) and c.chosen(r)]
    step = "day" if own else unit
    members = {(r["user_id"], cut(r["local"], step, zone)) for r in begins}
    counts = [float(len(members))] + [0.0] * length
    for user, start in members:
        days = {r["local"] for r in c.of(back) if r["user_id"] == user}
        there = set()
        for at_day in days:
            if own:
                there.add((at_day.normalize() - start).days // (7 if unit == "week" else 1))
            else:
                k, edge = 0, cut(at_day, unit, zone)
                while after(start, unit, k) < edge:
                    k += 1
                there.add(k if edge >= start else -1)
        last = max(there, default=-1)
        for k in range(1, length + 1):
            counts[k] += (last >= k) if rolling else (k in there)
    mark = min(local(c.world.marks[name], zone) for name in (base, back))
    final = c.end - US
    opening = max(c.start, c.begins(base))
    opening = opening.normalize() if own else cut(opening, unit, zone)
    for k in range(1, length + 1):
        over = (
            final.normalize() + timedelta(days=(k + 1) * (7 if unit == "week" else 1))
            if own
            else after(cut(final, unit, zone), unit, k + 1)
        )
        early = (opening + timedelta(days=k * (7 if unit == "week" else 1))) if own else after(opening, unit, k)
        if over > mark or c.end > mark or early < c.begins(back):
            counts[k] = math.nan
    return counts[at], counts[0], counts, not math.isnan(counts[at]) and c.start >= c.begins(base)


def lifecycle(c: Case) -> Answer:
    zone = c.world.zone
    active: dict[Any, set[Any]] = {}
    for row in c.of("events"):
        if row["kind"] != "rest" and c.chosen(row):
            active.setdefault(row["user_id"], set()).add(cut(row["local"], c.grain, zone))
    before = after(c.start, c.grain, -1)
    new = sum(c.start in p and min(p) == c.start for p in active.values())
    returning = sum(c.start in p and before in p for p in active.values())
    resurrected = sum(c.start in p and before not in p and min(p) < c.start for p in active.values())
    dormant = sum(before in p and c.start not in p for p in active.values())
    parts = [float(x) for x in (new, returning, resurrected, dormant)]
    whole = not before < c.begins("events") < c.start  # who was there before is known
    return new + resurrected, dormant, parts, c.mature(None, "events") and whole


def stickiness(c: Case) -> Answer:
    rows = c.base("events")
    seen = sorted(r["local"].normalize() for r in c.world.rows["events"])
    days = [c.start + i * DAY for i in range(7) if seen[0] <= c.start + i * DAY <= seen[-1]]
    daily = sum(len({r["user_id"] for r in rows if r["local"].normalize() == day}) for day in days)
    return daily / len(days) if days else math.nan, len({r["user_id"] for r in rows}), None, c.mature(None, "events")


def survey(c: Case, scale: str) -> Answer:
    least, middle, top, most = SCALES[scale]
    rows = [r for r in c.world.rows["answers"] if c.inside(r) and c.chosen(r) and r["score"] is not None]
    if scale == "ces":
        rows = [r for r in rows if r["platform"] == "web"]
    scores = [r["score"] for r in rows if least <= r["score"] <= most]
    glad, sad = sum(s >= top for s in scores), sum(s < middle for s in scores)
    numerator = {"nps": glad - sad, "csat": glad, "ces": sum(scores)}[scale]
    parts = [float(x) for x in (glad, len(scores) - glad - sad, sad)]
    return numerator, len(scores), parts, c.mature(None, "answers")


def balance(c: Case, pick: str) -> float:
    total, known, there = 0.0, False, False
    per: dict[Any, list[Any]] = {}
    for row in c.of("events"):
        if c.inside(row):
            per.setdefault(row["user_id"], []).append(row)
    for rows in per.values():
        if pick == "last":
            row = max(rows, key=lambda r: (r["local"], r["event_id"]))
        else:
            priced = [r for r in rows if r["amount"] is not None]
            row = min(priced or rows, key=lambda r: (r["amount"] or 0, r["event_id"]))
        if c.chosen(row):
            there = True
            total, known = total + (row["amount"] or 0.0), known or row["amount"] is not None
    return total if known else math.nan if there else 0.0


ORACLES: dict[str, Callable[[Case], Answer]] = {
    "convert": lambda c: convert(c, "events", "view", "events", "buy", timedelta(days=3)),
    "buys_again": lambda c: convert(c, "events", "buy", "events", "buy", timedelta(days=20), later=True),
    "convert_ever": lambda c: convert(c, "signups", "", "events", "buy", None),
    "convert_count": lambda c: convert(c, "signups", "", "events", "cart", timedelta(hours=36)),
    "pay": lambda c: convert(c, "signups", "", "payments", "", timedelta(days=5)),
    "credit": lambda c: credit(c, timedelta(days=2)),
    "funnel": lambda c: funnel(c, timedelta(days=4)),
    "funnel_ever": lambda c: funnel(c, None),
    "attempts": lambda c: funnel(c, timedelta(days=2), daily=True),
    "strict": lambda c: strict(c, timedelta(days=4)),
    "to_pay": lambda c: to_pay(c, timedelta(days=6)),
    "day_3": lambda c: retention(c, "signups", "", "events", "day", 3, 5),
    "week_1": lambda c: retention(c, "events", "view", "events", "week", 1, 4),
    "own_week_1": lambda c: retention(c, "events", "", "events", "week", 1, 4, own=True),
    "again": lambda c: retention(c, "events", "", "events", "week", 2, 4, first=False),
    "stays": lambda c: retention(c, "signups", "", "events", "week", 1, 4, rolling=True),
    "life": lifecycle,
    "sticky": stickiness,
    "nps": lambda c: survey(c, "nps"),
    "csat": lambda c: survey(c, "csat"),
    "ces": lambda c: survey(c, "ces"),
}
MAIN = {
    "signups": ("convert_ever", "convert_count", "pay", "to_pay", "day_3", "stays"),
    "answers": ("nps", "csat", "ces"),
}

DATASETS = {
    "convert_count": ("signups", "events"),
    "pay": ("signups", "payments"),
    "to_pay": ("signups", "payments", "events"),
    "day_3": ("signups", "events"),
    "stays": ("signups", "events"),
}

questions = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(ZONES),
        "kpi": st.sampled_from(sorted(KPIS)),
        "grain": st.sampled_from(["day", "week", "month", "total"]),
        "by": st.booleans(),
        "where": st.lists(st.sampled_from(["web", "ios", "(none)"]), unique=True, max_size=2),
        "start": st.integers(-4, 50),
        "length": st.integers(1, 30),
        "facts": st.booleans(),
    }
)


def check(worlds: dict[str, World], q: dict[str, Any]) -> None:
    world, kpi = worlds[q["zone"]], q["kpi"]
    if (kpi == "sticky" and q["grain"] != "week") or (kpi in ("life", "typical") and q["grain"] == "total"):
        return
    start = date(2026, 9, 20) + timedelta(days=q["start"])
    end = start + timedelta(days=q["length"])
    where = (Filter("platform", tuple(q["where"])),) if q["where"] else ()
    series = world.project.ask(
        kpi, grain=q["grain"], start=start, end=end, where=where, facts=q["facts"], by="platform" if q["by"] else None
    )
    main = next((name for name, kpis in MAIN.items() if kpi in kpis), "events")
    first = local(min(r["at"] for r in world.rows[main]), world.zone)
    last = local(world.marks[main], world.zone)
    for row, parts in zip(series.frame.to_dict("records"), series.frame["parts"], strict=True):
        begin, close = pd.Timestamp(start), pd.Timestamp(end)
        if q["grain"] != "total":
            begin = row["period"]
            close = after(begin, q["grain"])
        platforms = q["where"] or None
        if q["by"]:
            platforms = [row["segment"]] if not q["where"] or row["segment"] in q["where"] else []
        case = Case(world, begin, close, q["grain"], platforms)
        if q["grain"] == "total" or (close > first and begin < last):
            compare(kpi, case, row, parts, q)
        else:  # not observed: unknown, not 0
            assert math.isnan(row["value"]) and pd.isna(row["n"]), (q, row)


def compare(kpi: str, case: Case, row: Row, parts: Any, q: dict[str, Any]) -> None:
    if kpi in ("balance", "lowest", "typical"):
        if kpi == "typical":
            final = min(case.end, local(case.world.marks["events"] - US, case.world.zone).normalize() + DAY)
            rows = [r for r in case.world.rows["events"] if final - 5 * DAY <= r["local"] < final and case.chosen(r)]
            known = [r["amount"] for r in rows if r["amount"] is not None]
            want = statistics.median(known) if known else math.nan
        else:
            want = balance(case, "last" if kpi == "balance" else "min")
        assert row["value"] == pytest.approx(want, nan_ok=True), (q, row, want)
        return
    numerator, denominator, curve, mature = ORACLES[kpi](case)
    assert bool(row["complete"]) == mature, (q, row, mature)
    windowed = kpi not in ("convert_ever", "funnel_ever", "life", "sticky", "nps", "csat", "ces")
    begun = case.start >= case.begins(*DATASETS.get(kpi, ("events",)))
    if windowed and not mature and begun:
        assert math.isnan(row["value"]), (q, row)  # unknown, not low
        return
    if windowed and not mature:
        return  # its first period may be known as far as it was observed, or not
    value = math.nan if not denominator else numerator / denominator * (100 if kpi == "nps" else 1)
    value = numerator if kpi == "convert_count" else value
    assert row["value"] == pytest.approx(value, nan_ok=True), (q, row, value)
    if kpi != "convert_count":
        assert (row["numerator"], row["denominator"]) == pytest.approx((numerator, denominator)), (q, row)
    if curve is not None:
        assert list(parts) == pytest.approx(curve, nan_ok=True), (q, parts, curve)


@sampled(fast=10, slow=40, full=2500)
@given(question=questions)
def test_followed_types_equal_a_count_by_hand(worlds: dict[str, World], question: dict[str, Any]) -> None:
    check(worlds, question)


def test_json_says_the_same_as_the_frame(worlds: dict[str, World]) -> None:
    project = worlds[ZONES[0]].project
    row = export.as_dict(project.ask("funnel_ever", grain="total"))["rows"][0]
    counts = [step["count"] for step in row["steps"]]
    assert [s["name"] for s in row["steps"]] == ["v", "c", "b"] and row["steps"][0]["from_previous"] is None
    assert row["steps"][2]["from_previous"] == counts[2] / counts[1]
    assert (row["steps"][2]["from_first"], row["numerator"]) == (row["value"], counts[2])
    curve = export.as_dict(project.ask("day_3"))["rows"][-1]["curve"]
    assert curve["counts"][1:] == [None] * 5 and curve["shares"][3] is None
    life = export.as_dict(project.ask("life", grain="week"))["rows"][1]
    assert life["new"] + life["resurrected"] == life["numerator"] and life["dormant"] == life["denominator"]
    header = export.as_csv(project.ask("nps")).splitlines()[0]
    assert header == "period,value,numerator,denominator,n,complete,promoters,passives,detractors"
