"""SQL of definitions: parsed once, one expression or one SELECT, only known names, no way out of the tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from connectors.errors import did_you_mean

DIALECT = "duckdb"
# Functions that read files, the network, settings or the environment. The reader also runs with
# enable_external_access off; this list only says so earlier, with a line.
FORBIDDEN = re.compile(
    r"^(read_|scan_|parquet_|sniff_|glob$|getenv|current_setting|duckdb_|pragma_|query$|query_table|"
    r"iceberg_|delta_|postgres_|mysql_|sqlite_|which_secret|from_substrait|install|load|copy|attach)",
    re.IGNORECASE,
)
NAME = re.compile(r"[A-Za-z_]\w*")
ROW_SOURCES = {"generate_series", "range", "unnest"}


class SqlProblem(ValueError):
    """What is wrong with a piece of SQL; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def expression(text: str) -> exp.Expr:
    """One scalar or aggregate expression. Raises SqlProblem."""
    name = text.strip()
    try:
        tree = _parse(text)
    except SqlProblem:
        if not NAME.fullmatch(name):
            raise
        return exp.column(name, quoted=True)  # a column may be called as a statement is: comment, cache, grant
    if NAME.fullmatch(name) and not isinstance(tree, (exp.Condition, exp.Func)):
        return exp.column(name, quoted=True)
    if isinstance(tree, (exp.Query, exp.DDL, exp.DML, exp.Command)):
        raise SqlProblem("a single expression is wanted here, not a statement")
    _refuse_forbidden(tree)
    if tree.find(exp.Query):
        raise SqlProblem("no SELECT inside an expression", "Put it into the dataset's `sql`.")
    return tree


def select(text: str, tables: Collection[str] | None) -> exp.Query:
    """One SELECT over known tables (any, if `tables` is None). Raises SqlProblem."""
    tree = _parse(text)
    if not isinstance(tree, exp.Query):
        raise SqlProblem("one SELECT is wanted here")
    if tree.find(exp.Into, exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop):
        raise SqlProblem("a SELECT only reads")
    _refuse_forbidden(tree)
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            if table.this.sql().split("(")[0].lower() not in ROW_SOURCES:
                raise SqlProblem(f"'{table.sql(DIALECT)}' is not a table", "Only loaded tables and datasets are read.")
        elif table.db and table.db != "main":
            raise SqlProblem(f"'{table.sql(DIALECT)}' lies outside the loaded tables")
        elif tables is not None and table.name not in own and table.name not in tables:
            raise SqlProblem(f"unknown table '{table.name}'", did_you_mean(table.name, sorted(tables)))
    return tree


def columns(tree: exp.Expr) -> Iterator[str]:
    """Names of the columns that an expression reads."""
    for column in tree.find_all(exp.Column):
        yield column.name


def has_aggregate(tree: exp.Expr) -> bool:
    """Whether the expression aggregates rows."""
    return tree.find(exp.AggFunc) is not None


def _parse(text: str) -> exp.Expr:
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect=DIALECT) if tree is not None]
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        what = str(details[0].get("description") or error).split("\n")[0].rstrip(".")
        near = details[0].get("highlight") or ""
        raise SqlProblem(f"cannot be parsed: {what}" + (f" near '{near}'" if near else "")) from None
    if len(trees) != 1:
        raise SqlProblem("exactly one statement is wanted here")
    tree = trees[0]
    assert isinstance(tree, exp.Expr)
    return tree


def _refuse_forbidden(tree: exp.Expr) -> None:
    for call in tree.find_all(exp.Func):
        name = call.name if isinstance(call, exp.Anonymous) else call.sql_name()
        if FORBIDDEN.match(name):
            raise SqlProblem(f"function '{name.lower()}' is not allowed", "Definitions read loaded tables only.")
