"""Definitions that reach for what is not theirs: files, the environment, our own books, other statements.

Each is refused by `kpi validate` with its file and line, computes nothing in a sync, and takes no other KPI along. The
engine alone, without that check, gives nothing away either.
"""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pandas as pd
import pytest
import sqlglot
from sqlglot.errors import SqlglotError

from connectors.errors import KpiError
from metrics.catalog import sql_guard
from metrics.catalog.sql import SqlProblem, expression, select
from metrics.catalog.sql_functions import ALLOWED
from tests.conftest import Builder, run_cli
from tests.sampling import cases

pytestmark = pytest.mark.breadth(7, whole=True)

CANARY = "canary-7f3a"
EXPRESSIONS = (
    "(SELECT content FROM read_text('{secret}'))",
    "(SELECT count(*) FROM '{secret}')",
    '(SELECT count(*) FROM "{secret}")',
    "EXISTS(SELECT 1 FROM read_csv_auto('{secret}'))",
    "ARRAY(SELECT content FROM read_text('{secret}'))",
    "amount IN (SELECT size FROM read_blob('{secret}'))",
    "getenv('KPI_CANARY')",
    "main.getenv('KPI_CANARY')",
    "system.main.getenv('KPI_CANARY')",
    "\"getenv\"('KPI_CANARY')",
    "GETENV('KPI_CANARY')",
    "'{secret}'.read_text()",
    "list_transform([1], lambda q: getenv('KPI_CANARY'))",
    "list_transform([1], q -> getvariable('x'))",
    "getvariable('x')",
    "current_setting('temp_directory')",
    "current_user",
    "current_database()",
    "current_schemas(true)",
    "current_query()",
    "session_user",
    "version()",
    "sleep_ms(10)",
    "pg_sleep(1)",
    "write_log('x')",
    "random()",
    "setseed(0.5)",
    "uuid()",
    "gen_random_uuid()",
    "nextval('s')",
    "txid_current()",
    "in_search_path('a', 'b')",
    "json_serialize_sql('SELECT 1')",
    "json_deserialize_sql('x')",
    "pg_get_viewdef(1)",
    "parse_duckdb_log_message('a', 'b')",
    "$1",
    "?",
    "amount; ATTACH '{folder}/out.db'",
    "amount) FROM t; COPY (SELECT 1) TO '{folder}/out.csv' --",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "SET VARIABLE x = 1",
    "PRAGMA database_list",
)
SELECTS = (
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_csv_auto('{secret}')",
    "SELECT * FROM read_json_auto('{secret}')",
    "SELECT * FROM read_ndjson('{secret}')",
    "SELECT * FROM read_parquet('{secret}')",
    "SELECT * FROM parquet_scan('{secret}')",
    "SELECT * FROM parquet_metadata('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM read_duckdb('{secret}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    "FROM '{secret}'",
    "FROM read_text('{secret}')",
    "TABLE '{secret}'",
    "SELECT * FROM t, '{secret}'",
    "SELECT * FROM t POSITIONAL JOIN '{secret}'",
    "SELECT * FROM t JOIN read_text('{secret}') ON true",
    "SELECT * FROM t, LATERAL (SELECT content FROM read_text('{secret}'))",
    "SELECT * FROM t, LATERAL read_text('{secret}')",
    "SELECT t.*, (SELECT content FROM read_text('{secret}')) AS secret FROM t",
    "SELECT * FROM t WHERE EXISTS (FROM '{secret}')",
    "SELECT * FROM t UNION ALL SELECT * FROM '{secret}'",
    "SELECT * FROM t ORDER BY (SELECT content FROM read_text('{secret}'))",
    "SELECT * FROM t QUALIFY (SELECT count(*) FROM '{secret}') > 0",
    "WITH x AS (SELECT * FROM read_text('{secret}')) SELECT * FROM x",
    "WITH x AS (FROM '{secret}') FROM x",
    'SELECT * FROM (WITH "{secret}" AS (SELECT 1 AS at) SELECT * FROM "{secret}") a, "{secret}" b',
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x, '{secret}' WHERE n < 3) SELECT * FROM x",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('t')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM bellwether.generations",
    "SELECT * FROM bellwether.cursors",
    'SELECT * FROM "bellwether"."definitions"',
    "SELECT * FROM BELLWETHER.kpi_values",
    "SELECT * FROM live.bellwether.files",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_logs()",
    "SELECT * FROM pragma_table_info('t')",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM which_secret('a', 'b')",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM repeat_row(1, num_rows=3)",
    "SELECT * FROM icu_calendar_names()",
    "SELECT * FROM seq_scan('t')",
    "SELECT * FROM pandas_scan(1)",
    "SUMMARIZE t",
    "DESCRIBE t",
    "SELECT * FROM (DESCRIBE t)",
    "SELECT * FROM (SUMMARIZE t)",
    "SHOW TABLES",
    "SELECT * FROM (SHOW TABLES)",
    "PIVOT '{secret}' ON a",
    "PIVOT read_csv('{secret}') ON a",
    "SELECT * FROM (PIVOT '{secret}' ON a)",
    "UNPIVOT '{secret}' ON COLUMNS(*)",
    "ATTACH '{folder}/out.db' AS out",
    "COPY t TO '{folder}/out.csv'",
    "EXPORT DATABASE '{folder}/out'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CREATE TABLE z AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "CREATE OR REPLACE VIEW t AS SELECT 1",
    "DROP TABLE t",
    "DELETE FROM t",
    "INSERT INTO t SELECT * FROM t",
    "UPDATE t SET amount = 0",
    "SET memory_limit = '90GB'",
    "RESET memory_limit",
    "CALL pragma_version()",
    "CHECKPOINT",
    "PREPARE p AS SELECT 1",
    "EXPLAIN ANALYZE SELECT * FROM t",
    "VACUUM",
    "SELECT * FROM t; SELECT * FROM '{secret}'",
    "SELECT * FROM frame",
    "SELECT * FROM secret_of_python",
)
PLACES = {  # where an expression may stand
    "expr": "dataset: t\nagg: sum\nexpr: >-\n  {sql}\n",
    "filter": "dataset: t\nagg: count\nfilter: >-\n  {sql}\n",
    "ratio": "type: ratio\nnumerator:\n  dataset: t\n  agg: count\n  filter: >-\n    {sql}\n"
    "denominator: {{dataset: t, agg: count}}\n",
    "conversion": "type: conversion\ndataset: t\nconversion:\n  dataset: t\n  filter: >-\n    {sql}\n",
    "funnel": "type: funnel\ndataset: t\nsteps:\n- {{name: a}}\n- name: b\n  filter: >-\n    {sql}\n",
    "cumulative": "type: cumulative\nmeasure:\n  dataset: t\n  agg: sum\n  expr: >-\n    {sql}\n",
    "survey": "type: survey\ndataset: t\nscale: ces\nscore: >-\n  {sql}\n",
    "per": "dataset: t\nagg: sum\nexpr: amount\nsemi_additive:\n  pick: last\n  per: >-\n    {sql}\n",
    "retention": "type: retention\ndataset: t\nat: 1\nunit: day\nreturn:\n  dataset: t\n  filter: >-\n    {sql}\n",
}
DATASET_PLACES = {
    "dimensions": "dimensions:\n  bad: >-\n    {sql}\n",
    "filter": "filter: >-\n  {sql}\n",
    "measures": "measures:\n  bad:\n    agg: sum\n    expr: >-\n      {sql}\n",
}
LAUNCH_PLACES = {
    "adoption": "adoption:\n  dataset: t\n  used: >-\n    {sql}\n",
    "audience": "audience: >-\n  {sql}\n",
    "control": "control: >-\n  {sql}\n",
    "rollout": "rollout:\n- on: 2026-11-02\n  segment: >-\n    {sql}\n",
}
HEAD = "source: t\ntime_dimension: at\nentity: id\n"


