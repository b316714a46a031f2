"""A count and its noun agree: no text puts a number that may be 1 before a noun in the plural, or says `1 rows`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.errors import counted

ROOT = Path(__file__).resolve().parents[2]
NOUNS = (
    "alerts|answers|bytes|cells|changes|checks|cohorts|columns|comments|conditions|datasets|days|"
    "definitions|drafts|emails|entities|entries|errors|events|facts|files|flags|generations|groups|hours|"
    "ids|incidents|items|keys|kpis|launches|letters|lines|measures|messages|minutes|months|notes|numbers|"
    "pages|people|periods|points|problems|questions|readings|records|releases|requests|rows|rules|samples|"
    "seconds|segments|snapshots|sources|steps|tables|times|users|values|verdicts|versions|warnings|weeks|"
    "words|years|others|KPIs"
)
FOLLOWS = re.compile(rf"^ (?:(?!of )\w+ )?({NOUNS})\b(?![.'])")
# What is never 1, by file and the words that follow: a constant of ours, a span that is said only where it is longer.
NEVER_ONE = {
    "metrics/alerts/rules.py": {"periods in a row"},
    "metrics/engine/sql/joins.py": {"rows in"},
    "metrics/engine/types/sql.py": {"values only; at grain"},
    "metrics/launches/board.py": {"drafts wait"},
    "metrics/launches/page.py": {"the others."},
    "metrics/launches/reading.py": {"days since launch"},
    "metrics/launches/words.py": {"times as wide"},
    "metrics/presentation/format.py": {"days earlier", "days ago"},
    "metrics/quality/data_page.py": {"datasets fresh"},
    "jobs/alerts/incidents.py": {"KPIs have a rule '"},
    "jobs/authoring/add.py": {"letters is too long"},
    "jobs/authoring/usual.py": {"lines"},
    "connectors/channels/apprise.py": {"seconds"},
    "connectors/reading.py": {"bytes;"},
    "connectors/sources/ga4.py": {"changes while its pages are read"},
    "connectors/sources/google_sheets.py": {"values but no name in the first row: left out"},
    "connectors/sources/rest/client.py": {"answers"},
    "connectors/sources/sql.py": {"answers"},
    "connectors/state/limits.py": {"letters;"},
}


def after_numbers(source: str) -> Iterator[tuple[int, str]]:
    """Line, and what follows a value in a text: ` rows of it`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            for part, rest in zip(node.values, node.values[1:], strict=False):
                if not (isinstance(part, ast.FormattedValue) and isinstance(rest, ast.Constant)):
                    continue
                if not _constant(part.value):
                    yield node.lineno, str(rest.value)


def _constant(value: ast.expr) -> bool:
    """A number that is written in capitals does not change; `counted` and texts agree by themselves."""
    inner = value.value if isinstance(value, ast.Subscript) else value
    name = inner.id if isinstance(inner, ast.Name) else inner.attr if isinstance(inner, ast.Attribute) else ""
    return name.isupper()


def offending(source: str) -> list[tuple[int, str]]:
    return [(line, words) for line, words in after_numbers(source) if FOLLOWS.match(words)]


def python_files() -> list[Path]:
    tops = ("metrics", "jobs", "cli", "api", "connectors", "ui", "pages")
    return [path for top in tops for path in sorted((ROOT / top).rglob("*.py"))]


def test_the_search_finds_what_it_is_for() -> None:
    assert offending('f"{len(x)} rows"') == [(1, " rows")]
    assert offending('f"{n:,} more segments are"') == [(1, " more segments are")]
    assert not offending("f\"{counted(n, 'row')} of it\"") and not offending('f"{MOST} rows"')


@pytest.mark.parametrize("path", python_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_number_that_may_be_one_stands_before_a_plural(path: Path) -> None:
    known = NEVER_ONE.get(path.relative_to(ROOT).as_posix(), set())
    assert [found for found in offending(path.read_text()) if found[1].strip() not in known] == []


def test_counts_and_nouns() -> None:
    assert [counted(n, "row") for n in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]
    assert [counted(n, "row is", "rows are") for n in (0, 1, 2)] == ["0 rows are", "1 row is", "2 rows are"]
