"""The source `ga4` against the Data API on loopback: days that change, rows that go, pages, quota, what is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from connectors.clock import set_clock
from connectors.sources import ga4
from jobs.sync import SyncResult
from tests.conftest import NOW, Builder, run_cli
from tests.fakes.ga4 import Analytics, key_file, private_key
from tests.fakes.server import FAULTS, Fake, impatient

pytestmark = pytest.mark.breadth(2)
# The documented shape, of our own making.
ANSWER = {
    "dimensionHeaders": [{"name": "date"}, {"name": "country"}, {"name": "customEvent:plan"}],
    "metricHeaders": [
        {"name": "activeUsers", "type": "TYPE_INTEGER"},
        {"name": "totalRevenue", "type": "TYPE_CURRENCY"},
    ],
    "rows": [
        {
            "dimensionValues": [{"value": "20261120"}, {"value": "Japan"}, {"value": "(not set)"}],
            "metricValues": [{"value": "412"}, {"value": "15.25"}],
        }
    ],
    "rowCount": 1,
    "metadata": {"currencyCode": "EUR", "timeZone": "Europe/Berlin"},
    "propertyQuota": {"tokensPerDay": {"consumed": 4, "remaining": 199_996}},
    "kind": "analyticsData#runReport",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, and pages of seven rows."""
    impatient(monkeypatch)
    monkeypatch.setattr(ga4, "PAGE", 7)


@pytest.fixture
def analytics() -> Analytics:
    made = Analytics()
    for back in range(12):
        for country in ("Japan", "Chile"):
            happen(made, day(back), country, 10 + back)
    return made


@pytest.fixture
def served(analytics: Analytics) -> Iterator[Fake]:
    with Fake(analytics.app) as fake:
        yield fake


def day(back: int, now: datetime = NOW) -> str:
    return f"{(now - timedelta(days=back)).date()}"


def happen(analytics: Analytics, on: str, country: str, users: float, plan: str = "pro") -> None:
    analytics.events[on, country, plan] = {"activeUsers": users, "sessions": users + 2, "totalRevenue": users / 4}


def source(project: Builder, served: Fake, more: str = "", start: str = "2026-11-12") -> None:
    (project.folder / "ga4.json").write_text(key_file(served.url))
    lines = f"""
- name: web
  type: ga4
  table: web
  url: {served.url}
  property_id: 123
  start: {start}
  metrics: [activeUsers, totalRevenue]
  dimensions: [country, "customEvent:plan"]
  auth: {{type: google_service_account, key_file: ga4.json}}
{more}"""
    project.source(lines)


def table(project: Builder) -> list[tuple[Any, ...]]:
    frame = project.open().reader().frame('SELECT * FROM web ORDER BY "date", country, "customEvent_plan"')
    return [(f"{r[0]:%Y-%m-%d}", *r[1:]) for r in frame.itertuples(index=False)]


def truth(analytics: Analytics, start: str = "2026-11-12") -> list[tuple[Any, ...]]:
    return sorted(
        (*key, int(v["activeUsers"]), v["totalRevenue"]) for key, v in analytics.events.items() if key[0] >= start
    )


def synced(project: Builder, now: datetime = NOW) -> SyncResult:
    """A sync of a later day, which is that of the property, too."""
    set_clock(now)
    result = project.sync(now=now)
    assert not result.failed, result.sources
    return result


def failed(project: Builder) -> str:
    result = project.sync()
    assert result.failed
    return result.sources[0].error


def test_the_documented_answer_is_read(
    project: Builder, analytics: Analytics, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "_answer", lambda *_: dict(ANSWER))
    source(project, served)
    assert synced(project).sources[0].cursor["day"] == "2026-11-20"
    assert table(project) == [("2026-11-20", "Japan", "(not set)", 412, 15.25)]
    columns = project.open().reader().tables()["web"]
    texts = {"country": "VARCHAR", "customEvent_plan": "VARCHAR"}
    assert columns == {"date": "DATE", **texts, "activeUsers": "BIGINT", "totalRevenue": "DOUBLE"}
    assert analytics.asked[0]["metrics"] == [{"name": "activeUsers"}, {"name": "totalRevenue"}]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_token_that_is_not_given_at_once_is_asked_for_again(
    project: Builder, analytics: Analytics, served: Fake, fault: str
) -> None:
    source(project, served)
    served.faults.next = [fault, fault]  # the first requests are for the token
    synced(project)
    assert table(project) == truth(analytics) and [one.path for one in served.seen[:3]] == ["/token"] * 3


def test_nothing_new_is_one_request_and_its_token(
    project: Builder, analytics: Analytics, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ga4, "PAGE", 50_000)
    source(project, served)
    synced(project)
    before = len(served.seen)
    again = synced(project, NOW + timedelta(minutes=5))
    assert not again.published and again.sources[0].rows == 0
    assert [one.path for one in served.seen[before:]] == ["/token", "/v1beta/properties/123:runReport"]


