"""The workload's questions asked of other metric layers, each in a process of its own Python (tools/ask.py).

What a tool answers is held against SQL by hand; of what it answers rightly, its CPU is compared with the product's on
the same questions, in the same run.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.hand_sql import FIRST, FIRST_WEEK, LAST_DAY, Values, connected, statement, values
from benchmarks.measures import Measure, watched
from benchmarks.workload import QUESTIONS, ZERO, Outcome

ASK = Path(__file__).with_name("tools") / "ask.py"
NAMES = {"bsl": "boring-semantic-layer", "sidemantic": "sidemantic", "metricflow": "MetricFlow"}
# Most CPU of the product on the same questions: as it answers, and from rows.
BARS = {"bsl": (0.3, 1.0), "sidemantic": (0.4, 1.0), "metricflow": (0.05, 1.0)}
NEAR = 1e-6  # some give 32-bit numbers


def rightly(found: Values, hand: Values, kpi: str, variant: str) -> bool:
    """Whether it is what SQL by hand says. What is not mature yet is not asked of others, and no row is no event."""
    first = f"{FIRST_WEEK if variant == 'week_plan' else FIRST}"
    absent = 0.0 if kpi in (*ZERO, "arpu", "stickiness") else None
    for key in (k for k in found.keys() | hand.keys() if first <= k[0] <= f"{LAST_DAY}"):
        value, want = found.get(key), hand.get(key)
        value, want = (absent if value is None else value), (absent if want is None else want)
        if want is not None and (value is None or not math.isclose(value, want, rel_tol=NEAR)):
            return False
    return True


def measured(python: str, outcomes: list[Outcome], data: Path, scale: str) -> Iterator[Measure]:
    """For each tool that is installed there: how many of the 36 it answers rightly, and two ratios."""
    ours, connection = {(o.kpi, o.variant): o for o in outcomes}, connected(data)
    hand = {asked: values(connection.execute(statement(*asked)).df()) for asked in QUESTIONS}
    connection.close()
    for tool, name in NAMES.items():
        took, versions, wrong = {}, {}, []
        try:
            for line, _ in watched([python, str(ASK), tool, str(data)], _environment()):
                if "versions" in line:
                    versions = line["versions"]
                    continue
                asked = (line["kpi"], line["variant"])
                found = {(period, segment): value for period, segment, value in line.get("values", ())}
                if "error" not in line and rightly(found, hand[asked], *asked):
                    took[asked] = line["seconds"]
                else:
                    wrong.append(" ".join(asked))
        except subprocess.CalledProcessError:
            continue  # it is not installed, or does not run: no figure
        part, of = f"{name}, {scale}", "" if scale == "10M" else "10M"
        told = ", ".join(f"{package} {version}" for package, version in versions.items())
        yield Measure(part, "of 36, answered rightly", len(took), "", None, told)
        if wrong:
            yield Measure(part, "of 36, answered otherwise", len(wrong), "", None, ", ".join(wrong))
        if took:
            theirs, (kept, rows) = sum(took.values()), BARS[tool]
            as_asked, from_rows = (sum(getattr(ours[q], way) for q in took) / theirs for way in ("kept", "facts"))
            yield Measure(part, "product / it, as it answers", as_asked, "×", kept, f"beside {theirs:.2f} s", of)
            yield Measure(part, "product / it, from rows", from_rows, "×", rows, "", of)


def _environment() -> dict[str, str]:
    """Without this process's paths, so that the other Python finds its own packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
