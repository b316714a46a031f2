"""The log: what nobody expected leaves a traceback wherever it is caught, JSON lines parse, secrets stay out."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from cli.app import app as command
from connectors.channels.apprise import AppriseChannel
from connectors.channels.contract import Message
from connectors.clock import set_clock
from connectors.errors import SettingsError, SourceError
from connectors.logs import of_a_child, relay, set_up
from connectors.secrets import hide, hide_address, mask
from jobs.project.project import Project
from tests.conftest import NOW, ROOT, Builder, deliver, evaluate, run_cli
from tests.jobs.conftest import GOOD, LOW, Web, day, make, messages, web
from ui.shell import state
from ui.shell.logs import SENTENCE, server_logs

pytestmark = pytest.mark.breadth(5)

__all__ = ["web"]  # the fixture of tests/jobs

IN_SOURCE, IN_CONTACT, IN_ENVIRONMENT = "canary/of-1-source", "canaryof2contacts", "canary of 3 environment"
SOURCE_URL = f"postgresql://reader:{IN_SOURCE}@db.example.com/shop"
CONTACT_URL = f"slack://{IN_CONTACT}/team"
CANARIES = (IN_SOURCE, IN_CONTACT, IN_ENVIRONMENT)


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """The log is as it was after each test."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The lines of a log in JSON since it was last asked for, none with a secret."""
    set_up(format="json", level="info")

    def read() -> list[dict[str, Any]]:
        said = capsys.readouterr().err
        assert not [canary for canary in CANARIES if canary in said]
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
        return lines

    return read


@pytest.fixture
def shop(project: Builder, monkeypatch: pytest.MonkeyPatch, web: Web) -> Builder:
    """A KPI with a rule that fires, and secrets in every place that takes one."""
    monkeypatch.setenv("SHOP_KEY", IN_ENVIRONMENT)
    make(project, {**GOOD, 5: 10.0}, LOW, contact=web.url)
    secrets = f"  - {{name: other, url: '{CONTACT_URL}'}}\n  - {{name: third, url: 'json://x.example/${{SHOP_KEY}}'}}\n"
    points = f"contact_points:\n  - {{name: team, url: '{web.url}'}}\n{secrets}"
    project.settings(f"timezone: UTC\nname: Shop\nlog: {{format: json, level: info}}\n{points}")
    return project


def failing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a function raise what nobody expects, with all secrets in its text."""

    def boom(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"boom at {SOURCE_URL} and {CONTACT_URL} with {IN_ENVIRONMENT}")

    monkeypatch.setattr(name, boom)


def unexpected(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The one error of a log."""
    errors = [line for line in lines if line["level"] == "error"]
    assert len(errors) == 1, lines
    assert "Traceback (most recent call last)" in errors[0]["traceback"]
    assert "RuntimeError: boom at postgresql://***@db.example.com/shop" in errors[0]["traceback"]
    return errors[0]


Told = Callable[[], list[dict[str, Any]]]


def test_a_job_after_the_sync(shop: Builder, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "jobs.alerts.evaluate.look")
    done = shop.sync(day(6))
    lines = told()
    assert unexpected(lines)["logger"] == "jobs.afterwards"
    assert done.published and "alerts were not evaluated: unexpected RuntimeError" in done.alerts[0]
    assert not [canary for canary in CANARIES if canary in str(done.alerts)]
    said = [line["message"] for line in lines if line["level"] == "info"]
    assert len(said) == 1 and said[0].startswith(f"published generation {done.generation} in "), said
    assert said[0].endswith(f": 6 rows, {done.written} values, 0 of 1 sources failed")


def test_a_rule(shop: Builder, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "metrics.alerts.observe.observe")
    shop.sync(day(6))
    assert unexpected(told())["message"] == "rule k.low cannot be judged"


def test_the_pictures_of_a_message(shop: Builder, told: Told, monkeypatch: pytest.MonkeyPatch, web: Web) -> None:
    monkeypatch.setattr("jobs.outbox.deliver.PATIENCE_SECONDS", 0.0)
    failing(monkeypatch, "jobs.snapshots.message.dressed")
    shop.sync(day(6))
    lines = told()
    assert unexpected(lines)["logger"] == "jobs.outbox.deliver"
    assert ("warning", "messages: 0 delivered, 1 failed, 0 unknown") in [(x["level"], x["message"]) for x in lines]
    assert web.got == [] and not [canary for canary in CANARIES if canary in messages(shop)[0].error]


