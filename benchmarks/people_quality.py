"""How good a launch is read from people: A/A, power beside an oracle, looking every day, CPU of five million exposures.

    python benchmarks/people_quality.py [--launches 500] [--people 4000] [--exposures 5000000] [--only quality,speed]

Prints the tables of docs/launch-quality.md, *From people*. People are exposed over the first ten days of 28, half of
them to what is new; each has a rate of their own, which they had before, too. The oracle knows the shocks of days and
how rates are distributed, and predicts each person as well as the days before allow; of revenue it knows them.
`histories` splits people of one long history at 500 dates; `segments` is without exposures; `speed` is CPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from metrics.launches.people.comparison import Comparison, compared  # noqa: E402
from metrics.launches.people.group_time import Group, group_time  # noqa: E402
from metrics.launches.people.moments import Sums  # noqa: E402
from metrics.launches.people.segments_reading import interval  # noqa: E402
from metrics.launches.people.sequential import always_valid  # noqa: E402

DAYS, ARRIVE, BEFORE = 28, 10, 28
KINDS = ("orders per person", "revenue per person", "share who bought", "revenue per visit", "NPS")
CAPPED_AT = 0.999
Pairs = list[tuple[Sums, Sums]]


@dataclass
class Drawn:
    """People of one launch. day, treated: (n,). values: y, d of each day since launch (n, DAYS). x, w: before, (n,)."""

    day: np.ndarray
    treated: np.ndarray
    y: np.ndarray
    d: np.ndarray
    x: np.ndarray
    w: np.ndarray
    expected: np.ndarray  # of y without an effect, by person and day: what an oracle knows
    kind: str


def drawn(seed: int, kind: str, people: int, lift: float) -> Drawn:
    """A person's days; `lift` is relative, of an NPS an eightieth of it in points of single answers."""
    rng = np.random.default_rng(seed)
    day, treated = rng.integers(0, ARRIVE, people), rng.random(people) < 0.5
    rate = rng.gamma(1.2, 0.1, people)
    shock = np.exp(rng.normal(0, 0.1, DAYS)) * (1 - 0.25 * ((np.arange(DAYS) % 7) >= 5))
    up = np.where(treated, 1 + lift, 1.0)
    here = np.arange(DAYS)[None, :] >= day[:, None]
    mean = rate[:, None] * shock[None, :] * here
    visits = rng.poisson(2 * mean)
    before = rng.poisson(rate * BEFORE)
    before_visits = rng.poisson(2 * rate * BEFORE)
    ones, none = np.zeros((people, DAYS)), np.ones(people)
    if kind == "NPS":
        answers = rng.binomial(visits, 0.3)
        glad = rng.beta(3, 4, people)
        score = rng.binomial(answers, np.clip(glad + lift * treated, 0, 1)[:, None]) * 2.0 - answers
        return Drawn(day, treated, score, answers, none * 0, none * 0, ones, kind)
    count = rng.poisson(mean * up[:, None])
    if kind in ("orders per person", "share who bought"):
        known = (1.2 + before) / (1 / 0.1 + BEFORE)  # the mean of a person's rate, given what they did before
        best = known[:, None] * shock[None, :] * here
        return Drawn(day, treated, count * 1.0, ones, before * 1.0, none, best, kind)
    size = rng.lognormal(0, 0.6, people)
    amount = size[:, None] * rng.gamma(np.maximum(count, 1e-9) * 1.5, 1 / 1.5) * (count > 0)
    was = size * rng.gamma(np.maximum(before, 1e-9) * 1.5, 1 / 1.5) * (before > 0)
    if kind == "revenue per person":
        return Drawn(day, treated, amount, ones, was, none, mean * size[:, None], kind)
    return Drawn(day, treated, amount, visits * 1.0, was, before_visits * 1.0, mean * size[:, None], kind)


def pairs(of: Drawn, end: int) -> Pairs:
    """What the engine would answer at the end of day `end`."""
    y = of.y[:, :end].sum(axis=1)
    x = of.x
    if of.kind == "share who bought":
        y, x = (y > 0) * 1.0, (x > 0) * 1.0
    if of.kind in ("orders per person", "revenue per person"):
        y, x = (np.minimum(v, np.quantile(v[v > 0], CAPPED_AT)) for v in (y, x))
    ratio = of.kind in ("revenue per visit", "NPS")
    d = of.d[:, :end].sum(axis=1) if ratio else np.ones(len(y))
    rows = np.column_stack([y, d, x, of.w])
    found = []
    for day in range(min(end, ARRIVE)):
        mine = of.day == day
        found.append((Sums.of(rows[mine & ~of.treated]), Sums.of(rows[mine & of.treated])))
    return found