def test_rows_that_vanish_from_a_day_that_is_read_again_go(
    project: Builder, analytics: Analytics, served: Fake
) -> None:
    """Renamed columns, too. A day before the look-back stays as it was."""
    source(project, served, "  columns: {date: day, country: land}\n  lookback: 2d")
    synced(project)
    for back in (1, 5):
        del analytics.events[day(back), "Japan", "pro"]
    result = synced(project)
    frame = project.open().reader().frame("SELECT day, land FROM web WHERE land = 'Japan'")
    days = {f"{d:%Y-%m-%d}" for d in frame["day"]}
    assert result.published and day(1) not in days and day(5) in days
    assert [d["startDate"] for one in analytics.asked[-1:] for d in one["dateRanges"]] == [day(2)]
    project.sync(full=True)
    assert project.open().reader().frame("SELECT count(*) AS n FROM web")["n"][0] == len(truth(analytics))


def test_a_report_that_changes_between_pages_is_read_again(
    project: Builder, analytics: Analytics, served: Fake
) -> None:
    """A row that comes before the others would shift one to a page that was read."""
    source(project, served)
    analytics.between = lambda offset: happen(analytics, "2026-11-12", "Aruba", 5) if offset == 7 else None
    synced(project)
    assert table(project) == truth(analytics) and ("2026-11-12", "Aruba", "pro", 5, 1.25) in table(project)
    analytics.between = lambda offset: happen(analytics, day(0), f"Land {len(analytics.asked)}", 5)
    said = failed(project)
    assert "changes while its pages are read" in said
    analytics.between = None
    synced(project)
    assert table(project) == truth(analytics)


def test_a_long_first_pull_goes_on_where_it_stopped(project: Builder, analytics: Analytics, served: Fake) -> None:
    for back in range(12, 200, 9):
        happen(analytics, day(back), "Japan", back)
    source(project, served, start="2026-05-01")
    served.faults.next = ["", "", "", "", *["503"] * 6]  # the token, three months
    first = project.sync()
    assert first.failed and "HTTP 503" in first.sources[0].error and not first.sources[0].cursor
    ranges = [one["dateRanges"][0]["startDate"] for one in analytics.asked]
    assert len(ranges) >= 3, "and maybe the one after that which failed, which was asked for meanwhile"
    synced(project)
    later = [one["dateRanges"][0]["startDate"] for one in analytics.asked[len(ranges) :]]
    assert table(project) == truth(analytics, "2026-05-01") and not set(later) & set(ranges)
    assert not (project.folder / "data" / "pulls" / "web").exists()


def test_a_pull_that_fails_in_the_middle_changes_nothing(project: Builder, analytics: Analytics, served: Fake) -> None:
    source(project, served)
    cursor, kept = synced(project).sources[0].cursor, table(project)
    happen(analytics, day(0), "Peru", 7)
    served.faults.next = ["", "", *["cut"] * 6]  # the token, a page
    run = project.sync()
    assert run.failed and run.sources[0].cursor == cursor and table(project) == kept
    synced(project)
    assert table(project) == truth(analytics)


def test_a_day_of_the_future_moves_no_cursor(
    project: Builder, analytics: Analytics, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "_day", lambda text: "2036-01-01" if text == "today" else text)
    happen(analytics, "2035-01-01", "Japan", 1)
    source(project, served)
    assert synced(project).sources[0].cursor["day"] == day(0)


@pytest.mark.parametrize(
    ("about", "left", "words"),
    [
        ({"samplingMetadatas": [{"samplesReadCount": "45", "samplingSpaceSize": "100"}]}, 199_000, "as little as 45%"),
        ({"subjectToThresholding": True}, 199_000, "is under thresholds: GA4 left out rows with few users"),
        ({"dataLossFromOtherRow": True}, 199_000, "has a row '(other)'"),
        (
            {"schemaRestrictionResponse": {"activeMetricRestrictions": [{"metricName": "totalRevenue"}]}},
            199_000,
            "may not show totalRevenue to this account",
        ),
        ({}, 1_500, "GA4's quota is low: 1,500 tokens are left of this day"),
        ({}, 199_000, ""),
    ],
)
def test_what_is_not_whole_is_told(
    project: Builder, analytics: Analytics, served: Fake, about: dict[str, Any], left: int, words: str
) -> None:
    analytics.about, analytics.left = about, left
    source(project, served)
    notes = synced(project).sources[0].notes
    assert (not words and not notes) or (len(notes) == 1 and words in notes[0]), notes
    assert not about or "12 Nov 2026 to" in notes[0]
    done = run_cli("sync", "--project", str(project.folder), "--json")
    told = json.loads(done.stdout)["sources"][0]["notes"]
    assert len(told) == len(notes) and words in "".join(told) and words in done.stderr


