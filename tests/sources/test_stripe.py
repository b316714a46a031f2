"""The source `stripe` against its API on loopback: all records once, then what its events name; money and MRR."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from connectors.sources import stripe
from connectors.sources.rest.money import real
from jobs.sync import SyncResult
from tests.conftest import NOW, Builder
from tests.fakes.server import Fake, impatient
from tests.fakes.stripe import DAY, KEY, NAMES, Stripe

pytestmark = pytest.mark.breadth(2)
NUMBERS = itertools.count()
START = int((NOW - timedelta(days=12)).timestamp())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, so that a fault costs no time; pages of three, so that there are many."""
    impatient(monkeypatch)
    monkeypatch.setattr(stripe, "PAGE", 3)
    monkeypatch.setattr(stripe, "RATE", ())


@pytest.fixture
def vendor() -> Stripe:
    return Stripe(START)


@pytest.fixture
def served(vendor: Stripe) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        yield fake


def source(served: Fake, resource: str, more: str = "") -> str:
    return (
        f"- {{name: {resource}, type: stripe, resource: {resource}, table: {resource}, url: '{served.url}', "
        f"key: '{KEY}'{more}}}"
    )


def pulled(project: Builder, vendor: Stripe, later: int = 0) -> SyncResult:
    """A sync at Stripe's moment."""
    vendor.now += later
    return project.sync(now=datetime.fromtimestamp(vendor.now, UTC))


def table(project: Builder, resource: str) -> dict[str, dict[str, Any]]:
    """id → row; moments as seconds since 1970, what is empty as None."""
    frame = project.open().reader().frame(f"SELECT * FROM {resource}")
    return {row["id"]: {column: _plain(value) for column, value in row.items()} for row in frame.to_dict("records")}


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return int(value.timestamp())
    return None if value is None or value is pd.NaT or value != value else value


# ---- what happens in an account, and what the table should then hold, computed in a way of its own


def item(amount: int | None, interval: str = "month", count: int = 1, quantity: int | None = 1, **price: Any) -> Any:
    recurring = {"interval": interval, "interval_count": count, "usage_type": "licensed"}
    return {
        "id": f"si_{next(NUMBERS):04}",
        "created": START,
        "quantity": quantity,
        "price": {"id": "price_1", "product": "prod_1", "unit_amount": amount, "recurring": recurring, **price},
    }


def subscription(*items: Any, currency: str = "usd", status: str = "active", **more: Any) -> dict[str, Any]:
    body = {"object": "list", "data": list(items)}
    return {"customer": "cus_1", "status": status, "currency": currency, "items": body, "metadata": {}, **more}


def something(vendor: Stripe, resource: str, chance: random.Random) -> None:
    """One thing happens: mostly something new, else an edit, an end or a deletion."""
    vendor.now += chance.choice([0, 0, 1, 50, 4000])
    known = list(vendor.objects[resource])
    if not known or chance.random() < 0.5:
        vendor.create(resource, **new(resource, chance))
        return
    key = chance.choice(known)
    record = vendor.objects[resource][key]
    if resource == "customers":
        if chance.random() < 0.3:
            vendor.delete(resource, key)
        else:
            vendor.edit(resource, key, email=f"{chance.random()}@example.com")
    elif resource == "subscriptions":
        changed: dict[str, Any] = chance.choice(
            [
                {"status": chance.choice(["active", "past_due", "canceled", "trialing", "unpaid"])},
                {"cancel_at_period_end": True},
                {"items": {"data": [item(chance.randrange(9999), quantity=chance.randrange(5))]}},
            ]
        )
        vendor.edit(resource, key, **changed)
    elif resource == "invoices":
        if record["status"] == "draft" and chance.random() < 0.4:
            vendor.delete(resource, key)
        else:
            vendor.edit(
                resource, key, status="paid", amount_paid=record["total"], status_transitions={"paid_at": vendor.now}
            )
    elif resource == "charges" and chance.random() < 0.4:  # a dispute tells of itself, and not of its charge
        record["disputed"] = True
        vendor.tell("charge.dispute.created", {"id": "dp_1", "object": "dispute", "charge": key})
    elif resource == "charges":
        vendor.edit(resource, key, refunded=True, amount_refunded=record["amount"])
    else:
        vendor.edit(resource, key, status=chance.choice(["succeeded", "failed", "canceled"]))


