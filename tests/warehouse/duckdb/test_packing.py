"""What a worker answers is the frame that the engine makes of its rows, whatever their types."""

from __future__ import annotations

import os
import subprocess
import sys

import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.warehouse.duckdb.packing import packed, unpacked
from tests.conftest import ROOT
from tests.sampling import sampled

VALUES = {
    **{"BOOLEAN": "true", "TINYINT": "-128", "SMALLINT": "7", "INTEGER": "7", "BIGINT": "9007199254740993"},
    **{"UTINYINT": "255", "USMALLINT": "7", "UINTEGER": "7", "UBIGINT": "18446744073709551615"},
    **{"HUGEINT": "170141183460469231731687303715884105727", "FLOAT": "0.1", "DOUBLE": "'nan'"},
    **{"DECIMAL(18,3)": "1.125", "DECIMAL(38,0)": "123456789012345678901234567890", "VARCHAR": "'né''e'"},
    **{"DATE": "'2026-01-31'", "TIMESTAMP": "'2026-01-31 10:00:00.123456'", "TIMESTAMP_S": "'2026-01-31 10:00:00'"},
    **{"TIMESTAMP_MS": "'2026-01-31 10:00:00.123'", "TIMESTAMP_NS": "'2026-01-31 10:00:00.123456789'"},
    **{"TIMESTAMPTZ": "'2026-10-25 01:30:00.5+02'", "TIME": "'10:00:01'", "INTERVAL": "'3 days'", "BLOB": "'ab'"},
    **{"DOUBLE[]": "[1.5, NULL, 2]", "INTEGER[]": "[1, 2]", "VARCHAR[]": "['a', NULL]", "DOUBLE[2]": "[1.0, 2.0]"},
    **{"STRUCT(a INT)": "{'a': 1}", "JSON": "'{\"a\": 1}'", "ENUM('a', 'b')": "'b'"},
    **{"BIT": "'101'", "STRUCT(a HUGEINT)": "{'a': 1}", "MAP(VARCHAR, INTEGER)": "MAP {'a': 1}"},
    **{"UUID[]": "['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']", "TIMESTAMPTZ[]": "['2026-01-01 00:00+02']"},
    "UUID": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
}
ENGINE = duckdb.connect(config={"threads": 1})
ENGINE.execute("SET TimeZone = 'UTC'")


def same(sql: str) -> None:
    known, found = ENGINE.execute(sql).df(), unpacked(packed(ENGINE, sql))
    pd.testing.assert_frame_equal(known, found, check_exact=True, check_column_type=True)
    assert [type(v) for v in known.to_numpy().ravel()] == [type(v) for v in found.to_numpy().ravel()]


@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.drop")  # DuckDB's own, of categories
@sampled(fast=25, slow=100, full=1_000)
@given(columns=st.lists(st.tuples(st.sampled_from(sorted(VALUES)), st.lists(st.booleans(), min_size=3, max_size=3)),
                        min_size=1, max_size=4), rows=st.integers(0, 3))  # fmt: skip
def test_a_frame_that_was_packed_is_the_engine_s_own(columns: list[tuple[str, list[bool]]], rows: int) -> None:
    lines = [
        ", ".join(f'CAST({VALUES[kind] if there[row] else "NULL"} AS {kind}) AS "column {place}"'
                  for place, (kind, there) in enumerate(columns))
        for row in range(3)
    ]  # fmt: skip
    same(f"SELECT * FROM ({' UNION ALL '.join(f'SELECT {line}' for line in lines)}) LIMIT {rows}")


@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.drop")
@pytest.mark.parametrize("kind", sorted(VALUES))
def test_each_type_is_as_the_engine_has_it(kind: str) -> None:
    value = VALUES[kind]
    for rows in ("", " UNION ALL SELECT NULL", " WHERE false"):
        same(f"SELECT CAST({value} AS {kind}) AS x{rows}")
    same(f"SELECT CAST(NULL AS {kind}) AS x FROM range(2)")


@pytest.mark.parametrize("kind", ["UHUGEINT", "BIGNUM"])
def test_what_has_no_frame_is_told_where_it_is_packed(kind: str) -> None:
    """There it is an error of the statement; here it would be nobody's."""
    with pytest.raises(duckdb.Error, match=kind):
        packed(ENGINE, f"SELECT CAST(1 AS {kind}) AS x")


def test_columns_of_one_name_and_many_rows() -> None:
    same("SELECT 1 AS a, 2 AS a, NULL AS b")
    same("SELECT i, i::VARCHAR AS s, i * 0.1 AS d, sum(i) OVER () AS h FROM range(5000) t(i) ORDER BY i DESC")


def test_a_process_that_was_forked_has_an_engine_of_its_own() -> None:
    answer = packed(ENGINE, "SELECT 7 AS n")
    unpacked(answer)
    child = os.fork()
    if not child:
        os._exit(int(unpacked(answer)["n"].iloc[0]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_worker_starts_without_pandas() -> None:
    """Half of its start would be to load what it does not use."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from importlib import import_module as load\n"
        "from connectors.cage.cage import LOADED; [load(name) for name in LOADED]; assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
