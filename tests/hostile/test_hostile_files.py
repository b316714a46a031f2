"""Bad input of every kind: a clear message, nothing lost, the last good generation stays live.

Each case starts from a project that was synced; what a database does wrong is in tests/sources/test_sql.py.
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import stat
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from jobs.sync import SyncResult
from tests.conftest import KPI, Builder, run_cli
from tests.hostile.conftest import GOOD, SOURCE, TOTAL, failed, put, started, total

pytestmark = pytest.mark.breadth(5)


# ---- files that cannot be taken


def test_an_empty_file(shop: Builder) -> None:
    failed(shop, put(shop, ""), "2.csv is empty", "Nothing was changed")


def test_duplicate_headers(shop: Builder) -> None:
    result = put(shop, "at,id,amount,amount\n2026-11-05,1,0,3\n")
    assert not result.failed and total(shop) == TOTAL
    assert "amount_1" in shop.open().reader().tables()["t"]


def test_a_changed_type_names_both(shop: Builder) -> None:
    rows = "".join(f"2026-11-05 10:00:00,{n},many,x\n" for n in range(9))
    failed(shop, put(shop, "at,id,amount,note\n" + rows), "9 of 12 rows cannot be read", "'amount' is not DOUBLE")


def test_gzip_cut_short(shop: Builder) -> None:
    whole = gzip.compress(("at,id,amount,note\n" + GOOD.split("\n", 1)[1] * 5000).encode())
    failed(shop, put(shop, whole[: len(whole) // 2], "2.csv.gz"), "2.csv.gz cannot be read")


def test_gzip_that_is_none(shop: Builder) -> None:
    failed(shop, put(shop, GOOD, "2.csv.gz"), "2.csv.gz cannot be read")


def test_parquet_cut_short(shop: Builder, tmp_path: Path) -> None:
    pd.read_csv(shop.folder / "files" / "1.csv").to_parquet(tmp_path / "x.parquet")
    whole = (tmp_path / "x.parquet").read_bytes()
    failed(shop, put(shop, whole[:-20], "2.parquet"), "2.parquet cannot be read")


def test_json_that_is_none(shop: Builder) -> None:
    failed(shop, put(shop, '{"at": "2026-11-05", "id": ', "2.json"), "2.json cannot be read")


def test_an_unknown_ending(shop: Builder) -> None:
    failed(shop, put(shop, GOOD, "2.xlsx"), "ends in '.xlsx'", "Known endings")


def test_latin_1_read_as_utf_8(shop: Builder) -> None:
    rows = "".join(f"2026-11-05 10:00:00,{n},1,Zürich\n" for n in range(9)).encode("latin-1")
    failed(shop, put(shop, b"at,id,amount,note\n" + rows), "not one row can be read", "Set `encoding`")


def test_an_unreadable_file(shop: Builder) -> None:
    path = shop.folder / "files" / "2.csv"
    path.write_text(GOOD)
    path.chmod(0)
    command = [*KPI, "sync", "--project", str(shop.folder)]
    if os.geteuid() == 0:  # root reads everything, unless it gives that right up
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and "2.csv cannot be read: Permission denied" in result.stderr
    assert "Look at its rights" in result.stderr and total(shop) == TOTAL
    path.chmod(stat.S_IRUSR)
    assert not shop.sync().failed


def test_a_folder_called_like_a_file(shop: Builder) -> None:
    (shop.folder / "files" / "2.csv").mkdir()
    assert not shop.sync().failed and total(shop) == TOTAL


def test_a_column_that_left_a_file_that_is_replaced(shop: Builder) -> None:
    (shop.folder / "files" / "1.csv").write_text("at,id,note\n2026-11-02 10:00:00,1,a\n")
    result = shop.sync()
    assert "column 'amount' of the table is no longer in the source" in result.sources[0].error
    assert "kpi sync t --full" in result.sources[0].error and total(shop) == TOTAL


def test_a_column_that_one_more_file_lacks_is_told(shop: Builder) -> None:
    result = put(shop, "at,id,note\n2026-11-05 10:00:00,4,d\n")
    assert result.sources[0].rows == 1 and "has no column 'amount'" in result.sources[0].notes[0]
    assert total(shop) == TOTAL


# ---- rows that cannot be taken: the rest is loaded


def quarantined(project: Builder, result: SyncResult, count: int, *words: str) -> None:
    assert (result.sources[0].status, result.sources[0].quarantined) == ("loaded", count), result.sources
    kept = project.open().reader().quarantine()
    assert len(kept) == count and all(word in " ".join(kept["reason"] + " " + kept["raw"]) for word in words), kept


def rows(*odd: str, many: int = 20) -> str:
    body = [f"2026-11-05 10:00:00,{n},0,x" for n in range(100, 100 + many)]
    return "at,id,amount,note\n" + "\n".join([*body, *odd]) + "\n"


def test_ragged_rows(shop: Builder) -> None:
    quarantined(shop, put(shop, rows("2026-11-05,1", "2026-11-05,1,2,3,4,5")), 2, "Expected Number of Columns: 4")


def test_a_cell_that_does_not_fit(shop: Builder) -> None:
    quarantined(shop, put(shop, rows("yesterday,1,2,3")), 1, "'at' is not TIMESTAMP", "yesterday")


def test_nul_bytes(shop: Builder) -> None:
    loaded(shop, put(shop, rows("2026-11-05 10:00:00,1,5,a\0b")), 21, TOTAL + 5)


def test_infinities_and_not_a_number(shop: Builder) -> None:
    result = put(shop, rows("2026-11-05,1,inf,a", "2026-11-05,2,-Infinity,b", "2026-11-05,3,nan,c"))
    quarantined(shop, result, 2, "'amount' is infinite")
    assert total(shop) == TOTAL and run_cli("query", "total", "--json", "--project", str(shop.folder)).returncode == 0


@pytest.mark.slow
def test_one_line_of_100_mb(shop: Builder) -> None:
    path = shop.folder / "files" / "2.csv"
    with path.open("w") as file:
        file.write(rows())
        for _ in range(100):
            file.write("x" * (1 << 20))
        file.write("\n2026-11-06 10:00:00,1,5,after\n")
    failed(shop, shop.sync(), "2.csv cannot be read: a line is longer than 16 MB")


def test_a_binary_file(shop: Builder) -> None:
    failed(shop, put(shop, bytes(range(256)) * 100), "2.csv cannot be read")


def test_a_long_broken_row_is_kept_in_part(shop: Builder) -> None:
    quarantined(shop, put(shop, rows("soon,1,2," + "x" * 100_000)), 1)
    assert len(shop.open().reader().quarantine()["raw"][0]) == 2001


def test_broken_lines_of_json(shop: Builder) -> None:
    good = [json.dumps({"at": "2026-11-05 10:00:00", "id": n, "amount": 0.0, "note": "x"}) for n in range(15)]
    quarantined(shop, put(shop, "\n".join([*good, '{"at": "2026', "[]", ""]), "2.jsonl"), 2, "not a JSON object")


def test_numbers_beyond_64_bits(shop: Builder) -> None:
    result = put(shop, rows(f"2026-11-05,{2**70},1,a"))
    assert result.sources[0].status == "loaded" and result.sources[0].rows + result.sources[0].quarantined == 21


def test_rows_without_their_key(project: Builder) -> None:
    shop = started(project, ", primary_key: [id]")
    result = put(shop, rows("2026-11-05 10:00:00,,7,a"))
    assert "1 row has no 'id', which is their key" in result.sources[0].notes
    assert total(shop) == TOTAL + 7


def test_hashed_columns_keep_no_raw_text(project: Builder) -> None:
    shop = started(project, ", columns: {note: hash}")
    result = put(shop, rows("soon,1,2,ada@example.com"))
    assert result.sources[0].quarantined == 1
    kept = shop.open().reader().quarantine()
    assert "ada@" not in kept.to_string() and "hashes or drops" in kept["raw"][0]


# ---- odd, and right


def loaded(project: Builder, result: SyncResult, count: int, value: float) -> None:
    assert (result.sources[0].error, result.sources[0].rows, result.sources[0].quarantined) == ("", count, 0)
    assert total(project) == value


MORE = "at,id,amount,note\n2026-11-05 10:00:00,4,1.5,dé\n"


@pytest.mark.breadth(3)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(codecs.BOM_UTF8 + MORE.encode(), id="utf-8 mark"),
        pytest.param(codecs.BOM_UTF16_LE + MORE.encode("utf-16-le"), id="utf-16 little"),
        pytest.param(codecs.BOM_UTF16_BE + MORE.encode("utf-16-be"), id="utf-16 big"),
        pytest.param(MORE.replace("\n", "\r\n").encode(), id="carriage returns"),
        pytest.param(MORE.replace(",", ";").encode(), id="semicolons"),
        pytest.param(MORE.replace(",", "\t").encode(), id="tabs"),
        pytest.param(MORE.replace("dé", '"a\nb, ""c"""').encode(), id="quoted newline"),
        pytest.param(MORE.replace("dé", "x" * 1_000_000).encode(), id="a long cell"),
        pytest.param(MORE.replace("dé", "שלום 🎉 <script>=cmd()").encode(), id="right to left"),
        pytest.param(MORE.rstrip("\n").encode(), id="no last line end"),
        pytest.param((MORE + "\n\n").encode(), id="empty lines"),
    ],
)
def test_text_of_every_make(shop: Builder, content: bytes) -> None:
    loaded(shop, put(shop, content), 1, TOTAL + 1.5)


