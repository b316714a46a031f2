"""Guided onboarding of the demo, whatever the day it is made on: five points of activation, on the web only."""

from __future__ import annotations

import random
import re
import shutil
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest

from connectors.demo import larkspur
from jobs.demo import MARKS
from metrics.launches.inputs import LaunchInputs
from metrics.launches.observe import observe
from metrics.launches.reading import read
from tests.conftest import ROOT, Builder, known
from tests.sampling import SEED, cases

pytestmark = pytest.mark.slow

DATES = [date(2024, 12, 5) + timedelta(days=61 * number) for number in range(12)]  # of two years, on all weekdays
DEFINITIONS = ROOT / "metrics" / "definitions"


def onboarded(project: Builder, last: date) -> None:
    """The demo's people, activation, and its marks that concern it."""
    story = larkspur.Story(last)
    users = larkspur._users(np.random.default_rng(larkspur.SEED), story)
    columns = ["user_id", "signed_up_at", "platform", "country", "plan", "channel", "activated_at", "trial_at"]
    users[columns].to_parquet(project.folder / "files" / "users.parquet", index=False)
    project.source("- {name: app_users, type: files, table: users, path: files/users.parquet}")
    for part, names in (("datasets", ("users", "activations")), ("kpis", ("activation",))):
        for name in names:
            shutil.copy(DEFINITIONS / part / f"{name}.yml", project.folder / part)
    for name in ("summer_campaign", "guided_onboarding", "activation_redefined"):
        text = re.sub(r"day([+-]\d+)", lambda found: story.on(-int(found[1])).isoformat(), MARKS[name])
        text = re.sub(r"(?m)^guardrails:.*\n", "", text).replace(
            "[sign_ups, activation, trial_to_paid]", "[activation]"
        )
        (project.folder / "launches" / f"{name}.yml").write_text(f"name: {name}\n{text}")


@pytest.mark.parametrize("last", random.Random(SEED).sample(DATES, cases(fast=1, slow=2, full=12)), ids=str)
def test_guided_onboarding_is_seen_on_any_date(project: Builder, last: date) -> None:
    onboarded(project, last)
    now = datetime.combine(last + timedelta(days=1), time(5), UTC)
    project.sync(now)
    context = project.open().context(now)
    launch, kpi = context.catalogue.launch("guided_onboarding"), context.catalogue.kpi("activation")
    observed = observe(launch, kpi, LaunchInputs(context))
    for days in (14, 28):
        reading = read(launch, kpi, observed, days).reading
        assert reading.verdict == "moved up" and reading.factor is not None, (days, reading)
        assert known(reading.low) < 0.05 < known(reading.high), (days, reading)
