"""Texts of a column as dates and numbers, in SQL: what each style makes of them, over all rows at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import duckdb

from connectors.texts import dates, numbers
from connectors.texts.dates import StyleCount
from connectors.texts.numbers import NumberCount
from connectors.texts.reading import TextReading
from connectors.warehouse.duckdb.reader import one
from connectors.warehouse.names import text

MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
MONTH = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?"
)
WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[.,]?\s+)?"
TIME = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([ap])\.?\s?m\.?)?"
ZONE = r"([a-z]{1,5}|(?:utc|gmt)?\s?[+-]\d{1,2}(?::?\d{2})?)?(?:\s*\(.*\)|\[[^\]]*\])?"
BETWEEN = r"(?:\s*[/.-]\s*|[.,]?\s+|,)?"
NTH = "(?:st|nd|rd|th)?"
DATE = (
    rf"^{WEEKDAY}(\d{{4}}|\d{{1,2}}|{MONTH}){NTH}({BETWEEN})(\d{{1,2}}|{MONTH}){NTH}({BETWEEN})(\d{{4}}|\d{{1,2}})"
    rf"(?:(?:\s+at\s+|[t\s,:]+){TIME}\s*{ZONE})?$"
)
DAY = (  # of a date with a time
    rf"^({WEEKDAY}(?:\d{{4}}|\d{{1,2}}|{MONTH}){NTH}{BETWEEN}(?:\d{{1,2}}|{MONTH}){NTH}{BETWEEN}"
    r"(?:\d{4}|\d{1,2}))(?:$|[t\s,:])"
)
DATE_PARTS = ("a", "s", "b", "s2", "c", "h", "mi", "sec", "f", "ap", "z")
COMPACT_PARTS = ("y", "m", "d", "h", "mi", "s", "z")
COMPACT = r"^(\d{4})(\d{2})(\d{2})(?:t?(\d{2})(?:(\d{2})(\d{2})?)?)?(z)?$"
IN_WORDS = rf"^(?:(\d{{4}})[-/.](\d{{1,2}})|({MONTH})[.,]?[\s-]+(\d{{4}}|\d{{2}}))$"
PER_SECOND = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
FEW = 500  # rows that tell the pattern that most have
GROUP = r"[,'’\s]"
FORMS = {
    ".": r"(?:\d{1,3}(?:[,'’\s]\d{2,3})*[,'’\s]\d{3}|\d+)(?:\.\d*)?|\.\d+",
    ",": r"(?:\d{1,3}(?:[.'’\s]\d{3})+|\d+)(?:,\d*)?|,\d+",
}


def plain(column: str) -> str:
    """A text without what no date or number needs: case, spaces around and odd spaces inside."""
    return f"trim(translate(lower({column}), '\u00a0\u202f\u2007\u2212', '   -'))"


def unknown(column: str) -> str:
    """Whether a text says that there is no value."""
    return f"{plain(column)} IN ({', '.join(map(text, numbers.UNKNOWN))})"


# ---- dates


def date_sql(column: str, style: str) -> str:
    """A text as TIMESTAMP: UTC where it has a zone, else what it says; NULL where it is no date in this style."""
    x = plain(column)
    if "%" in style:
        return f"CAST(try_strptime(trim({column}), {text(style)}) AS TIMESTAMP)"
    if style in PER_SECOND:
        micros = f"CAST(round(TRY_CAST({x} AS DECIMAL(38, 6)) * 1000000 / {PER_SECOND[style]}) AS BIGINT)"
        return f"CASE WHEN regexp_full_match({x}, '-?\\d{{1,19}}(\\.\\d+)?') THEN make_timestamp({micros}) END"
    if style == "compact":
        time = ", ".join(f"if(p.{part} = '', '00', p.{part})" for part in ("h", "mi", "s"))
        whole = f"format('{{}}-{{}}-{{}} {{}}:{{}}:{{}}', p.y, p.m, p.d, {time})"
        return _with("p", _groups(x, COMPACT, COMPACT_PARTS), f"TRY_CAST({whole} AS TIMESTAMP)")
    if style == "month":
        year = f"if(p.y <> '', p.y, {_year('p.late')})"
        month = f"if(p.y <> '', lpad(p.m, 2, '0'), {_month('p.name')})"
        first = f"TRY_CAST({year} || '-' || {month} || '-01' AS TIMESTAMP)"
        return _with("p", _groups(x, IN_WORDS, ("y", "m", "name", "late")), first)
    return _with("p", _groups(x, DATE, DATE_PARTS), _written(style))


def _written(style: str) -> str:
    """A date in the parts `p`, with a time or without."""
    first = "(length(p.a) = 4 AND p.a < 'a')"  # a year; letters come after digits

    def placed(year_first: str, month_first: str, month_second: str, triple: str) -> str:
        return (
            f"CASE WHEN {first} THEN p.{year_first} WHEN p.a >= 'a' THEN p.{month_first} "
            f"WHEN p.b >= 'a' THEN p.{month_second} ELSE p.{triple} END"
        )

    y, m, d = {"mdy": tuple("cab"), "ymd": tuple("abc")}.get(style, tuple("cba"))
    parts = f"{{y: {placed('a', 'c', 'c', y)}, m: {placed('b', 'a', 'b', m)}, d: {placed('c', 'b', 'a', d)}}}"
    clock = "CAST(p.h AS INT) % 12 + if(p.ap = 'p', 12, 0)"
    hour = (
        "CASE WHEN p.h = '' THEN '00' WHEN p.ap = '' THEN lpad(p.h, 2, '0') "
        f"WHEN CAST(p.h AS INT) BETWEEN 1 AND 12 THEN lpad(CAST({clock} AS VARCHAR), 2, '0') END"
    )
    time = f"{hour} || ':' || if(p.mi = '', '00', p.mi) || ':' || if(p.sec = '', '00', p.sec) || '.' || left(p.f, 6)"
    day = f"{_year('q.y')} || '-' || {_month('q.m')} || '-' || lpad(q.d, 2, '0')"
    at = f"TRY_CAST({day} || ' ' || {time} AS TIMESTAMP)"
    # With dots and a year of two digits, 1.10.10 is a version and 01.10.10 a date.
    wrong = ["p.a = ''", "(trim(p.s) = '.' AND length(q.y) = 2 AND (length(q.d) = 1 OR length(q.m) = 1))"]
    wrong += ["length(q.d) > 2", "(p.b < 'a' AND (p.s2 = '' OR (p.s = '' AND p.a < 'a')))"]
    wrong += [f"(p.a < 'a' AND p.b < 'a' AND NOT {first})"] if style == "iso" else []
    moved = f"{at} - to_minutes({_with('z', 'p.z', _offset('z'))})"
    return _with("q", parts, f"CASE WHEN {' OR '.join(wrong)} THEN NULL ELSE {moved} END")


def zoned_sql(column: str, style: str) -> str:
    """Whether a text that is a date says its zone."""
    if style in PER_SECOND:
        return "true"
    if "%" in style:
        return "true" if "%z" in style or "%Z" in style else "false"
    if style == "compact":
        return f"{_groups(plain(column), COMPACT, COMPACT_PARTS)}.z <> ''"
    return "false" if style == "month" else f"{_groups(plain(column), DATE, DATE_PARTS)}.z <> ''"


def timed_sql(column: str, style: str) -> str:
    """Whether a text that is a date says its time of day."""
    if style in PER_SECOND:
        return "true"
    if "%" in style:
        return "true" if re.search("%[HIcXsT]", style) else "false"
    if style == "compact":
        return f"{_groups(plain(column), COMPACT, COMPACT_PARTS)}.h <> ''"
    return "false" if style == "month" else f"{_groups(plain(column), DATE, DATE_PARTS)}.h <> ''"


def _groups(x: str, pattern: str, names: tuple[str, ...]) -> str:
    return f"regexp_extract({x}, {text(pattern)}, [{', '.join(map(text, names))}])"


def _year(y: str) -> str:
    """Two digits are from 1969 to 2068."""
    return f"CASE length({y}) WHEN 4 THEN {y} WHEN 2 THEN if({y} < '69', '20', '19') || {y} END"


def _month(m: str) -> str:
    named = f"CAST((strpos('{MONTHS}', left({m}, 3)) + 2) // 3 AS VARCHAR)"
    return f"lpad(CASE WHEN {m} >= 'a' THEN {named} ELSE {m} END, 2, '0')"


def _offset(z: str) -> str:
    """Minutes east of UTC; NULL for a zone that is not known."""
    known = " ".join(f"WHEN '{name}' THEN {east}" for name, east in dates.ZONES.items())
    minutes = "CAST(o.h AS INT) * 60 + CAST(if(o.m = '', '0', o.m) AS INT)"
    counted = f"CASE WHEN o.sign <> '' THEN if(o.sign = '-', -1, 1) * ({minutes}) END"
    digits = f"regexp_extract({z}, '([+-])(\\d{{1,2}}):?(\\d{{2}})?$', ['sign', 'h', 'm'])"
    return f"CASE {z} WHEN '' THEN 0 {known} ELSE {_with('o', digits, counted)} END"


def _with(name: str, value: str, expression: str) -> str:
    """`expression` in which `name` is `value`, which is computed once."""
    return f"list_transform([{value}], lambda {name}: {expression})[1]"


# ---- numbers


def number_sql(column: str, style: str) -> str:
    """A text as DOUBLE; NULL where it is no number in this style. A percent sign divides by 100."""
    mark = "," if style.startswith(numbers.COMMA) else "."
    group = GROUP if mark == "." else GROUP.replace(",", ".")
    digits = f"TRY_CAST(replace(regexp_replace(p.n, {text(group)}, '', 'g'), ',', '.') AS DOUBLE)"
    signs, percent = "(p.m1 || p.m2 || p.m3)", "(p.c1 = '%' OR p.c2 = '%')"
    whole = f"(p.o = '') = (p.e = '') AND length({signs}) <= 1 AND (p.c1 = '' OR p.c2 = '')"
    wanted = percent if style.endswith("%") else f"NOT {percent}"
    value = f"{digits} * if({signs} = '-' OR p.o <> '', -1, 1) / if({percent}, 100, 1)"
    fits = f"regexp_full_match(p.n, {text(FORMS[mark])}) AND {whole} AND ({wanted} OR {digits} = 0)"
    slow = _with("p", _number(column), f"CASE WHEN {fits} THEN {value} END")
    if style != numbers.POINT:
        return slow
    quick = f"regexp_full_match({column}, '-?[$€£]?[0-9]{{1,3}}(,[0-9]{{3}})*(\\.[0-9]+)?')"
    return f"CASE WHEN {quick} THEN TRY_CAST(translate({column}, '$€£,', '') AS DOUBLE) ELSE {slow} END"


def _number(column: str) -> str:
    """Brackets, signs, currency or percent, and the digits with their marks."""
    words = sorted((*numbers.CODES, *numbers.WORDS), key=len, reverse=True)
    unit = rf"(?:{'|'.join(re.escape(word.lower()) for word in words)}|[{numbers.SIGNS}]|%)"
    pattern = (
        rf"^(\()?\s*([+-]?)\s*({unit})?\s*([+-]?)\s*(\d[\d.,'’\s]*\d|\d+[.,]?|[.,]\d+)\s*({unit})?\s*(-?)\s*(\))?$"
    )
    return _groups(plain(column), pattern, ("o", "m1", "c1", "m2", "n", "c2", "m3", "e"))


# ---- what a column has


def find(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    column: str,
    *,
    now: datetime,
    decimal: str,
    least: float,
    role: str = "",
) -> TextReading | None:
    """How the texts of `column` of `relation` are read; None = they are neither dates nor numbers.

    least: share of the texts that must be readable. column: an identifier of SQL. role: only as dates, or as numbers.
    """
    said = f"(SELECT {column} FROM {relation} WHERE {column} IS NOT NULL AND NOT {unknown(column)})"
    found = None if role == "dates" else _find_number(connection, said, column, decimal, least)
    return found or (None if role == "numbers" else _find_date(connection, said, column, now, least))


def _find_number(
    connection: duckdb.DuckDBPyConnection, said: str, column: str, decimal: str, least: float
) -> TextReading | None:
    count = count_numbers(connection, said, column)
    style, other = numbers.decide(count, decimal=decimal)
    if not style or max(count.point, count.comma) < max(1, least * count.rows):
        return None
    return _number_reading(count, style, other, column)


def _find_date(
    connection: duckdb.DuckDBPyConnection, said: str, column: str, now: datetime, least: float
) -> TextReading | None:
    rows, dotted, counts = count_dates(connection, said, column, now)
    style, other = dates.decide(counts, dotted=dotted)
    if counts[style].readable < max(1, least * rows):
        return None
    return _date_reading(style, other, date_kind(connection, said, column, style), counts, column)


def count_dates(
    connection: duckdb.DuckDBPyConnection, relation: str, column: str, now: datetime
) -> tuple[int, bool, dict[str, StyleCount]]:
    """All rows; whether all dates are written with dots; what each order, and the styles without one, make of them.

    Times of day are left out: days are few where rows are many.
    """
    styles = (*dates.STEADY, *dates.ORDERS)
    late = f"TIMESTAMP {text(f'{now:%Y-%m-%d %H:%M:%S}')} + INTERVAL 1 DAY"
    parts = [
        f"coalesce(sum(rows) FILTER (WHERE {s} IS NOT NULL), 0), coalesce(sum(rows) FILTER (WHERE {s} > {late}), 0), "
        f"count(DISTINCT {s}), min({s}), max({s})"
        for s in styles
    ]
    days = (
        f"SELECT coalesce(nullif(regexp_extract({plain(column)}, {text(DAY)}, 1), ''), {column}) AS day FROM {relation}"
    )
    parsed = ", ".join(f"{date_sql('day', s)} AS {s}" for s in styles)
    dotted = f"regexp_matches(day, '^\\s*\\d+\\s*\\.') OR {date_sql('day', 'dmy')} IS NULL"
    row = one(
        connection,
        f"SELECT coalesce(sum(rows), 0), bool_and(dotted), {', '.join(parts)} FROM "
        f"(SELECT rows, {dotted} AS dotted, {parsed} FROM (SELECT day, count(*) AS rows FROM ({days}) GROUP BY day))",
    )
    found = list(row or ())
    counts = {s: StyleCount(int(n), int(late_), *rest) for s, (n, late_, *rest) in _by_five(styles, found[2:])}
    return int(found[0]), bool(found[1]), counts


def _by_five(styles: tuple[str, ...], found: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    return ((style, found[5 * i : 5 * i + 5]) for i, style in enumerate(styles))


def count_numbers(connection: duckdb.DuckDBPyConnection, relation: str, column: str) -> NumberCount:
    """What all rows hold as numbers."""
    p = _number(column)
    any_of = {
        mark: f"coalesce({number_sql(column, mark)}, {number_sql(column, f'{mark}%')})" for mark in numbers.STYLES[:2]
    }
    row = one(
        connection,
        f"SELECT count(*), count(a), count(b), count_if(a <> b), count_if(a <> b AND n LIKE '%.%'), "
        "count_if(percent), count_if(NOT percent AND a <> 0), count_if(coded), "
        "coalesce(list(DISTINCT unit) FILTER (WHERE unit NOT IN ('', '%')), []) FROM ("
        f"SELECT {any_of[numbers.POINT]} AS a, {any_of[numbers.COMMA]} AS b, {p}.n AS n, "
        f"{p}.c1 || {p}.c2 AS unit, unit = '%' AS percent, "
        f"regexp_matches(n, '^0\\d') OR ({p}.m1 = '+' AND n LIKE '% %') AS coded FROM {relation})",
    )
    rows, point, comma, differ, dots, percent, plain_, coded, units = row or (0,) * 8 + ([],)
    return NumberCount(rows, point, comma, differ, dots, percent, plain_, coded, tuple(sorted(map(str.upper, units))))


def currencies(connection: duckdb.DuckDBPyConnection, relation: str, column: str) -> tuple[str, ...]:
    """Signs and codes of the currencies that a column's numbers have."""
    p = _number(column)
    row = one(
        connection,
        "SELECT coalesce(list(DISTINCT unit) FILTER (WHERE unit NOT IN ('', '%')), []) FROM "
        f"(SELECT {p}.c1 || {p}.c2 AS unit FROM {relation} WHERE NOT regexp_full_match({column}, '[0-9.,-]*'))",
    )
    return tuple(sorted(map(str.upper, row[0]))) if row else ()


