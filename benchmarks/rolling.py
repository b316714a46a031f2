"""CPU of a rolling 28-day distinct count over 10M events: `kpi query`'s path against the best SQL written by hand.

python benchmarks/rolling.py --scale 10M
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
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
# The usual way.
RANGE_JOIN = """
SELECT s.d, count(DISTINCT user_id) FROM (SELECT DISTINCT CAST(occurred_at AS DATE) AS d FROM events) s
JOIN (SELECT DISTINCT user_id, CAST(occurred_at AS DATE) AS day FROM events) a ON a.day <= s.d AND a.day > s.d - 28
GROUP BY s.d"""


def cpu(work: Callable[[], Any], runs: int = RUNS) -> float:
    """Least CPU seconds of a few runs, all threads."""
    found = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_SELF)
        work()
        after = resource.getrusage(resource.RUSAGE_SELF)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def main() -> None:
    """Print one line for each way."""
    from benchmarks.workload import END, load, make
    from metrics.engine.answer import answer
    from metrics.engine.query import Query

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--scale", default="10M")
    arguments.add_argument("--data", default="", help="A star that was made before.")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(given.data) if given.data else make(given.scale, Path(folder))
        project = load(data, Path(folder), kpis=("mau",))
        reader, catalogue = project.reader(), project.catalogue(project.reader())
        query = Query("mau", "day", end=END)
        frame = answer(query, catalogue, reader, from_facts=True).frame
        by_hand = {row[0].date(): int(row[1]) for row in reader.frame(INTERVALS).itertuples(index=False)}
        same = all(int(row["value"]) == by_hand[row["period"].date()] for row in frame.to_dict("records"))
        ours = cpu(lambda: answer(query, catalogue, reader, from_facts=True))
        ways = {"intervals": INTERVALS, "lists": LISTS}
        hand = {name: cpu(partial(reader.frame, text)) for name, text in ways.items()}
        best = min(hand, key=lambda name: hand[name])
        print(f"rolling 28-day distinct, {given.data or given.scale}: numbers {'equal' if same else 'DIFFER'}")
        print(f"ours {ours:.3f} s CPU; by hand {', '.join(f'{name} {seconds:.3f}' for name, seconds in hand.items())}")
        print(f"ratio to the best by hand ({best}) {ours / hand[best]:.2f} (limit 1.10 at 10M)")
        print(f"range join {cpu(lambda: reader.frame(RANGE_JOIN), 1):.1f} s CPU")


if __name__ == "__main__":
    main()
