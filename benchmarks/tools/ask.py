"""Ask another metric layer what it can answer of the workload; in the Python that has it.

    python benchmarks/tools/ask.py TOOL STAR_FOLDER [--runs 3]

TOOL: bsl, sidemantic or metricflow. One JSON line a question: kpi, variant, seconds (CPU, least of some runs after one
that warms up), values as [period, segment, value], or `error`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.hand_sql import values  # noqa: E402  (found by the line above)
from benchmarks.measures import best  # noqa: E402

PACKAGES = {"bsl": "boring-semantic-layer", "sidemantic": "sidemantic", "metricflow": "metricflow"}


def main() -> None:
    """Print a line for the tool, and one for each question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", choices=PACKAGES)
    parser.add_argument("star", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    asked = importlib.import_module(f"benchmarks.tools.with_{given.tool}").questions(given.star)
    versions = {name: importlib.metadata.version(name) for name in (PACKAGES[given.tool], "duckdb")}
    print(json.dumps({"versions": versions}), flush=True)
    for (kpi, variant), ask in asked.items():
        line: dict[str, object] = {"kpi": kpi, "variant": variant}
        try:
            line["values"] = [[*key, value] for key, value in values(ask()).items()]
            line["seconds"] = best(ask, given.runs)
        except Exception as error:  # of another tool: what it cannot answer is told
            line["error"] = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
