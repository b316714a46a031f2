"""Who has which role, by what is confirmed of them, and what a role may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.errors import SettingsError, UnknownName, Withheld
from connectors.roles import ACTIONS, ALWAYS, LEADS_TO, OF_THE_WHOLE, PAGES
from connectors.settings import Settings
from jobs.access.person import Person, person_of_claims
from jobs.access.rights import Rights, kept_out, rights_of, rights_of_role
from jobs.access.seen import seen_by
from metrics.catalog.restriction import Restriction, RowFilter, restricted
from metrics.engine.answer import answer
from metrics.engine.query import Query
from tests.conftest import NOW, ROOT, Builder, run_cli
from tests.sampling import sampled

ROLES: list[dict[str, Any]] = [
    {"name": "admin", "members": ["ann@example.com"]},
    {"name": "sales", "members": ["group:sales"], "base": "editor", "row_filters": {"country": "{claim.country}"}},
    {"name": "team", "members": ["claim:team=growth"], "areas": ["Growth"]},
    {"name": "viewer", "members": ["@example.com"]},
]


def settings(*roles: dict[str, Any], **more: Any) -> Settings:
    return Settings.model_validate({"sign_in": True, "roles": list(roles or ROLES), **more})


def signed(**claims: Any) -> Person:
    found = person_of_claims({"is_logged_in": True, "sub": "7", **claims}, settings())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"email": "Ann@Example.com"}, "admin"),
        ({"email": "ann@example.com", "email_verified": False}, None),
        ({"email": "ann@example.com", "groups": ["sales"]}, "admin"),
        ({"email": "bo@example.com", "groups": ["sales"]}, "sales"),
        ({"email": "bo@example.com", "groups": "sales"}, "sales"),
        ({"email": "bo@example.com", "groups": ["sales-guests"]}, "viewer"),
        ({"email": "bo@example.com", "team": ["growth", "x"]}, "team"),
        ({"email": "bo@example.com", "team": "growth"}, "team"),
        ({"email": "bo@example.com", "team": {"growth": 1}}, "viewer"),
        ({"email": "bo@example.com.evil.example"}, None),
        ({"email": "evil@example.com@evil.example"}, None),
        ({"name": "ann@example.com"}, None),
        ({"sub": "ann@example.com"}, None),
        ({}, None),
    ],
)
def test_the_first_role_that_names_somebody_is_theirs(claims: dict[str, Any], role: str | None) -> None:
    rules, person = settings(), signed(**claims)
    found = rights_of(person, rules)
    assert (found.role if found else None) == role
    assert bool(kept_out(person, rules)) == (role is None)


@pytest.mark.parametrize(
    ("country", "values"),
    [
        ("DE", ("DE",)),
        (["DE", "FR"], ("DE", "FR")),
        (["DE", None, {"x": 1}, ["FR"], ""], ("DE",)),
        (7, ("7",)),
        (True, ("true",)),
        ({"DE": True}, ()),
        ([], ()),
        (None, ()),
        ("(none)", ()),
        ("{claim.email}", ("{claim.email}",)),
        ("' OR 1=1 --", ("' OR 1=1 --",)),
    ],
)
def test_rows_are_those_of_the_persons_claim(country: Any, values: tuple[str, ...]) -> None:
    found = rights_of(signed(email="bo@example.com", groups=["sales"], country=country), settings())
    assert found is not None
    (rows,) = found.restriction.rows
    assert rows.values == values and bool(rows.why) == (not values)


def test_who_sees_different_things_shares_no_view() -> None:
    keys = set()
    for country in ("DE", "FR", ["DE", "FR"], ["DE, FR"], None):
        found = rights_of(signed(email="bo@example.com", groups=["sales"], country=country), settings())
        assert found is not None
        keys.add(found.key)
    for limits in (*LIMITS, {"masked_kpis": ["a"]}, {"min_people": 6}, {}, {"base": "analyst"}):
        keys.add(rights_of_role("x", settings({"name": "x", **limits})).key)
    assert len(keys) == 13


LIMITS: list[dict[str, Any]] = [
    {"areas": ["a"]},
    {"row_filters": {"c": "x"}},
    {"min_people": 2},
    {"hidden_kpis": ["a"]},
]


def test_a_role_of_a_part_does_nothing_to_the_whole() -> None:
    for limit in LIMITS:
        rights = rights_of_role("x", settings({"name": "x", "base": "admin", **limit}))
        assert not rights.actions & {*OF_THE_WHOLE} and not rights.opens("data")
    assert rights_of_role("x", settings({"name": "x", "base": "admin"})).actions == {*ACTIONS}
    with pytest.raises(Withheld, match="your role 'x' may not add sources"):
        rights_of_role("x", settings({"name": "x", "base": "editor"})).require("edit")


def test_pages_of_roles_are_those_that_there_are() -> None:
    assert {*PAGES, *LEADS_TO.values(), "audit"} == {path.stem for path in (ROOT / "pages").glob("*.py")}
    rights = rights_of_role("x", settings({"name": "x", "pages": ["launches"]}))
    assert rights.pages is not None and {*rights.pages} == {*ALWAYS, "launches", "launch", "kpi"}


@pytest.mark.parametrize(
    ("role", "says"),
    [
        ({"name": "x", "members": ["a b"]}, "names nobody"),
        ({"name": "x", "members": ["group:"]}, "names nobody"),
        ({"name": "x", "pages": ["Overview"]}, "there is no page"),
        ({"name": "x", "row_filters": {"country": []}}, "has no values"),
        ({"name": "x", "row_filters": {"country": None}}, "has no values"),
        ({"name": "x", "row_filters": {"country": "a{claim.b}"}}, "is no value"),
        ({"name": "x", "row_filters": {"country": "{claims.b}"}}, "is no value"),
        ({"name": "x", "pages": ["data"], "areas": ["a"]}, "whole tables"),
        ({"name": "x", "row_filters": {"country": ["DE", "(none)"]}}, "belong to nobody"),
        ({"name": "x", "members": ["Everybody"]}, "names nobody"),
        ({"name": "x", "members": ["everyone"]}, "names nobody"),
        ({"name": "x", "members": ["group: x"]}, "names nobody"),
        ({"name": "X"}, "pattern"),
        ({"name": "x", "wehre": {}}, "Extra"),
    ],
)
def test_a_role_that_would_limit_nothing_is_an_error(role: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(role)


def test_roles_stand_alone() -> None:
    one = {"name": "x", "members": ["everybody"]}
    with pytest.raises(ValidationError, match="keeps nobody out"):
        Settings.model_validate({"roles": [one]})
    with pytest.raises(ValidationError, match="two roles 'x'"):
        settings(one, one)
    with pytest.raises(ValidationError, match="both say who may edit"):
        settings(one, editors=["ann@example.com"])
    with pytest.raises(ValidationError, match="no role 'y'"):
        settings(one, contact_points=[{"name": "c", "url": "json://x", "role": "y"}])
    with pytest.raises(SettingsError, match="there is no role 'y'"):
        rights_of_role("y", settings(one))


KPIS = {
    "base": "area: Growth\ndataset: events\nagg: count",
    "other": "area: Money\ndataset: events\nagg: sum\nexpr: v",
    "rate": "area: Growth\ntype: ratio\nnumerator: other\ndenominator: base",
    "twice": "area: Growth\ntype: derived\nexpr: '{rate} * 2'",
    "alone": "area: Growth\ndataset: events\nagg: max\nexpr: v",
    "own": "area: Growth\ntype: sql\ndataset: events\nsql: |\n  SELECT date_trunc('day', \"at\") AS period, "
    "mail AS who, count(*) AS value, count(*) AS n FROM events GROUP BY ALL",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    project = Builder(tmp_path_factory.mktemp("roles") / "project")
    at = pd.date_range("2026-11-10", periods=6)
    rows = {"at": at, "v": range(6), "mail": list("abcabc"), "plan": list("xyxyxy")}
    project.rows(
        "events",
        pd.DataFrame(rows),
        dimensions="{plan: plan, mail: MAIL, sort: upper(mail)}",
        classes="{mail: personal}",
    )
    for name, text in KPIS.items():
        project.kpi(name, text)
    project.write("launches", "news", "name: news\non: 2026-11-12\nsuccess: [{kpi: base}, {kpi: other}]\n")
    project.write("launches", "held", "name: held\non: 2026-11-12\nsuccess: [{kpi: base}]\ncontrol: other\n")
    project.sync()
    return project


MADE_OF = {"rate": {"other", "base"}, "twice": {"rate"}}


@sampled(fast=12, slow=40, full=1000)
@given(
    hidden=st.sets(st.sampled_from(sorted(KPIS))),
    masked=st.sets(st.sampled_from(sorted(KPIS))),
    areas=st.sampled_from([frozenset(), frozenset({"Growth"}), frozenset({"Money"}), frozenset({"Growth", "Money"})]),
)
def test_nothing_is_told_by_what_is_made_of_it(
    hidden: set[str], masked: set[str], areas: frozenset[str], shop: Builder
) -> None:
    """By hand: what is hidden or of another area, and all that is made of it, is not there; so for masked ones."""
    whole = shop.open()
    limits = Restriction(areas=areas, hidden=frozenset(hidden), masked=frozenset(masked))
    context = seen_by(whole, Rights("x", frozenset(), None, limits)).context(NOW)

    def any_of(name: str, names: set[str]) -> bool:
        return name in names or any(any_of(part, names) for part in MADE_OF.get(name, ()))

    other = {name for name, text in KPIS.items() if areas and text.split("\n")[0].removeprefix("area: ") not in areas}
    for name in KPIS:
        listed = not any_of(name, hidden | other)
        assert (name in context.catalogue.kpis) == listed
        if not listed:
            with pytest.raises(UnknownName):
                answer(Query(name), context.catalogue, context.reader)
        elif any_of(name, masked):
            with pytest.raises(Withheld):
                answer(Query(name), context.catalogue, context.reader)
        else:
            assert len(answer(Query(name), context.catalogue, context.reader).frame)
    for launch in context.catalogue.launches:
        assert {*launch.judged_by} <= {*context.catalogue.kpis}
    names = {launch.name for launch in context.catalogue.launches}
    # What a launch is held against is a part of its verdict: without its values there is none.
    control = "other" in context.catalogue.kpis and not any_of("other", masked)
    assert ("held" in names) == (control and "base" in context.catalogue.kpis)


def test_columns_of_a_class_are_seen_by_who_may(shop: Builder) -> None:
    catalogue = shop.open().catalogue()
    for classes, seen in ((frozenset({"personal"}), True), (frozenset({"secret"}), False), (frozenset(), False)):
        found = restricted(catalogue, Restriction(classes=classes))
        for kpi, dimensions in (("base", {"mail", "sort"}), ("own", {"who"})):
            assert (dimensions <= {*found.dimensions_of(found.kpis[kpi])}) is seen
            assert dimensions.isdisjoint(found.dimensions_of(found.kpis[kpi])) is not seen
        assert "plan" in found.dimensions_of(found.kpis["base"])


def test_a_former_name_hides_what_it_is_now(tmp_path: Path) -> None:
    project = Builder(tmp_path / "p")
    project.rows("events", pd.DataFrame({"at": pd.date_range("2026-11-10", periods=3)}))
    project.kpi("margin", "formerly: [profit]\ndataset: events\nagg: count")
    project.sync()
    catalogue = project.open().catalogue()
    assert "margin" not in restricted(catalogue, Restriction(hidden=frozenset({"profit"}))).kpis
    assert "margin" in restricted(catalogue, Restriction(masked=frozenset({"profit"}))).withheld


def test_a_class_holds_for_a_column_wherever_it_is_read(tmp_path: Path) -> None:
    project = Builder(tmp_path / "p")
    rows = pd.DataFrame({"at": pd.date_range("2026-11-10", periods=3), "Email": list("abc"), "mail": list("abc")})
    project.rows("crm", rows, classes="{email: personal}", dimensions="[mail]")
    project.rows("visits", rows, dimensions="{who: email, mail: mail}")
    text = "SELECT date_trunc('day', at) AS period, email, count(*) AS value, count(*) AS n FROM crm GROUP BY ALL"
    project.kpi("bare", f"type: sql\ndataset: visits\nsql: {text}")
    project.kpi("visits", "dataset: visits\nagg: count")
    project.sync()
    seen = restricted(project.open().catalogue(), Restriction(classes=frozenset()))
    assert seen.dimensions_of(seen.kpis["visits"]) == ("mail",) and seen.dimensions_of(seen.kpis["bare"]) == ()


def test_sql_over_rows_of_others_is_closed(tmp_path: Path) -> None:
    """What a dataset's SELECT counts over rows is of all of them, unless it is counted apart by the filter's column."""
    project = Builder(tmp_path / "p")
    rows = pd.DataFrame({"at": pd.date_range("2026-11-10", periods=4), "c": list("xyxy"), "v": [1, 2, 4, 8]})
    project.rows("raw", rows, dimensions="[c]")
    selects = {
        "apart": ('SELECT max("at") AS "at", c, sum(v) AS v FROM raw GROUP BY c', True),
        "every": ('SELECT max("at") AS "at", c, sum(v) AS v FROM raw GROUP BY ALL', True),
        "part": ("SELECT *, sum(v) OVER (PARTITION BY C) AS s FROM raw", True),
        "once": ("SELECT DISTINCT * FROM raw", True),
        "plain": ("SELECT *, v * 2 AS w FROM raw", True),
        "over": ("SELECT *, sum(v) OVER () AS s FROM raw", False),
        "other": ('SELECT max("at") AS "at", any_value(c) AS c, sum(v) AS v FROM raw GROUP BY v', False),
        "inner": ("SELECT raw.*, t.s FROM raw CROSS JOIN (SELECT sum(v) AS s FROM raw) AS t", False),
        "deep": (
            'SELECT max("at") AS "at", any_value(c) AS c, sum(s) AS v '
            "FROM (SELECT *, sum(v) OVER (PARTITION BY c) AS s FROM raw) AS t",
            False,
        ),
        "rare": ('SELECT arbitrary("at") AS "at", arbitrary(c) AS c, fsum(v) AS v FROM raw', False),
        "few": ("SELECT * FROM raw USING SAMPLE 2", False),
        "some": ("SELECT * FROM raw ORDER BY v DESC LIMIT 2", False),
    }
    for name, (select, _) in selects.items():
        project.write("datasets", name, f"name: {name}\nsql: {select}\ntime_dimension: at\ndimensions: [c]\n")
        project.kpi(name, f"dataset: {name}\nagg: sum\nexpr: v")
    project.sync()
    catalogue = project.open().catalogue()
    assert not catalogue.broken
    seen = restricted(catalogue, Restriction(rows=(RowFilter("c", ("x",)),)))
    assert {name: name not in seen.withheld for name in selects} == {name: good for name, (_, good) in selects.items()}


def test_sql_that_reads_tables_itself_is_refused(tmp_path: Path) -> None:
    project = Builder(tmp_path / "p")
    rows = pd.DataFrame({"at": pd.date_range("2026-11-10", periods=3), "c": list("xyx")})
    project.rows("events", rows, dimensions="[c]")
    project.rows("ledger", rows, dataset="books", dimensions="[c]")
    for name, table in (("bare", "ledger"), ("good", "events")):
        text = f"SELECT date_trunc('day', at) AS period, count(*) AS value, count(*) AS n FROM {table} GROUP BY ALL"
        project.kpi(name, f"type: sql\ndataset: events\nsql: {text}")
    project.sync()
    limits = Restriction(rows=(RowFilter("c", ("x",)),))
    context = seen_by(project.open(), Rights("x", frozenset(), None, limits)).context(NOW)
    with pytest.raises(Withheld, match="reads the table ledger itself"):
        answer(Query("bare"), context.catalogue, context.reader)
    found = answer(Query("good"), context.catalogue, context.reader).frame
    assert found["value"].fillna(0).sum() == 2


def test_verbs_say_what_a_role_sees_and_why(shop: Builder) -> None:
    roles = [
        {"name": "money", "members": ["everybody"], "hidden_kpis": ["other"], "masked_kpis": ["alone"]},
        {"name": "odd", "areas": ["Nowhere"], "hidden_kpis": ["basis"], "row_filters": {"planet": "x"}},
        {"name": "some", "row_filters": {"plan": "x"}},
    ]
    shop.settings(f"sign_in: true\nroles: {json.dumps(roles)}\n")
    folder = str(shop.folder)
    told = {row["role"]: row for row in json.loads(run_cli("access", "twice", "--json", "--project", folder).stdout)}
    assert told["money"] == {
        "role": "money", "sees": "nothing", "rows": "",
        "why": "it is made of rate: it is made of other: it is among the `hidden_kpis` of the role",
    }  # fmt: skip
    assert (told["some"]["sees"], told["some"]["rows"]) == ("values", "plan: x")
    who = json.loads(run_cli("whoami", "--role", "some", "--json", "--project", folder).stdout)
    assert who["sees"]["rows"] == {"plan": ["x"]} and who["may"] == ["export"] and who["kpis"] == len(KPIS)
    assert "May: download" in run_cli("whoami", "--project", folder).stdout
    wrong = run_cli("validate", "--project", folder)
    assert wrong.returncode == 1
    for what in ("no KPI 'basis'", "no area 'Nowhere'", "no dimension 'planet'"):
        assert f"role odd: there is {what}" in wrong.stdout + wrong.stderr
    asked = run_cli("query", "base", "--role", "some", "--format", "csv", "--project", folder)
    assert asked.returncode == 0 and asked.stdout.count(",1,") >= 3
    refused = run_cli("query", "alone", "--role", "money", "--project", folder)
    assert refused.returncode == 1 and "not shown to your role" in refused.stderr
    shop.settings("timezone: UTC\n")