def test_a_revoked_right_says_so_and_no_key_stands_anywhere(
    project: Builder, analytics: Analytics, served: Fake
) -> None:
    source(project, served)
    synced(project)
    analytics.revoked = True
    said = failed(project)
    assert "does not accept the key" in said and "sufficient permissions" in said and "role Viewer" in said
    analytics.no_token = True
    said += failed(project)
    assert "no token is given for the key" in said
    secrets = [private_key().splitlines()[1], "ya29."]
    assert not [word for word in secrets if word in said]
    written = [p for p in (project.folder / "data").rglob("*") if p.is_file()]
    assert written and not [p for p in written for word in secrets if word.encode() in p.read_bytes()]


def test_an_unknown_metric_is_told_in_googles_words(project: Builder, analytics: Analytics, served: Fake) -> None:
    source(project, served, "  filter: {filter: {fieldName: country, stringFilter: {value: Japan}}}")
    path = project.folder / "sources.yml"
    path.write_text(path.read_text().replace("totalRevenue", "revenues"))
    assert "Field revenues is not a valid dimension or metric." in failed(project)
    assert analytics.asked[-1]["dimensionFilter"] == {
        "filter": {"fieldName": "country", "stringFilter": {"value": "Japan"}}
    }


def test_no_more_is_asked_than_the_budget(
    project: Builder, analytics: Analytics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ga4, "LIMITS", ((2, 0.3),))
    with Fake(analytics.app, budget=((4, 0.2),)) as fake:  # one of them for the token
        source(project, fake)
        synced(project)
        assert fake.too_many == 0 and len(analytics.asked) == 4
    assert table(project) == truth(analytics)


def test_a_day_that_is_none_is_put_aside(project: Builder, analytics: Analytics, served: Fake) -> None:
    happen(analytics, "2026-11-1x", "Japan", 1)
    source(project, served)
    run = synced(project).sources[0]
    assert run.quarantined == 1 and "(other)" not in str(table(project)) and len(table(project)) == 24


def test_another_report_is_another_table(project: Builder, analytics: Analytics, served: Fake) -> None:
    """Rows by country and plan are not counted beside those by country alone."""
    source(project, served)
    synced(project)
    path = project.folder / "sources.yml"
    before = path.read_text()
    path.write_text(before.replace("totalRevenue]", "totalRevenue, sessions]"))
    synced(project)
    frame = project.open().reader().frame("SELECT count(*) AS n, count(sessions) AS told FROM web")
    assert list(frame.iloc[0]) == [24, 24]
    path.write_text(before.replace('[country, "customEvent:plan"]', "country"))
    assert "column 'customEvent_plan' of the table is no longer in the source" in failed(project)
    project.sync(full=True)
    frame = project.open().reader().frame("SELECT * FROM web")
    assert list(frame.columns) == ["date", "country", "activeUsers", "totalRevenue"] and len(frame) == 24


def test_users_do_not_add_up_over_days(project: Builder, analytics: Analytics, served: Fake) -> None:
    """As docs/sources/ga4.md counts them: of a week the mean of its days, or its last one."""
    source(project, served)
    path = project.folder / "sources.yml"
    path.write_text(path.read_text().replace('[country, "customEvent:plan"]', "[]"))
    project.write("datasets", "web", "name: web\nsource: web\ntime_dimension: date\n")
    for how in ("mean", "last"):
        project.kpi(f"users_{how}", f"dataset: web\nagg: sum\nexpr: activeUsers\ngrain: day\nperiod_agg: {how}")
    synced(project)
    days = {back: 2.0 * (10 + back) for back in range(1, 8)}  # of two countries
    assert project.values("users_mean", grain="week")["2026-11-16"] == sum(days.values()) / 7
    assert project.values("users_last", grain="week")["2026-11-16"] == days[1]


def test_since_is_start_unless_it_is_stated(project: Builder, served: Fake) -> None:
    source(project, served)
    assert project.open().sources.all()["web"].options.since == date(2026, 11, 12)
    key = project.open().sources.all()["web"].options.primary_key
    assert key == ("date", "country", "customEvent_plan")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("property_id: G-ABC", "'G-ABC' is no number of a property"),
        ("metrics: []", "metrics"),
        ("metrics: [active users]", "'active users' is no name of the Data API"),
        ("dimensions: [a, b, c, d, e, f, g, h, i]", "dimensions"),
        ("load: append", "`load: append` would keep rows twice"),
        ("columns: {date: hash}", "`date` is the day of a row"),
        ("lookback: 6h", "`lookback` is a day or more"),
        ("primary_key: [country]", "`primary_key` is the day and all dimensions: date"),
    ],
)
def test_options_that_do_not_fit_are_told_with_their_line(project: Builder, line: str, words: str) -> None:
    usual = {"property_id": "123", "start": "2026-01-01", "metrics": "sessions"}
    usual.pop(line.partition(":")[0], None)
    lines = [*(f"{key}: {value}" for key, value in usual.items()), line]
    auth = "auth: {type: google_service_account, key_file: a.json}"
    project.source("\n  ".join(["- name: web", "type: ga4", "table: web", auth, *lines]))
    problems = project.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line >= 1 for p in problems), problems