def new(resource: str, chance: random.Random) -> dict[str, Any]:
    currency, amount = chance.choice(["usd", "eur", "jpy", "kwd", "isk"]), chance.randrange(100_000)
    if resource == "customers":
        return {
            "email": "a@example.com",
            "name": None,
            "currency": currency,
            "balance": amount,
            "metadata": {"plan": "pro"},
        }
    if resource == "subscriptions":
        many = chance.choice([1, 1, 2, 12])
        intervals = ["day", "week", "month", "year"]
        items = [
            item(chance.randrange(9999), chance.choice(intervals), chance.choice([1, 3]), chance.randrange(4))
            for _ in range(many)
        ]
        return subscription(*items, currency=currency, status=chance.choice(["active", "trialing"]))
    if resource == "invoices":
        return {"currency": currency, "total": amount, "amount_paid": 0, "status": "draft", "customer": "cus_1"}
    if resource == "charges":
        return {"currency": currency, "amount": amount, "amount_refunded": 0, "disputed": False, "refunded": False}
    return {"currency": currency, "amount": amount, "status": "pending", "charge": "ch_1", "reason": None}


UNIT = {"usd": 100, "eur": 100, "jpy": 1, "kwd": 1000, "isk": 100}
MONTHS = {"day": 12 / 365, "week": 12 * 7 / 365, "month": 1, "year": 12}


def truth(vendor: Stripe, resource: str, *, gone: bool = True) -> dict[str, dict[str, Any]]:
    """id → what its row should say, of the columns that change. gone: with what was deleted."""
    found = {key: _wanted(resource, record, False) for key, record in vendor.objects[resource].items()}
    prefix = NAMES[resource][1]
    left = {k: _wanted(resource, r, True) for k, r in vendor.deleted.items() if gone and k.startswith(f"{prefix}_")}
    return {**found, **left}


def _wanted(resource: str, record: dict[str, Any], deleted: bool) -> dict[str, Any]:
    row = {"created_at": record["created"], "currency": record["currency"].upper()}
    unit = UNIT[record["currency"]]
    for field in ("balance", "total", "amount_paid", "amount", "amount_refunded"):
        if field in record:
            row[field] = record[field] / unit
    for field in ("email", "status", "disputed", "refunded"):
        if field in record:
            row[field] = record[field]
    if resource in ("customers", "invoices"):
        row["deleted"] = deleted
    if resource == "subscriptions":
        prices = [(i["price"]["unit_amount"] * i["quantity"], i["price"]["recurring"]) for i in record["items"]["data"]]
        a_month = sum(amount / (MONTHS[r["interval"]] * r["interval_count"]) for amount, r in prices) / unit
        row["monthly_amount"] = pytest.approx(a_month)
        row["mrr"] = pytest.approx(a_month if record["status"] in ("active", "past_due") else 0)
        row["quantity"] = sum(i["quantity"] for i in record["items"]["data"])
    return row


def same(project: Builder, vendor: Stripe, resource: str, *, gone: bool = True) -> bool:
    wanted = truth(vendor, resource, gone=gone)
    found = table(project, resource)
    return {k: {c: row[c] for c in wanted.get(k, row)} for k, row in found.items()} == wanted


# ---- tests