def has_fractions(connection: duckdb.DuckDBPyConnection, relation: str, column: str, style: str) -> bool:
    """Whether any of a column's numbers is no whole number."""
    row = one(
        connection, f"SELECT bool_or(v <> floor(v)) FROM (SELECT {number_sql(column, style)} AS v FROM {relation})"
    )
    return bool(row and row[0])


def date_kind(connection: duckdb.DuckDBPyConnection, relation: str, column: str, style: str) -> str:
    """DATE, TIMESTAMP or TIMESTAMP WITH TIME ZONE: what most rows that are dates in this style have."""
    pattern = fast_pattern(connection, relation, column, style)
    fast = _fast(column, pattern) if pattern else "NULL"
    row = one(
        connection,
        f"SELECT count(*), count_if({timed_sql(column, style)}), count_if({zoned_sql(column, style)}), "
        f"(SELECT count({fast}) FROM {relation}) FROM {relation} "
        f"WHERE CASE WHEN {fast} IS NULL THEN {date_sql(column, style)} IS NOT NULL ELSE false END",
    )
    rows, timed, zoned, quick = (int(count or 0) for count in row or (0, 0, 0, 0))  # count_if of nothing is NULL
    zoned, timed = zoned + ("%z" in pattern) * quick, timed + ("%M" in pattern) * quick
    return "TIMESTAMP WITH TIME ZONE" if 2 * zoned > rows + quick else "TIMESTAMP" if timed else "DATE"


