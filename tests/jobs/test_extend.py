"""kpi add, doctor and schedule: a project grows, is examined, and syncs by itself."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from ruamel.yaml import YAML

from connectors.errors import DefinitionError, ProjectError, ScheduleError
from jobs.authoring.add import add_kpi, add_source
from jobs.operations.doctor import doctor
from jobs.operations.schedule import schedule
from tests.conftest import NOW, Builder

pytestmark = pytest.mark.breadth(4)


@pytest.fixture
def shop(project: Builder) -> Builder:
    frame = pd.DataFrame({"at": pd.date_range("2026-11-01", periods=20, freq="D"), "amount": 1.5, "who": "a"})
    project.rows("orders", frame, dimensions="[who]")
    project.kpi("n", "dataset: orders\nagg: count")
    project.sync()
    return project


def test_a_source_is_added_with_dataset_and_kpis(shop: Builder, tmp_path: Path) -> None:
    (shop.folder / "sources.yml").write_text("# kept\n" + (shop.folder / "sources.yml").read_text())
    path = tmp_path / "refunds.csv"
    path.write_text("refund_id,refunded_at,customer,amount\n1,2026-11-02,a,5\n2,2026-11-03,b,6\n3,2026-11-03,c,6\n")
    said = "\n".join(add_source(shop.open(), str(path), None))
    assert "Added source refunds" in said and (shop.folder / "sources.yml").read_text().startswith("# kept\n")
    assert not shop.sync().failed
    assert shop.values("refunds_count", grain="total") == {"total": 3}
    with pytest.raises(ProjectError, match="'refunds' already exists"):
        list(add_source(shop.open(), str(path), None))


def test_a_source_list_of_another_shape_is_left_alone(shop: Builder, tmp_path: Path) -> None:
    text = "[{name: orders, type: files, table: orders, path: files/orders.parquet}]\n"
    (shop.folder / "sources.yml").write_text(text)
    path = tmp_path / "refunds.csv"
    path.write_text("refund_id,refunded_at,amount\n1,2026-11-02,5\n2,2026-11-03,6\n")
    with pytest.raises(ProjectError, match="Add this by hand"):
        list(add_source(shop.open(), str(path), None))
    assert (shop.folder / "sources.yml").read_text() == text and not (shop.folder / "datasets/refunds.yml").exists()


def test_a_table_of_a_database_is_added(shop: Builder, postgres: str) -> None:
    url = postgres.replace("postgres:@", "postgres:secret-word@")
    engine = sa.create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "DROP SCHEMA IF EXISTS crm CASCADE; CREATE SCHEMA crm; CREATE TABLE crm.refunds AS SELECT "
                "i AS refund_id, timestamp '2026-11-01' + i * interval '1 hour' AS refunded_at, 1.5 * i AS amount, "
                "'c' || i % 5 AS customer, timestamp '2026-11-20' AS updated_at FROM generate_series(1, 50) i"
            )
        )
    engine.dispose()
    with pytest.raises(ProjectError, match="which table"):
        list(add_source(shop.open(), url, None))
    said = "\n".join(add_source(shop.open(), url, None, "crm.refunds"))
    written = (shop.folder / "sources.yml").read_text()
    assert "export REFUNDS_PASSWORD=" in said and "secret-word" not in said + written
    assert "remote_table: crm.refunds" in written and "cursor: updated_at" in written
    os.environ["REFUNDS_PASSWORD"] = "x"
    try:
        assert not shop.sync().failed
    finally:
        del os.environ["REFUNDS_PASSWORD"]
    assert shop.values("refunds_count", grain="total") == {"total": 50}


def test_a_kpi_is_written_if_it_is_valid(shop: Builder) -> None:
    keys = [
        "agg=sum",
        "expr=amount",
        "filter=who = 'a' AND amount > 1",
        "grains=[day, week]",
        "label=Large: all",
        'thresholds={warning: "< 10"}',
    ]
    list(add_kpi(shop.open(), "large", keys))
    assert shop.values("large", grain="total") == {"total": 30.0}
    text = (shop.folder / "kpis" / "large.yml").read_text()
    assert text.startswith('name: large\nlabel: "Large: all"\ndataset: orders\n')
    with pytest.raises(ProjectError, match="already exists"):
        list(add_kpi(shop.open(), "large", []))


def test_a_kpi_that_would_be_wrong_is_not_written(shop: Builder) -> None:
    with pytest.raises(DefinitionError, match=r"kpis/bad.yml:\d: error: unknown column 'amout'"):
        list(add_kpi(shop.open(), "bad", ["agg=sum", "expr=amout"]))
    with pytest.raises(DefinitionError, match="unknown key 'aggg'"):
        list(add_kpi(shop.open(), "bad", ["agg=count", "aggg=1"]))
    assert not (shop.folder / "kpis" / "bad.yml").exists()


@pytest.fixture
def _a_disk_with_the_same_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a run has its clock moved (benchmarks/clocks.py), the disk keeps its own, and the doctor says so."""
    if "FAKETIME" in os.environ:
        monkeypatch.setattr("jobs.operations.doctor.disk_skew", lambda *_: timedelta(0))