def test_mixed_line_ends(shop: Builder) -> None:
    lines = "at,id,amount,note\n2026-11-05 10:00:00,4,1,d\r\n2026-11-05 11:00:00,5,1,e\n2026-11-05 12:00:00,6,1,f\r\n"
    loaded(shop, put(shop, lines), 3, TOTAL + 3)


def test_a_header_and_no_row(shop: Builder) -> None:
    result = put(shop, "at,id,amount,note\n")
    assert not result.failed and result.sources[0].rows == 0 and total(shop) == TOTAL


def test_a_first_file_with_a_header_only_leaves_the_types_open(project: Builder) -> None:
    (project.folder / "sources.yml").write_text(SOURCE.format(extra=""))
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("total", "dataset: t\nagg: sum\nexpr: amount")
    put(project, "at,id,amount,note\n", "0.csv")
    assert not put(project, GOOD, "1.csv").failed and total(project) == TOTAL


def test_duplicate_keys_keep_the_last(project: Builder) -> None:
    shop = started(project, ", primary_key: [id]")
    result = put(shop, rows("2026-11-05 10:00:00,3,1,a", "2026-11-05 10:00:00,3,2,b", many=0))
    loaded(shop, result, 1, TOTAL - 30.5 + 2)


def test_days_first(project: Builder) -> None:
    (project.folder / "files" / "1.csv").write_text("at,amount\n31/12/2025,1\n01/02/2026,2\n")
    (project.folder / "sources.yml").write_text(SOURCE.format(extra=", date_format: '%d/%m/%Y'"))
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("total", "dataset: t\nagg: sum\nexpr: amount")
    project.sync()
    assert {d: v for d, v in project.values("total").items() if v} == {"2025-12-31": 1, "2026-02-01": 2}