def test_the_documented_answer_is_read(project: Builder, vendor: Stripe, served: Fake) -> None:
    documented = json.loads(
        """{"id": "sub_1MowQV", "object": "subscription", "created": 1761955200, "start_date": 1761955200,
        "current_period_start": 1761955200, "current_period_end": 1764547200, "cancel_at_period_end": false,
        "canceled_at": null, "cancellation_details": {"comment": null, "feedback": "too_expensive", "reason": null},
        "collection_method": "charge_automatically", "currency": "usd", "customer": "cus_Na6dX7", "discounts": [],
        "ended_at": null, "livemode": false, "metadata": {"plan": "team"}, "pause_collection": null,
        "items": {"object": "list", "has_more": false, "total_count": 1, "url": "/v1/subscription_items",
          "data": [{"id": "si_Na6dzx", "object": "subscription_item", "created": 1761955200, "metadata": {},
            "price": {"id": "price_1MowQU", "object": "price", "active": true, "billing_scheme": "per_unit",
              "currency": "usd", "product": "prod_Na6dGc", "recurring": {"interval": "month", "interval_count": 1,
                "trial_period_days": null, "usage_type": "licensed"}, "tiers_mode": null, "transform_quantity": null,
              "type": "recurring", "unit_amount": 2000, "unit_amount_decimal": "2000"},
            "quantity": 3, "subscription": "sub_1MowQV"}]},
        "latest_invoice": "in_1MowQW", "status": "active", "trial_end": null, "trial_start": null}"""
    )
    vendor.objects["subscriptions"][documented["id"]] = documented
    project.source(source(served, "subscriptions"))
    run = pulled(project, vendor).sources[0]
    row = table(project, "subscriptions")["sub_1MowQV"]
    assert run.rows == 1 and not run.quarantined and json.loads(row.pop("items"))[0]["id"] == "si_Na6dzx"
    assert json.loads(row.pop("metadata")) == {"plan": "team"}
    assert {column: value for column, value in row.items() if value is not None} == {
        "id": "sub_1MowQV",
        "created_at": 1761955200,
        "customer_id": "cus_Na6dX7",
        "status": "active",
        "started_at": 1761955200,
        "current_period_start": 1761955200,
        "current_period_end": 1764547200,
        "cancel_at_period_end": False,
        "cancellation_reason": "too_expensive",
        "price_id": "price_1MowQU",
        "product_id": "prod_Na6dGc",
        "interval": "month",
        "interval_count": 1,
        "quantity": 3,
        "currency": "USD",
        "monthly_amount": 60.0,
        "mrr": 60.0,
    }


def test_what_happens_while_it_is_pulled_is_there_after_the_next_pull(
    project: Builder, vendor: Stripe, served: Fake
) -> None:
    made = [vendor.create("customers", **new("customers", random.Random(n)))["id"] for n in range(10)]
    project.source(source(served, "customers"))
    pages: list[str] = []

    def meanwhile(name: str) -> None:
        pages.append(name)
        if pages.count("customers") == 2 and name == "customers":
            vendor.now += 5
            vendor.create("customers", **new("customers", random.Random(99)))
            vendor.edit("customers", made[9], email="new@example.com")
            vendor.delete("customers", made[8])

    vendor.between = meanwhile
    assert not pulled(project, vendor).failed and len(table(project, "customers")) == 10
    vendor.between = None
    assert not pulled(project, vendor, 60).failed and same(project, vendor, "customers")


def test_events_of_one_second_leave_the_record_as_it_is(project: Builder, vendor: Stripe, served: Fake) -> None:
    project.source(source(served, "subscriptions"))
    pulled(project, vendor)
    made = [vendor.create("subscriptions", **subscription(item(500), status="trialing"))["id"] for _ in range(8)]
    for key in made:
        vendor.edit("subscriptions", key, status="past_due")
        vendor.edit("subscriptions", key, status="active")
    assert not pulled(project, vendor).failed and same(project, vendor, "subscriptions")


