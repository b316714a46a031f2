"""Dates and numbers as people export them: each way to write them, over whole columns and files, none in silence."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.errors import SettingsError
from jobs.sync import SyncResult
from tests.conftest import NOW, Builder
from tests.sampling import sampled

pytestmark = pytest.mark.breadth(5)

Written = Callable[[datetime], str]
EAST = timezone(timedelta(hours=5, minutes=30))


def clock(at: datetime, pattern: str) -> str:
    """strftime in English, whose hour and day may be without a zero: %-d, %-m, %-I."""
    return at.strftime(pattern)


def local(pattern: str) -> Written:
    return lambda at: clock(at, pattern)


# name → how a moment is written; all say it to the minute at least, and none needs an order of day and month.
STEADY: dict[str, Written] = {
    "iso": local("%Y-%m-%d %H:%M:%S"),
    "iso with T": local("%Y-%m-%dT%H:%M"),
    "iso with a fraction": local("%Y-%m-%d %H:%M:%S.%f"),
    "slashes, year first": local("%Y/%m/%d %H:%M"),
    "dots, year first": local("%Y.%m.%d %H:%M:%S"),
    "no zeros": local("%Y-%-m-%-d %-H:%M"),
    "month in words": local("%b %-d, %Y %-I:%M %p"),
    "month in full": local("%B %-d, %Y at %-I:%M %p"),
    "day, month in words": local("%d %b %Y %H:%M"),
    "dashes": local("%d-%b-%Y %H:%M:%S"),
    "two digits": local("%d-%b-%y %H:%M"),
    "weekday": local("%a, %d %b %Y %H:%M:%S"),
}
ZONED: dict[str, Written] = {
    "Z": local("%Y-%m-%dT%H:%M:%SZ"),
    "zone after a space": lambda at: clock(at.replace(tzinfo=UTC).astimezone(EAST), "%Y-%m-%d %H:%M:%S %z"),
    "zone with a colon": lambda at: at.replace(tzinfo=UTC).astimezone(EAST).isoformat(),
    "UTC": local("%Y-%m-%d %H:%M:%S UTC"),
    "GMT": local("%a, %d %b %Y %H:%M:%S GMT"),
    "PDT": lambda at: clock(at - timedelta(hours=7), "%b %-d, %Y %H:%M:%S PDT"),
    "log": lambda at: clock(at.replace(tzinfo=UTC).astimezone(EAST), "%d/%b/%Y:%H:%M:%S %z"),
    "browser": lambda at: clock(at, "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)"),
}
ORDERED: dict[str, tuple[str, Written]] = {
    "US": ("mdy", local("%m/%d/%Y %H:%M")),
    "US, AM and PM": ("mdy", local("%-m/%-d/%Y %-I:%M %p")),
    "US, two digits": ("mdy", local("%-m/%-d/%y %H:%M")),
    "US, narrow space": ("mdy", lambda at: clock(at, "%-m/%-d/%y, %-I:%M\u202f%p")),
    "US, dashes": ("mdy", local("%m-%d-%Y %H:%M:%S")),
    "Europe": ("dmy", local("%d/%m/%Y %H:%M")),
    "Europe, two digits": ("dmy", local("%d/%m/%y %H:%M:%S")),
    "Europe, no zeros": ("dmy", local("%-d/%-m/%Y %H:%M")),
    "Germany": ("dmy", local("%d.%m.%Y %H:%M")),
    "Germany, two digits": ("dmy", local("%d.%m.%y %H:%M")),
    "Netherlands": ("dmy", local("%d-%m-%Y %H:%M")),
}
EPOCHS: dict[str, int] = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}


def load(project: Builder, columns: dict[str, list[str]], files: int = 1, extra: str = "") -> SyncResult:
    """Columns of texts as CSV, dealt out to so many files."""
    rows = ["\t".join(row) for row in zip(*columns.values(), strict=True)]
    for number in range(files):
        part = rows[number::files] if files > 1 else rows
        (project.folder / "files" / f"{number}.tsv").write_text("\n".join(["\t".join(columns), *part]) + "\n")
    (project.folder / "sources.yml").write_text(f"- {{name: t, type: files, table: t, path: files/*.tsv{extra}}}\n")
    return project.sync()


def read(project: Builder, column: str = "at") -> dict[str, object]:
    """id → value, as the warehouse has it."""
    frame = project.open().reader().frame(f'SELECT id, "{column}" AS value FROM t ORDER BY id')
    return dict(zip(frame["id"].astype(str), frame["value"], strict=True))


def moments(seed: int, count: int = 40) -> list[datetime]:
    """Minutes of the year before NOW, on days after the twelfth too."""
    drawn = random.Random(seed)
    start = NOW.replace(tzinfo=None) - timedelta(days=365)
    return [start + timedelta(minutes=drawn.randrange(360 * 1440)) for _ in range(count)]


def minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def assert_read(project: Builder, given_: list[datetime]) -> None:
    found = {int(n): minute(value.to_pydatetime().replace(tzinfo=None)) for n, value in read(project).items()}  # type: ignore[attr-defined]
    assert found == {n: minute(at) for n, at in enumerate(given_)}


@pytest.mark.breadth(4)
@pytest.mark.parametrize("way", [*STEADY, *ZONED])
@sampled(fast=1, slow=2, full=25)
@given(st.integers(0, 10**6), st.sampled_from([1, 3]))
def test_a_moment_is_read_whatever_way_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, way: str, seed: int, files: int
) -> None:
    project, at = Builder(tmp_path_factory.mktemp("texts") / "project"), moments(seed)
    written = {**STEADY, **ZONED}[way]
    result = load(project, {"id": [str(n) for n in range(len(at))], "at": [written(x) for x in at]}, files)
    assert not result.failed and not result.sources[0].quarantined, result.sources
    kind = project.open().reader().tables()["t"]["at"]
    assert kind == ("TIMESTAMP WITH TIME ZONE" if way in ZONED else "TIMESTAMP")
    assert_read(project, at)


@pytest.mark.breadth(3)
@pytest.mark.parametrize("way", ORDERED)
@sampled(fast=1, slow=2, full=25)
@given(st.integers(0, 10**6), st.sampled_from([1, 4]), st.integers(0, 3))
def test_day_and_month_are_read_in_the_order_that_all_rows_agree_on(
    tmp_path_factory: pytest.TempPathFactory, way: str, seed: int, files: int, odd: int
) -> None:
    """Also where files, taken alone, agree with both orders, and where a few texts are no dates."""
    project, (order, written), at = Builder(tmp_path_factory.mktemp("texts") / "project"), ORDERED[way], moments(seed)
    at.sort(key=lambda x: (x.day > 12, x))  # the first files decide nothing
    texts = [written(x) for x in at] + ["soon", "32/13/2026", "tbd"][:odd]
    result = load(project, {"id": [str(n) for n in range(len(texts))], "at": texts}, files)
    (run,) = result.sources
    assert run.status == "loaded" and run.quarantined == odd
    assert any(order_words(order) in note for note in run.notes), run.notes
    assert odd == 0 or any("'soon'" in note for note in run.notes)
    assert_read(project, at)


def order_words(order: str) -> str:
    return {"mdy": "month, day, year", "dmy": "day, month, year"}[order]


@pytest.mark.breadth(3)
@pytest.mark.parametrize("style", EPOCHS)
@pytest.mark.parametrize("json", [False, True], ids=["csv", "json"])
def test_seconds_since_1970_are_read_where_they_are_stated(project: Builder, style: str, json: bool) -> None:
    at = [x.replace(second=0, microsecond=0, tzinfo=UTC) for x in moments(1)]
    numbers = [str(int(x.timestamp()) * EPOCHS[style]) for x in at]
    if json:
        lines = [f'{{"id": {n}, "at": {x}}}' for n, x in enumerate(numbers)]
        (project.folder / "files" / "a.jsonl").write_text("\n".join(lines))
        project.source(f"- {{name: t, type: files, table: t, path: files/a.jsonl, dates: {{at: {style}}}}}")
        assert not project.sync().failed
    else:
        columns = {"id": [str(n) for n in range(len(at))], "at": numbers}
        assert not load(project, columns, extra=f", dates: {{at: {style}}}").failed
    assert project.open().reader().tables()["t"]["at"] == "TIMESTAMP WITH TIME ZONE"
    assert_read(project, [x.replace(tzinfo=None) for x in at])


def test_dates_without_a_time_are_days(project: Builder) -> None:
    load(project, {"id": ["1", "2"], "at": ["1/5/26", "1/25/26"], "month": ["Jan 2026", "Feb 2026"]})
    kinds = project.open().reader().tables()["t"]
    assert kinds["at"] == "DATE" and kinds["month"] == "DATE"
    assert [f"{value:%Y-%m-%d}" for value in read(project, "month").values()] == ["2026-01-01", "2026-02-01"]


def test_days_become_moments_once_a_row_says_its_time(project: Builder) -> None:
    load(project, {"id": ["1", "2"], "at": ["1/5/26", "1/25/26"]})
    (project.folder / "files" / "2.tsv").write_text("id\tat\n3\t1/26/26\n4\t1/27/26 14:30\n")
    assert project.sync().sources[0].status == "loaded"
    assert project.open().reader().tables()["t"]["at"] == "TIMESTAMP"
    assert [f"{value:%m-%d %H:%M}" for value in read(project).values()][1:] == [
        "01-25 00:00",
        "01-26 00:00",
        "01-27 14:30",
    ]


def test_some_with_a_zone_and_some_without_are_not_read_as_one(project: Builder) -> None:
    texts = [f"2026-03-{day:02d} 10:00:00" for day in range(1, 20)] + ["2026-03-20 10:00:00 +0200"]
    run = load(project, {"id": [str(n) for n in range(20)], "at": texts}).sources[0]
    assert run.quarantined == 1 and "'at' says its zone, the others do not" in " ".join(run.notes)
    half = [text if n % 2 else f"{text} +0200" for n, text in enumerate(texts[:19])]
    run = load(project, {"id": [str(n) for n in range(19)], "at": half}).sources[0]
    assert run.status == "failed" and "nobody knows which moment" in run.error


def test_no_row_decides_and_that_is_told_with_both_readings(project: Builder) -> None:
    texts = [f"0{month}/0{day}/2026" for month in (1, 2) for day in (1, 2, 3, 5)]
    run = load(project, {"id": [str(n) for n in range(8)], "at": texts}).sources[0]
    (doubt,) = [note for note in run.notes if "decides the order" in note]
    assert "dates: {at: mdy}" in doubt and "dmy" in doubt and "2026-01-01 to 2026-02-05" in doubt


def test_a_doubt_is_told_until_rows_come_that_decide(project: Builder) -> None:
    load(project, {"id": [str(n) for n in range(9)], "at": [f"01/{day:02d}/2026" for day in range(1, 10)]})
    (project.folder / "files" / "2.tsv").write_text("id\tat\n20\t02/03/2026\n")
    assert any("decides the order" in note for note in project.sync().sources[0].notes)
    (project.folder / "files" / "3.tsv").write_text("id\tat\n21\t02/23/2026\n")
    assert not any("decides the order" in note for note in project.sync().sources[0].notes)
    (project.folder / "files" / "4.tsv").write_text("id\tat\n22\t02/04/2026\n")
    assert not any("decides the order" in note for note in project.sync().sources[0].notes)


def test_what_would_be_in_the_future_decides(project: Builder) -> None:
    """Twelve days of November as MM/DD: as DD/MM one of them would be in December."""
    texts = [f"11/{day:02d}/2026" for day in range(1, 13)]
    run = load(project, {"id": [str(n) for n in range(12)], "at": texts}).sources[0]
    assert not [note for note in run.notes if "decides" in note]
    assert f"{read(project)['11']:%Y-%m-%d}" == "2026-11-12"


def test_a_later_file_is_read_in_the_same_order_or_its_rows_are_refused(project: Builder) -> None:
    columns = {"id": [str(n) for n in range(40)], "at": [f"{m}/{d}/2026" for m in (1, 2) for d in range(6, 26)]}
    load(project, columns)
    (project.folder / "files" / "9.tsv").write_text("id\tat\n100\t3/4/2026\n101\t3/5/2026\n")
    assert project.sync().sources[0].status == "loaded" and f"{read(project)['100']:%Y-%m-%d}" == "2026-03-04"
    (project.folder / "files" / "9.tsv").write_text("id\tat\n100\t4/3/2026\n101\t25/3/2026\n")  # by someone in Europe
    run = project.sync().sources[0]
    assert run.quarantined == 1 and "'at' is no date: '25/3/2026' (files/9.tsv, line 3)" in " ".join(run.notes)
    (project.folder / "files" / "9.tsv").write_text("id\tat\n" + "".join(f"{n}\t25/3/2026\n" for n in range(50, 60)))
    run = project.sync().sources[0]
    assert run.status == "failed" and "dates: {at: dmy}" in run.error and len(read(project)) == 41


def test_a_stated_order_wins(project: Builder) -> None:
    columns = {"id": ["1", "2"], "at": ["01/02/2026", "03/04/2026"]}
    load(project, columns, extra=", dates: {at: dmy}")
    assert f"{read(project)['1']:%Y-%m-%d}" == "2026-02-01"
    with pytest.raises(SettingsError, match="'never' is no way to write dates; it is one of iso, dmy, mdy"):
        load(project, columns, extra=", dates: {at: never}")


@pytest.mark.breadth(3)
@pytest.mark.parametrize("text", ["1.10.1", "41_10_1", "v2.3", "10-4", "SKU 12", "+49 170 1234567", "10.0.0.1", "007"])
def test_codes_are_neither_dates_nor_numbers(project: Builder, text: str) -> None:
    load(project, {"id": ["1", "2", "3"], "code": [text, "1.9.2", text + "1"]})
    assert project.open().reader().tables()["t"]["code"] == "VARCHAR"


# ---- numbers

POINTS: dict[str, Callable[[float], str]] = {
    "thousands": lambda x: f"{x:,.2f}",
    "dollars": lambda x: f"-${-x:,.2f}" if x < 0 else f"${x:,.2f}",
    "dollars, sign last": lambda x: f"${x:,.2f}",
    "accounting": lambda x: f"({-x:,.2f})" if x < 0 else f"{x:,.2f}",
    "accounting dollars": lambda x: f"($ {-x:,.2f})" if x < 0 else f"$ {x:,.2f}",
    "trailing minus": lambda x: f"{-x:.2f}-" if x < 0 else f"{x:.2f}",
    "code first": lambda x: f"USD {x:,.2f}",
    "code last": lambda x: f"{x:.2f} EUR",
    "real minus": lambda x: f"{x:,.2f}".replace("-", "\u2212"),
    "Swiss": lambda x: f"CHF {x:,.2f}".replace(",", "'"),
    "India": lambda x: f"₹ {abs(x):,.2f}" if x > 0 else f"₹ -{-x:,.2f}",
    "pounds": lambda x: f"£{x:,.2f}",
}


def _european(x: float) -> str:
    return f"{x:,.2f}".translate(str.maketrans(",.", ".,"))


COMMAS: dict[str, Callable[[float], str]] = {
    "Germany": _european,
    "euros": lambda x: f"{_european(x)} €",
    "spaces": lambda x: f"{x:,.2f}".replace(",", " ").replace(".", ","),
    "narrow spaces": lambda x: f"{x:,.2f}".replace(",", "\u202f").replace(".", ",") + "\u202f€",
    "no thousands": lambda x: f"{x:.2f}".replace(".", ","),
    "reais": lambda x: f"R$ {_european(x)}",
    "kroner": lambda x: f"kr {_european(x)}",
}
UNKNOWNS = ("N/A", "-", "null", "n/a", "None", "#N/A", "—", "nan")


@pytest.mark.breadth(4)
@pytest.mark.parametrize("way", [*POINTS, *COMMAS])
@sampled(fast=1, slow=2, full=25)
@given(st.integers(0, 10**6), st.sampled_from([1, 3]), st.booleans())
@example(0, 3, False)  # of the first file every number is a plain one
def test_a_number_is_read_whatever_way_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, way: str, seed: int, files: int, missing: bool
) -> None:
    project, drawn = Builder(tmp_path_factory.mktemp("texts") / "project"), random.Random(seed)
    values = [1234567.25, -1234.5, *(round(drawn.uniform(-5000, 90000), 2) for _ in range(40))]
    texts = [{**POINTS, **COMMAS}[way](x) for x in values] + (list(UNKNOWNS) if missing else [])
    run = load(project, {"id": [str(n) for n in range(len(texts))], "v": texts}, files).sources[0]
    assert run.status == "loaded" and run.quarantined == 0, run
    found = {int(n): value for n, value in read(project, "v").items()}
    assert [found[n] for n in range(len(values))] == pytest.approx(values)
    assert all(found[n] != found[n] for n in range(len(values), len(texts)))  # unknown is never 0
    style = "1,234.56" if way in POINTS else "1.234,56"
    assert project.open().reader().tables()["t"]["v"] == "DOUBLE" and any(style in note for note in run.notes)


def test_percent_is_a_share_and_a_mixture_is_none(project: Builder) -> None:
    columns = {"id": ["1", "2", "3"], "rate": ["45.5%", "0", "100%"], "mixed": ["45.5%", "3", "1%"]}
    load(project, columns)
    assert list(read(project, "rate").values()) == [0.455, 0.0, 1.0]
    assert project.open().reader().tables()["t"]["mixed"] == "VARCHAR"


def test_several_currencies_in_one_column_are_told(project: Builder) -> None:
    run = load(project, {"id": ["1", "2", "3"], "v": ["$5.00", "€7.00", "GBP 1.00"]}).sources[0]
    assert "several currencies ($, GBP, €)" in " ".join(run.notes)


def test_a_number_that_can_be_two_is_told(project: Builder) -> None:
    run = load(project, {"id": ["1", "2"], "v": ["1,234", "5,678"]}).sources[0]
    assert "1234 or 1.234" in " ".join(run.notes) and list(read(project, "v").values()) == [1234.0, 5678.0]


def test_a_stated_number_type_takes_what_people_write(project: Builder) -> None:
    columns = {"id": [str(n) for n in range(30)], "v": ["$1,234.56", "N/A", "(7)"] + ["2"] * 27}
    load(project, columns, extra=", types: {v: DOUBLE}")
    values = list(read(project, "v").values())
    assert values[0] == 1234.56 and values[1] != values[1] and values[2] == -7.0


def test_what_a_clean_column_gets_later_is_read_or_put_aside_with_its_line(project: Builder) -> None:
    load(project, {"id": [str(n) for n in range(60)], "v": [str(n) for n in range(60)]})
    (project.folder / "files" / "2.tsv").write_text("id\tv\n60\t1,000\n61\tN/A\n62\tmany\n63\t4\n")
    run = project.sync().sources[0]
    assert run.quarantined == 1 and "'v' is no number: 'many' (files/2.tsv, line 4)" in " ".join(run.notes)
    assert read(project, "v")["60"] == 1000.0 and len(read(project, "v")) == 63


@sampled(fast=2, slow=6, full=150)
@given(st.integers(0, 30), st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.5]))
def test_above_the_limit_a_source_fails_and_below_it_rows_are_put_aside(
    tmp_path_factory: pytest.TempPathFactory, bad: int, good: int, most: float
) -> None:
    project = Builder(tmp_path_factory.mktemp("texts") / "project")
    texts = [f"{date(2026, 1, 1) + timedelta(days=n)}" for n in range(good)] + ["someday"] * bad
    extra = f", max_quarantine: {most}, types: {{at: DATE}}"
    run = load(project, {"id": [str(n) for n in range(len(texts))], "at": texts}, extra=extra).sources[0]
    if bad > most * (good + bad):
        assert run.status == "failed" and f"{bad:,} of {good + bad:,} rows cannot be read" in run.error
    else:
        assert run.status == "loaded" and run.quarantined == bad and len(read(project)) == good


@sampled(fast=3, slow=6, full=100)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 3]),
    st.sampled_from(["", ", types: {v: BIGINT}", ", types: {v: DOUBLE}"]),
)
def test_a_whole_number_is_never_made_of_one_that_is_not(
    tmp_path_factory: pytest.TempPathFactory, seed: int, files: int, extra: str
) -> None:
    """Rows of whole numbers for long, then one that is none: in the first load or in a later file."""
    project, drawn = Builder(tmp_path_factory.mktemp("texts") / "project"), random.Random(seed)
    values = [str(drawn.randrange(1000)) for _ in range(60)]
    odd = drawn.choice(["2.5", "0.25", "-7.75", "1,234.5"])
    load(project, {"id": [str(n) for n in range(60)], "v": values}, files, extra)
    (project.folder / "files" / "9.tsv").write_text(f"id\tv\n60\t{odd}\n61\t3\n")
    run = project.sync().sources[0]
    found = read(project, "v")
    assert run.status == "loaded" and found["61"] == 3
    if "BIGINT" in extra:
        assert run.quarantined == 1 and "60" not in found and odd in " ".join(run.notes)
    else:
        assert found["60"] == float(odd.replace(",", "")) and run.quarantined == 0


def test_decimals_after_the_rows_that_types_are_guessed_from_are_not_rounded(project: Builder) -> None:
    count = 25_000
    load(project, {"id": [str(n) for n in range(count)], "v": ["1"] * (count - 1) + ["2.5"]})
    assert project.open().reader().frame("SELECT sum(v) AS s FROM t")["s"][0] == count - 1 + 2.5


def test_currencies_of_one_file_and_the_next_are_told(project: Builder) -> None:
    for extra in ("", ", numbers: {v: '1,234.56'}"):
        (project.folder / "files" / "2.tsv").unlink(missing_ok=True)
        load(project, {"id": ["1", "2"], "v": ["$5.00", "$7.00"]}, extra=extra)
        (project.folder / "files" / "2.tsv").write_text("id\tv\n3\t€1.00\n4\t€2.00\n")
        assert any("several currencies ($, €)" in note for note in project.sync().sources[0].notes)


def test_a_stated_column_that_no_row_has_is_an_error(project: Builder) -> None:
    run = load(project, {"id": ["1"], "at": ["01/02/2026"]}, extra=", dates: {att: dmy}").sources[0]
    assert run.status == "failed" and "'att', which is not in the source" in run.error and "'at'" in run.error


def test_lines_are_those_of_the_file_where_comments_come_first(project: Builder) -> None:
    rows = "".join(f"{n}\t1/{n % 28 + 1}/2026\n" for n in range(30))
    (project.folder / "files" / "0.tsv").write_text(f"# made by hand\n# in two lines\nid\tat\n{rows}99\tsoon\n")
    project.source("- {name: t, type: files, table: t, path: files/0.tsv}")
    assert "'soon' (files/0.tsv, line 34)" in " ".join(project.sync().sources[0].notes)