def world(project: Builder, tmp_path: Path) -> dict[str, str]:
    """A project with one good KPI, and a file that nobody names. What attacks are filled in with."""
    at = pd.date_range("2026-11-01", periods=48, freq="6h")
    project.rows("t", pd.DataFrame({"at": at, "id": range(48), "amount": 1.5, "a": "x"}), entity="id")
    project.kpi("good", "dataset: t\nagg: sum\nexpr: amount")
    (tmp_path / "secret.csv").write_text(f"a,b\n{CANARY},1\n")
    return {"secret": str(tmp_path / "secret.csv"), "folder": str(tmp_path)}


def written(project: Builder, filled: dict[str, str], *, waits: bool = True) -> dict[str, str]:
    """Every attack as a definition of its own. File → what it says. waits: also those that do nothing for a while."""
    made: dict[str, str] = {}

    def write(part: str, name: str, text: str) -> None:
        project.write(part, name, f"name: {name}\n{text}")
        made[f"{part}/{name}.yml"] = text

    places = itertools.cycle([*(("kpis", p) for p in PLACES.values()), *(("data", p) for p in DATASET_PLACES.values())])
    for number, attack in enumerate(EXPRESSIONS):
        if not waits and "sleep" in attack:
            continue
        sql = attack.format(**filled)
        for turn in range(2):
            part, place = next(places)
            name = f"bad_e{number}_{turn}"
            if part == "data":
                write("datasets", name, HEAD + place.format(sql=sql))
                project.kpi(f"on_{name}", f"dataset: {name}\nagg: count")
            else:
                write("kpis", name, place.format(sql=sql))
        next(places)  # so that each attack meets other places
    marks = itertools.cycle(LAUNCH_PLACES.items())
    for number, attack in enumerate(EXPRESSIONS):
        key, place = next(marks)
        day = "" if key == "rollout" else "on: 2026-11-02\n"
        text = f"success: [{{kpi: good, expect: +5%}}]\n{day}{place.format(sql=attack.format(**filled))}"
        write("launches", f"bad_l{number}", text)
    for number, attack in enumerate(SELECTS):
        sql = attack.format(**filled)
        write("kpis", f"bad_s{number}", f"type: sql\ndataset: t\nsql: >-\n  {sql}\n")
        write("datasets", f"bad_d{number}", f"time_dimension: at\nsource: >-\n  SELECT * FROM ({sql})\n")
        project.kpi(f"on_bad_d{number}", f"dataset: bad_d{number}\nagg: count")
    return made


