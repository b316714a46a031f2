"""Each source of the first tier beside its fake, seen alike: what happens, when it is pulled, whether all is there."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
from tests.fakes.stripe import Stripe
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

    same: whether the table is the truth. tuned: constants of modules that make pages small and budgets wide.
    """

    fake: Any
    now: datetime
    entry: Callable[[Builder, Fake], None]
    happened: Callable[[Vendor, random.Random], None]
    same: Callable[[Builder, datetime], bool]
    tuned: Tuned = ()
    count: int = field(default=0)

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


def _posthog() -> Vendor:
    made = Posthog("Europe/Berlin")

    def happened(vendor: Vendor, chance: random.Random) -> None:
        before, vendor.now = vendor.now, vendor.now + chance.choice([5, 20, 36]) * HOUR
        for number in vendor.numbers(chance.randrange(8, 20)):
            late = chance.choice([0, 0, 1.5]) * chance.random()
            at = before + (vendor.now - before) * chance.random() - late * DAY
            made.events.append(test_posthog.event(number, at, properties={"n": number}))
        made.events += chance.sample(made.events, 2)

    def entry(project: Builder, served: Fake) -> None:
        project.source(test_posthog.source(served, "  page: 3\n  window: 1d\n", start="2026-11-15"))

    tuned = (("connectors.sources.posthog", "A_MINUTE", 100_000),)
    return Vendor(
        made,
        NOW - 6 * DAY,
        entry,
        happened,
        lambda p, now: test_posthog.held(p) == test_posthog.truth(made, now),
        tuned,
    )


def _mixpanel() -> Vendor:
    made = Mixpanel(NOW - 12 * DAY, "America/Los_Angeles")

    def happened(vendor: Vendor, chance: random.Random) -> None:
        before, vendor.now = vendor.now, vendor.now + chance.choice([5, 20, 36]) * HOUR
        for number in vendor.numbers(chance.randrange(8, 20)):
            late = chance.choice([0, 0, 4]) * chance.random() if before > NOW - 7 * DAY else 0
            at = before + (vendor.now - before) * chance.random() - late * DAY
            made.received.append(test_mixpanel.event(number, at, plan=chance.choice(["pro", None])))
        made.received += chance.sample(made.received, 2)
        made.now = vendor.now

    def entry(project: Builder, served: Fake) -> None:
        project.source(
            test_mixpanel.source(served, "  timezone: America/Los_Angeles\n  window: 1d", start="2026-11-05")
        )

    tuned = (("connectors.sources.mixpanel", "LIMITS", ((100_000, 1.0),)),)
    return Vendor(
        made, made.now, entry, happened, lambda p, _: test_mixpanel.held(p) == test_mixpanel.truth(made), tuned
    )


def _amplitude() -> Vendor:
    made = Amplitude(NOW - 2 * DAY)

    def happened(vendor: Vendor, chance: random.Random) -> None:
        before, vendor.now = vendor.now, vendor.now + chance.choice([4, 7, 20]) * HOUR
        for number in vendor.numbers(chance.randrange(8, 20)):
            uploaded = before + (vendor.now - before) * chance.random()
            late = chance.choice([HOUR, 30 * DAY, -2 * DAY]) * chance.random()
            made.events.append(test_amplitude.event(number, uploaded, late, properties={"n": number}))
        made.now = vendor.now

    def entry(project: Builder, served: Fake) -> None:
        project.source(test_amplitude.source(served, "  window: 2h\n", start="2026-11-21"))

    tuned = (("connectors.sources.amplitude", "LIMITS", ((100_000, 1.0),)),)
    return Vendor(
        made, made.now, entry, happened, lambda p, _: test_amplitude.held(p) == test_amplitude.truth(made), tuned
    )


def _stripe(resource: str) -> Vendor:
    made = Stripe(test_stripe.START)

    def happened(vendor: Vendor, chance: random.Random) -> None:
        made.now += 60
        for _ in range(chance.randrange(8, 15)):
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


def _ga4() -> Vendor:
    made = Analytics()
    for back in range(12):
        test_ga4.happen(made, test_ga4.day(back), "Japan", 10 + back)

    def happened(vendor: Vendor, chance: random.Random) -> None:
        vendor.now += chance.choice([0, 5, 24]) * HOUR
        set_clock(vendor.now)
        recent = [key for key in made.events if test_ga4.day(2, vendor.now) <= key[0]]
        for key in chance.sample(recent, min(len(recent), chance.randrange(4))):
            del made.events[key]
        for number in vendor.numbers(chance.randrange(6, 15)):
            on = min(test_ga4.day(chance.randrange(3), vendor.now), made.today())
            test_ga4.happen(made, on, chance.choice(("Japan", "Chile")), number + 1, chance.choice("abc"))

    tuned = (("connectors.sources.ga4", "PAGE", 7),)
    return Vendor(made, NOW, test_ga4.source, happened, lambda p, _: test_ga4.table(p) == test_ga4.truth(made), tuned)


def _zendesk(resource: str) -> Vendor:
    made = Zendesk(test_zendesk.START)

    def happened(vendor: Vendor, chance: random.Random) -> None:
        for _ in range(chance.randrange(8, 15)):
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


def _github(resource: str) -> Vendor:
    made = GitHub()
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


def _rest() -> Vendor:
    made = Plain()

    def happened(vendor: Vendor, chance: random.Random) -> None:
        vendor.now += HOUR
        made.orders += [test_rest.order(number) for number in vendor.numbers(chance.randrange(6, 12))]
        edited, latest = chance.randrange(len(made.orders)), max(o["updated_at"] for o in made.orders)
        made.orders[edited] = {**made.orders[edited], "amount": chance.random(), "updated_at": latest}

    def entry(project: Builder, served: Fake) -> None:
        more = "  cursor: {field: updated_at, param: since, written: iso}\n  lookback: 2h"
        project.source(test_rest.source(served, "cursor", more))

    return Vendor(made, NOW, entry, happened, lambda p, _: test_rest.table(p) == test_rest.truth(made))


VENDORS: dict[str, Callable[[], Vendor]] = {
    "posthog": _posthog,
    "mixpanel": _mixpanel,
    "amplitude": _amplitude,
    "stripe subscriptions": lambda: _stripe("subscriptions"),
    "stripe charges": lambda: _stripe("charges"),
    "ga4": _ga4,
    "zendesk tickets": lambda: _zendesk("tickets"),
    "zendesk ratings": lambda: _zendesk("satisfaction_ratings"),
    "github issues": lambda: _github("issues"),
    "github releases": lambda: _github("releases"),
    "rest": _rest,
}