def fast_pattern(connection: duckdb.DuckDBPyConnection, relation: str, column: str, style: str) -> str:
    """The pattern that most of the first rows of a column have; empty = none that is known."""
    patterns = [day + time for day in dates.DAYS.get(style, ()) for time in dates.TIMES]
    if not patterns:
        return ""
    counts = ", ".join(f"count({_fast(column, pattern)})" for pattern in patterns)
    row = one(connection, f"SELECT {counts} FROM (SELECT {column} FROM {relation} LIMIT {FEW})") or (0,)
    return patterns[row.index(max(row))] if max(row) else ""


def _fast(column: str, pattern: str) -> str:
    """A text as the engine reads this pattern; %Y takes two digits for a year of the Roman empire."""
    read = f"try_strptime({column}, {text(pattern)})"
    return f"CASE WHEN {read} >= '1000-01-01' THEN {read} END"


def value_sql(column: str, reading: TextReading, fast: str = "") -> str:
    """A text as the value that its column holds; NULL where it cannot be read. fast: see `fast_pattern`."""
    if reading.role == "numbers":
        number = number_sql(column, reading.style)
        whole = "INT" in reading.kind  # the engine rounds what is not
        cast = f"TRY_CAST(v AS {reading.kind})"
        plain_ = _with("v", number, f"CASE WHEN v = floor(v) THEN {cast} END" if whole else cast)
        return number if reading.kind == "DOUBLE" else plain_
    at, zoned = date_sql(column, reading.style), zoned_sql(column, reading.style)
    if reading.kind == "TIMESTAMP WITH TIME ZONE":
        slow, quick = f"CASE WHEN {zoned} THEN timezone('UTC', {at}) END", "%z" in fast
    elif reading.kind == "DATE":
        slow = f"CAST(CASE WHEN NOT {timed_sql(column, reading.style)} THEN {at} END AS DATE)"
        quick = bool(fast) and "%M" not in fast
    else:
        slow, quick = f"CASE WHEN NOT {zoned} THEN {at} END", bool(fast) and "%z" not in fast
    read = f"CAST({_fast(column, fast)} AS {reading.kind})"
    return f"CASE WHEN {read} IS NOT NULL THEN {read} ELSE {slow} END" if quick else slow