def traces(project: Builder, tmp_path: Path) -> list[str]:
    """Files that an attack made, or that hold what it was after."""
    outside = [str(p) for p in tmp_path.iterdir() if p.name not in ("project", "secret.csv")]
    held = [str(p) for p in project.folder.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]
    return outside + held


def test_every_attack_is_refused_with_its_line_and_harms_only_itself(
    project: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPI_CANARY", CANARY)
    attacks = written(project, world(project, tmp_path))
    assert len(attacks) >= 250
    for synced in (False, True):  # before the first sync nobody knows the tables
        problems = project.open().catalogue(project.open().reader() if synced else None).problems
        told = {p.file.rpartition("project/")[2]: p for p in problems if p.level == "error"}
        missed = {file: text for file, text in attacks.items() if file not in told or not told[file].line}
        if not synced:  # a name without a path may be that of a table, then
            missed = {
                f: text for f, text in missed.items() if text.rsplit(maxsplit=1)[-1].strip("()").isidentifier() is False
            }
        assert missed == {}
        result = project.sync()
        assert not result.failed and result.published is not synced  # the second one has nothing new
        assert project.values("good", grain="total") == {"total": 72.0}
    assert traces(project, tmp_path) == []
    stored = project.open().reader().all_stored_definitions()
    assert {kpi for kpi, _ in stored} == {"good"}
    asked = run_cli("query", "bad_s0", "--project", str(project.folder))
    assert asked.returncode == 1 and "is not allowed" in asked.stderr and "Traceback" not in asked.stderr


@pytest.mark.slow
def test_the_engine_alone_gives_nothing_away(project: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nobody had checked the definitions."""
    monkeypatch.setenv("KPI_CANARY", CANARY)
    for check in ("refuse_functions", "refuse_tables"):
        monkeypatch.setattr(f"metrics.catalog.sql.{check}", lambda *_: None)
    written(project, world(project, tmp_path), waits=False)
    result = project.sync()
    assert result.published and project.values("good", grain="total") == {"total": 72.0}
    for kpi in project.open().catalogue(project.open().reader()).kpis:
        try:
            frame = project.ask(kpi, facts=True).frame
        except KpiError as error:
            assert CANARY not in str(error)
        else:
            assert CANARY not in frame.to_csv()
    assert traces(project, tmp_path) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(" * 300 + "1" + ")" * 300, "nested"),
        ("-" * 1 + "abs(" * 200 + "1" + ")" * 200, "nested"),
        ("1" + " + 1" * 5000, "a chain of more than 900 terms"),
        (" OR ".join(f"id = {n}" for n in range(3000)), "a chain of more than 900 terms"),
        ("date()", "cannot be written"),
        ("CASE WHEN 1 = 1 THEN " * 300 + "1" + " END" * 300, "nested"),
        ("[" * 300 + "1" + "]" * 300, "nested"),
        ("id IN (" + ", ".join(map(str, range(40_000))) + ")", "characters long"),
        ("'" + "x" * 60_000 + "'", "characters long"),
        ("(" * 100_000, "characters long"),
    ],
)
def test_what_nobody_could_read_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(SqlProblem, match=says):
        expression(text)
    with pytest.raises(SqlProblem, match=says):
        select(f"SELECT {text} AS v FROM t", ["t"])


LONG = cases(fast=1, slow=400, full=880)  # 880 terms take 45 seconds of processor time


@pytest.mark.parametrize(
    ("body", "total"),
    [
        ("agg: count\nfilter: " + " OR ".join(f"id = {n}" for n in range(880)), 48),
        ("agg: count\nfilter: " + " AND ".join(["id >= 0"] * 880), 48),
        pytest.param("agg: max\nexpr: " + " + ".join(["id"] * LONG), 47 * LONG, marks=pytest.mark.slow),
        pytest.param("agg: max\nexpr: length(" + " || ".join(["a"] * LONG) + ")", LONG, marks=pytest.mark.slow),
    ],
    ids=["or", "and", "sum", "text"],
)
def test_a_long_chain_is_no_depth(project: Builder, tmp_path: Path, body: str, total: int) -> None:
    world(project, tmp_path)
    project.kpi("long", f"dataset: t\n{body}")
    assert not project.sync().problems
    assert project.values("long", grain="total") == {"total": total}


def test_one_kpi_without_end_harms_no_other(project: Builder, tmp_path: Path) -> None:
    world(project, tmp_path)
    project.kpi("deep", f"dataset: t\nagg: sum\nexpr: {'(' * 200}amount{')' * 200}")
    project.kpi("deeper", f"dataset: t\nagg: sum\nexpr: {'(' * 3000}amount{')' * 3000}")
    project.sync()
    assert project.values("good", grain="total") == {"total": 72.0}
    broken = project.open().catalogue().broken
    assert set(broken) == {"deep", "deeper"} and all("nested" in str(p) for found in broken.values() for p in found)


@pytest.mark.parametrize(
    "text",
    [
        "WITH a AS (SELECT * FROM t), b AS (SELECT * FROM a) SELECT * FROM b",
        "WITH A AS (SELECT * FROM t) SELECT * FROM a",
        "WITH a AS (WITH b AS (SELECT * FROM t) SELECT * FROM b) SELECT * FROM a JOIN t ON true",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n, t",
        "WITH a AS (SELECT * FROM t) SELECT * FROM a UNION ALL SELECT * FROM a",
        "SELECT * FROM t, LATERAL (SELECT t.amount * 2 AS twice)",
        "SELECT * FROM t, range(3) r(i)",
        "SELECT at, unnest([1, 2]) AS n FROM t",
        "FROM t SELECT at, count(*) AS n GROUP BY ALL",
        "SELECT * EXCLUDE (amount) REPLACE (a || 'x' AS a) FROM main.t",
        "SELECT date_trunc('week', at) AS period, quantile_cont(amount, 0.5) AS value FROM t GROUP BY 1",
        "SELECT *, row_number() OVER (PARTITION BY a ORDER BY at) AS n FROM t QUALIFY n = 1",
        "SELECT count(*) FILTER (WHERE amount > 1) AS v, string_agg(a, ',' ORDER BY at) AS s FROM t",
        "SELECT list_transform([1, 2], lambda x: x + 1) AS v, json_extract_string('{}', '$.a') AS j FROM t",
        "SELECT at::DATE AS d, TRY_CAST(a AS INTEGER) AS i, INTERVAL 3 DAY AS w, a LIKE 'x%' AS l FROM t",
        "SELECT extract(hour FROM at) AS h, at AT TIME ZONE 'Europe/Berlin' AS z, a ~ 'x' AS m FROM t",
        "SELECT t.id FROM t ANTI JOIN (SELECT 1 AS id) o USING (id)",
        "SELECT struct_pack(a := 1).a AS v, map {'k': 1}['k'] AS m, [1, 2][1] AS l FROM t",
    ],
)
def test_what_analysts_write_is_taken(text: str) -> None:
    select(text, ["t"])


@pytest.mark.parametrize("arguments", ["", "a", "a, b", "a, 'x'", "a, b, c", "[1, 2], lambda x: x", "'day', a, b"])
def test_an_allowed_function_is_taken_as_the_parser_keeps_it(arguments: str) -> None:
    """Whatever the parser makes of its name: other engines call many of them otherwise."""
    taken = 0
    for name in sorted(ALLOWED - {"age"}):  # which needs two
        with contextlib.suppress(SqlglotError):
            tree = sqlglot.parse_one(f"SELECT {name}({arguments}) AS v FROM t", dialect="duckdb")
            sql_guard.refuse_functions(tree)
            taken += 1
    assert taken > 300


@pytest.mark.parametrize("arguments", ["", "a", "a, b", "*", "DISTINCT a", "NULL", "a, b, c, d, e"])
def test_what_is_read_can_be_written(arguments: str) -> None:
    """A KPI whose SQL cannot be written is refused when it is read: it ended the sync of all others."""
    for name in sorted(ALLOWED):
        with contextlib.suppress(SqlProblem):
            assert expression(f"{name}({arguments})").sql("duckdb")