def oracle_sees(of: Drawn, end: int) -> bool:
    """A test on what is left once each person's own rate and the shocks of days are known."""
    left = (of.y[:, :end] - of.expected[:, :end]).sum(axis=1)
    found = stats.ttest_ind(left[of.treated], left[~of.treated], equal_var=False)
    return bool(found.pvalue < 0.05 and found.statistic > 0)


def plain_sees(of: Drawn, end: int) -> bool:
    """A t-test of the two variants: what a dashboard without CUPED says."""
    total = of.y[:, :end].sum(axis=1)
    found = stats.ttest_ind(total[of.treated], total[~of.treated], equal_var=False)
    return bool(found.pvalue < 0.05 and found.statistic > 0)


def truth(kind: str, lift: float) -> float:
    """The relative effect (of an NPS the difference), by a draw of very many people where it has no formula."""
    if kind in ("orders per person", "revenue per person", "revenue per visit"):
        return lift
    if kind == "NPS":
        return 2 * lift
    big = [drawn(999_000 + i, kind, 60_000, lift) for i in range(6)]
    share = [np.mean([(b.y.sum(axis=1) > 0)[b.treated == side].mean() for b in big]) for side in (False, True)]
    return float(share[1] / share[0] - 1)


def effect(found: Comparison, kind: str) -> tuple[float, float]:
    """The interval that the product shows."""
    lift = found.difference if kind == "NPS" or found.relative is None else found.relative
    return lift.low, lift.high


LIFTS = {
    "orders per person": 0.08,
    "revenue per person": 0.14,
    "share who bought": 0.15,
    "revenue per visit": 0.14,
    "NPS": 0.05,
}


def quality(launches: int, people: int) -> Iterator[str]:
    """A line for each kind: false, coverage, power, beside a t-test and the oracle; false over 28 looks."""
    for kind in KINDS:
        lift, rows = LIFTS[kind], []
        true = truth(kind, lift)
        for seed in range(launches):
            nothing, launched = drawn(seed, kind, people, 0.0), drawn(100_000 + seed, kind, people, lift)
            none, some = compared(pairs(nothing, DAYS)), compared(pairs(launched, DAYS))
            assert none is not None and some is not None
            (low, high), (low_5, high_5) = effect(none, kind), effect(some, kind)
            each: list[float] = [not low <= 0 <= high, low_5 <= true <= high_5, low_5 > 0]
            knows = kind not in ("NPS", "share who bought", "revenue per visit")
            each += [plain_sees(launched, DAYS) if knows else np.nan, oracle_sees(launched, DAYS) if knows else np.nan]
            rows.append([*each, *looked(nothing), some.gain])
        told = np.mean(np.array(rows, dtype=float), axis=0)
        yield f"| {kind}, {lift:+.0%} | " + " | ".join("–" if np.isnan(x) else f"{x:.3f}" for x in told) + " |"


def looked(of: Drawn) -> tuple[bool, bool]:
    """Whether somebody who looks on each of 28 days sees an effect once: by the interval for that, by a fixed one."""
    always = fixed = False
    reference = None
    for end in range(1, DAYS + 1):
        arrived = np.bincount(of.day, minlength=DAYS)[:end]
        person_days = float((arrived * (end - np.arange(end))).sum())
        if reference is None:
            if arrived.sum() < 100:
                continue
            reference = person_days
        days = pairs(of, end)
        for wide in (True, False):
            found = compared(days, always_valid(person_days / reference)) if wide else compared(days)
            if found is None:
                continue
            low, high = effect(found, of.kind)
            if not low <= 0 <= high:
                always, fixed = (True, fixed) if wide else (always, True)
    return always, fixed


