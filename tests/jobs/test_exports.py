"""Recognised exports: what `kpi init` proposes of each, and that its first number is what the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.authoring.exports.contract import export_class, export_names
from tests.conftest import NOW, ROOT
from tests.jobs.proposals import Made, errors, made_of
from tests.sampling import TIER

FILES = ROOT / "tests" / "exports"
# File → its first KPI, and that KPI's value over all rows, counted in the file itself.
FIRST: dict[str, tuple[str, float]] = {
    "shopify_orders.csv": ("orders", 40),
    "stripe_payments.csv": ("payments", 42),
    "ga4_report.csv": ("daily_users", 4145 / 30),
    "ga4_events.jsonl": ("active_users", 24),
    "mixpanel_events.jsonl": ("active_users", 20),
    "amplitude_events.jsonl": ("active_users", 20),
    "posthog_events.csv": ("active_users", 20),
    "app_store_sales.tsv": ("installs", 500),
    "google_play_installs.csv": ("installs", 1935),
    "google_play_ratings.csv": ("rating", 4.49),
    "zendesk_tickets.csv": ("zendesk_tickets_count", 45),
    "jira_issues.csv": ("jira_issues_count", 40),
    "typeform_responses.csv": ("nps", 100 * (18 - 15) / 36),
    "surveymonkey_responses.csv": ("nps", 100 * (17 - 11) / 36),
    "delighted_responses.json": ("nps", 100 * (19 - 14) / 36),
}
USUAL = {  # what its users look at besides
    "shopify_orders.csv": {"revenue", "average_order_value", "buyers", "repeat_rate", "refund_rate", "units_sold"},
    "stripe_payments.csv": {"revenue", "net_revenue", "buyers", "refund_rate", "failure_rate"},
    "ga4_report.csv": {"total_sessions", "total_new_users", "total_revenue", "average_engagement_rate"},
    "ga4_events.jsonl": {"new_users", "activation", "week_1_retention", "purchases", "sessions", "revenue"},
    "mixpanel_events.jsonl": {"new_users", "activation", "week_1_retention", "stickiness"},
    "amplitude_events.jsonl": {"new_users", "activation", "week_1_retention", "sessions"},
    "posthog_events.csv": {"new_users", "activation", "week_1_retention", "page_views"},
    "app_store_sales.tsv": {"redownloads", "updates", "in_app_purchases", "proceeds"},
    "google_play_installs.csv": {"uninstalls", "net_installs", "active_devices"},
    "google_play_ratings.csv": {"daily_rating"},
    "zendesk_tickets.csv": {"csat", "first_reply_hours", "resolution_hours", "solved_tickets", "reopened"},
    "jira_issues.csv": {"issues_resolved", "days_to_resolve", "bugs_created", "bug_share", "story_points"},
    "typeform_responses.csv": {"typeform_responses_count", "seconds_to_answer"},
    "surveymonkey_responses.csv": {"csat", "surveymonkey_responses_count"},
    "delighted_responses.json": {"delighted_responses_count"},
}


@pytest.mark.breadth(2)
@pytest.mark.parametrize("file", FIRST)
def test_an_export_is_recognised_and_its_first_number_is_right(file: str, tmp_path: Path) -> None:
    """In `make slow` among all proposed KPIs, which are valid and have values."""
    made = Made(tmp_path / "made", FILES / file)
    first, value = FIRST[file]
    assert made.said.split("Next:\n")[1].count("  kpi ") <= 4  # to a dashboard, after `kpi init`
    assert f"Recognised: {export_class(Path(file).stem).title}." in made.said, made.said
    assert next(iter(made.kpis)) == first and set(made.kpis) >= USUAL[file]
    asked = [first] if TIER == "fast" else list(made.kpis)
    for kpi in set(made.kpis) - {*asked}:
        (made.folder / "kpis" / f"{kpi}.yml").unlink()
    result = made.sync(now=NOW)
    assert not result.failed and errors(result) == [], result
    assert made.values(first, grain="total") == {"total": pytest.approx(value)}
    catalogue = made.open().catalogue()
    assert not catalogue.problems and set(catalogue.kpis) == {*asked}
    silent = [k for k in asked if not made.ask(k).frame["value"].notna().any()]
    assert set(silent) <= {"repeat_rate", "activation", "week_1_retention"}  # unknown until time has passed


def test_each_export_has_a_file_and_a_place_in_the_docs() -> None:
    told = {Path(file).stem for file in FIRST} | {"product_events"}
    assert told == set(export_names()) and {p.name for p in FILES.iterdir()} == {*FIRST, "SOURCE.md"}
    docs = (ROOT / "docs" / "init.md").read_text(encoding="utf-8")
    assert [t for name in export_names() if (t := export_class(name).title) not in docs] == []


def test_an_export_with_fewer_columns_says_what_it_cannot_propose(tmp_path: Path) -> None:
    rows = "".join(f"#{i},paid,2026-09-{i + 1:02d} 10:00:00,{i}.50,Mug\n" for i in range(12))
    made = made_of(tmp_path, "orders.csv", "Name,Financial Status,Created at,Total,Lineitem name\n" + rows)
    assert "Recognised: Shopify orders export." in made.said and "buyers" not in made.kpis
    assert (
        "Not proposed, since their columns are missing or hold no numbers: Buyers, Refund rate, Units sold."
        in made.said
    )


def test_proceeds_of_several_currencies_are_told(tmp_path: Path) -> None:
    made = Made(tmp_path / "made", FILES / "app_store_sales.tsv")
    assert "2 currencies (EUR, USD)" in made.said
    assert made.kpis["proceeds"]["label"] == "Proceeds (several currencies)"
    assert "currency_of_proceeds" in made.read("datasets/app_store_sales.yml")["dimensions"]


def test_tickets_as_the_api_answers_them_are_the_same_export(tmp_path: Path) -> None:
    rows = [
        f'{{"id": {i}, "created_at": "2026-09-{i:02d}T10:00:00Z", "status": "solved", "requester_id": {900 + i % 3}, '
        f'"satisfaction_rating": {{"score": "{"good" if i % 3 else "bad"}"}}, "tags": ["a"]}}'
        for i in range(1, 13)
    ]
    made = made_of(tmp_path, "tickets.json", f'{{"tickets": [{", ".join(rows)}], "next_page": null, "count": 12}}')
    assert "Recognised: Zendesk tickets export." in made.said and "Looked at 12 rows" in made.said
    assert not made.sync().failed
    assert made.values("csat", grain="total") == {"total": pytest.approx(8 / 12)}


def test_an_export_whose_type_is_not_one_scale_has_no_score(tmp_path: Path) -> None:
    rows = ", ".join(
        f'{{"id": "{i}", "person": "p{i}", "survey_type": "{"nps" if i % 2 else "csat"}", "score": {i % 5 + 1}, '
        f'"comment": "x", "permalink": "https://app.delighted.com/r/{i}", "created_at": {1788000000 + i * 86400}}}'
        for i in range(12)
    )
    made = made_of(tmp_path, "answers.json", f"[{rows}]")
    assert "Recognised: Delighted responses export." in made.said
    assert list(made.kpis) == ["answers_count"]