def misfit(column: str, reading: TextReading, fast: str = "") -> str:
    """Whether a text says something that cannot be read."""
    value = value_sql(column, reading, fast)
    return f"CASE WHEN {column} IS NULL OR {value} IS NOT NULL THEN false ELSE NOT {unknown(column)} END"


def _number_reading(count: NumberCount, style: str, other: str, column: str) -> TextReading:
    name = column.strip('"')
    doubt = f"no row of '{name}' decides whether 1,234 is 1234 or 1.234" if other else ""
    if doubt:
        doubt += f"; it is read as {style}. State it: numbers: {{{name}: '{style}'}} or '{other}'"
    note = f"'{name}' is read as numbers such as {style}" + (", so that 45.5% is 0.455" if style.endswith("%") else "")
    return TextReading("numbers", style, "DOUBLE", doubt, note, name, count.currencies)


def _date_reading(style: str, other: str, kind: str, counts: Mapping[str, StyleCount], column: str) -> TextReading:
    name, chosen = column.strip('"'), counts[style]
    note = f"'{name}' is read as dates: {dates.STYLES[style]}"
    if not other:
        return TextReading("dates", style, kind, "", note, name)
    spans = [
        f"{s} ({dates.STYLES[s]}): {counts[s].first:%Y-%m-%d} to {counts[s].last:%Y-%m-%d}" for s in (style, other)
    ]
    doubt = (
        f"no row of '{name}' decides the order of day and month; it is read as {spans[0]}, not {spans[1]}. "
        f"State it: dates: {{{name}: {style}}} or {other}"
    )
    return TextReading("dates", style, kind, doubt if chosen.first else "", note, name)