def histories(count: int, people: int) -> Iterator[str]:
    """A/A of random splits: one crowd with shocks of days, churn and whales, at random dates, split anew each time.

    Coverage: of an effect that is planted on the side that is treated (of a share, that of none).
    """
    rng = np.random.default_rng(77)
    days = 400
    rate = rng.gamma(0.4, 0.3, people)
    joins, leaves = rng.integers(-300, days, people), rng.exponential(200, people)
    shock = np.exp(np.cumsum(rng.normal(0, 0.03, days)) + rng.normal(0, 0.1, days))
    there = (np.arange(days) >= joins[:, None]) & (np.arange(days) < (joins + leaves)[:, None])
    orders = rng.poisson(rate[:, None] * shock * there)
    spent = orders * rng.lognormal(1, 1.2, people)[:, None]
    for name, values in (("orders per person", orders), ("revenue per person", spent), ("share who bought", orders)):
        cried = covered = seen_people = 0
        planted = 0.0 if name == "share who bought" else 0.05
        for _ in range(count):
            at = int(rng.integers(20, days - 14))
            y, x = (values[:, first : first + 14].sum(axis=1) for first in (at, at - 14))
            seen = orders[:, at - 14 : at].sum(axis=1) > 0
            seen_people += int(seen.sum())
            side = rng.random(people) < 0.5
            for lift in (0.0, planted):
                low, high = _split(name, y * np.where(side, 1 + lift, 1.0), x * 1.0, seen, side)
                covered += (lift > 0 or not planted) and low <= lift <= high
                cried += (lift == 0.0) and not low <= 0 <= high
        tried = count if planted else 2 * count  # of a share, nothing is planted, so each split is seen twice
        yield f"| {name} | {count} | {seen_people / count:,.0f} | {cried / tried:.3f} | {covered / tried:.3f} |"


def _split(name: str, y: np.ndarray, x: np.ndarray, seen: np.ndarray, side: np.ndarray) -> tuple[float, float]:
    """The interval of one side against the other, of those who were there before."""
    if name == "share who bought":
        y, x = (y > 0) * 1.0, (x > 0) * 1.0
    else:
        y, x = (np.minimum(v, np.quantile(v[seen & (v > 0)], CAPPED_AT)) for v in (y, x))
    rows = np.column_stack([y, np.ones(len(y)), x, np.ones(len(y))])
    found = compared([(Sums.of(rows[seen & ~side]), Sums.of(rows[seen & side]))])
    assert found is not None
    return effect(found, name)


def by_segment(count: int, people: int) -> Iterator[str]:
    """Without exposures: a segment that got it against those that did not, or two steps; each has weeks of its own.

    stationary: each week's shock is new. drifting: a random walk. People come and go.
    """
    for noise in ("stationary", "drifting"):
        for plan in ("audience against control", "two steps, two weeks apart"):
            rows = []
            for seed in range(count):
                false = _segment_lift(seed, noise, plan, 0.0, people)
                true = _segment_lift(100_000 + seed, noise, plan, 0.15, people)
                rows.append([not false[0] <= 0 <= false[1], true[0] <= 0.15 <= true[1], true[0] > 0, false[2]])
            yield f"| {noise} | {plan} | " + " | ".join(f"{x:.3f}" for x in np.mean(rows, axis=0)) + " |"


def _segment_lift(seed: int, noise: str, plan: str, lift: float, people: int) -> tuple[float, float, float]:
    """Interval and widening of one launch in week 36 of 40."""
    rng, weeks, start = np.random.default_rng(seed), 40, 36
    segment = rng.integers(0, 3, people)
    begins = {0: start, 1: start + 2} if "steps" in plan else {0: start}
    joins, stays = rng.integers(-60, weeks, people), rng.exponential(30, people)
    own = rng.normal(0, 0.03, (3, weeks))
    shock = np.exp(own if noise == "stationary" else np.cumsum(own / 2, axis=1) + own / 2) * np.exp(
        rng.normal(0, 0.1, weeks)
    )
    week = np.arange(weeks)[None, :]
    up = np.ones((people, weeks))
    for number, first in begins.items():
        up += lift * ((segment == number)[:, None] & (week >= first))
    there = (week >= joins[:, None]) & (week < (joins + stays)[:, None])
    acts = rng.poisson(rng.gamma(1.2, 1.2, people)[:, None] * shock[segment] * up * there).astype(float)
    effects = []
    for at in range(start, 3, -4):
        inside = acts[:, at - 4 : at + 4]
        seen = inside[:, :4].sum(axis=1) > 0
        groups = []
        for number in range(3):
            rows = inside[seen & (segment == number)]
            first_week = begins[number] - start + 4 if number in begins else None
            groups.append(Group(first_week, len(rows), rows.sum(axis=0), rows.T @ rows))
        found = group_time(groups, 4)
        assert found is not None
        effects.append(found)
    told, wider = interval(effects[0], [e.effect / e.level for e in effects[1:]])
    assert told is not None
    return told.low, told.high, wider


