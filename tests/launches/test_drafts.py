"""Drafts of launches from releases and flag changes, one thing at a time; in any order: test_drafts_in_any_order.py."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from connectors.state import launches as store
from jobs.launches.draft_text import HEAD, merged, whole
from jobs.launches.drafts import draft_launches
from tests.conftest import NOW, ROOT, Builder, run_cli
from tests.launches.drafting import DAY, RULE, SINCE, by_origin, change, files, records, release
from tests.test_pages import run

pytestmark = pytest.mark.breadth(5)


def drafted(project: Builder, rows: list[dict[str, Any]], rule: str = RULE) -> dict[str, dict[str, Any]]:
    records(project, rows, rule)
    result = project.sync()
    assert not result.failed, result.sources
    return files(project)


def test_a_draft_reads_as_documented(shop: Builder) -> None:
    records(shop, [release(70)], RULE)
    result = shop.sync()
    text = (shop.folder / "launches" / "shop_v1_70_0.yml").read_text()
    assert text == HEAD + (
        "name: shop_v1_70_0\n"
        "label: Release 70 (v1.70.0)\n"
        "draft: true\n"
        "origin:\n  source: told\n  id: '1070'\n  of: octo-org/shop v1.70.0\n"
        "owner: ana@example.com\n"
        "area: Checkout\n"
        "on: 2026-10-29\n"
        "success:\n- kpi: buyers\n- kpi: carts\n"
        "guardrails:\n- kpi: crashes\n"
        "links:\n  Release: https://github.com/octo-org/shop/releases/v1.70.0\n"
    )
    assert result.alerts == (
        "Launches were drafted, `kpi launch draft` says what they lack: launches/shop_v1_70_0.yml.",
    )
    assert not [p for p in shop.open().catalogue().problems if p.file.startswith("launches")]


def test_a_draft_is_neither_drawn_nor_read_nor_told(shop: Builder) -> None:
    """Until a person takes `draft: true` out."""
    shop.settings("timezone: UTC\ncontact_points: [{name: ana@example.com, url: 'json://127.0.0.1:9/'}]")
    drafted(shop, [release(70)])
    catalogue = shop.open().catalogue()
    assert catalogue.launches == () and [x.name for x in catalogue.drafts] == ["shop_v1_70_0"]
    assert not catalogue.measured and catalogue.launch_of("buyers") is None

    def kept() -> int:
        with shop.open().state.reading() as connection:
            return len(store.readings(connection))

    assert kept() == 0
    said = run_cli("launch", "show", "shop_v1_70_0", "--project", str(shop.folder))
    assert said.returncode == 1 and "shop_v1_70_0 is a draft" in said.stderr and "take `draft: true` out" in said.stderr
    assert json.loads(run_cli("launch", "list", "--json", "--project", str(shop.folder)).stdout) == []
    path = shop.folder / "launches" / "shop_v1_70_0.yml"
    path.write_text(path.read_text().replace("draft: true\n", ""))
    shop.sync(now=NOW + timedelta(minutes=1))
    assert [x.name for x in shop.open().catalogue().launches] == ["shop_v1_70_0"] and kept() > 0


def test_what_is_no_release_yet_makes_no_draft(shop: Builder) -> None:
    rows = [
        release(60, draft=True),
        release(61, prerelease=True),
        release(62, published_at=None),
        release(5),
        release(63, published_at="2027-09-01T00:00:00Z"),
        release(64),
    ]
    records(shop, rows, RULE)
    result = shop.sync()
    assert set(files(shop)) == {"shop_v1_64_0"}
    assert "source told: 1 row lies in the future, left out." in result.alerts


@pytest.mark.parametrize(
    ("rule", "areas"),
    [
        (f"{{area: Checkout, since: {SINCE}, prereleases: true}}", {1060: "Checkout", 1061: "Checkout"}),
        (f"{{area: Checkout, since: {SINCE}, only: v1.61.*}}", {}),
        (
            f"[{{area: Quality, since: {SINCE}, only: [v9.*, v1.60.*]}}, "
            f"{{area: Checkout, since: {SINCE}, prereleases: true}}]",
            {1060: "Quality", 1061: "Checkout"},
        ),
    ],
)
def test_the_first_rule_that_fits_counts(shop: Builder, rule: str, areas: dict[int, str]) -> None:
    found = drafted(shop, [release(60), release(61, prerelease=True)], rule)
    assert {int(item["origin"]["id"]): item["area"] for item in found.values()} == areas


def test_days_are_the_projects(shop: Builder) -> None:
    shop.settings("timezone: Pacific/Auckland\n")
    at = {"published_at": "2026-10-29T20:00:00Z"}
    assert drafted(shop, [release(70, **at)])["shop_v1_70_0"]["on"] == date(2026, 10, 30)


def test_a_day_without_a_time_is_that_day_everywhere(shop: Builder) -> None:
    shop.settings("timezone: America/New_York\n")
    assert drafted(shop, [release(70, published_at="2026-10-29")])["shop_v1_70_0"]["on"] == date(2026, 10, 29)


def test_a_flag_that_goes_off_and_on_again(shop: Builder) -> None:
    at = datetime(2026, 10, 1, 8)
    rows = [
        change(1, at, share=10.0),
        change(2, at + 3 * DAY, share=50.0, constrained=True),
        change(3, at + 3 * DAY + timedelta(hours=1), share=50.0, constrained=True),
        change(4, at + 5 * DAY, is_on=False, share=None),
        change(5, at + 5 * DAY + timedelta(hours=1), environment="test"),
    ]
    (found,) = drafted(shop, rows).values()
    steps = [{"on": date(2026, 10, 1), "share": 0.1}, {"on": date(2026, 10, 4), "share": 0.5}]
    assert found["rollout"] == steps and found["until"] == date(2026, 10, 6)
    assert found["origin"]["of"] == "carts in production, limited by rules"
    (found,) = drafted(shop, [*rows, change(6, at + 9 * DAY, share=100.0)]).values()
    assert found["rollout"] == [{"on": date(2026, 10, 10), "share": 1.0}] and "until" not in found
    assert found["origin"]["of"] == "carts in production"


def test_a_flag_that_was_on_for_less_than_a_day_is_no_launch(shop: Builder) -> None:
    at = datetime(2026, 10, 1, 8)
    assert set(drafted(shop, [change(1, at)])) == {"carts"}
    records(shop, [change(1, at), change(2, at + timedelta(hours=2), is_on=False)], RULE)
    result = shop.sync()
    assert files(shop) == {} and "are gone with their release or rollout: launches/carts.yml." in result.alerts[0]
    assert set(drafted(shop, [change(1, at), change(3, at + DAY)])) == {"carts"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"x": 1}], "it holds neither releases nor changes of flags"),
        ([release(60), release(60, name="Other")], "release 1060 is in the table with two contents"),
        ([change(1, datetime(2026, 10, 1), is_on=None)], "Of 1 flag no change says whether they are on"),
        ([change(1, datetime(2026, 10, 1), environment="live")], "The table has: live. State `environment`."),
    ],
)
def test_what_cannot_be_drafted_is_told(shop: Builder, rows: list[dict[str, Any]], words: str) -> None:
    records(shop, rows, RULE)
    result = shop.sync()
    assert not result.failed and files(shop) == {} and words in " ".join(result.alerts), result.alerts


def test_of_two_contents_the_newer_counts_where_it_is_known(shop: Builder) -> None:
    rows = [
        release(60, name="New", updated_at="2026-11-02T00:00:00Z"),
        release(60, name="Old", updated_at="2026-11-01T00:00:00Z"),
    ]
    assert drafted(shop, rows)["shop_v1_60_0"]["label"] == "New (v1.60.0)"


@pytest.mark.parametrize(
    "text",
    [
        "x\ndraft: false\non: 2020-01-01",
        "a: b # c",
        "'\"",
        "- [x]: {y}",
        "\u0007\u2028\ufeff\u0085",
        "&a *b !!c %d @e",
        "yes",
        "0x10",
        "…" * 400,
    ],
)
def test_what_a_vendor_writes_is_text(shop: Builder, text: str) -> None:
    """It cannot add keys, name a place outside of the folder, or make a file that is wrong."""
    rows = [release(60, name=text, url=text), release(61, name=None, tag=f"../../{text}")]
    rows += [release(62, repo=f"o/../{text}", tag="1")]
    found = drafted(shop, rows)
    assert len(found) == 3 and all(item["draft"] is True and item["area"] == "Checkout" for item in found.values())
    assert [p for p in shop.open().catalogue().problems if p.file.startswith("launches")] == []
    assert len(shop.open().catalogue().drafts) == 3
    assert {path.parent.name for path in shop.folder.rglob("*v1*.yml")} == {"launches"}
    again = {path: path.read_bytes() for path in (shop.folder / "launches").iterdir()}
    assert not [row for row in told(shop)["drafts"] if row["action"] != "same"]
    assert {path: path.read_bytes() for path in (shop.folder / "launches").iterdir()} == again


def test_the_example_of_the_docs_is_valid(project: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "launches.md").read_text()
    for name in ("GITHUB_TOKEN", "LAUNCHDARKLY_TOKEN"):
        monkeypatch.setenv(name, "t0ken-of-a-test")
    (project.folder / "sources.yml").write_text(text.partition("```yaml\n# sources.yml\n")[2].partition("```")[0])
    sources, problems = project.open().sources.read()
    assert problems == [] and [len(s.options.launches) for s in sources.values()] == [1, 2]


def test_names_that_are_taken_are_left_alone(shop: Builder) -> None:
    """A person's file, a launch that was made on a page, and a second flag that would be called the same."""
    shop.write("launches", "carts", "name: carts\non: 2026-09-09\n")
    shop.sync()
    run_cli("launch", "add", "search", "--on", "2026-09-09", "--project", str(shop.folder), check=True)
    at = datetime(2026, 10, 1, 8)
    rows = [change(1, at), change(2, at, flag="Search"), change(3, at, flag="new cart"), change(4, at, flag="new-cart")]
    found = drafted(shop, rows)
    made = sorted(name for name, item in found.items() if "origin" in item)
    assert len(made) == 4 and [name.rsplit("_", 1)[0] for name in made if name != "new_cart"] == [
        "carts",
        "new_cart",
        "search",
    ]
    assert found["carts"] == {"name": "carts", "on": date(2026, 9, 9)}
    assert {x.name for x in shop.open().catalogue().launches} == {"carts", "search"}


