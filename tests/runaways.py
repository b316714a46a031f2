"""SQL that would compute for ever, or eat all memory, out of functions that are allowed."""

from __future__ import annotations

# Expressions over one row of a table with a number `amount` and a text `a`.
VALUES = (
    "length(repeat('x', 1500000000))",
    "length(repeat(repeat('x', 100000), 20000))",
    "length(repeat(a, 2000000000))",
    "length(lpad(a, 2000000000, 'y'))",
    "length(rpad(a, 2000000000, 'y'))",
    "length(printf('%2000000000d', 1))",
    "length(format('{:>2000000000}', 1))",
    "length(reverse(repeat(a, 1900000000)))",
    "length(upper(repeat(a, 1900000000)))",
    "length(replace(repeat(a, 100000), a, repeat(a, 100000)))",
    "length(regexp_replace(repeat(a, 100000), a, repeat(a, 100000), 'g'))",
    "length(to_base64(encode(repeat(a, 1900000000))))",
    "length(hex(repeat(a, 1900000000)))",
    "length(concat(repeat(a, 1900000000), repeat(a, 1900000000)))",
    "length(md5(repeat(a, 1900000000)))",
    "levenshtein(repeat('ab', 100000), repeat('ba', 100000))",
    "damerau_levenshtein(repeat('ab', 50000), repeat('ba', 50000))",
    "jaro_similarity(repeat('ab', 2000000), repeat('ba', 2000000))",
    "jaccard(repeat('ab', 500000000), repeat('ba', 500000000))",
    "len(range(4000000000))",
    "len(range(300000000))",
    "list_sum(range(3000000000))",
    "len(list_transform(range(2000000000), lambda x: x * 2))",
    "len(list_filter(range(2000000000), lambda x: x % 2 = 0))",
    "list_reduce(range(2000000000), lambda x, y: x + y)",
    "len(list_sort(range(2000000000)))",
    "len(list_distinct(range(2000000000)))",
    "len(list_resize([1], 4000000000))",
    "len(list_zip(range(1000000000), range(1000000000)))",
    "len(flatten(list_transform(range(100000), lambda x: range(100000))))",
    "len(split(repeat('a,', 900000000), ','))",
    "len(string_split_regex(repeat('a,', 900000000), ','))",
    "len(array_to_string(range(1000000000), ','))",
    "len(to_json(range(1000000000))::VARCHAR)",
    "len(generate_series(1, 4000000000))",
    "len(list_grade_up(range(2000000000)))",
    "len(list_transform(range(100000), lambda x: list_transform(range(100000), lambda y: x * y)))",
)
# Statements over a table `t` with a moment `at`.
SELECTS = (
    *(f"SELECT t.at AS period, {value} AS value FROM t" for value in VALUES),
    "SELECT t.at AS period, count(*) AS value FROM t, range(1000000000000) GROUP BY 1",
    "SELECT t.at AS period, sum(r.i * s.i) AS value FROM t, range(10000000) r(i), range(10000000) s(i) GROUP BY 1",
    "SELECT t.at AS period, count(DISTINCT i) AS value FROM t, range(100000000) r(i) GROUP BY 1",
    "SELECT t.at AS period, count(DISTINCT hash(i)) AS value FROM t, range(100000000) r(i) GROUP BY 1",
    "SELECT t.at AS period, length(string_agg(i::VARCHAR)) AS value FROM t, range(1000000000) r(i) GROUP BY 1",
    "SELECT t.at AS period, len(array_agg(i)) AS value FROM t, range(1000000000) r(i) GROUP BY 1",
    "SELECT t.at AS period, median(i) AS value FROM t, range(1000000000) r(i) GROUP BY 1",
    "SELECT t.at AS period, mode(i) AS value FROM t, range(1000000000) r(i) GROUP BY 1",
    "SELECT t.at AS period, cardinality(histogram(i)) AS value FROM t, range(1000000000) r(i) GROUP BY 1",
    "SELECT t.at AS period, i AS value FROM t, range(1000000000) r(i)",
    "SELECT t.at AS period, i AS value FROM t, range(1000000000) r(i) ORDER BY hash(i), i",
    "SELECT t.at AS period, row_number() OVER (ORDER BY hash(i)) AS value FROM t, range(1000000000) r(i)",
    "SELECT t.at AS period, unnest(range(4000000000)) AS value FROM t",
    "SELECT t.at AS period, count(*) AS value FROM t, t a, t b, t c, t d, t e, t f, t g GROUP BY 1",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT t.at AS period, max(i) AS value "
    "FROM t, n GROUP BY 1",
    "WITH RECURSIVE n AS (SELECT 'x' AS i UNION ALL SELECT i || i FROM n) SELECT t.at AS period, "
    "max(length(i)) AS value FROM t, n GROUP BY 1",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i FROM n, range(10)) SELECT t.at AS period, count(*) AS value "
    "FROM t, n GROUP BY 1",
    "WITH RECURSIVE n AS (SELECT [1] AS l UNION ALL SELECT list_concat(l, l) FROM n) SELECT t.at AS period, "
    "max(len(l)) AS value FROM t, n GROUP BY 1",
    "WITH "
    + ", ".join(
        f"c{n} AS (SELECT x.at FROM c{n - 1} x, c{n - 1} y)" if n else "c0 AS (SELECT t.at FROM t)" for n in range(40)
    )
    + " SELECT c39.at AS period, count(*) AS value FROM c39 GROUP BY 1",
    "SELECT t.at AS period, (SELECT sum(u.i) FROM range(1000000000) u(i) WHERE u.i > t.id) AS value FROM t",
    "SELECT t.at AS period, regexp_matches(repeat('a', 100000), '(a*)*(a*)*(a*)*b')::INT AS value "
    "FROM t, range(100000000)",
)
