"""Each act leaves one entry, whether it came by a page or a command; without the entry there is no act."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.errors import KpiError, StateError
from connectors.state.audit import Act, Entry
from jobs.access.tokens import create, revoke
from jobs.alerts import incidents as job
from jobs.audit.listing import Search, listed
from jobs.audit.record import exported, record_alone
from jobs.audit.retention import trim
from jobs.audit.sign_ins import MOST_REFUSED, refused, signed_in
from jobs.audit.verifying import verify
from jobs.authoring.add import add_source
from jobs.launches.registry import add, remove
from jobs.launches.scorecards import decide
from jobs.project.project import Project
from jobs.project.undo import Scope, undoable
from jobs.snapshots.archived import write_note
from jobs.snapshots.send import send
from jobs.snapshots.take import take_by_hand
from tests.audit.logs import Attacker
from tests.conftest import NOW, Builder, known, run_cli
from tests.jobs.conftest import GOOD, LOW, day, make

pytestmark = pytest.mark.breadth(4, whole=True)

WEEKLY = "name: weekly\nsections: [{title: All, kpis: [k]}]\nrecipients: [team]\n"
METRICS, DAYS = ("metrics",), timedelta(days=9)
BIG = "name: big\nlabel: Big\non: 2026-11-03\nsuccess: [{kpi: k}]\n"


def entries(project: Project) -> list[Entry]:
    """All, the first one first."""
    return [*listed(project.state, Search(), limit=500).entries][::-1]


def fired(project: Builder) -> Project:
    """A project with an open incident; its first sync made the store."""
    make(project, {**GOOD, 5: 10}, LOW, contact="json://127.0.0.1:9/x?rto=1")
    project.sync(day(6))
    return project.open()


def test_each_act_leaves_one_entry(project: Builder) -> None:
    opened, at = fired(project), day(6)
    launch = Scope("launches", (("name", "big"),))
    added = undoable(opened, "The launch is saved.", [launch], lambda: None)
    acts: list[tuple[str, str, Callable[[], object]]] = [
        ("acknowledged", "incident:1", lambda: job.acknowledge(opened, 1, by="ana", now=at)),
        ("", "", lambda: job.acknowledge(opened, 1, by="bob", now=at)),  # it is acknowledged: nothing is done
        ("marked", "incident:1", lambda: job.mark(opened, 1, "noise", by="ana", now=at)),
        ("silenced", "k.low", lambda: job.silence(opened, "k.low", at + timedelta(1), by="ana", now=at)),
        ("new_normal", "incident:1", lambda: job.new_normal(opened, 1, by="ana", now=at)),
        ("launch_added", "launch:big", lambda: add(opened, BIG, by="ana", now=at)),
        ("launch_changed", "launch:big", lambda: add(opened, BIG, by="ana", now=at, replace=True)),
        ("launch_decided", "launch:big", lambda: decide(opened, "big", "wait", "too early", by="ana", now=at)),
        ("launch_removed", "launch:big", lambda: remove(opened, "big", by="ana", now=at)),
        ("undone", "The launch is saved.", lambda: added.apply(opened, by="ana", now=at)),
        ("token_created", "token:prom", lambda: create(opened.state, "prom", METRICS, DAYS, by="ana", now=at)),
        ("token_revoked", "token:prom", lambda: revoke(opened.state, "prom", by="ana", now=at)),
        ("exported", "kpi:k", lambda: exported(opened, "kpi:k", by="ana", now=at, form="csv")),
        ("signed_in", "session:s1", lambda: signed_in(opened, "s1", who="ana", by="https://login", now=at)),
        ("", "", lambda: signed_in(opened, "s1", who="ana", by="https://login", now=at)),
    ]  # fmt: skip
    for what, subject, act in acts:
        before = len(entries(opened))
        act()
        new = entries(opened)[before:]
        assert [(e.what, e.subject, e.who) for e in new] == ([(what, subject, "ana")] if what else []), what
    for wrong in (
        lambda: job.mark(opened, 99, "noise", by="ana", now=at),
        lambda: remove(opened, "nothing", by="ana", now=at),
        lambda: revoke(opened.state, "prom", by="ana", now=at),
        lambda: add(opened, "name: big\n", by="ana", now=at),
    ):
        before = len(entries(opened))
        with pytest.raises(KpiError):
            wrong()
        assert len(entries(opened)) == before, "what is refused is no act"
    assert verify(opened).findings == ()


def test_what_is_done_with_snapshots(project: Builder, tmp_path: Path) -> None:
    place = ("--project", str(project.folder))
    project.settings("name: Shop\ncontact_points: [{name: team, url: 'json://127.0.0.1:9/x?rto=1'}]\n")
    days = pd.date_range("2026-11-02", "2026-11-22", freq="12h")
    project.rows("t", pd.DataFrame({"at": days, "v": 1}), watermark="whole_days")
    project.kpi("k", "dataset: t\nagg: count")
    project.sync()
    (project.folder / "snapshots").mkdir()
    project.write("snapshots", "weekly", WEEKLY)
    opened = project.open()
    made = take_by_hand(opened, "weekly", "2026-W46", by="ana", now=NOW)
    write_note(opened, made, "a public holiday", by="ana", now=NOW)
    send(opened, made, [], by="ana")
    send(opened, made, [], by="bob")  # who has it already gets nothing
    run_cli("snapshot", "render", "--format", "csv", "--output", str(tmp_path / "week.csv"), *place, check=True)
    found = [(e.what, e.subject) for e in entries(opened)]
    subject = "snapshot:weekly:2026-W46:r1"
    assert found == [(w, subject) for w in ("snapshot_taken", "snapshot_noted", "snapshot_sent", "exported")]
    assert [e.who for e in entries(opened)][:3] == ["ana"] * 3


def test_a_sync_says_what_it_published_and_which_definition_changed(project: Builder) -> None:
    def git(*words: str) -> None:
        mail = ("-c", "user.name=Ana", "-c", "user.email=ana@example.com")
        subprocess.run(["git", "-C", str(project.folder), *mail, *words], check=True, capture_output=True)

    opened = fired(project)
    assert [e.what for e in entries(opened)] == ["sync_ended"], "the store was made on the way"
    git("init")
    git("add", "kpis")
    git("commit", "-m", "first")
    path = project.folder / "kpis" / "k.yml"
    path.write_text(path.read_text().replace("agg: sum", "agg: max"))
    git("commit", "-am", "the most")
    before = len(entries(opened))
    project.sync(day(7))
    began, changed, ended = entries(opened)[before:]
    assert (began.what, changed.what, ended.what) == ("sync_began", "definition_changed", "sync_ended")
    assert changed.subject == "kpi:k" and {e.via for e in (began, changed, ended)} == {"sync"}
    told = json.loads(changed.details)
    assert told["author"] == "Ana <ana@example.com>" and len(told["commit"]) >= 7 and told["old"] != told["new"]
    assert "uncommitted" not in told and len({told["old"], told["new"]}) == 2
    assert json.loads(ended.details)["generation"] == opened.warehouse.live()
    path.write_text(path.read_text().replace("agg: max", "agg: min"))
    project.sync(day(7))
    assert json.loads(entries(opened)[-2].details)["uncommitted"] is True
    before = len(entries(opened))
    project.sync(day(7), dry_run=True)
    assert len(entries(opened)) == before
    project.sync(day(7))
    assert [e.what for e in entries(opened)[before:]] == ["sync_began", "sync_ended"]
    assert json.loads(entries(opened)[-1].details)["published"] is False


@pytest.mark.slow
def test_without_git_a_sync_says_the_rest(project: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = fired(project)
    path = project.folder / "kpis" / "k.yml"
    path.write_text(path.read_text().replace("agg: sum", "agg: max"))
    monkeypatch.setenv("PATH", "")
    project.sync(day(7))
    assert set(json.loads(entries(opened)[-2].details)) == {"old", "new"}


def test_generations_know_how_far_the_log_came(project: Builder) -> None:
    """Also where everything else that knows it is gone: key and head."""
    opened = fired(project)
    for number in range(3):
        record_alone(opened.state, Act("exported", str(number), "ana"), day(6))
    make(project, {**GOOD, 5: 10, 6: 12}, LOW)
    project.sync(day(7))
    found = verify(opened)
    assert found.findings == () and found.entries == len(entries(opened))
    (project.folder / "audit.head").unlink()
    assert verify(opened).findings == () and "noted no head" in verify(opened).notes[0]
    Attacker(opened.data, random.Random(1)).keep([])
    found = verify(project.open())
    assert [one.kind for one in found.findings] == ["truncated"] and "generation 2026" in found.findings[0].words
    done = run_cli("audit", "verify", "--json", "--project", str(project.folder))
    assert done.returncode == 1 and json.loads(done.stdout)["tampered"] is True


def test_a_store_that_cannot_be_written_stops_no_sync_and_every_other_act(project: Builder) -> None:
    opened = fired(project)
    (project.folder / "audit.key").write_text("short")
    result = project.sync(day(7))
    assert "was not recorded in the audit" in " ".join(result.warnings) and result.generation
    with pytest.raises(StateError, match="key of the audit"):
        job.acknowledge(opened, 1, by="ana", now=day(6))
    assert job.read_state(opened, now=day(6)).open[0].ack_by is None, "no entry, no act"
    before = (project.folder / "sources.yml").read_text()
    (project.folder / "more.csv").write_text("at,v\n2026-11-01,1\n2026-11-02,2\n")
    with pytest.raises(StateError):
        list(add_source(opened, str(project.folder / "more.csv"), None))
    assert (project.folder / "sources.yml").read_text() == before
    with pytest.raises(StateError):
        exported(opened, "kpi:k", by="ana", now=day(6), form="csv")


def test_a_source_is_recorded_before_it_is_added_with_no_secret_of_it(project: Builder) -> None:
    opened = fired(project)
    (project.folder / "more.csv").write_text("at,v\n2026-11-01,1\n2026-11-02,2\n")
    before = len(entries(opened))
    list(add_source(opened, str(project.folder / "more.csv"), None, by="ana"))
    (entry,) = entries(opened)[before:]
    assert (entry.what, entry.subject, entry.who) == ("source_added", "source:more", "ana")
    assert json.loads(entry.details) == {"sources": ["more"], "type": "file"}


def test_refused_sign_ins_are_recorded_and_cannot_flood(project: Builder) -> None:
    opened = project.open()
    for number in range(MOST_REFUSED + 5):
        refused(opened, f"s{number}", who="eve@evil.example", why="it is for others.", now=NOW)
    found = entries(opened)
    assert len(found) == MOST_REFUSED and "further ones" in found[-1].details and "further" not in found[-2].details
    refused(opened, "later", who="eve@evil.example", why="it is for others.", now=NOW + timedelta(hours=2))
    assert len(entries(opened)) == MOST_REFUSED + 1


def test_what_is_old_goes_by_the_setting_unless_something_is_wrong(project: Builder) -> None:
    opened = project.open()
    for number in range(6):
        record_alone(opened.state, Act("exported", str(number), "ana"), NOW + timedelta(days=20 * number))
    later = NOW + timedelta(days=105)
    assert trim(opened, now=later) == "" and len(entries(opened)) == 6, "kept for ever, unless somebody says"
    project.settings("audit_keep: 60d\n")
    opened = project.open()
    assert trim(opened, now=later) == ""
    assert [e.sequence for e in entries(opened)] == [4, 5, 6, 7] and entries(opened)[-1].what == "trimmed"
    assert verify(opened).findings == ()
    attacker = Attacker(opened.data, random.Random(1))
    attacker.rows[0][2] = "eve"
    attacker.keep(attacker.rows[:])
    assert "No old entry of the audit was removed" in trim(opened, now=later + timedelta(days=90))
    assert len(entries(opened)) == 4, "it is evidence"


@pytest.mark.parametrize(
    ("said", "good"), [("2y", True), ("90d", True), ("30d", True), ("29d", False), ("101y", False)]
)
def test_how_long_it_may_be_kept(project: Builder, said: str, good: bool) -> None:
    project.settings(f"audit_keep: {said}\n")
    if good:
        assert project.open().settings.audit_keep >= timedelta(days=30)
        return
    with pytest.raises(KpiError) as told:
        project.open()
    assert "30 days" in told.value.hint


def test_the_verbs(project: Builder) -> None:
    opened = fired(project)
    place = ("--project", str(project.folder))
    run_cli("alerts", "ack", "1", "--by", "=ana", *place, check=True)
    rows = json.loads(run_cli("audit", "list", "--what", "acknowledged", "--json", *place, check=True).stdout)
    assert [set(row) for row in rows] == [
        {"sequence", "at", "who", "role", "via", "what", "subject", "details", "hash", "chain"}
    ]
    assert rows[0]["who"] == "=ana" and rows[0]["via"] == "command" and rows[0]["details"] == {"rule": "k.low"}
    told = run_cli("audit", "list", "--csv", *place, check=True).stdout
    assert "'=ana" in told and told.splitlines()[0].startswith("sequence,at,who"), "no formula for a spreadsheet"
    assert entries(opened)[-1].what == "exported" and entries(opened)[-1].subject == "audit"
    assert len(json.loads(run_cli("audit", "list", "--limit", "1", "--json", *place).stdout)) == 1
    assert json.loads(run_cli("audit", "list", "--before", "2", "--json", *place).stdout)[0]["sequence"] == 1
    today = f"{day(6):%Y-%m-%d}"
    assert run_cli("audit", "list", "--to", today, "--json", *place).stdout != "[]\n", "a day in whole"
    done = run_cli("audit", "list", "--what", "exportd", *place)
    assert done.returncode == 1 and "Did you mean 'exported'" in done.stderr
    assert run_cli("audit", "list", "--from", "soon", *place).returncode == 1
    done = run_cli("audit", "verify", *place)
    assert done.returncode == 0 and "as they were written" in done.stdout
    with closing(sqlite3.connect(opened.data / "state.sqlite")) as store:
        store.execute("DROP TRIGGER audit_entries_as_written")
        store.execute("UPDATE audit_entries SET who = 'eve' WHERE what = 'acknowledged'")
        store.commit()
    done = run_cli("audit", "verify", *place)
    assert done.returncode == 1 and "entry 2 is not what was written" in done.stdout and "Traceback" not in done.stderr


def test_the_doctor_says_where_the_key_is(project: Builder) -> None:
    opened = fired(project)

    def told(*more: str) -> dict[str, Any]:
        rows = json.loads(run_cli("doctor", "--json", *more, "--project", str(project.folder)).stdout)
        return {row["check"]: row for row in rows}

    assert told()["audit"]["state"] == "ok" and str(project.folder / "audit.key") in told()["audit"]["detail"]
    assert told("--deep")["audit, in whole"]["state"] == "ok"
    (project.folder / "audit.key").chmod(0o640)
    assert told()["audit"]["state"] == "warning" and "chmod 600" in told()["audit"]["todo"]
    (project.folder / "audit.key").rename(opened.data / "audit.key")
    assert told()["audit"]["state"] == "warning" and "inside the data folder" in told()["audit"]["detail"]
    (opened.data / "audit.key").unlink()
    found = told("--deep")["audit, in whole"]
    assert found["state"] == "failed" and "no sign of a change" in found["detail"]


@pytest.mark.slow
def test_neither_key_nor_head_is_in_a_backup(project: Builder, tmp_path: Path) -> None:
    opened = fired(project)
    key = known(opened.state.keys.file).read_text().strip()
    run_cli("backup", str(tmp_path / "b"), "--project", str(project.folder), check=True)
    names = [path for path in (tmp_path / "b").rglob("*") if path.is_file()]
    assert names and not any(path.name.startswith("audit") for path in names)
    assert not any(key.encode() in path.read_bytes() for path in names)
    run_cli("restore", str(tmp_path / "b"), str(tmp_path / "again"), check=True)
    done = run_cli("audit", "verify", "--json", "--project", str(tmp_path / "again"))
    assert json.loads(done.stdout)["tampered"] is False and done.returncode == 1, "its key is elsewhere"
    (tmp_path / "again" / "audit.key").write_text(key)
    assert run_cli("audit", "verify", "--project", str(tmp_path / "again")).returncode == 0
