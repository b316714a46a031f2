"""Each source of the first tier beside its fake, seen alike: what happens, when it is pulled, whether all is there."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.applications import Starlette

from connectors.clock import set_clock
from tests.conftest import NOW, Builder
from tests.fakes.amplitude import Amplitude
from tests.fakes.ga4 import Analytics
from tests.fakes.github import REPO, GitHub
from tests.fakes.mixpanel import Mixpanel
from tests.fakes.plain import Plain
from tests.fakes.posthog import Posthog
from tests.fakes.server import Fake
from tests.fakes.stripe import NAMES, Stripe
from tests.fakes.zendesk import Zendesk
from tests.sources import (
    test_amplitude,
    test_ga4,
    test_github,
    test_mixpanel,
    test_posthog,
    test_rest,
    test_stripe,
    test_zendesk,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Tuned = tuple[tuple[str, str, Any], ...]


@dataclass
class Vendor:
    """fake: what holds the truth. entry: writes the source. happened: lets things happen up to the moment of now.

    same: whether the table is the truth. tuned: constants of modules that make pages small and budgets wide. cursor:
    of the source after a sync, where it is a matter of the moment. between: what calls a function after each page.
    """

    fake: Any
    now: datetime
    entry: Callable[[Builder, Fake], None]
    happened: Callable[[Vendor, random.Random], None]
    same: Callable[[Builder, datetime], bool]
    tuned: Tuned = ()
    cursor: Callable[[datetime], dict[str, str]] | None = None
    spoiled: Callable[[random.Random], None] = lambda _: None  # faults of pages that only this fake knows
    count: int = 0

    @property
    def app(self) -> Starlette:
        """What is served."""
        app: Starlette = self.fake.app
        return app

    def happen(self, chance: random.Random) -> None:
        """Things happen, and time goes on."""
        self.happened(self, chance)
        set_clock(self.now)

    def numbers(self, count: int) -> range:
        """As many new numbers."""
        self.count += count
        return range(self.count - count, self.count)


def _posthog(chance: random.Random) -> Vendor:
    made = Posthog(chance.choice(["UTC", "Europe/Berlin", "America/Los_Angeles"]))
    options = f"  page: {chance.choice([3, 5])}\n  window: {chance.choice([1, 3])}d\n"

    def happened(vendor: Vendor, chance: random.Random) -> None:
        before, vendor.now = vendor.now, vendor.now + chance.choice([1, 20, 36]) * HOUR
        for number in vendor.numbers(chance.randrange(8, 14)):
            late = chance.choice([0, 0, 1.5]) * chance.random() if before > NOW - 6 * DAY else 0
            at = before + (vendor.now - before) * chance.choice([0, chance.random()]) - late * DAY
            made.events.append(test_posthog.event(number, at, properties={"n": number, "it's": "a \\ 'quote'"}))
        made.events += chance.sample(made.events, 2)  # not merged yet by the engine
        made.events.append(
            test_posthog.event(vendor.numbers(1)[0], vendor.now + chance.random() * DAY)
        )  # a clock ahead
        chance.shuffle(made.events)

    return Vendor(
        made,
        NOW - 6 * DAY,
        lambda project, served: project.source(test_posthog.source(served, options, start="2026-11-15")),
        happened,
        lambda project, now: test_posthog.held(project) == test_posthog.truth(made, now),
        (("connectors.sources.posthog", "A_MINUTE", 100_000),),
        lambda now: {"until": now.isoformat()},
        lambda chance: made.repeat(chance.choice([0, 1, 2])),
    )


def _people(chance: random.Random) -> Vendor:
    """Persons of PostHog, whole at each sync; some are merged into others."""
    made, size = Posthog(), chance.choice([2, 3])

    def happened(vendor: Vendor, chance: random.Random) -> None:
        vendor.now += HOUR
        made.persons |= {f"p{n}": {"email": f"{n}@example.com"} for n in vendor.numbers(chance.randrange(5, 9))}
        for key in chance.sample(list(made.persons), 2):
            del made.persons[key]
        made.persons[chance.choice(list(made.persons))] = {"email": f"{chance.random()}@example.com"}

    def same(project: Builder, _: datetime) -> bool:
        found = test_posthog.table(project, "persons", "id", "email")
        return found == sorted(((key, one["email"]) for key, one in made.persons.items()), key=str)

    more = f"  page: {size}\n  properties: [email]\n"
    return Vendor(
        made,
        NOW,
        lambda project, served: project.source(test_posthog.source(served, more, resource="persons")),
        happened,
        same,
        (("connectors.sources.posthog", "A_MINUTE", 100_000),),
        spoiled=lambda chance: made.repeat(chance.choice([0, 1, 2])),
    )


def _mixpanel(chance: random.Random) -> Vendor:
    made = Mixpanel(NOW - 12 * DAY, chance.choice(["UTC", "Europe/Berlin", "America/Los_Angeles"]))
    options = f"  timezone: {made.zone.key}\n  window: {chance.choice([1, 2])}d\n  properties: [plan]"

    def happened(vendor: Vendor, chance: random.Random) -> None:
        before, vendor.now = vendor.now, vendor.now + chance.choice([1, 20, 50]) * HOUR
        for number in vendor.numbers(chance.randrange(8, 14)):
            late = chance.choice([0, 0, 4]) * chance.random() if before > NOW - 7 * DAY else 0
            at = before + (vendor.now - before) * chance.random() - late * DAY
            one = test_mixpanel.event(number, at, plan=chance.choice(["pro", None]))
            made.received.append(replace(one, insert_id="") if chance.random() < 0.1 else one)
        keyed = [one for one in made.received if one.insert_id]
        # Sent twice, as it is by now: what an import edited is older than what a pull looks back to.
        made.received += chance.sample(list({one.key: one for one in keyed}.values()), 3)
        last = [one for one in keyed if one.key == keyed[-1].key][-1]  # edited by an import
        made.received.append(replace(last, more={**last.more, "plan": "team"}, processed=last.processed + 1))
        made.received.append(test_mixpanel.event(vendor.numbers(1)[0], vendor.now + 3 * DAY))  # a clock that is ahead
        made.now = vendor.now

    def cursor(now: datetime) -> dict[str, str]:
        return {"day": f"{now.astimezone(made.zone) - DAY:%Y-%m-%d}"}

    return Vendor(
        made,
        made.now,
        lambda project, served: project.source(test_mixpanel.source(served, options, start="2026-11-05")),
        happened,
        lambda project, _: test_mixpanel.held(project) == test_mixpanel.truth(made),
        (("connectors.sources.mixpanel", "LIMITS", ((100_000, 1.0),)),),
        cursor,
        lambda chance: setattr(made, "early", chance.choice([0, 1])),
    )


def _amplitude(chance: random.Random) -> Vendor:
    made = Amplitude(NOW - 2 * DAY)
    made.most, made.last_break = chance.choice([9, 1000]), chance.random() < 0.5
    options = f"  window: {chance.choice(['2h', '5h'])}\n"

    def happened(vendor: Vendor, chance: random.Random) -> None:
        before, vendor.now = vendor.now, vendor.now + chance.choice([4, 7, 20]) * HOUR
        for number in vendor.numbers(chance.randrange(8, 14)):
            uploaded = before + (vendor.now - before) * (number % 20 + chance.random()) / 20
            late = chance.choice([HOUR, 30 * DAY, -2 * DAY]) * chance.random()
            made.events.append(test_amplitude.event(number, uploaded, late, properties={"n": number}))
        made.now = vendor.now

    def cursor(now: datetime) -> dict[str, str]:
        return {"hour": (now - 2 * HOUR).replace(minute=0, second=0, microsecond=0).isoformat()}

    return Vendor(
        made,
        made.now,
        lambda project, served: project.source(test_amplitude.source(served, options, start="2026-11-21")),
        happened,
        lambda project, _: test_amplitude.held(project) == test_amplitude.truth(made),
        (("connectors.sources.amplitude", "LIMITS", ((100_000, 1.0),)),),
        cursor,
    )


def _stripe(resource: str, _: random.Random) -> Vendor:
    made = Stripe(test_stripe.START)

    def happened(vendor: Vendor, chance: random.Random) -> None:
        made.now += 60
        first = not vendor.numbers(1)[0]
        for _ in range(chance.randrange(8, 12)):
            if first:  # what was deleted before the first pull is in no list
                made.create(resource, **test_stripe.new(resource, chance))
                made.now += chance.choice([0, 9, 5000])
            else:
                test_stripe.something(made, resource, chance)
        vendor.now = datetime.fromtimestamp(made.now, UTC)

    tuned = (("connectors.sources.stripe", "PAGE", 3), ("connectors.sources.stripe", "RATE", ()))
    return Vendor(
        made,
        datetime.fromtimestamp(made.now, UTC),
        lambda project, served: project.source(test_stripe.source(served, resource)),
        happened,
        lambda p, _: test_stripe.same(p, made, resource),
        tuned,
    )


def _ga4(chance: random.Random) -> Vendor:
    made = Analytics()
    made.zone = chance.choice(("Pacific/Honolulu", "UTC", "Pacific/Auckland"))
    for back in range(12):
        test_ga4.happen(made, test_ga4.day(back), "Japan", 10 + back)

    def happened(vendor: Vendor, chance: random.Random) -> None:
        vendor.now += chance.choice([0, 5, 24]) * HOUR
        set_clock(vendor.now)
        recent = [key for key in made.events if test_ga4.day(2, vendor.now) <= key[0]]
        for key in chance.sample(recent, min(len(recent), chance.randrange(4))):
            del made.events[key]
        made.events = {key: value for key, value in made.events.items() if key[0] <= made.today()}
        for number in vendor.numbers(chance.randrange(6, 15)):
            on = min(test_ga4.day(chance.randrange(3), vendor.now), made.today())
            test_ga4.happen(made, on, chance.choice(("Japan", "Chile")), number + 1, chance.choice("abc"))

    return Vendor(
        made,
        NOW,
        test_ga4.source,
        happened,
        lambda project, _: test_ga4.table(project) == test_ga4.truth(made),
        (("connectors.sources.ga4", "PAGE", 7),),
        spoiled=lambda chance: made.shifted.extend(chance.choice([[], [-1], [1], [1, -1]])),
    )


def _zendesk(resource: str, chance: random.Random) -> Vendor:
    made = Zendesk(test_zendesk.START)
    made.again = chance.choice([0, 0, 2])

    def happened(vendor: Vendor, chance: random.Random) -> None:
        for _ in range(chance.randrange(8, 12)):
            test_zendesk.something(made, resource, chance)
        made.now += test_zendesk.SETTLED
        vendor.now = datetime.fromtimestamp(made.now, UTC)

    module = "connectors.sources.zendesk"
    return Vendor(
        made,
        datetime.fromtimestamp(made.now, UTC),
        lambda project, served: project.source(test_zendesk.source(served, resource)),
        happened,
        lambda p, _: test_zendesk.same(p, made, resource),
        ((module, "TICKETS", 3), (module, "PAGE", 3), (module, "MINUTE", 0.001)),
    )


def _github(resource: str, chance: random.Random) -> Vendor:
    made = GitHub()
    made.inclusive = chance.random() < 0.5
    made.releases[REPO] = [test_github.release(number) for number in range(1, 8)]
    made.issues[REPO] = [test_github.issue(number, number) for number in range(1, 11)]

    def happened(vendor: Vendor, chance: random.Random) -> None:
        vendor.now += HOUR
        for _ in range(4):
            test_github.changed(made, resource, chance, 20 + vendor.numbers(1)[0])

    return Vendor(
        made,
        NOW,
        lambda project, served: project.source(test_github.source(served, resource)),
        happened,
        lambda p, _: test_github.table(p) == test_github.truth(made, resource),
        (("connectors.sources.github", "PAGE", 3),),
    )


def _rest(paging: str, _: random.Random) -> Vendor:
    made = Plain()

    def happened(vendor: Vendor, chance: random.Random) -> None:
        vendor.now += HOUR
        made.orders += [test_rest.order(number) for number in vendor.numbers(chance.randrange(6, 12))]
        edited, latest = chance.randrange(len(made.orders)), max(o["updated_at"] for o in made.orders)
        made.orders[edited] = {**made.orders[edited], "amount": chance.random(), "updated_at": latest}

    def entry(project: Builder, served: Fake) -> None:
        more = "  cursor: {field: updated_at, param: since, written: iso}\n  lookback: 2h"
        project.source(test_rest.source(served, paging, more))

    return Vendor(made, NOW, entry, happened, lambda project, _: test_rest.table(project) == test_rest.truth(made))


# Family → what its sources hold → the source.
FAMILIES: dict[str, dict[str, Callable[[random.Random], Vendor]]] = {
    "posthog": {"events": _posthog, "persons": _people},
    "mixpanel": {"events": _mixpanel},
    "amplitude": {"events": _amplitude},
    "stripe": {name: partial(_stripe, name) for name in NAMES},
    "ga4": {"report": _ga4},
    "zendesk": {name: partial(_zendesk, name) for name in test_zendesk.RESOURCES},
    "github": {name: partial(_github, name) for name in ("issues", "releases")},
    "rest": {name: partial(_rest, name) for name in test_rest.PAGINGS if name != "none"},
}
