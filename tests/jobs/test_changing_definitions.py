"""A definition changes: a wrong file holds the last good version, a redefinition is told, a diff is in numbers."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import timedelta

import pandas as pd
import pytest

from jobs.authoring.diff import diff
from metrics.kpi_views.card import card
from metrics.kpi_views.kpi_page import kpi_page
from metrics.kpi_views.overview import overview
from tests.conftest import NOW, Builder, run_cli

pytestmark = pytest.mark.breadth(5)

TOTAL = "label: Total\ndataset: orders\nagg: sum\nexpr: amount\ngrains: [day, week]\n"
LARGE = TOTAL + "filter: amount > 5\n"


@pytest.fixture
def shop(project: Builder) -> Builder:
    at = pd.date_range("2026-11-01", periods=21 * 4, freq="6h")
    project.rows("orders", pd.DataFrame({"at": at, "amount": [1.0, 10.0, 2.0, 20.0] * 21, "kind": "a"}))
    project.kpi("total", TOTAL)
    project.kpi("n", "dataset: orders\nagg: count\ngrains: [day]")
    project.kpi("mean", "type: derived\nexpr: '{total} / {n}'\ngrains: [day]")
    project.sync(now=NOW)
    return project


def test_a_wrong_file_leaves_the_last_good_version_live(shop: Builder) -> None:
    before = shop.values("total", grain="total")
    shop.kpi("total", TOTAL + "filtre: amount > 5\n")
    context = shop.open().context(NOW)
    own = card(context, "total")
    assert own.value != "–" and own.status.slug != "definition_error"
    assert "published last" in own.notice and "unknown key 'filtre'" in own.notice
    assert card(context, "mean").notice and not card(context, "n").notice  # what is made of it says so, too
    assert overview(context).held == ("Mean", "Total")
    shop._opened = None
    assert shop.values("total", grain="total") == before
    asked = run_cli("query", "total", "--json", "--project", str(shop.folder))
    assert asked.returncode == 0 and "shown by the definition published last" in asked.stderr
    assert run_cli("validate", "total", "--project", str(shop.folder)).returncode == 1
    problems = json.loads(run_cli("validate", "--json", "--project", str(shop.folder)).stdout)["problems"]
    assert [p["code"] for p in problems] == ["unknown_key"]


def test_the_last_good_version_is_still_computed_by_a_sync(shop: Builder) -> None:
    shop.kpi("total", "this: is: no: yaml")
    frame = pd.read_parquet(shop.folder / "files" / "orders.parquet")
    later = frame.assign(at=frame["at"] + pd.Timedelta(days=21))
    pd.concat([frame, later]).to_parquet(shop.folder / "files" / "orders.parquet", index=False)
    result = shop.sync(now=NOW + timedelta(days=21))
    assert result.published and [p.code for p in result.problems if p.level == "error"] == ["yaml"]
    shop._opened = None
    assert shop.values("total", grain="total") == {"total": 2 * 21 * 33.0}
    assert shop.ask("total", grain="day").level == "stored"


def test_a_wrong_dataset_holds_for_all_on_it(shop: Builder) -> None:
    (shop.folder / "datasets" / "orders.yml").write_text("name: orders\nsource: ordrs\ntime_dimension: at\n")
    context = shop.open().context(NOW)
    assert not context.catalogue.broken
    assert all("unknown table 'ordrs'" in card(context, name).notice for name in ("n", "total", "mean"))


def test_a_mended_file_is_taken_and_a_deleted_one_is_gone(shop: Builder) -> None:
    shop.kpi("total", "nonsense")
    shop.kpi("total", LARGE)
    assert shop.values("total", grain="total") == {"total": 21 * 30.0}
    (shop.folder / "kpis" / "mean.yml").unlink()
    assert "mean" not in shop.open().catalogue().kpis


def test_what_never_was_valid_has_no_version_to_show(shop: Builder) -> None:
    shop.kpi("new", "dataset: orders\nagg: summ\nexpr: amount")
    context = shop.open().context(NOW)
    assert card(context, "new").status.slug == "definition_error" and "new" in context.catalogue.broken


def test_a_draft_is_off_the_overview_and_can_be_asked(shop: Builder) -> None:
    shop.kpi("n", "dataset: orders\nagg: count\nstatus: draft")
    context = shop.open().context(NOW)
    assert "n" not in [c.name for c in overview(context).cards]
    assert card(context, "n").draft and shop.values("n", grain="total")


def test_a_redefinition_is_marked_and_told_for_28_days(shop: Builder) -> None:
    changes = "changes: [{on: 2026-11-24, by: ana, why: small orders excluded}]\n"
    shop.kpi("total", LARGE + changes)
    shop.sync(now=NOW + timedelta(days=1))
    context = shop.open().context(NOW + timedelta(days=2))
    assert card(context, "total").notice == (
        "Redefined 24 Nov: was 33, now 30 (Fri 20 Nov). Small orders excluded. – ana"
    )
    marks = kpi_page(context, "total", range_="all").chart.marks
    assert [(m.kind, m.label) for m in marks] == [("redefinition", "Redefined: small orders excluded")]
    assert card(shop.open().context(NOW + timedelta(days=28)), "total").notice.startswith("Redefined 24 Nov: was 33")
    assert card(shop.open().context(NOW + timedelta(days=30)), "total").notice == ""


def test_a_change_is_drawn_on_its_day(shop: Builder) -> None:
    shop.kpi("total", TOTAL + "changes: [{on: 2026-11-10, why: refunds counted}]\n")
    marks = kpi_page(shop.open().context(NOW), "total", range_="all").chart.marks
    assert [(m.kind, m.label, m.on) for m in marks] == [
        ("redefinition", "Redefined: refunds counted", pd.Timestamp("2026-11-10"))
    ]
    assert card(shop.open().context(NOW), "total").notice == "Redefined 10 Nov. Refunds counted."


def test_numbers_that_moved_without_a_word_are_told_too(shop: Builder) -> None:
    shop.kpi("total", LARGE)
    shop.sync(now=NOW + timedelta(days=1))
    notice = card(shop.open().context(NOW + timedelta(days=2)), "total").notice
    assert notice == "Redefined 24 Nov: was 33, now 30 (Fri 20 Nov)."
    shop.kpi("n", "dataset: orders\nagg: count\ngrains: [day]\nfilter: amount > 0")  # another definition, equal numbers
    shop.sync(now=NOW + timedelta(days=2))
    assert card(shop.open().context(NOW + timedelta(days=2)), "n").notice == ""
    near = "dataset: orders\nagg: sum\ngrains: [day]\nexpr: '1.0000000000001'"
    shop.kpi("n", near)
    shop.sync(now=NOW + timedelta(days=3))
    assert card(shop.open().context(NOW + timedelta(days=3)), "n").notice == ""


def test_diff_shows_old_against_new(shop: Builder) -> None:
    assert diff(shop.open(), [], None).rows == ()
    shop.kpi("total", LARGE)
    found = diff(shop.open(), [], None, periods=2)
    assert found.differs and [r for r in found.rows if r["kpi"] == "total"] == [
        {"kpi": "total", "period": "2026-11-19", "old": 33.0, "new": 30.0},
        {"kpi": "total", "period": "2026-11-20", "old": 33.0, "new": 30.0},
    ]
    assert {r["kpi"] for r in found.rows} == {"total", "mean"}  # what is made of it changes with it
    asked = ["diff", "total", "--json", "--project", str(shop.folder)]
    out = run_cli(*asked)
    assert out.returncode == 0 and json.loads(out.stdout)[-1] == {
        "kpi": "total",
        "period": "2026-11-20",
        "old": 33.0,
        "new": 30.0,
    }
    assert run_cli(*asked, "--exit-code").returncode == 1


def test_diff_of_new_gone_and_wrong_definitions(shop: Builder) -> None:
    shop.kpi("count", "dataset: orders\nagg: count")
    (shop.folder / "kpis" / "mean.yml").unlink()
    shop.kpi("n", "dataset: orders\nagg: cuont")
    found = diff(shop.open(), [], None, periods=1)
    by_name = {r["kpi"]: (r["old"], r["new"]) for r in found.rows}
    assert by_name == {"count": (None, 4.0), "mean": (8.25, None), "n": (4.0, None)}
    assert any("the definition of 'n' is wrong" in note for note in found.notes)


def test_diff_against_a_revision(shop: Builder) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-C", str(shop.folder), "-c", "user.name=a", "-c", "user.email=a@b", *words],
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("add", "settings.yml", "kpis", "datasets")
    git("commit", "-qm", "first")
    shop.kpi("total", LARGE)
    shop.sync(now=NOW + timedelta(days=1))  # published: nothing differs from that
    assert diff(shop.open(), [], None).rows == ()
    found = diff(shop.open(), ["total"], "HEAD", periods=1)
    assert [(r["old"], r["new"]) for r in found.rows] == [(33.0, 30.0)]
    wrong = run_cli("diff", "--against", "nowhere", "--project", str(shop.folder))
    assert wrong.returncode == 1 and "--against takes a revision" in wrong.stderr


@pytest.mark.parametrize("committed", [False, True])
def test_diff_knows_the_launch_that_a_target_begins_with(shop: Builder, committed: bool) -> None:
    """Launches are no definitions: the demo's are not even in git."""
    shop.write("launches", "campaign", "name: campaign\nkind: campaign\non: 2026-11-10\n")
    shop.kpi("total", TOTAL + "targets: [{value: 100, since: campaign}]\n")
    shop.sync(now=NOW)
    git = ["git", "-C", str(shop.folder), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    if committed:
        for words in (["init", "-q"], ["add", "kpis", "datasets", "settings.yml"], ["commit", "-qm", "a"]):
            subprocess.run([*git, *words], check=True, capture_output=True)
    shop.kpi("total", LARGE + "targets: [{value: 100, since: campaign}]\n")
    found = diff(shop.open(), ["total"], "HEAD" if committed else None)
    assert found.notes == () and found.rows[-1]["old"] == 33 and found.rows[-1]["new"] == 30


def test_a_definition_of_the_size_and_time_of_the_one_before_is_read(shop: Builder) -> None:
    """Such as one that is restored, or copied with its time: a server that is running shows it."""
    shop.kpi("total", LARGE)
    running, path = shop.open(), shop.folder / "kpis" / "total.yml"
    before, stat = running.catalogue().definition("total"), path.stat()
    shop.kpi("total", LARGE.replace("> 5", "> 6"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert running.catalogue().definition("total") != before
