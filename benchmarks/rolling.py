"""CPU of a rolling 28-day distinct count of a whole year: from rows by the product against the best SQL by hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.hand_sql import END
from benchmarks.measures import Measure, best

RUNS = 5
# The linear method on days as numbers: each active day counts 28 days on, cut where the next one begins its own.
INTERVALS = """
WITH active AS (SELECT DISTINCT user_id, CAST(occurred_at AS DATE) AS d FROM events),
spans AS (SELECT d, lead(d) OVER (PARTITION BY user_id ORDER BY d) AS next FROM active),
steps AS (
  SELECT d, 1 AS step FROM spans
  UNION ALL SELECT CASE WHEN next < d + 28 THEN next ELSE d + 28 END, -1 FROM spans
)
SELECT d, sum(sum(step)) OVER (ORDER BY d) FROM steps GROUP BY d"""
# The same with each person's days as one sorted list instead of a window function.
LISTS = """
WITH days AS (
  SELECT list_sort(list(DISTINCT CAST(occurred_at AS DATE) - DATE '2020-01-01')) AS l FROM events GROUP BY user_id
), spans AS (
  SELECT unnest(l) AS d, unnest(list_append(l[2:], 1000000)) AS next FROM days
), steps AS (
  SELECT d, 1 AS step FROM spans UNION ALL SELECT least(next, d + 28), -1 FROM spans
)
SELECT d, sum(sum(step)) OVER (ORDER BY d) FROM steps GROUP BY d"""
WAYS = {"intervals": INTERVALS, "lists": LISTS}


def measured(project: Any, scale: str) -> Iterator[Measure]:
    """The ratio to the better of the two ways, and whether all days are equal."""
    from metrics.engine.answer import answer
    from metrics.engine.query import Query

    part, reader, catalogue = f"rolling month, {scale}", project.warehouse.reader(), project.catalogue(project.reader())
    query = Query("mau", "day", end=END)
    frame = answer(query, catalogue, reader, from_facts=True).frame
    by_hand = {f"{row[0]:%Y-%m-%d}": int(row[1]) for row in reader.frame(INTERVALS).itertuples(index=False)}
    told = {f"{row['period']:%Y-%m-%d}": int(row["value"]) for row in frame.to_dict("records")}
    wrong = sum(value != by_hand[day] for day, value in told.items() if day in by_hand)  # of days on which it moves
    ours = best(lambda: answer(query, catalogue, reader, from_facts=True), RUNS)
    hand = {name: best(partial(reader.frame, text), RUNS) for name, text in WAYS.items()}
    fastest = min(hand, key=lambda name: hand[name])
    yield Measure(part, "days, not equal to SQL by hand", wrong, "", 0)
    beside = f"{ours:.2f} s beside {hand[fastest]:.2f} s ({fastest})"
    yield Measure(
        part, "from rows / the best by hand", ours / hand[fastest], "×", 1.1, beside, "" if scale == "10M" else "10M"
    )