@pytest.mark.usefixtures("_a_disk_with_the_same_clock")
def test_the_doctor_finds_nothing_in_a_good_project(shop: Builder) -> None:
    rows = {row["check"]: row for row in doctor(shop.open(), now=NOW)}
    assert {r["state"] for r in rows.values()} <= {"ok"}, rows
    assert rows["source orders"]["detail"] == "1 file"


@pytest.mark.usefixtures("_a_disk_with_the_same_clock")
def test_the_doctor_says_what_to_do(shop: Builder) -> None:
    (shop.folder / "files" / "orders.parquet").unlink()
    shop.kpi("broken", "dataset: ordrs\nagg: count")
    rows = {row["check"]: row for row in doctor(shop.open(), now=NOW + timedelta(days=3))}
    assert rows["source orders"]["state"] == "failed" and "no file matches" in rows["source orders"]["detail"]
    assert rows["definitions"] == {
        "check": "definitions",
        "state": "failed",
        "todo": "kpi validate",
        "detail": rows["definitions"]["detail"],
    }
    assert rows["last sync"]["detail"] == "No sync since 23 Nov 02:30; one is due every day."
    early = {row["check"]: row for row in doctor(shop.open(), now=NOW - timedelta(days=3))}
    assert early["clock"]["state"] == "failed" and "in the future" in early["clock"]["detail"]


def test_schedules_hold_the_command(shop: Builder) -> None:
    project = shop.open()
    assert schedule(project, "cron", "1h").splitlines()[-1].startswith("7 * * * * ")
    assert f"--project {shop.folder}" in schedule(project, "cron", "15 min")
    unit = schedule(project, "systemd", "6h")
    assert "OnCalendar=*-*-* 0/6:07" in unit and "EnvironmentFile=" in unit
    assert 'cron: "7 4 * * *"' in schedule(project, "github", "1d")
    steps = YAML(typ="safe").load(schedule(project, "github", "1d"))["jobs"]["sync"]["steps"]
    assert steps[0]["with"] == {"fetch-depth": 0}, "git must know the branch that is compared with"
    assert "kpi diff --project" in steps[-1]["run"] and '--against "origin/${{ github.base_ref }}"' in steps[-1]["run"]
    assert steps[-1]["if"] == "github.event_name == 'pull_request'"
    for kind, every in (("at", "1d"), ("cron", "7 min"), ("cron", "1 min"), ("cron", "soon")):
        with pytest.raises(ScheduleError):
            schedule(project, kind, every)


def test_the_systemd_calendar_is_understood(shop: Builder) -> None:
    """By systemd itself, where it is there."""
    unit = schedule(shop.open(), "systemd", "6h")
    when = unit.split("OnCalendar=")[1].splitlines()[0]
    try:
        answer = subprocess.run(["systemd-analyze", "calendar", when], capture_output=True, text=True)
    except FileNotFoundError:
        assert when == "*-*-* 0/6:07"
        return
    assert answer.returncode == 0, answer.stderr