def test_a_sender_that_dies(told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("connectors.channels.apprise.ROOT", tmp_path)  # where there is no such module
    assert AppriseChannel().send(CONTACT_URL, Message("t", "b")).status == "unknown"
    (line,) = told()
    assert line["level"] == "error" and "a sender died with status 1" in line["message"]
    assert "No module named" in line["message"]


def test_the_command(shop: Builder, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "jobs.operations.status.status")
    done = CliRunner().invoke(command, ["status", "--project", str(shop.folder)])
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert done.exit_code == 1 and unexpected(lines)["logger"] == "cli.output"
    assert "kpi: unexpected RuntimeError: boom" in done.stderr and "Report it with the log above." in done.stderr
    assert not [canary for canary in CANARIES if canary in done.output]


@pytest.mark.filterwarnings("default")
def test_a_page(shop: Builder, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.sync(day(6))
    told()
    st.cache_resource.clear()
    monkeypatch.setenv("KPI_PROJECT", str(shop.folder))
    monkeypatch.chdir(ROOT)
    with monkeypatch.context() as broken:
        failing(broken, "ui.shell.state.context")
        state.changed()
        shown = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=60).run()
        assert [error.value for error in shown.error] == [SENTENCE] and not shown.exception
        assert "boom" not in str(shown.main)
    line = unexpected(told())
    assert (line["logger"], line["message"]) == ("ui.shell.logs", "unexpected RuntimeError on page overview")
    shown.switch_page("../pages/data.py").run()
    assert not shown.error and not shown.exception


@pytest.mark.filterwarnings("default")
def test_a_callback(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def script() -> None:
        import streamlit

        def pressed() -> None:
            raise RuntimeError("boom at postgresql://reader:canary/of-1-source@db.example.com/shop")

        streamlit.button("Press", on_click=pressed)

    shown = AppTest.from_function(script).run()
    monkeypatch.setenv("KPI_LOG_FORMAT", "json")
    server_logs()
    shown.button[0].click().run()
    assert unexpected(told())["logger"].startswith("streamlit.")


def test_what_is_expected_has_one_line_and_no_traceback(shop: Builder, told: Told) -> None:
    (shop.folder / "files" / "events.parquet").unlink()
    assert shop.sync(day(6)).failed
    lines = told()
    assert [line["message"] for line in lines if line["level"] == "warning"] == [
        "source events failed: no file matches files/events.parquet"
    ]
    assert not [line for line in lines if "traceback" in line or line["level"] == "error"]


def test_an_evaluation_says_what_was_delivered(shop: Builder, told: Told, web: Web) -> None:
    shop.sync(day(6))
    assert {"alerts: 1 rules, 1 of them judged, 1 events", "messages: 1 delivered, 0 failed, 0 unknown"} <= {
        line["message"] for line in told()
    }
    opened: Project = shop.open()
    assert evaluate(opened, now=day(6, 2)).sent.delivered == 0 and deliver(opened).delivered == 0
    assert len(web.got) == 1


def test_the_time_is_the_one_clocks(told: Told) -> None:
    set_clock(datetime(2031, 12, 31, 23, 59, tzinfo=UTC))
    logging.getLogger("jobs.x").info("now")
    assert told()[0]["time"].startswith("2031-12-31T23:59:00.")


def test_a_clock_set_to_nonsense_stops_no_line(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_NOW", "yesterday")
    logging.getLogger("jobs.x").info("still")
    assert told()[0]["message"] == "still"


def test_text_has_the_same_parts(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(format="text", level="warning")
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("jobs.x").exception("it failed at %s", SOURCE_URL)
    logging.getLogger("jobs.x").info("not written")
    logging.getLogger("jobs.x").warning("a source", exc_info=SourceError("gone", where="source s"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{NOW:%Y-%m-%dT%H:%M}:00Z ERROR jobs.x: it failed at postgresql://***@db.example.com/shop"
    assert lines[1] == "Traceback (most recent call last):" and "KeyError: 'x'" in lines
    assert lines[-1].endswith("WARNING jobs.x: a source: gone") and not [
        line for line in lines if "not written" in line
    ]


def test_libraries_write_warnings_only(told: Told) -> None:
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("look")
    assert [line["message"] for line in told()] == ["look"]


def test_a_childs_lines_are_passed_on(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert of_a_child() == {"KPI_LOG_FORMAT": "json", "KPI_LOG_LEVEL": "info"}
    try:
        raise RuntimeError(f"boom at {SOURCE_URL}")
    except RuntimeError:
        logging.getLogger("jobs.sync").exception("it failed")
    (line,) = told()
    assert relay(line) and not relay({"done": 1, "total": 2, "text": "Pulling"}) and not relay(3)
    (again,) = told()
    assert again["logger"] == "jobs.sync" and again["level"] == "error"
    assert again["message"].startswith("it failed\nTraceback")


def test_lines_have_ids_that_say_nothing_else(told: Told) -> None:
    """Of a run, a message: also where a child's line is passed on. They replace no key, and are masked."""
    ids = {"run": "ab12", "seconds": 1.5, "level": "error", "message": "another", "contact": SOURCE_URL}
    logging.getLogger("jobs.sync").info("it ended", extra={"ids": ids})
    (line,) = told()
    assert (line["run"], line["seconds"], line["level"], line["message"]) == ("ab12", 1.5, "info", "it ended")
    assert not [canary for canary in CANARIES if canary in str(line)]
    assert relay(line)
    (again,) = told()
    assert {key: again[key] for key in line if key != "time"} == {key: line[key] for key in line if key != "time"}


def test_a_sync_is_told_by_its_generation(shop: Builder, told: Told) -> None:
    done = shop.sync(day(6))
    found = [line for line in told() if line["message"].startswith("published generation")]
    assert [(line["generation"], line["published"]) for line in found] == [(done.generation, True)]


def test_the_command_is_quiet_about_what_it_says_in_words(shop: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.settings("timezone: UTC\n")
    (shop.folder / "files" / "events.parquet").unlink()
    folder = ("--project", str(shop.folder))
    assert run_cli("sync", *folder).stderr.splitlines()[0].startswith("source events: no file matches")
    monkeypatch.setenv("KPI_LOG_FORMAT", "json")
    monkeypatch.setenv("KPI_LOG_LEVEL", "info")
    lines = [json.loads(line) for line in run_cli("sync", *folder).stderr.splitlines() if line.startswith("{")]
    assert [line["level"] for line in lines] == ["warning", "info"]
    monkeypatch.setenv("KPI_LOG_LEVEL", "loud")
    wrong = run_cli("status", *folder)
    assert wrong.returncode == 1 and "KPI_LOG_LEVEL='loud' is not known" in wrong.stderr
    assert "debug, info, warning, error" in wrong.stderr
    with pytest.raises(SettingsError):
        set_up(format="text", level="info")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to https://h.example/a?token=abc&day=2", "to https://h.example/a?token=***&day=***"),
        ("https://h.example/a?X-Amz-Signature=abc", "https://h.example/a?X-Amz-Signature=***"),
        ("host=db password=abc user=x", "host=db password=*** user=x"),
        ("https://ghp_0123456789abcdef@h.example/", "https://***@h.example/"),
        ("Authorization: Bearer abcdefghij", "Authorization: Bearer ***"),
        ("{'X-Api-Key': 'abc', 'Cookie': 'a=b'}", "{'X-Api-Key': '***', 'Cookie': '***'}"),
        ("read https://h.example/a.csv#abc.", "read https://h.example/a.csv#***."),
        ("postgresql://ana:a/b@h.example/db", "postgresql://***@h.example/db"),
        ("postgresql://ana:${PW}@h/db, mailto://h?to={owner}", "postgresql://***@h/db, mailto://h?to=***"),
        ("http://h.example:8501/kpi and a@b.example", "http://h.example:8501/kpi and a@b.example"),
        ("https://h.example/a?abc: HTTP Error 404", "https://h.example/a?***: HTTP Error 404"),
        (
            "keys of kpi=orders in dataset=t, by mail to a@b.example",
            "keys of kpi=orders in dataset=t, by mail to a@b.example",
        ),
        ("the segment key=web", "the segment key=***"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_hidden_value_is_masked_however_it_is_spelled() -> None:
    hide("p@ss w/rd?1")
    assert mask("'p@ss w/rd?1' p%40ss%20w%2Frd%3F1 p%40ss%20w/rd%3F1") == "'***' *** ***"
    hide_address("mysql://u:pw%2Fof%20db@h/x")
    assert mask("denied for pw/of db and pw%2Fof%20db at h/x") == "denied for *** and *** at h/x"
    hide("tiny")
    assert mask("a tiny tinyness") == "a *** tinyness", "a short value is a word, not a part of one"
    hide("abc")
    assert mask("an abc of it") == "an abc of it", "too short to be told from words"


@pytest.mark.parametrize("before", ["", "a", "ab", "user\0"])
def test_a_hidden_value_is_masked_in_base64_wherever_it_begins(before: str) -> None:
    hide("canary-in-base-64")
    for after in ("", "x", "yz"):
        said = mask(b64encode(f"{before}canary-in-base-64{after}".encode()).decode())
        assert "***" in said and len(said) < 14, said


@pytest.mark.parametrize("scheme", ["", "file://", "sqlite:///", "duckdb:///"])
def test_a_place_on_this_machine_is_no_secret(scheme: str, tmp_path: Path) -> None:
    place = tmp_path / "a-folder-of-19" / "gone"
    hide(f"{scheme}{place}")
    assert mask(f"no file {place}/a.csv of {scheme}{place}") == f"no file {place}/a.csv of {scheme}{place}"


def test_a_key_in_the_address_of_a_file_is_a_secret(tmp_path: Path) -> None:
    hide(f"sqlite:///{tmp_path}/app.db?key=canary-of-5-file")
    assert mask(f"{tmp_path}: no canary-of-5-file") == f"{tmp_path}: no ***"