def test_what_is_edited_and_deleted_within_a_second_is_deleted(project: Builder, vendor: Stripe, served: Fake) -> None:
    made = [vendor.create("customers", **new("customers", random.Random(n)))["id"] for n in range(8)]
    project.source(source(served, "customers"))
    pulled(project, vendor)
    vendor.now += 10
    for key in made:
        vendor.edit("customers", key, email="last@example.com")
        vendor.delete("customers", key)
    assert not pulled(project, vendor).failed and same(project, vendor, "customers")


def test_a_subscription_that_ended_long_ago_is_there(project: Builder, vendor: Stripe, served: Fake) -> None:
    key = vendor.create("subscriptions", **subscription(item(500)))["id"]
    vendor.edit("subscriptions", key, status="canceled")
    vendor.now += 60 * DAY
    project.source(source(served, "subscriptions"))
    assert not pulled(project, vendor).failed and same(project, vendor, "subscriptions")
    assert (table(project, "subscriptions")[key]["mrr"], table(project, "subscriptions")[key]["monthly_amount"]) == (
        0,
        5,
    )


def test_an_event_that_comes_late_is_seen(project: Builder, vendor: Stripe, served: Fake) -> None:
    record = vendor.create("charges", **new("charges", random.Random(1)))
    vendor.now += 1000
    vendor.create("charges", **new("charges", random.Random(2)))
    project.source(source(served, "charges"))
    pulled(project, vendor)
    record |= {"refunded": True}
    vendor.tell("charge.refunded", record, at=vendor.now - 600)
    assert pulled(project, vendor, 60).sources[0].rows == 1 and same(project, vendor, "charges")


def test_an_event_of_the_future_moves_no_cursor(project: Builder, vendor: Stripe, served: Fake) -> None:
    record = vendor.create("charges", **new("charges", random.Random(1)))
    vendor.tell("charge.updated", record, at=vendor.now + 400 * DAY)
    project.source(source(served, "charges"))
    assert pulled(project, vendor).sources[0].cursor["value"] == str(START)
    vendor.now += 60
    vendor.create("charges", **new("charges", random.Random(2)))
    assert not pulled(project, vendor).failed and same(project, vendor, "charges")


def test_a_cursor_older_than_the_events_pulls_everything_again(project: Builder, vendor: Stripe, served: Fake) -> None:
    made = [vendor.create("customers", **new("customers", random.Random(n)))["id"] for n in range(7)]
    project.source(source(served, "customers"))
    pulled(project, vendor)
    vendor.edit("customers", made[0], email="new@example.com")
    vendor.delete("customers", made[1])
    run = pulled(project, vendor, 31 * DAY).sources[0]
    assert any("everything was pulled again" in note and "30 days" in note for note in run.notes)
    assert same(project, vendor, "customers", gone=False)


def test_a_quiet_month_is_not_too_long(project: Builder, vendor: Stripe, served: Fake) -> None:
    """Refunds are rare: the cursor moves with the days, as soon as anything is published."""
    vendor.create("refunds", **new("refunds", random.Random(1)))
    project.source(source(served, "refunds"))
    project.write("datasets", "refunds", "name: refunds\nsource: refunds\ntime_dimension: created_at\n")
    for _ in range(3):
        run = pulled(project, vendor, 16 * DAY).sources[0]
    assert run.notes == () and same(project, vendor, "refunds") and served.counted()["/v1/refunds"] == 1


def test_a_pull_that_fails_leaves_everything_as_it_was(project: Builder, vendor: Stripe, served: Fake) -> None:
    for n in range(10):
        vendor.create("charges", **new("charges", random.Random(n)))
    project.source(source(served, "charges"))
    vendor.between = lambda name: served.faults.next.extend(["500"] * 6) if name == "charges" else None
    assert pulled(project, vendor).failed
    vendor.between = None
    assert not pulled(project, vendor).failed and same(project, vendor, "charges")
    before, cursor = table(project, "charges"), pulled(project, vendor).sources[0].cursor
    for n in range(5):
        vendor.create("charges", **new("charges", random.Random(n)))
    vendor.between = lambda _: served.faults.next.extend(["cut", "500", "hang up", "503", "429", "html"])
    vendor.now += 100
    failed = pulled(project, vendor)
    assert failed.failed and failed.sources[0].cursor == cursor and table(project, "charges") == before
    vendor.between = None
    served.faults.next.clear()  # an answer that is cut is one more page
    assert not pulled(project, vendor).failed and same(project, vendor, "charges")