def test_milliseconds_since_1970_say_how_to_convert(project: Builder) -> None:
    (project.folder / "files" / "1.csv").write_text("at,amount\n1767225600000,1\n1767312000000,2\n")
    (project.folder / "sources.yml").write_text(SOURCE.format(extra=""))
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("total", "dataset: t\nagg: sum\nexpr: amount")
    project.sync()
    (problem,) = [p for p in project.open().catalogue().problems if p.code == "not_a_time"]
    assert "'at' is BIGINT" in problem.message and "epoch_ms(" in problem.hint
    project.write(
        "datasets", "t", 'name: t\nsql: SELECT *, epoch_ms("at") AS made_at FROM t\ntime_dimension: made_at\n'
    )
    project.sync()
    assert project.values("total") == {"2026-01-01": 1, "2026-01-02": 2}


def test_decimal_commas(project: Builder) -> None:
    (project.folder / "files" / "1.csv").write_text("at;amount\n2026-11-02;1,5\n2026-11-03;2,5\n")
    (project.folder / "sources.yml").write_text(SOURCE.format(extra=""))
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("total", "dataset: t\nagg: sum\nexpr: amount")
    result = project.sync()
    assert total(project) == 4.0 and "'amount' is read as numbers such as 1.234,56" in result.sources[0].notes
    (project.folder / "sources.yml").write_text(SOURCE.format(extra=", decimal: ','"))
    project.sync(full=True)
    assert total(project) == 4.0


def test_the_hour_that_is_skipped_and_the_hour_that_comes_twice(project: Builder) -> None:
    shop = started(project, zone="Europe/Berlin")
    shop.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\ntimezone: Europe/Berlin\ndimensions: [note]\n")
    lines = [
        "2026-03-29 01:59:00",
        "2026-03-29 02:30:00",
        "2026-03-29 03:00:00",
        "2026-10-25 01:30:00",
        "2026-10-25 02:30:00",
        "2026-10-25 02:45:00",
        "2026-10-25 03:30:00",
    ]
    put(shop, "at,id,amount,note\n" + "".join(f"{at},{n},0,x\n" for n, at in enumerate(lines, 10)))
    days = {day: v for day, v in shop.values("n", grain="day").items() if v}
    assert days["2026-03-29"] == 3 and days["2026-10-25"] == 4
    hours = shop.ask("n", grain="hour").frame
    assert int(hours["value"].sum()) == 10  # no row is lost or doubled


def test_a_row_of_the_year_2099(shop: Builder) -> None:
    before = shop.open().reader().dataset_states(1)["t"]
    put(shop, rows("2099-01-01 00:00:00,1,1000,a", many=0))
    state = shop.open().reader().dataset_states(2)["t"]
    assert (state.future_rows, state.watermark) == (1, before.watermark)
    assert total(shop) == TOTAL and max(shop.values("n", grain="day")) < "2027"


def test_names_that_mean_something_to_sql(project: Builder) -> None:
    shop = started(project)
    put(shop, 'at,id,amount,note,"a""; DROP TABLE t; --",select\n2026-11-05 10:00:00,4,1,d,x,y\n')
    assert list(shop.open().reader().tables()["t"])[-2:] == ['a"; DROP TABLE t; --', "select"]
    assert total(shop) == TOTAL + 1
