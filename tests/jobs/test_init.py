"""kpi init of files that nobody knows: what columns are for, and what is never added up."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from cli.authoring import order_of_days
from connectors.errors import ProjectError
from jobs.authoring.add import add_source
from jobs.authoring.init import file_source, init
from jobs.authoring.profile import loaded, profiled
from tests.conftest import ROOT, Builder, known, run_cli
from tests.jobs.proposals import Made, errors, made_of
from tests.sampling import sampled

pytestmark = pytest.mark.breadth(8)

DAYS = [f"2026-09-{day:02d}" for day in range(1, 31)]


def table(*columns: tuple[str, Sequence[object]]) -> str:
    """CSV text of named columns."""
    lines = [",".join(f'"{name}"' for name, _ in columns)]
    lines += [
        ",".join(f'"{v}"' if isinstance(v, str) and "," in v else str(v) for v in row)
        for row in zip(*(values for _, values in columns), strict=True)
    ]
    return "\n".join(lines) + "\n"


def cycle(*values: object) -> list[object]:
    return [values[i % len(values)] for i in range(len(DAYS))]


ORDERS = table(
    ("order_number", [1000 + i // 3 for i in range(30)]),
    ("order_line_number", cycle(1, 2, 3)),
    ("quantity_ordered", cycle(2, 5)),
    ("price_each", cycle(9.5, 3.25)),
    ("sales", cycle(19.0, 16.25)),
    ("ordered_on", list(DAYS)),
    ("status", cycle("Shipped", "Shipped", "Cancelled")),
    ("customer_name", cycle("Ann", "Ben", "Cy", "Di")),
)


def test_orders_with_lines(tmp_path: Path) -> None:
    made = made_of(tmp_path, "sales.csv", ORDERS)
    assert "time is 'ordered_on'" in made.said and "price_each (a price of one)" in made.said
    assert made.sums == {"sales", "quantity_ordered"}
    assert list(made.kpis)[:3] == ["orders", "total_sales", "average_order_value"]
    assert "rows with status Cancelled are in every count and sum" in made.said
    made.sync()
    assert made.values("orders", grain="total") == {"total": 10}
    assert made.values("total_sales", grain="total") == {"total": 528.75}
    assert made.values("average_order_value", grain="total") == {"total": 52.875}
    assert made.values("active_customers", grain="total") == {"total": 4}
    assert made.values("cancelled_share", grain="total") == {"total": pytest.approx(1 / 3)}


def test_a_price_and_a_quantity_make_an_amount(tmp_path: Path) -> None:
    text = table(("at", list(DAYS)), ("customer_id", cycle("a", "b")), ("unit_price", cycle(2.5)), ("qty", cycle(1, 3)))
    made = made_of(tmp_path, "sold.csv", text)
    assert made.sums == {"unit_price * qty", "qty"} and made.kpis["revenue"]["label"] == "Revenue"


REPORT = table(
    ("Date", list(DAYS)),
    ("Users", [100 + i for i in range(30)]),
    ("New Users", cycle(10, 20)),
    ("Sessions", cycle(100, 300)),
    ("Bounce Rate", cycle(0.5, 0.25)),
    ("Avg. Order Value", cycle(10.0, 20.0)),
    ("Campaign ID", cycle(7001, 7002)),
    ("Avg. Duration", cycle("00:01:00", "00:02:00")),
)


def test_a_report_of_days_has_no_people(tmp_path: Path) -> None:
    made = made_of(tmp_path, "overview.csv", REPORT)
    assert "active_users" not in made.said and "30 days" in made.said
    assert made.kpis["daily_users"] | {"agg": "sum", "period_agg": "mean", "grain": "day"} == made.kpis["daily_users"]
    assert "entity" not in made.read("datasets/overview.yml")
    assert made.sums == {"Users", '"New Users"', "Sessions"} | {
        f"{rate} * Sessions" for rate in ('"Bounce Rate"', '"Avg. Order Value"', 'epoch("Avg. Duration")')
    }
    made.sync()
    assert made.values("daily_users", grain="total") == {"total": 114.5}
    assert made.values("average_bounce_rate", grain="total") == {"total": pytest.approx((50 + 75) / 400)}
    assert made.values("avg_duration", grain="total") == {"total": pytest.approx((100 * 60 + 300 * 120) / 400)}
    assert made.kpis["average_bounce_rate"]["direction"] == "down_is_good"
    assert made.kpis["overview_count"]["overview"] is False


def test_a_rate_that_nothing_weighs_is_told(tmp_path: Path) -> None:
    made = made_of(tmp_path, "ratings.csv", table(("day", list(DAYS)), ("rating", cycle(4.5, 3.5))))
    assert made.kpis["average_rating"]["agg"] == "avg" and made.sums == set()
    assert "No column weighs rating" in made.said


def test_levels_of_a_report_are_those_of_the_last_day(tmp_path: Path) -> None:
    text = table(("date", list(DAYS)), ("Active Device Installs", list(range(30))), ("installs", cycle(1)))
    made = made_of(tmp_path, "play.csv", text)
    assert made.kpis["active_device_installs"]["period_agg"] == "last"
    made.sync()
    assert made.values("active_device_installs", grain="total") == {"total": 29}


def test_a_report_of_months_has_monthly_kpis(tmp_path: Path) -> None:
    months = [f"{2024 + i // 12}-{i % 12 + 1:02d}-01" for i in range(24)]
    text = table(("month", months), ("revenue", list(range(24))), ("Subscribers", list(range(24))))
    made = made_of(tmp_path, "mrr.csv", text)
    assert {k["grain"] for k in made.kpis.values()} == {"month"}
    assert made.kpis["monthly_subscribers"]["label"] == "Subscribers a month"


def test_several_currencies_are_told_and_can_be_told_apart(tmp_path: Path) -> None:
    text = table(("paid_at", list(DAYS)), ("amount", cycle(5, 7)), ("currency", cycle("USD", "EUR", "USD")))
    made = made_of(tmp_path, "payments.csv", text)
    assert "2 currencies (USD, EUR) are added up as if they were one" in made.said
    assert made.kpis["total_amount"]["label"] == "Amount (several currencies)"
    assert "Adds up USD and EUR" in made.kpis["total_amount"]["description"]
    assert list(made.read("datasets/payments.yml")["dimensions"]) == ["currency"]


def test_one_currency_is_the_format(tmp_path: Path) -> None:
    text = table(("paid_at", list(DAYS)), ("amount", cycle(5, 7)), ("currency", cycle("chf")))
    made = made_of(tmp_path, "payments.csv", text)
    assert made.kpis["total_amount"]["format"] == "currency CHF" and "Caution" not in made.said


SURVEY = table(
    ("#", [f"{i:032x}" for i in range(30)]),
    ("How likely are you to recommend us?", cycle(10, 9, 8, 3)),
    ("How easy was it?", cycle(7, 2, 5)),
    ("Overall, how satisfied are you?", cycle("5 - Very", "1 - Not at all", "4 - Rather")),
    ("Why?", cycle("Fast, good", "")),
    ("Submitted", [f"{day} 10:00:00" for day in DAYS]),
)


def test_answers_on_a_scale(tmp_path: Path) -> None:
    made = made_of(tmp_path, "answers.csv", SURVEY)
    scales = {name: (k["scale"], k.get("comment")) for name, k in made.kpis.items() if k.get("type") == "survey"}
    assert scales == {"nps": ("nps", '"Why?"'), "ces": ("ces", '"Why?"'), "csat": ("csat", '"Why?"')}
    made.sync()
    assert made.values("nps", grain="total") == {"total": pytest.approx(100 * (16 - 7) / 30)}
    assert made.values("csat", grain="total") == {"total": pytest.approx(2 / 3)}


def test_digits_that_are_times(tmp_path: Path) -> None:
    at = 1_788_000_000
    for unit, style in ((1, "epoch_s"), (1000, "epoch_ms"), (10**6, "epoch_us")):
        folder = tmp_path / style
        folder.mkdir()
        text = table(("Timestamp", [(at + i * 86_400) * unit for i in range(30)]), ("user_id", cycle(1, 2)))
        made = made_of(folder, "events.csv", text)
        assert "time is 'Timestamp', 30 days" in made.said
        assert made.read("sources.yml")[0]["dates"] == {"Timestamp": style}
        assert not made.sync().failed
        assert made.values("events_count", grain="total") == {"total": 30}
    text = table(("day", [d.replace("-", "") for d in DAYS]), ("visits", cycle(3)))
    (tmp_path / "compact").mkdir()
    made = made_of(tmp_path / "compact", "visits.csv", text)
    assert made.read("sources.yml")[0]["dates"] == {"day": "compact"} and "time is 'day', 30 days" in made.said


def test_ids_are_no_times_and_no_amounts(tmp_path: Path) -> None:
    text = table(("order_id", [1_700_000_000 + i for i in range(30)]), ("n", list(range(30))), ("zip", cycle(1234)))
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ProjectError, match="looks like a date"):
        list(init(tmp_path / "made", str(tmp_path / "a.csv")))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("file", "text"), [("a.csv", "at,amount\n"), ("a.json", "[]"), ("a.jsonl", "\n")])
def test_a_file_without_rows_is_told(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    done = run_cli("init", "made", "--from", file, cwd=tmp_path)
    assert done.returncode == 1 and not (tmp_path / "made").exists()
    assert "no rows" in done.stderr or "cannot be read" in done.stderr, done.stderr


def test_nested_values_lists_and_decimals(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": range(30),
            "meta": [
                {"at": pd.Timestamp("2026-09-01") + pd.Timedelta(days=i), "user": {"id": f"u{i % 4}"}}
                for i in range(30)
            ],
            "tags": [["a", "b"]] * 30,
        }
    )
    frame.to_parquet(tmp_path / "nested.parquet", index=False)
    made = Made(tmp_path / "made", tmp_path / "nested.parquet")
    assert "time is 'meta_at'" in made.said and "tags (nested values)" in made.said
    assert not made.sync().failed
    assert made.values("active_meta_users", grain="total") == {"total": 4}
    assert made.values("nested_count", grain="total") == {"total": 30}


def test_decimals_are_added_up(tmp_path: Path) -> None:
    import decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    amounts = pa.array([decimal.Decimal("1.10")] * 30, pa.decimal128(12, 2))
    pq.write_table(pa.table({"day": pa.array(pd.to_datetime(DAYS).date), "amount": amounts}), tmp_path / "d.parquet")
    made = Made(tmp_path / "made", tmp_path / "d.parquet")
    made.sync()
    assert made.values("total_amount", grain="total") == {"total": pytest.approx(33.0)}


# ---- texts


OPEN = table(("day", ["01/02/2026", "02/02/2026", "03/02/2026"]), ("orders", [5, 6, 9]))


def test_what_no_row_decides_is_told_with_both_readings(tmp_path: Path) -> None:
    made = made_of(tmp_path, "open.csv", OPEN)
    assert "Caution: no row of 'day' decides the order of day and month; it is read as dmy" in made.said
    assert "not mdy" in made.said and "time is 'day', 3 days" in made.said
    assert "    day: dmy    # no row decides\n" in (made.folder / "sources.yml").read_text()


def test_what_no_row_decides_is_answered_beforehand(tmp_path: Path) -> None:
    (tmp_path / "open.csv").write_text(OPEN)
    done = run_cli("init", "made", "--from", "open.csv", "--dates", "mdy", cwd=tmp_path)
    assert done.returncode == 0 and "60 days" in done.stdout and "Caution" not in done.stdout
    assert "    day: mdy\n" in (tmp_path / "made" / "sources.yml").read_text()
    wrong = run_cli("init", "other", "--from", "open.csv", "--dates", "american", cwd=tmp_path)
    assert wrong.returncode == 2 and not (tmp_path / "other").exists()


def test_what_no_row_decides_is_asked(tmp_path: Path) -> None:
    (tmp_path / "open.csv").write_text(OPEN)
    asked: list[str] = []

    def american(doubt: str) -> str:
        asked.append(doubt)
        return "mdy"

    said = "\n".join(init(tmp_path / "made", str(tmp_path / "open.csv"), american))
    assert len(asked) == 1 and "dmy" in asked[0] and "60 days" in said
    (tmp_path / "sure.csv").write_text(OPEN.replace("03/02", "28/02"))
    list(init(tmp_path / "sure", str(tmp_path / "sure.csv"), american))
    assert len(asked) == 1


def test_a_person_at_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    answers = iter(["maybe", " DMY "])
    monkeypatch.setattr(typer, "prompt", lambda _: next(answers))
    order = order_of_days(None)
    assert order is not None and order("read as dmy, not mdy") == "dmy"
    assert "Read as dmy, not mdy." in capsys.readouterr().out
    assert known(order_of_days("ymd"))("anything") == "ymd"


def test_how_texts_are_read_is_written_down(tmp_path: Path) -> None:
    text = table(
        ("paid", ["1/25/26 14:33", "1/26/26 9:00", "2/1/26 10:00"]),
        ("amount", ["$1,200.50", "N/A", "(20.00)"]),
        ("rate", ["45.5%", "50%", "1%"]),
    )
    made = made_of(tmp_path, "paid.csv", text)
    source = made.read("sources.yml")[0]
    assert source["dates"] == {"paid": "mdy"} and source["numbers"] == {"amount": "1,234.56", "rate": "1,234.56%"}
    assert made.kpis["average_rate"]["format"] == "percent" and "number, 1,234.56%" in made.said
    made.sync()
    assert made.values("total_amount", grain="total") == {"total": 1180.5}


def test_texts_of_json_are_read_as_well(tmp_path: Path) -> None:
    rows = [{"date": f"09/{d[-2:]}/2026", "amount": "$1,000.50", "user": {"id": 3}} for d in DAYS]
    made = made_of(tmp_path, "paid.json", json.dumps(rows))
    assert "time is 'date', 30 days" in made.said and "Caution" not in made.said
    source = made.read("sources.yml")[0]
    assert source["dates"] == {"date": "mdy"} and source["numbers"] == {"amount": "1,234.56"}
    assert not made.sync().failed
    assert made.values("total_amount", grain="total") == {"total": 30015.0}


def test_what_no_row_of_json_decides_is_told_and_asked(tmp_path: Path) -> None:
    (tmp_path / "open.json").write_text(json.dumps([{"day": f"0{i % 9 + 1}/02/2026"} for i in range(20)]))
    said = "\n".join(init(tmp_path / "told", str(tmp_path / "open.json")))
    assert "Caution: no row of 'day' decides" in said
    said = "\n".join(init(tmp_path / "asked", str(tmp_path / "open.json"), lambda _: "mdy"))
    assert "Caution" not in said and "    day: mdy\n" in (tmp_path / "asked" / "sources.yml").read_text()


def test_people_who_each_have_one_row(tmp_path: Path) -> None:
    text = table(("customer_id", list(range(30))), ("signed_up_on", list(DAYS)), ("is_active", cycle("true", "false")))
    made = made_of(tmp_path, "customers.csv", text)
    assert list(made.kpis) == ["customers_count", "active_customers", "active_share"]
    made.sync()
    assert made.values("active_share", grain="total") == {"total": 0.5}


def test_amounts_in_several_currencies_within_one_column_are_told(tmp_path: Path) -> None:
    text = table(("paid_at", list(DAYS)), ("amount", cycle("€ 3.90", "$ 4.10")))
    made = made_of(tmp_path, "paid.csv", text)
    assert "several currencies (" in made.said
    assert made.kpis["total_amount"]["label"] == "Amount (several currencies)"


def test_rows_without_a_time_are_told(tmp_path: Path) -> None:
    made = made_of(tmp_path, "a.csv", table(("at", [*DAYS[:28], "", ""]), ("amount", cycle(1))))
    assert "2 of 30 rows have no at: no period has them." in made.said


def test_events_of_any_product_have_retention(tmp_path: Path) -> None:
    text = table(("ts", [f"{d} 10:00:00" for d in DAYS]), ("user", cycle("a", "b")), ("action", cycle("open", "save")))
    made = made_of(tmp_path, "log.csv", text)
    assert "Recognised: a list of product events." in made.said
    assert {"active_users", "week_1_retention", "stickiness", "log_count"} <= set(made.kpis)


# ---- kpi add source


def test_a_source_is_added_to_a_project_that_init_made(tmp_path: Path) -> None:
    made = made_of(tmp_path, "orders.csv", ORDERS)
    (tmp_path / "shop.csv").write_text(ORDERS)
    done = run_cli("add", "source", str(tmp_path / "shop.csv"), "--project", str(made.folder))
    assert done.returncode == 0, done.stderr
    assert "time is 'ordered_on'" in done.stdout and "Not used: order_line_number" in done.stdout
    assert (made.folder / "kpis/shop_total_sales.yml").exists()
    parts = made.read("kpis/shop_average_order_value.yml")
    assert (parts["numerator"], parts["denominator"]) == ("shop_total_sales", "shop_orders")
    assert parts["label"] == "Average order value (shop)"
    result = made.sync()
    assert not result.failed and errors(result) == []
    assert made.values("shop_orders", grain="total") == {"total": 10}


def test_a_source_states_how_its_digits_are_times(project: Builder, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(
        table(("ts", [1_788_000_000 + i * 86_400 for i in range(30)]), ("user_id", cycle(1, 2)))
    )
    list(add_source(project.open(), str(tmp_path / "e.csv"), None))
    assert "    ts: epoch_s\n" in (project.folder / "sources.yml").read_text()


# ---- any columns

WORDS = st.from_regex(
    "(user|users|customer|order|orders|total|net|price|unit|amount|revenue|rate|ratio|avg|score|rating|count|sessions|time|"
    "date|created|id|number|version|year|lat|share|percent|%|conversion|duration|active|new|balance|currency|status|v|x|"
    "daily|per|views|price_each|größe|日付|€|#|Fläche)",
    fullmatch=True,
)
VALUES = st.sampled_from(
    [
        cycle(1, 2, 3),
        cycle(0.5, 0.25),
        cycle(10, 9, 0),
        [*range(30)],
        [1_788_000_000 + i for i in range(30)],
        cycle("a", "b"),
        cycle("USD", "EUR"),
        cycle("", 3),
        cycle("good", "bad", "refunded"),
        cycle(20260901, 20260902),
        [f"{d} 10:00:00" for d in DAYS],
        cycle("x"),
        cycle(""),
        cycle("true", "false"),
        [f"u{i}" for i in range(30)],
    ]
)
NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
RATES = {"id", "rate", "ratio", "avg", "score", "rating", "share", "percent", "per", "%"}
NO_QUANTITY = {"version", "year", "lat", "created", "date", "number", "user", "customer", "x"}


@sampled(fast=5, slow=20, full=1500)
@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=8, unique_by=lambda c: c[0].lower()))
def test_whatever_the_columns_are_nothing_absurd_is_added_up(columns: list[tuple[str, list[object]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = made_of(Path(folder), "any.csv", table(("happened at", list(DAYS)), *columns))
        catalogue = made.open().catalogue()
        assert [str(p) for p in catalogue.problems if p.level == "error"] == [] and len(catalogue.kpis) == len(
            made.kpis
        )
        for summed in made.sums:
            factors = [f.strip(' "') for f in summed.split(" * ")]
            alone = factors[0].split() if len(factors) == 1 else ["amount"]
            assert not set(alone) & RATES and alone[-1] not in NO_QUANTITY, made.sums
            values = dict(columns).get(factors[0], [])
            assert 1_788_000_000 not in values, made.sums


@pytest.mark.slow
@sampled(fast=0, slow=4, full=200)
@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=6, unique_by=lambda c: c[0].lower()))
def test_whatever_the_columns_are_every_proposed_kpi_syncs(columns: list[tuple[str, list[object]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = made_of(Path(folder), "any.csv", table(("happened at", list(DAYS)), *columns))
        result = made.sync()
        assert not result.failed and errors(result) == [], result


def test_a_file_of_a_million_rows_is_looked_at_in_a_sample(tmp_path: Path) -> None:
    """The key is still checked in all rows: one that repeats once far below is none."""
    rows = 130_000
    frame = pd.DataFrame(
        {
            "order_id": [*range(rows - 1), 0],
            "at": pd.date_range("2026-01-01", periods=rows, freq="min"),
            "currency": ["USD"] * (rows - 1) + ["EUR"],
            "amount": 1.0,
        }
    )
    frame.to_parquet(tmp_path / "many.parquet", index=False)
    made = Made(tmp_path / "made", tmp_path / "many.parquet")
    assert "primary_key" not in made.read("datasets/many.yml")
    assert "2 currencies (USD, EUR)" in made.said


def test_a_sample_is_the_same_however_often_it_is_taken(tmp_path: Path) -> None:
    """Two threads that read for one statement took other rows for the next, and a key was one or none by chance."""
    rows = 400_000
    frame = pd.DataFrame({"order_id": range(rows), "at": pd.date_range("2026-01-01", periods=rows, freq="min")})
    frame.to_parquet(tmp_path / "many.parquet", index=False)
    with loaded(file_source("many", str(tmp_path / "many.parquet"), allow=()), {}) as (scratch, _):
        profiles = [profiled(scratch, "many") for _ in range(8)]
    assert all(profile == profiles[0] for profile in profiles)
    assert [c.name for c in profiles[0].columns if c.unique] == ["order_id"]


def test_init_loads_neither_pandas_nor_definitions(tmp_path: Path) -> None:
    """Which would take a third of its time for a big file."""
    (tmp_path / "orders.csv").write_text(table(("at", list(DAYS)), ("amount", [1.5] * 30)))
    code = (
        "import sys\nfrom cli.app import main\n"
        f"sys.argv = ['kpi', 'init', {str(tmp_path / 'shop')!r}, '--from', {str(tmp_path / 'orders.csv')!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('pandas', 'pyarrow', 'sqlglot', 'plotly', 'sqlalchemy', 'streamlit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert (tmp_path / "shop" / "sources.yml").exists()


def test_names_of_yaml_and_sql_are_quoted(tmp_path: Path) -> None:
    text = table(("at", list(DAYS)), ("it's: a {test} #1", cycle("a", "b")), ("select", cycle("c", "d")))
    made = made_of(tmp_path, "odd.csv", text)
    assert made.read("datasets/odd.yml")["dimensions"]["it_s_a_test_1"] == '"it\'s: a {test} #1"'
    assert errors(made.sync()) == []
