"""One table of what is measured, with its limits; exit code 1 if one is missed, 2 if a number is wrong.

    python benchmarks/table.py [PART ...] [--scale 1M] [--tools PYTHON] [--details] [--json FILE]

PART: questions, refresh, rolling, reading, commands, alerts, growth, reruns; all if none is named. --scale: events of
the first three, and at most of growth. --tools: the Python that has boring-semantic-layer, sidemantic and MetricFlow
(docs/performance.md); the questions are asked of them, too. A line of each measure goes to standard error when it is
known, the table to standard output at the end. Seconds are CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks import alert_speed, commands, growth, others, reading, refreshing, rolling, workload  # noqa: E402
from benchmarks.measures import Measure, as_table, machine  # noqa: E402


@dataclass
class Run:
    """What the parts of one run share: the star, the workload's project, the demo; each made when it is needed."""

    scale: str
    details: bool
    tools: str
    scratch: Path

    @cached_property
    def star(self) -> Path:
        """Parquet files."""
        return workload.make(self.scale, self.scratch)

    @cached_property
    def project(self) -> Any:
        """The workload's project, synced."""
        return workload.load(self.star, self.scratch)

    @cached_property
    def demo(self) -> Path:
        """The demo, filled."""
        commands.demo(self.scratch / "demo")
        return self.scratch / "demo"

    def place(self, name: str) -> Path:
        """A new folder."""
        (self.scratch / name).mkdir()
        return self.scratch / name


def _questions(run: Run) -> Iterator[Measure]:
    outcomes = workload.run(run.project, run.star)
    if run.details:
        print(workload.by_question(outcomes), file=sys.stderr)
    yield from workload.measured(outcomes, run.star, run.scale)
    if run.tools:
        yield from others.measured(run.tools, outcomes, run.star, run.scale)


def _commands(run: Run) -> Iterator[Measure]:
    folder = run.scratch / "demo"
    run.demo = folder
    yield from commands.measured(folder)


PARTS: dict[str, Callable[[Run], Iterator[Measure]]] = {
    "questions": _questions,
    "refresh": lambda run: refreshing.measured(run.scale, run.star, run.scratch / "refresh"),
    "rolling": lambda run: rolling.measured(run.project, run.scale),
    "commands": _commands,
    "reading": lambda run: reading.measured(run.demo, run.place("reading")),
    "alerts": lambda run: alert_speed.measured(run.place("alerts")),
    "growth": lambda run: growth.measured(run.scale, run.place("growth")),
    "reruns": lambda run: commands.reruns(run.demo),
}


def measured(run: Run, parts: list[str]) -> list[Measure]:
    """All measures of these parts, each told when it is known."""
    found = []
    for part in parts:
        for measure in PARTS[part](run):
            found.append(measure)
            print(" · ".join(filter(None, measure.cells())), file=sys.stderr, flush=True)
    return found


def exit_code(found: list[Measure]) -> int:
    """1 if a limit is missed, 2 if what is missed is that numbers are equal."""
    missed = [m for m in found if m.missed]
    return 2 if any(m.bar == 0 for m in missed) else int(bool(missed))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[[], *PARTS])
    parser.add_argument("--scale", default="1M")
    parser.add_argument("--details", action="store_true", help="each of the 36 questions, too, on standard error")
    parser.add_argument("--tools", default="", metavar="PYTHON")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(given.scale, given.details, given.tools, Path(scratch))
        found = measured(run, given.parts or list(PARTS))
    print(f"{machine()}\n\n{as_table(found)}\n\n{sum(m.missed for m in found)} missed")
    if given.json:
        rows = [{**asdict(m), "missed": m.missed} for m in found]
        given.json.write_text(json.dumps({"machine": machine(), "measures": rows}, indent=1))
    return exit_code(found)


if __name__ == "__main__":
    sys.exit(main())
