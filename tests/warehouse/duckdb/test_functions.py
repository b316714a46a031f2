"""The functions that definitions may call are the engine's, or parts of its language."""

from __future__ import annotations

import duckdb

from metrics.catalog import sql
from metrics.catalog.sql_functions import ALLOWED

LANGUAGE = (
    "array case cast coalesce current_time current_timestamp date extract grouping grouping_id ifnull localtime "
    "localtimestamp percentile_cont percentile_disc struct try try_cast"
)


def test_each_allowed_function_is_one_of_the_engine_or_of_the_language() -> None:
    """No name is there by mistake; and none reads files, waits, or answers differently each time."""
    rows = duckdb.execute("SELECT DISTINCT lower(function_name) FROM duckdb_functions()").fetchall()
    language = set(LANGUAGE.split())
    assert sorted(ALLOWED - {name for (name,) in rows} - language) == []
    wrong = ("read", "scan", "glob", "setting", "variable", "secret", "sleep", "random", "uuid", "sql", "log_")
    assert [name for name in ALLOWED if any(word in name for word in wrong)] == []


def test_every_aggregate_that_may_be_called_is_known_for_one() -> None:
    """Else what it counts over rows is taken for a value of each, by checks and by roles that see some rows."""
    rows = duckdb.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
    ).fetchall()
    called = sorted(name for (name,) in rows if name in ALLOWED)
    assert len(called) > 50
    for name in called:
        for arguments in ("v", "v, w"):
            try:
                tree = sql.expression(f"{name}({arguments})")
            except sql.SqlProblem:  # not with so many
                continue
            assert sql.has_aggregate(tree), name