@pytest.mark.parametrize("gone", ["", "last", "long ago"])
def test_a_first_list_goes_on_where_it_broke_off(project: Builder, vendor: Stripe, served: Fake, gone: str) -> None:
    """With what was created, edited and deleted since; from its beginning where it cannot go on."""
    made = [vendor.create("customers", **new("customers", random.Random(n)))["id"] for n in range(20)]
    project.source(source(served, "customers"))

    def breaks(_: str) -> None:
        if served.counted()["/v1/customers"] == 4:
            served.faults.next = ["500"] * 6

    vendor.between = breaks
    assert pulled(project, vendor).failed
    vendor.between, before = None, len(served.seen)
    vendor.now += 100
    vendor.create("customers", **new("customers", random.Random(99)))
    vendor.edit("customers", made[17], email="new@example.com")
    vendor.delete("customers", made[8] if gone == "last" else made[16])  # the record after which it would go on
    assert not pulled(project, vendor, 31 * DAY if gone == "long ago" else 5).failed
    lists = [one for one in served.seen[before:] if one.path == "/v1/customers"]
    assert len(lists) == (3 if not gone else 7) and same(project, vendor, "customers", gone=not gone)
    assert not (project.folder / "data" / "pulls" / "customers").exists()


def test_a_revoked_key_is_told_and_is_nowhere(project: Builder, vendor: Stripe, served: Fake, caplog: Any) -> None:
    vendor.create("refunds", **new("refunds", random.Random(1)))
    project.source(source(served, "refunds"))
    first = pulled(project, vendor)
    vendor.revoked = True
    second = pulled(project, vendor)
    said = second.sources[0].error
    assert "does not accept the key for /v1/events (HTTP 401): Invalid API Key" in said
    assert "Read for Events and for Refunds" in said and same(project, vendor, "refunds")
    vendor.revoked, vendor.forbidden = False, "refunds"
    assert "(HTTP 403): The provided key does not have" in project.sync(full=True).sources[0].error
    written = [path.read_bytes() for path in (project.folder / "data").rglob("*") if path.is_file()]
    assert KEY not in f"{first} {second} {caplog.text}" and not any(KEY.encode() in text for text in written)


def test_no_more_is_asked_than_stripe_allows(project: Builder, vendor: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(20):
        vendor.create("charges", **new("charges", random.Random(n)))
    monkeypatch.setattr(stripe, "RATE", ((5, 0.3),))
    with Fake(vendor.app, budget=((5, 0.25),)) as fake:
        project.source(source(fake, "charges"))
        assert not pulled(project, vendor).failed and fake.too_many == 0 and len(fake.seen) > 10
    assert same(project, vendor, "charges")


def test_from_a_day_on(project: Builder, vendor: Stripe, served: Fake) -> None:
    old = vendor.create("charges", **new("charges", random.Random(1)))["id"]
    vendor.now += 2 * DAY
    later = vendor.create("charges", **new("charges", random.Random(2)))["id"]
    day = datetime.fromtimestamp(vendor.now, UTC).date()
    project.source(source(served, "charges", f", start: {day}"))
    pulled(project, vendor)
    vendor.edit("charges", old, refunded=True)
    vendor.edit("charges", later, refunded=True)
    pulled(project, vendor, 5)
    assert list(table(project, "charges")) == [later] and table(project, "charges")[later]["refunded"]


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (subscription(item(2000, quantity=3)), 60.0),
        (subscription(item(12_000, "year")), 10.0),
        (subscription(item(3_000, "month", 3)), 10.0),
        (subscription(item(700, "week", 2)), 700 * 365 / 84 / 2 / 100),
        (subscription(item(100, "day")), 365 / 12),
        (subscription(item(500), item(2_400, "year", 2)), 6.0),
        (subscription(item(1200, "year"), currency="jpy"), 100.0),
        (subscription(item(12_340), currency="kwd"), 12.34),
        (subscription(item(None, unit_amount_decimal="0.5", quantity=1000)), 5.0),
        (subscription(item(1000, quantity=25, transform_quantity={"divide_by": 10, "round": "up"})), 30.0),
        (subscription(item(1000, quantity=25, transform_quantity={"divide_by": 10, "round": "down"})), 20.0),
        (subscription(item(None, billing_scheme="tiered")), 0.0),
        (subscription(item(99, recurring={"interval": "month", "interval_count": 1, "usage_type": "metered"})), 0.0),
        (subscription(item(2000), status="past_due"), 20.0),
    ],
)
def test_monthly_amounts(made: dict[str, Any], wanted: float) -> None:
    assert stripe.mrr(made) == stripe.monthly_amount(made) == pytest.approx(wanted)