def cpu_seconds() -> float:
    """Of this process and all that it started, which compute definitions' SQL."""
    waiting, total = [os.getpid()], 0.0
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        fields = (process / "stat").read_text().rsplit(") ", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for task in (process / "task").iterdir():
            waiting += [int(child) for child in (task / "children").read_text().split()]
    return total


def speed(exposures: int) -> Iterator[str]:
    """CPU of one reading with D+7, D+14, D+28 and today, of a project with that many people exposed."""
    from jobs.project.project import open_project
    from jobs.sync import sync
    from metrics.catalog.models.launch import Exposure
    from metrics.engine.exposure import Asked, exposed_sums
    from metrics.engine.per_person import PerPerson
    from metrics.engine.types import per_person

    with tempfile.TemporaryDirectory() as folder:
        root, start = Path(folder), np.datetime64("2026-10-05")
        _star(root, exposures)
        project = open_project(root)
        for _ in sync(project, now=datetime(2026, 11, 3, 3, tzinfo=UTC)):
            pass
        reader = project.reader()
        catalogue = project.catalogue(reader)
        days = [pd.Timestamp(start) + pd.Timedelta(days=d) for d in (7, 14, 28)]
        for name in ("revenue", "buyers", "per_visit"):
            person = per_person(catalogue.kpi(name), catalogue)
            assert isinstance(person, PerPerson)
            for ends, what in ((days[-1:], "one end"), (days, "three ends")):
                exposure = Exposure(dataset="shown", variant="arm", at="at")
                asked = Asked(exposure, person, pd.Timestamp(start), tuple(ends), timedelta(days=28))
                before, wall = cpu_seconds(), time.perf_counter()
                frame = exposed_sums(asked, catalogue, reader)
                cpu = cpu_seconds() - before
                yield f"| {name}, {what} | {frame['n'].sum():,} | {cpu:.1f} | {time.perf_counter() - wall:.1f} |"


def _star(root: Path, exposures: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, start = np.random.default_rng(1), np.datetime64("2026-10-05T00:00:00", "us")
    for part in ("files", "datasets", "kpis", "launches", "transforms"):
        (root / part).mkdir()
    (root / "settings.yml").write_text("timezone: UTC\n")
    who = rng.permutation(exposures)

    def at(n: int, low: int, high: int) -> np.ndarray:
        return np.asarray(start + rng.integers(low * 86400, high * 86400, n).astype("timedelta64[s]"))

    rows = {
        "shown": {"who": who, "at": at(exposures, 0, 20), "arm": pa.array(np.where(who % 2, "new", "control"))},
        "buys": {
            "who": rng.integers(0, exposures, exposures),
            "at": at(exposures, -28, 28),
            "amount": np.round(rng.lognormal(2, 1, exposures), 2),
        },
        "visits": {"who": rng.integers(0, exposures, exposures), "at": at(exposures, -28, 28)},
    }
    sources = []
    for name, columns in rows.items():
        pq.write_table(pa.table(columns), root / "files" / f"{name}.parquet")
        sources.append(f"- {{name: {name}, type: files, table: {name}, path: files/{name}.parquet}}")
        body = f"name: {name}\nsource: {name}\ntime_dimension: at\nentity: who\nwatermark: whole_days\n"
        (root / "datasets" / f"{name}.yml").write_text(body)
    (root / "sources.yml").write_text("\n".join(sources) + "\n")
    visits = "{dataset: visits, agg: count}"
    for name, text in {
        "revenue": "dataset: buys\nagg: sum\nexpr: amount",
        "buyers": "dataset: buys\nagg: count_distinct\nexpr: who",
        "per_visit": f"type: ratio\ndataset: buys\nnumerator: {{agg: sum, expr: amount}}\ndenominator: {visits}",
    }.items():
        (root / "kpis" / f"{name}.yml").write_text(f"name: {name}\n{text}\ngrain: day\ngrains: [day]\n")


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--launches", type=int, default=500)
    arguments.add_argument("--people", type=int, default=4000)
    arguments.add_argument("--exposures", type=int, default=5_000_000)
    arguments.add_argument("--only", default="quality,histories,segments,speed")
    given = arguments.parse_args()
    wanted = given.only.split(",")
    if "quality" in wanted:
        print(
            "| KPI | false | coverage | power | t-test | oracle | false over 28 looks | fixed interval | CUPED gain |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for line in quality(given.launches, given.people):
            print(line, flush=True)
    if "histories" in wanted:
        print("| A/A of history | splits | people | false | coverage |\n|---|---|---|---|---|")
        for line in histories(given.launches, given.people):
            print(line, flush=True)
    if "segments" in wanted:
        print("| segments | plan | false | coverage | power at +15% | widened |\n|---|---|---|---|---|---|")
        for line in by_segment(given.launches, given.people):
            print(line, flush=True)
    if "speed" in wanted:
        print("| reading | people exposed | CPU s | wall s |\n|---|---|---|---|")
        for line in speed(given.exposures):
            print(line, flush=True)


if __name__ == "__main__":
    main()
