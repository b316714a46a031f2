"""The workload's KPIs as MetricFlow says them: the dbt project in metricflow/, built into a DuckDB file.

It has rolling windows of distinct people, ratios between tables and conversions of two steps; no retention on one day,
and no funnel of three steps. The mean of a week's days is not one of its aggregations of a simple metric.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from benchmarks.hand_sql import END, FIRST, FIRST_WEEK
from benchmarks.measures import THREADS

PROJECT = Path(__file__).with_name("metricflow")
OF_EVENT, OF_USER = "event__{}", "user__{}"
# KPI → how its dimensions are called. Of a ratio over two tables, the user's.
ASKED = {
    "dau": OF_EVENT,
    "wau": OF_EVENT,
    "mau": OF_EVENT,
    "stickiness": OF_EVENT,
    "signups": OF_USER,
    "revenue": OF_USER,
    "arpu": OF_USER,
    "p95_duration": OF_EVENT,
    "nps": OF_USER,
    "activation": OF_USER,
}


def _engine(data: Path) -> Any:
    """The project, built, and MetricFlow's engine over it."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    os.environ |= {
        "WORKLOAD_DATA": str(data),
        "WORKLOAD_DATABASE": str(folder / "star.duckdb"),
        "WORKLOAD_THREADS": str(THREADS),
        "DBT_PROFILES_DIR": str(folder),
        "DBT_PROJECT_DIR": str(folder),
    }
    os.chdir(folder)
    from dbt.cli.main import dbtRunner
    from dbt_metricflow.cli.cli_configuration import CLIConfiguration

    done = dbtRunner().invoke(["--quiet", "run"])
    assert done.success, done.exception
    configuration = CLIConfiguration()
    configuration.setup(configure_file_logging=False)
    return configuration.mf


def questions(data: Path) -> Mapping[tuple[str, str], Callable[[], Any]]:
    """What it has words for: each gives period, for weeks the plan, value."""
    engine, found = _engine(data), {}
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    for kpi, named in ASKED.items():
        for variant in ("day", "day_f", "week_plan"):
            weekly = variant == "week_plan"
            names = [f"metric_time__{'week' if weekly else 'day'}", *([named.format("plan")] if weekly else [])]
            filters = [
                f"{{{{ Dimension('{named.format(column)}') }}}} = '{value}'"
                for column, value in (("platform", "ios"), ("country", "US"))
                if variant == "day_f"
            ]
            asked = {
                "metric_names": [kpi],
                "group_by_names": names,
                "where_constraints": filters or None,
                "time_constraint_start": datetime.combine(FIRST_WEEK if weekly else FIRST, time()),
                "time_constraint_end": datetime.combine(END - timedelta(days=1), time()),
            }

            def ask(asked: dict[str, Any] = asked, names: list[str] = names, kpi: str = kpi) -> Any:
                import pandas as pd

                table = engine.query(MetricFlowQueryRequest.create(**asked)).result_df
                return pd.DataFrame(list(table.rows), columns=list(table.column_names))[[*names, kpi]]

            found[(kpi, variant)] = ask
    return found