def test_a_release_that_is_gone_takes_its_untouched_draft_with_it(shop: Builder) -> None:
    drafted(shop, [release(60), release(61), release(62)])
    path = shop.folder / "launches" / "shop_v1_61_0.yml"
    path.write_text(path.read_text() + "hypothesis: Fewer fields.\n")
    assert set(drafted(shop, [release(62)])) == {"shop_v1_61_0", "shop_v1_62_0"}
    rows = {row["name"]: row["action"] for row in told(shop)["drafts"]}
    assert rows == {"shop_v1_61_0": "left", "shop_v1_62_0": "same"}
    assert set(drafted(shop, [release(60), release(62)])) == {"shop_v1_60_0", "shop_v1_61_0", "shop_v1_62_0"}


def told(project: Builder, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run_cli("launch", "draft", "--json", *more, "--project", str(project.folder), check=True).stdout
    )
    return found


def test_a_file_that_a_person_renamed_is_known_by_its_origin(shop: Builder) -> None:
    drafted(shop, [release(60)])
    old, new = (shop.folder / "launches" / f"{name}.yml" for name in ("shop_v1_60_0", "shared_carts"))
    new.write_text(old.read_text().replace("name: shop_v1_60_0", "name: shared_carts"))
    old.unlink()
    found = drafted(shop, [release(60, name="Carts")])
    assert set(found) == {"shared_carts"} and found["shared_carts"]["label"] == "Carts (v1.60.0)"
    assert [row["kept"] for row in told(shop)["drafts"]] == [[]]
    assert set(drafted(shop, [release(61)])) == {"shared_carts", "shop_v1_61_0"}, "a person changed it: it stays"


