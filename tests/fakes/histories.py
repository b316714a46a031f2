"""Weeks of history at each vendor, for the KPIs that `kpi add source` proposes. Whole days before a moment."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from tests.fakes import amplitude, ga4, github, mixpanel, posthog, stripe, zendesk
from tests.sampling import SEED

DAYS = 53
FIRST = "2026-10-01"  # of 53 days before 23 November


@dataclass(frozen=True)
class History:
    """vendor: a fake that holds it; what else it takes is told by its own type. frame: the same, as a table of ours."""

    vendor: Any
    frame: pd.DataFrame


def history(kind: str, now: datetime) -> History:
    """Of a vendor."""
    made = {"zendesk": _tickets, "stripe": _subscriptions, "ga4": _visits, "github": _issues}
    return made[kind](now) if kind in made else _events(kind, now)


def _events(kind: str, now: datetime) -> History:
    """Events of people who come when they like; some begin late, some stay away."""
    chance = random.Random(f"{SEED} events")
    midnight, rows = now.replace(hour=0, minute=0), []
    for person in range(70):
        first, stays = chance.choice([0, chance.randrange(DAYS)]), chance.choice([5, 15, DAYS])
        for day in range(first, min(first + stays, DAYS)):
            for _ in range(chance.choice([0, 0, 0, 0, 1, 2])):
                at = midnight - timedelta(days=DAYS - day) + timedelta(seconds=chance.randrange(86_400))
                rows.append((at, f"p{person}", chance.choice(["opened", "saved"])))
    rows.sort()
    frame = pd.DataFrame(rows, columns=["at", "who", "event"])
    each = [(n, row.at.to_pydatetime(), row.who, row.event) for n, row in enumerate(frame.itertuples())]
    if kind == "posthog":
        vendor: Any = posthog.Posthog()
        vendor.events = [posthog.Event(f"0193-{n:04}", at, event, f"d-{who}", who) for n, at, who, event in each]
    elif kind == "mixpanel":
        vendor = mixpanel.Mixpanel(now)
        vendor.received = [mixpanel.Event(event, at, who, f"k{n}") for n, at, who, event in each]
        vendor.received += chance.sample(vendor.received, 50)  # sent twice
    else:
        vendor = amplitude.Amplitude(now)
        vendor.events = [amplitude.Event(f"0193-{n:04}", at, at, event, who) for n, at, who, event in each]
    return History(vendor, frame)


def _tickets(now: datetime) -> History:
    chance = random.Random(f"{SEED} tickets")
    made = zendesk.Zendesk(int(now.timestamp()) - 40 * 86_400)
    for _ in range(80):
        key = made.open(requester_id=chance.randrange(20), priority="normal")
        if chance.random() < 0.8:
            made.reply(key, chance.randrange(1, 600))
        if chance.random() < 0.6:
            metrics = {**made.tickets[key]["metric_set"], "solved_at": made.tickets[key]["updated_at"]}
            made.change(key, status="solved", metric_set=metrics)
        if chance.random() < 0.5:
            made.rate(key, chance.choice(["good", "bad", "offered"]), requester_id=chance.randrange(20))
        made.now += chance.randrange(86_000)
    made.delete(7)
    made.now = int(now.timestamp())
    return History(made, pd.DataFrame(made.tickets.values()))


def _subscriptions(now: datetime) -> History:
    """Customers who subscribe, some after a trial, some by the year, some with a second subscription; some leave."""
    chance = random.Random(f"{SEED} stripe")
    made = stripe.Stripe(int((now - timedelta(days=150)).timestamp()))
    while made.now < int((now - timedelta(days=1)).timestamp()):
        made.now += chance.randrange(3_600, 86_400)
        customer = made.create("customers", email="a@example.com", currency="usd", metadata={})
        for _ in range(chance.choice([0, 1, 1, 2])):
            made.create("subscriptions", **subscription(made, customer["id"], chance.random()))
        for one in list(made.objects["subscriptions"].values()):
            _goes_on(made, one, chance)
        charge = made.create(
            "charges",
            currency="usd",
            amount=chance.randrange(500, 9_000),
            amount_refunded=0,
            status=chance.choice(["succeeded", "succeeded", "failed"]),
        )
        if charge["status"] == "succeeded" and chance.random() < 0.2:
            made.edit("charges", charge["id"], amount_refunded=charge["amount"] // 2)
    made.now = int(now.timestamp())
    return History(made, pd.DataFrame(made.objects["subscriptions"].values()))


def subscription(made: stripe.Stripe, customer: str, number: float, currency: str = "usd") -> dict[str, Any]:
    """One of its own for each number."""
    chance = random.Random(f"{SEED} {number}")
    interval, trial = chance.choice(["month", "month", "year"]), chance.random() < 0.3
    price = {"unit_amount": chance.randrange(100, 9_000), "recurring": {"interval": interval, "interval_count": 1}}
    until = {"trial_start": made.now, "trial_end": made.now + 7 * 86_400} if trial else {}
    return {
        **{"customer": customer, "currency": currency, "start_date": made.now, **until, "metadata": {}},
        "status": "trialing" if trial else chance.choice(["active", "active", "active", "incomplete"]),
        "items": {"object": "list", "data": [{"id": "si_1", "quantity": chance.choice([1, 1, 3]), "price": price}]},
    }


def _goes_on(made: stripe.Stripe, one: dict[str, Any], chance: random.Random) -> None:
    """A trial ends well or is left; who pays leaves now and then."""
    if one["status"] == "trialing" and made.now > one["trial_end"]:
        made.edit("subscriptions", one["id"], status="active")
    elif one["status"] in ("active", "trialing") and chance.random() < 0.008:
        made.edit("subscriptions", one["id"], status="canceled", ended_at=made.now, canceled_at=made.now)


def _visits(now: datetime) -> History:
    chance = random.Random(f"{SEED} ga4")
    made, seen = ga4.Analytics(), set[str]()
    made.property_id = "123456789"
    for back in range(DAYS, -1, -1):
        day = f"{(now - timedelta(days=back)).date()}"
        for user in chance.sample(range(60), chance.randrange(3, 15)):
            for _ in range(chance.choice([1, 1, 2])):
                name, channel = f"u{user}", chance.choice(["Direct", "Organic Search", "Email"])
                made.visits.append(ga4.Visit(day, name, channel, chance.random() < 0.6, name not in seen))
                seen.add(name)
    return History(made, pd.DataFrame(made.visits))


def _issues(now: datetime) -> History:
    chance = random.Random(f"{SEED} github")
    made, start = github.GitHub(), now - timedelta(days=60)
    for number in range(1, 90):
        at = start + timedelta(hours=15 * number + chance.random())
        done = at + timedelta(hours=chance.randrange(1, 300))
        closed = _text(done) if chance.random() < 0.7 and done < now else None
        pull = {"pull_request": {"merged_at": closed if chance.random() < 0.8 else None}} if number % 3 == 0 else {}
        state = {
            "state": "closed" if closed else "open",
            "closed_at": closed,
            "updated_at": closed or _text(at),
        }
        made.issues[github.REPO].append(
            {
                "id": number,
                "number": number,
                "user": {"login": "a"},
                "created_at": _text(at),
                **state,
                **pull,
            }
        )
        if number % 6 == 0:
            told = {"draft": number % 12 == 0, "prerelease": number % 18 == 0, "tag_name": f"v{number}"}
            made.releases[github.REPO].append(
                {
                    "id": number,
                    "created_at": _text(at),
                    "published_at": _text(at),
                    "name": "",
                    **told,
                }
            )
    return History(made, pd.DataFrame(made.issues[github.REPO]))


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
