"""From `kpi add source TYPE` to filled KPIs for the second tier, against the fakes; values against plain pandas."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs.authoring.add_type import add_type
from tests.conftest import NOW, Builder, run_cli
from tests.fakes import app_store, google, google_play, intercom
from tests.fakes.server import Fake, impatient
from tests.sampling import SEED

pytestmark = pytest.mark.breadth(2)
WEEKS = 6
SECRETS = {
    "intercom": intercom.TOKEN,
    "app_store": app_store.KEY.splitlines()[1],
    "google_play": google.KEY.splitlines()[1],
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    monkeypatch.setenv("INTERCOM_TOKEN", intercom.TOKEN)


def conversations() -> intercom.Intercom:
    """Conversations of six weeks before NOW, some of them answered, rated and closed."""
    chance = random.Random(f"{SEED} intercom")
    made = intercom.Intercom(int(NOW.timestamp()) - WEEKS * 7 * 86_400)
    for _ in range(80):
        key = made.open(contact=f"c{chance.randrange(20)}")
        if chance.random() < 0.8:
            made.reply(key, chance.randrange(30, 9000))
        if chance.random() < 0.5:
            made.rate(key, chance.randrange(1, 6), "words")
        if chance.random() < 0.5:
            said = {**(made.conversations[key]["statistics"] or {}), "first_close_at": made.now}
            made.change(key, state="closed", statistics=said)
        made.now += 40_000
    made.now = int(NOW.timestamp())
    return made


def reviews() -> app_store.AppStore:
    """Reviews of six weeks before NOW."""
    chance = random.Random(f"{SEED} app_store")
    made = app_store.AppStore(int(NOW.timestamp()) - WEEKS * 7 * 86_400)
    for _ in range(80):
        made.review(chance.randrange(1, 6), territory=chance.choice(["USA", "DEU"]))
        made.now += 40_000
    made.now = int(NOW.timestamp())
    return made


def reviews_of_a_week() -> google_play.GooglePlay:
    """Reviews of the week before NOW: there are no others."""
    chance = random.Random(f"{SEED} google_play")
    made = google_play.GooglePlay(int(NOW.timestamp()) - 6 * 86_400)
    for _ in range(60):
        made.review(chance.randrange(1, 6), reviewerLanguage=chance.choice(["en", "de"]))
        made.now += 6_000
    made.now = int(NOW.timestamp())
    return made


MADE: dict[str, Callable[[], Any]] = {
    "intercom": conversations,
    "app_store": reviews,
    "google_play": reviews_of_a_week,
}


@contextmanager
def vendor(kind: str, folder: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """A fake that holds what happened, and what is answered to the questions; keys of files are in the folder."""
    made = MADE[kind]()
    with Fake(made.app) as fake:
        given = {"url": fake.url}
        if kind == "app_store":
            (folder / "AuthKey.p8").write_text(app_store.KEY)
            own = {"app_id": app_store.APP, "issuer": app_store.ISSUER, "key_id": app_store.KEY_ID}
            given |= {**own, "key_file": "AuthKey.p8"}
        if kind == "google_play":
            (folder / "play.json").write_text(google.account(fake.url))
            given |= {"package": google_play.PACKAGE, "key_file": "play.json"}
        yield made, given


def weekly(at: pd.Series) -> pd.Series:
    return at.dt.tz_localize(None).dt.to_period("W").dt.start_time


def known(values: dict[str, Any], least: int = WEEKS - 1) -> dict[pd.Timestamp, Any]:
    found = {pd.Timestamp(week): value for week, value in values.items() if value is not None}
    assert len(found) >= least
    return found


def filled(project: Builder, kind: str, count: int) -> Any:
    """The vendor whose KPIs are set up and synced."""
    with vendor(kind, project.folder) as (made, given):
        said = list(add_type(project.open(), kind, given, None))
        assert not project.sync(now=NOW).failed
    opened = project.open()
    assert opened.catalogue(opened.reader()).problems == () and f"{count} KPIs" in " ".join(said)
    return made


def test_values_of_conversations_equal_a_count_by_pandas(project: Builder) -> None:
    made = filled(project, "intercom", 5)
    rows = pd.DataFrame(made.conversations.values())
    rows["week"] = weekly(pd.to_datetime(rows["created_at"], unit="s"))
    rows["reply"] = rows["statistics"].map(lambda s: (s or {}).get("time_to_admin_reply")).astype(float)
    rows["rating"] = rows["conversation_rating"].map(lambda r: (r or {}).get("rating")).astype(float)
    rows["closed"] = rows["statistics"].map(lambda s: "first_close_at" in (s or {}))
    assert sum(v for v in project.values("new_conversations").values() if v) == 80
    for week, value in known(project.values("first_reply_minutes")).items():
        assert value == pytest.approx(rows[rows["week"] == week]["reply"].median() / 60)
    for week, value in known(project.values("closed_share")).items():
        assert value == pytest.approx(rows[rows["week"] == week]["closed"].mean())
    rated = rows["rating"].dropna()
    assert project.values("csat", grain="total")["total"] == pytest.approx((rated >= 4).mean())
    people = rows["contacts"].map(lambda c: c["contacts"][0]["id"])
    for week, value in known(project.values("conversations_per_contact")).items():
        assert value == pytest.approx((rows["week"] == week).sum() / people[rows["week"] == week].nunique())


def means(project: Builder, rows: pd.DataFrame, least: int = WEEKS - 1) -> None:
    """KPIs of reviews, with columns week and rating."""
    assert sum(v for v in project.values("new_reviews").values() if v) == len(rows)
    for week, value in known(project.values("average_rating"), least).items():
        assert value == pytest.approx(rows[rows["week"] == week]["rating"].mean())
    for week, value in known(project.values("poor_reviews"), least).items():
        assert value == pytest.approx((rows[rows["week"] == week]["rating"] <= 2).mean())


def test_values_of_app_store_reviews_equal_a_count_by_pandas(project: Builder) -> None:
    made = filled(project, "app_store", 3)
    rows = pd.DataFrame(made.reviews.values())
    rows["week"] = weekly(pd.to_datetime(rows["createdDate"], utc=True))
    means(project, rows)


def test_values_of_google_play_reviews_equal_a_count_by_pandas(project: Builder) -> None:
    made = filled(project, "google_play", 3)
    rows = pd.DataFrame({"at": google_play.changed(r), "rating": rating(r)} for r in made.reviews.values())
    rows["week"] = weekly(pd.to_datetime(rows["at"], unit="s"))
    means(project, rows, least=1)


def rating(review: dict[str, Any]) -> int:
    return int(review["comments"][0]["userComment"]["starRating"])


def test_reviews_of_two_stores_have_kpis_of_their_own(project: Builder) -> None:
    for kind in ("app_store", "google_play"):
        with vendor(kind, project.folder) as (_, given):
            list(add_type(project.open(), kind, given, None))
            assert not project.sync(now=NOW, names=[kind]).failed
    opened = project.open()
    assert opened.catalogue(opened.reader()).problems == ()
    assert {"average_rating", "google_play_average_rating"} <= {p.stem for p in (project.folder / "kpis").glob("*")}


@pytest.mark.parametrize("kind", MADE)
def test_four_typed_lines_fill_the_overview(
    project: Builder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    folder = str(tmp_path / "new")
    monkeypatch.setenv("KPI_NOW", NOW.isoformat())
    assert run_cli("init", folder).returncode == 0
    with vendor(kind, tmp_path / "new") as (_, given):
        answers = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
        for line in (["add", "source", kind, *answers, "--project", folder], ["sync", "--project", folder]):
            done = run_cli(*line)
            assert done.returncode == 0, done.stderr
    listed = run_cli("list", "--json", "--project", folder)
    assert listed.returncode == 0 and listed.stdout.count('"name"') >= 3
    written = "".join(p.read_text() for p in (tmp_path / "new").rglob("*.yml"))
    assert SECRETS[kind] not in written, "no key is in a file"