def test_a_sync_that_died_before_it_remembered_makes_no_second_file(shop: Builder) -> None:
    """Or a state store that is gone: the files say what they are from."""
    drafted(shop, [release(60), release(61)])
    path = shop.folder / "launches" / "shop_v1_61_0.yml"
    path.write_text(path.read_text().replace("label: Release 61 (v1.61.0)", "label: Mine"))
    for file in (shop.folder / "data").glob("state.sqlite*"):
        file.unlink()
    found = drafted(shop, [release(60), release(61)])
    assert {name: item["label"] for name, item in found.items()} == {
        "shop_v1_60_0": "Release 60 (v1.60.0)",
        "shop_v1_61_0": "Mine",
    }
    found = drafted(shop, [release(60, name="A"), release(61, name="B")])
    assert {item["label"] for item in found.values()} == {"A (v1.60.0)", "Mine"}


def test_two_at_once_make_one_of_each(shop: Builder) -> None:
    drafted(shop, [release(number) for number in range(60, 70)])
    for file in (*(shop.folder / "launches").iterdir(), *(shop.folder / "data").glob("state.sqlite*")):
        file.unlink()
    shop.open().state.give_identity()
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: draft_launches(shop.open(), now=NOW), range(4)))
    assert sum(change.action == "made" for run_ in runs for change in run_.changes) == 10
    assert len(files(shop)) == 10 == len(by_origin(shop))