@pytest.mark.parametrize("status", ["trialing", "canceled", "unpaid", "incomplete", "incomplete_expired", "paused"])
def test_what_earns_nothing_has_no_mrr(status: str) -> None:
    made = subscription(item(2000), status=status)
    assert (stripe.mrr(made), stripe.monthly_amount(made)) == (0, 20)


@pytest.mark.parametrize(
    ("minor", "currency", "wanted"),
    [
        (1000, "usd", 10.0),
        (500, "jpy", 500.0),
        (500, "KRW", 500.0),
        (5120, "kwd", 5.12),
        (500, "isk", 5.0),
        (500, "ugx", 5.0),
        (-5, "eur", -0.05),
        (None, "usd", None),
        (5, None, None),
    ],
)
def test_real_amounts(minor: int | None, currency: str | None, wanted: float | None) -> None:
    assert real(minor, currency) == wanted


def test_a_newer_version_of_the_api_says_the_same(project: Builder, vendor: Stripe, served: Fake) -> None:
    """What moved: the subscription of an invoice. A new field changes nothing; an expanded object is its id."""
    old = {"currency": "usd", "total": 500, "subscription": "sub_1", "customer": {"id": "cus_1", "object": "customer"}}
    new = {"currency": "usd", "total": 500, "customer": "cus_1", "new_field": {"a": 1}}
    new["parent"] = {"subscription_details": {"subscription": "sub_1"}, "type": "subscription_details"}
    vendor.create("invoices", **old)
    vendor.create("invoices", **new)
    project.source(source(served, "invoices"))
    pulled(project, vendor)
    rows = list(table(project, "invoices").values())
    assert [(r["subscription_id"], r["customer_id"], r["total"]) for r in rows] == [("sub_1", "cus_1", 5.0)] * 2


def test_an_invoice_that_is_none_yet_is_no_row(project: Builder, vendor: Stripe, served: Fake) -> None:
    project.source(source(served, "invoices"))
    pulled(project, vendor)
    vendor.tell("invoice.upcoming", {"object": "invoice", "total": 5, "currency": "usd"})
    assert not pulled(project, vendor, 5).failed and table(project, "invoices") == {}


def test_the_connection_is_tried(project: Builder, vendor: Stripe, served: Fake) -> None:
    project.source(source(served, "customers"))
    assert "answers; has no customers" in project.open().sources.all()["customers"].probe()


@pytest.mark.parametrize(
    ("more", "words"),
    [(", load: append", "`load` is merge"), (", start: soon", "start"), (", resource: plans", "resource")],
)
def test_options_that_do_not_fit_are_told(project: Builder, served: Fake, more: str, words: str) -> None:
    text = source(served, "charges", more)
    project.source(text if "resource" not in more else source(served, "plans"))
    problems = project.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line >= 1 for p in problems), problems
