"""The files source: every format, what changed since, what could not be read."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from connectors.errors import SourceError
from connectors.sources import files
from connectors.sources.contract import FileScan, source_types
from connectors.sources.files import _moved, content_mark, file_format, header_delimiter
from tests.conftest import Builder

pytestmark = pytest.mark.breadth(6)

ROWS = [("2026-11-02 10:00:00", "007", 1.5), ("2026-11-03 11:00:00", "008", 2.5)]
DATASET = "name: t\nsource: t\ntime_dimension: at\ndimensions: [code]\n"


def write(path: Path, rows: Sequence[tuple[str, str, float | str]] = ROWS) -> None:
    frame = pd.DataFrame(rows, columns=["at", "code", "amount"])
    name = path.name.removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        text = frame.to_csv(index=False, sep="\t" if name.endswith("tsv") else ",").encode()
    elif name.endswith((".jsonl", ".ndjson")):
        text = frame.to_json(orient="records", lines=True).encode()
    elif name.endswith(".json"):
        text = frame.to_json(orient="records").encode()
    else:
        frame.assign(at=pd.to_datetime(frame["at"])).to_parquet(path.with_name("plain"), index=False)
        text = path.with_name("plain").read_bytes()
        path.with_name("plain").unlink()
    path.write_bytes(gzip.compress(text) if path.name.endswith(".gz") else text)


def start(project: Builder, path: str, extra: str = "") -> None:
    project.source(f"- {{name: t, type: files, table: t, path: '{path}'{extra}}}")
    project.write("datasets", "t", DATASET)
    project.kpi("total", "dataset: t\nagg: sum\nexpr: amount")


def table(project: Builder) -> list[tuple[object, ...]]:
    frame = project.open().reader().frame('SELECT * FROM t ORDER BY "at"')
    return [tuple(row) for row in frame.itertuples(index=False)]


@pytest.mark.breadth(4)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.ndjson", "a.parquet"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_every_format_gives_the_same_numbers(project: Builder, name: str, ending: str) -> None:
    write(project.folder / "files" / (name + ending))
    start(project, f"files/{name}{ending}", ", text_columns: [code]")
    result = project.sync()
    assert [(r.status, r.rows, r.error) for r in result.sources] == [("loaded", 2, "")]
    assert project.values("total", grain="total") == {"total": 4.0}
    assert [row[1] for row in table(project)] == ["007", "008"]


def test_a_glob_adds_new_files_and_an_unchanged_source_loads_nothing(project: Builder) -> None:
    write(project.folder / "files" / "1.csv", ROWS[:1])
    start(project, "files/*.csv")
    first = project.sync()
    write(project.folder / "files" / "2.csv", ROWS[1:])
    assert project.sync().sources[0].rows == 1
    again = project.sync()
    assert (again.published, again.sources[0].status, again.sources[0].rows) == (False, "unchanged", 0)
    assert again.generation != first.generation and len(table(project)) == 2


def test_a_changed_file_replaces_its_own_rows_and_a_vanished_one_leaves(project: Builder) -> None:
    for index, row in enumerate(ROWS):
        write(project.folder / "files" / f"{index}.csv", [row])
    start(project, "files/*.csv")
    project.sync()
    write(project.folder / "files" / "0.csv", [("2026-11-02 10:00:00", "007", 100.0)])
    project.sync()
    assert [row[2] for row in table(project)] == [100.0, 2.5]
    (project.folder / "files" / "0.csv").unlink()
    project.sync()
    assert [row[2] for row in table(project)] == [2.5]


@pytest.mark.parametrize("more", ["", ", load: append", ", primary_key: [code], text_columns: [code]"])
def test_a_file_with_another_name_is_the_file_that_it_was(project: Builder, more: str) -> None:
    for index, row in enumerate(ROWS):
        write(project.folder / "files" / f"{index}.csv", [row])
    start(project, "files/*.csv", more)
    project.sync()
    before = table(project)
    for index in (1, 0):  # each takes a name that another had, or nobody
        (project.folder / "files" / f"{index}.csv").rename(project.folder / "files" / f"{index + 1}.csv")
    result = project.sync()
    assert (result.published, result.sources[0].status) == (False, "unchanged") and table(project) == before
    assert sorted(result.sources[0].cursor) == ["files/1.csv", "files/2.csv"], "although nothing was published"
    write(project.folder / "files" / "3.csv", [("2026-11-04 10:00:00", "009", 5.0)])
    assert project.sync().sources[0].rows == 1 and len(table(project)) == 3


@pytest.mark.parametrize("how", ["another name", "another order"])
def test_what_was_read_is_not_read_again_although_nothing_was_published(
    project: Builder, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "COARSEST_TIME", timedelta(seconds=-1))  # what was written just now is old
    start(project, "files/*.csv")
    path = project.folder / "files" / "a.csv"
    write(path)
    project.sync()
    before = table(project)
    if how == "another name":
        path = path.rename(project.folder / "files" / "b.csv")
    else:
        write(path, ROWS[::-1])
    result = project.sync()
    assert (result.published, result.sources[0].status) == (False, "unchanged")
    mark = result.sources[0].cursor[f"files/{path.name}"]
    invented = f"{mark.rpartition(':')[0]}:of bytes that nobody looked at"
    assert content_mark(path, invented) == invented, "by size and times"
    assert not project.sync().published and table(project) == before


@pytest.mark.parametrize("settled", [True, False])
def test_other_bytes_of_the_same_size_and_time_are_read(
    project: Builder, settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that keeps the time, an unpacked archive, a restored file; and two writes within one tick of a clock."""
    monkeypatch.setattr(files, "COARSEST_TIME", timedelta(seconds=-1 if settled else 60))
    start(project, "files/*.csv")
    path = project.folder / "files" / "a.csv"
    write(path)
    project.sync()
    stat = path.stat()
    path.write_bytes(path.read_bytes().replace(b"1.5", b"7.5"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    if not settled:
        monkeypatch.setattr(files, "mark_of", lambda _: (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
    assert project.sync().published and [row[2] for row in table(project)] == [7.5, 2.5]


def test_where_a_pull_ended_is_believed_of_its_generation_only(project: Builder) -> None:
    start(project, "files/*.csv")
    path = project.folder / "files" / "a.csv"
    write(path)
    project.sync()
    log = project.open().data / "last_sync.json"
    path.write_bytes(path.read_bytes().replace(b"1.5", b"7.5"))
    found = json.loads(log.read_text())
    found["sources"][0]["cursor"] = {"files/a.csv": content_mark(path, "")}
    log.write_text(json.dumps({**found, "generation": "of another folder"}))
    assert project.sync().published and [row[2] for row in table(project)] == [7.5, 2.5]


def test_one_of_two_like_files_goes_and_the_other_has_a_new_name(project: Builder) -> None:
    for name in ("a", "b"):
        write(project.folder / "files" / f"{name}.csv", ROWS[:1])
    start(project, "files/*.csv")
    project.sync()
    assert len(table(project)) == 2
    (project.folder / "files" / "a.csv").unlink()
    (project.folder / "files" / "b.csv").rename(project.folder / "files" / "c.csv")
    project.sync()
    assert len(table(project)) == 1


def test_a_file_that_takes_anothers_name_and_place(project: Builder) -> None:
    for index, row in enumerate(ROWS):
        write(project.folder / "files" / f"{index}.csv", [row])
    start(project, "files/*.csv")
    project.sync()
    (project.folder / "files" / "1.csv").replace(project.folder / "files" / "0.csv")
    project.sync()
    assert [row[2] for row in table(project)] == [2.5]
    (project.folder / "files" / "0.csv").rename(project.folder / "files" / "2.csv")
    write(project.folder / "files" / "0.csv", [("2026-11-05 10:00:00", "010", 8.0)])
    assert project.sync().sources[0].rows == 1, "what lay under its name lies elsewhere"
    assert [row[2] for row in table(project)] == [2.5, 8.0]


def test_the_same_bytes_read_by_another_reader_are_another_file() -> None:
    mark = "3:1:aa"
    assert _moved({"a.csv": mark}, {"b.tsv": "3:2:aa"}) == {"b.tsv": "a.csv"}
    assert (
        _moved({"a.csv": mark}, {"b.json": "3:2:aa", "b.csv.gz": "3:2:aa", "c.csv": "4:2:aa", "d.csv": "3:1:ab"}) == {}
    )
    assert _moved({"https://x/a?b=1": "odd", "a.csv": mark}, {"a.csv": mark, "b.csv": mark}) == {}


def test_merge_replaces_rows_of_the_same_key(project: Builder) -> None:
    write(project.folder / "files" / "1.csv")
    start(project, "files/*.csv", ", primary_key: [code], text_columns: [code]")
    project.sync()
    write(
        project.folder / "files" / "2.csv", [("2026-11-03 11:00:00", "008", 9.0), ("2026-11-04 11:00:00", "009", 1.0)]
    )
    project.sync()
    assert [(row[1], row[2]) for row in table(project)] == [("007", 1.5), ("008", 9.0), ("009", 1.0)]


def test_rows_that_cannot_be_read_go_to_quarantine_with_reason_and_origin(project: Builder) -> None:
    path = project.folder / "files" / "a.csv"
    path.write_text("at,code,amount\n2026-11-02,a,1\nnot a date,b,2\n2026-11-03,c,3,4\n2026-11-04,d,\n")
    start(project, "files/a.csv", ", max_quarantine: 0.5, types: {at: timestamp, amount: double}")
    result = project.sync()
    assert (result.sources[0].rows, result.sources[0].quarantined) == (2, 2)
    kept = project.open().reader().quarantine()
    assert list(kept["line"]) == [3, 4] and list(kept["file"]) == ["files/a.csv"] * 2
    assert kept["reason"][0] == "'at' is not TIMESTAMP: 'not a date'" and "Found: 4" in kept["reason"][1]
    assert kept["raw"][1] == "2026-11-03,c,3,4"


def test_broken_json_lines_go_to_quarantine(project: Builder) -> None:
    lines = [
        json.dumps({"at": "2026-11-02 10:00:00", "amount": 1.0}),
        '{"at": "2026-',
        json.dumps({"at": "2026-11-03 10:00:00", "amount": 2.0}),
    ]
    (project.folder / "files" / "a.jsonl").write_text("\n".join(lines) + "\n")
    start(project, "files/a.jsonl", ", max_quarantine: 0.5")
    project.write("datasets", "t", DATASET.replace("dimensions: [code]\n", ""))
    result = project.sync()
    assert (result.sources[0].rows, result.sources[0].quarantined) == (2, 1)
    assert project.open().reader().quarantine()["line"][0] == 2


def test_a_later_broken_cell_is_a_quarantined_row_not_a_new_type(project: Builder) -> None:
    write(project.folder / "files" / "1.csv", ROWS * 20)
    start(project, "files/*.csv", ", text_columns: [code]")
    project.sync()
    write(project.folder / "files" / "2.csv", [*ROWS * 10, ("2026-11-05 10:00:00", "x", "ten")])
    result = project.sync()
    assert (result.sources[0].rows, result.sources[0].quarantined) == (20, 1)


def test_a_column_that_changes_its_type_fails_and_leaves_everything_as_it_was(project: Builder) -> None:
    write(project.folder / "files" / "1.csv")
    start(project, "files/*.csv", ", text_columns: [code]")
    project.sync()
    write(project.folder / "files" / "2.csv", [("2026-11-05 10:00:00", "x", "many")] * 5)
    result = project.sync()
    assert result.failed and "'amount' is not DOUBLE" in result.sources[0].error
    assert len(table(project)) == 2


def test_new_columns_are_added_and_numbers_widened(project: Builder) -> None:
    folder = project.folder / "files"
    (folder / "1.csv").write_text("at,code,amount\n2026-11-02,a,1\n")
    start(project, "files/*.csv")
    project.sync()
    (folder / "2.csv").write_text("at,code,amount,note\n2026-11-03,b,2.5,hello\n")
    project.sync()
    assert project.values("total", grain="total") == {"total": 3.5}
    assert "note" in project.open().reader().tables()["t"]


def test_columns_are_renamed_dropped_and_hashed(project: Builder) -> None:
    write(project.folder / "files" / "a.csv")
    start(project, "files/a.csv", ", text_columns: [code], columns: {amount: eur, code: hash}")
    project.kpi("total", "dataset: t\nagg: sum\nexpr: eur")
    project.sync()
    row = table(project)[0]
    assert len(str(row[1])) == 64 and list(project.open().reader().tables()["t"]) == ["at", "code", "eur"]


def test_latin_1_and_semicolons(project: Builder) -> None:
    (project.folder / "files" / "a.csv").write_bytes("at;code;amount\n2026-11-02;Zürich;1\n".encode("latin-1"))
    start(project, "files/a.csv", ", encoding: latin-1")
    project.sync()
    assert table(project)[0][1] == "Zürich"


def test_one_broken_row_does_not_lead_the_delimiter_astray(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2|3|4|5,6\n1,2,3,4,5\n")
    assert header_delimiter(path) == ","


def test_a_missing_file_and_an_unknown_ending_say_what_to_do(project: Builder) -> None:
    start(project, "files/none.csv")
    result = project.sync()
    assert "no file matches files/none.csv" in result.sources[0].error and "fix `path`" in result.sources[0].error
    with pytest.raises(SourceError, match="Known endings"):
        file_format(Path("a.xlsx"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    write(tmp_path / "orders.csv")
    handler = partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_address_is_pulled_and_a_dead_one_is_retryable(project: Builder, web: str) -> None:
    start(project, f"{web}/orders.csv")
    assert project.sync().sources[0].rows == 2
    assert project.sync().sources[0].status == "unchanged"
    start_error = project.open().sources.all()["t"]
    start_error.options.__dict__["path"] = f"{web}/none.csv"
    with pytest.raises(SourceError) as error:
        list(start_error.pull({}))
    assert error.value.retryable


@pytest.mark.parametrize("name", sorted(source_types()))
def test_every_source_keeps_the_contract(name: str) -> None:
    kind = source_types()[name]
    assert kind.watermark in ("sync", "data", "whole_days")
    assert {"name", "type", "table", "primary_key", "load", "columns"} <= set(kind.Options.model_fields)
    assert all(f.description for f in kind.Options.model_fields.values())
    assert kind.pull.__doc__


def test_a_scan_is_plain_data() -> None:
    assert FileScan(Path("a"), "a", "csv").delimiter == ","