def test_what_a_person_wrote_and_what_is_new_must_go_together(shop: Builder) -> None:
    """A last day that a person wrote would lie before the new first day: then the file stays as it is."""
    at = datetime(2026, 10, 1, 8)
    drafted(shop, [change(1, at)])
    path = shop.folder / "launches" / "carts.yml"
    path.write_text(path.read_text() + "until: 2026-10-03\n")
    text = path.read_text()
    drafted(shop, [change(1, at), change(2, at + DAY, is_on=False), change(3, at + 9 * DAY, share=50.0)])
    assert path.read_text() == text
    (row,) = told(shop)["drafts"]
    assert row["action"] == "same" and "rollout" in row["kept"]


def test_a_finished_launch_stays_as_it_is_and_its_news_are_told(shop: Builder) -> None:
    at = datetime(2026, 10, 1, 8)
    drafted(shop, [change(1, at, share=10.0)])
    path = shop.folder / "launches" / "carts.yml"
    path.write_text(path.read_text().replace("draft: true\n", ""))
    text = path.read_text()
    drafted(shop, [change(1, at, share=10.0), change(2, at + DAY, share=50.0)])
    assert path.read_text() == text
    (row,) = told(shop)["drafts"]
    assert row["action"] == "finished" and row["kept"] == ["rollout"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_bytes_that_are_not_ours_stay(shop: Builder, end: str) -> None:
    drafted(shop, [release(60)])
    path = shop.folder / "launches" / "shop_v1_60_0.yml"
    more = (
        f"{end}# why{end}hypothesis:   'Fewer   fields'   # of them{end}go_to_market: [{{audience: x,   done: true}}]"
    )
    path.write_bytes(path.read_bytes() + more.encode())
    was = path.read_bytes()
    drafted(shop, [release(60, name="Carts")])
    assert path.read_bytes() == was.replace(b"Release 60 (v1.60.0)", b"Carts (v1.60.0)")


@pytest.mark.parametrize("broken", ["label: A\nlabel: B\n", "success: [\n", "\t no: yaml\n", "hypothesis: 5\n", "\0"])
def test_a_file_in_the_middle_of_being_written_is_not_touched(shop: Builder, broken: str) -> None:
    drafted(shop, [release(60)])
    path = shop.folder / "launches" / "shop_v1_60_0.yml"
    path.write_text(path.read_text() + broken)
    was = path.read_bytes()
    records(shop, [release(60, name="Carts")], RULE)
    assert not shop.sync().failed and path.read_bytes() == was
    assert len(list((shop.folder / "launches").iterdir())) == 1


def test_a_kpi_that_is_gone_is_proposed_no_more(shop: Builder) -> None:
    drafted(shop, [release(60)])
    (shop.folder / "kpis" / "carts.yml").unlink()
    assert drafted(shop, [release(60)])["shop_v1_60_0"]["success"] == [{"kpi": "buyers"}]


def test_new_kpis_of_the_area_are_proposed_where_nobody_chose(shop: Builder) -> None:
    drafted(shop, [release(60), release(61)])
    path = shop.folder / "launches" / "shop_v1_61_0.yml"
    path.write_text(path.read_text().replace("- kpi: carts\n", "- {kpi: carts, expect: +5%}\n"))
    shop.kpi("abandoned", "area: Checkout\ndataset: t\nagg: count\ngrain: day")
    found = drafted(shop, [release(60), release(61)])
    assert [s["kpi"] for s in found["shop_v1_60_0"]["success"]] == ["abandoned", "buyers", "carts"]
    assert found["shop_v1_61_0"]["success"] == [{"kpi": "buyers"}, {"kpi": "carts", "expect": "+5%"}]


def test_the_verb_says_what_it_would_do_and_what_is_missing(shop: Builder) -> None:
    shop.settings("timezone: UTC\n")
    records(shop, [release(60)], f"{{area: Nobody, since: {SINCE}}}")
    reader = shop.open()
    shop.sync(dry_run=True)
    assert files(shop) == {}
    shop.sync()
    (shop.folder / "launches" / "shop_v1_60_0.yml").unlink()
    assert [row["action"] for row in told(shop)["drafts"]] == ["deleted"]
    records(shop, [release(60), release(61)], RULE)
    shop.sync()
    (row,) = [row for row in told(shop, "--dry-run")["drafts"] if row["action"] != "deleted"]
    assert row["origin"] == {"source": "told", "id": "1061", "of": "octo-org/shop v1.61.0"}
    assert row["start"] == "2026-10-20" and row["label"] == "Release 61 (v1.61.0)" and row["kept"] == []
    assert row["missing"][0] == "No success KPI is named: there is nothing to measure."
    said = run_cli("launch", "draft", "--project", str(shop.folder), check=True).stdout
    assert "shop_v1_61_0" in said and "octo-org/shop v1.61.0" in said
    assert draft_launches(reader, now=NOW, dry_run=True).changes[0].action == "deleted"


def test_a_dry_run_of_the_verb_writes_nothing(shop: Builder) -> None:
    records(shop, [release(60)], RULE)
    shop.sync()
    (shop.folder / "launches" / "shop_v1_60_0.yml").unlink()
    for file in (shop.folder / "data").glob("state.sqlite*"):
        file.unlink()
    assert [row["action"] for row in told(shop, "--dry-run")["drafts"]] == ["made"]
    assert files(shop) == {} and not (shop.folder / "data" / "state.sqlite").exists()
    assert [row["action"] for row in told(shop)["drafts"]] == ["made"] and set(files(shop)) == {"shop_v1_60_0"}


def test_without_a_rule_nothing_is_drafted_and_the_verb_says_so(shop: Builder) -> None:
    shop.sync()
    assert told(shop) == {"drafts": [], "notes": ["No source says `launches:`, so there is nothing to draft from."]}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{area: Checkout}", "since"),
        ("{since: 2026-01-01}", "area"),
        ("{area: Checkout, since: 2026-01-01, onyl: x}", "onyl"),
    ],
)
def test_a_wrong_rule_is_told_with_its_line(shop: Builder, rule: str, words: str) -> None:
    records(shop, [release(60)], rule)
    problems = shop.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line > 1 for p in problems), problems


def test_a_launch_that_is_kept_in_the_store_is_no_draft(shop: Builder) -> None:
    shop.sync()
    path = shop.folder / "files" / "x.yml"
    path.write_text("name: x\non: 2026-11-01\ndraft: true\n")
    done = run_cli("launch", "add", "--file", str(path), "--project", str(shop.folder))
    assert done.returncode == 1 and "is no draft" in done.stderr


@pytest.mark.filterwarnings("default")
def test_the_page_shows_drafts_and_what_they_lack(monkeypatch: pytest.MonkeyPatch, shop: Builder) -> None:
    at = datetime(2026, 10, 1, 8)
    records(shop, [release(60), release(61, url="javascript:alert(1)")], f"{{area: Nobody, since: {SINCE}}}")
    records(shop, [change(1, at, share=10.0), change(2, at + DAY)], RULE, table="flags")
    shop.sync()
    app = run(monkeypatch, shop.folder, "launches")
    assert not app.exception
    shown = " ".join(element.proto.body for element in app.get("html"))
    assert "3 drafts wait for a person" in shown and "0 running, 0 planned, 0 completed" in shown
    assert "launches/shop_v1_60_0.yml" in shown and "No success KPI is named" in shown
    assert "1 Oct 10% → 2 Oct 100%" in shown and "carts in production" in shown and "javascript:" not in shown
    launch = run(monkeypatch, shop.folder, "launch")
    assert not launch.exception and launch.title[0].value == "No launches yet"


# ---- the text alone


def test_of_a_text_only_lines_that_were_written_are_replaced() -> None:
    was = {"name": "name: a\n", "label": "label: A\n", "success": "success:\n- kpi: x\n"}
    now = {
        "name": "name: a\n",
        "label": "label: B\n",
        "success": "success:\n- kpi: y\n",
        "until": "until: 2026-01-01\n",
    }
    assert merged(whole(was), was, now).text == whole(now)
    mine = "name: a\n\nlabel: Mine  # yes\nsuccess:\n- kpi: x\nowner: me"
    done = merged(mine, was, now)
    assert done.text == "name: a\n\nlabel: Mine  # yes\nsuccess:\n- kpi: y\nowner: me\nuntil: 2026-01-01\n"
    assert done.kept == ("label",) and done.written == {**now, "label": "label: A\n"}
    gone = merged(done.text, done.written, {key: now[key] for key in ("name", "label", "success")})
    assert gone.text == "name: a\n\nlabel: Mine  # yes\nsuccess:\n- kpi: y\nowner: me\n"
    same = merged("label: B\n", {"label": "label: A\n"}, {"label": "label: B\n"})
    assert same.kept == (), "a person wrote what the vendor says now, and it stays when the vendor says something else"
    assert merged(same.text, same.written, {"label": "label: C\n"}).text == "label: B\n"
    inside = "name: a\nlabel: A\nsuccess:\n- kpi: x\n# mine\n- kpi: z\n"
    assert (
        merged(inside, was, now).text == "name: a\nlabel: B\nsuccess:\n- kpi: x\n# mine\n- kpi: z\nuntil: 2026-01-01\n"
    )
