"""Customer voice: scores and intervals against scipy's, words that changed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metrics.catalog.types.survey import Survey
from metrics.launches.voice import changed, changed_words, scored, words_of
from metrics.launches.words import score_words
from tests.conftest import Builder, known
from tests.launches.conftest import card, launch

pytestmark = pytest.mark.breadth(3)

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)


def answers(seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers and uses: from 10 November on, people who use the new thing score low."""
    rng = np.random.default_rng(seed)
    rows, uses = [], []
    for number in range(2400):
        at = pd.Timestamp("2026-10-01") + pd.Timedelta(minutes=30 * number + 1)
        who = f"u{number % 300}"
        user = int(who[1:]) < 100
        low = user and at >= pd.Timestamp("2026-11-12")
        said = "so slow to load" if low and number % 3 == 0 else "nice tables" if number % 5 == 0 else None
        answered = int(rng.choice([3, 6, 8, 10], p=[0.3, 0.3, 0.2, 0.2] if low else [0.1, 0.1, 0.2, 0.6]))
        rows.append({"who": who, "at": at, "score": answered, "said": said, "platform": "web"})
    for number in range(100):
        uses.append({"who": f"u{number}", "at": pd.Timestamp("2026-11-12 00:00"), "what": "new"})
        uses.append({"who": f"u{number + 100}", "at": pd.Timestamp("2026-11-12 00:00"), "what": "old"})
    return pd.DataFrame(rows), pd.DataFrame(uses)


@pytest.fixture
def asked(project: Builder) -> tuple[Builder, pd.DataFrame]:
    rows, uses = answers()
    project.rows("answers", rows, entity="who", dimensions="[platform]", watermark="whole_days")
    project.rows("uses", uses, entity="who", dimensions="[what]", watermark="whole_days")
    project.kpi("nps", "label: NPS\ntype: survey\ndataset: answers\nscore: score\ncomment: said")
    launch(project, "on: 2026-11-10\nsuccess: [{kpi: nps}]\nadoption: {dataset: uses, used: what = 'new'}")
    project.sync(NOW)
    return project, rows


def by_hand(rows: pd.DataFrame) -> np.ndarray:
    return np.select([rows["score"] >= 9, rows["score"] <= 6], [100.0, -100.0], 0.0)


def test_scores_before_and_after_with_welchs_interval(asked: tuple[Builder, pd.DataFrame]) -> None:
    project, rows = asked
    voice = card(project, NOW).voice
    assert voice is not None
    (name, everybody), (_, users) = voice.groups
    assert name == "Everyone"
    start, end = pd.Timestamp("2026-11-10"), pd.Timestamp("2026-12-01")
    before = rows[(rows["at"] < start) & (rows["at"] >= start - pd.Timedelta(days=60))]
    after = rows[(rows["at"] >= start) & (rows["at"] < end)]
    for change, keep in ((everybody, None), (users, 100)):
        old, new = before, after
        if keep is not None:
            mine = rows["who"].str[1:].astype(int) < keep
            old, new = before[mine.loc[before.index]], after[mine.loc[after.index] & (after["at"] >= "2026-11-12")]
        found = stats.ttest_ind(by_hand(new), by_hand(old), equal_var=False).confidence_interval(0.95)
        assert change.before.value == pytest.approx(by_hand(old).mean()) and change.before.n == len(old)
        assert change.after.value == pytest.approx(by_hand(new).mean()) and change.after.n == len(new)
        assert (change.low, change.high) == pytest.approx((found.low, found.high))
    assert users.words == "moved down"


def test_users_are_held_against_the_others_since_launch(asked: tuple[Builder, pd.DataFrame]) -> None:
    project, rows = asked
    apart = known(known(card(project, NOW).voice).apart)
    after = rows[rows["at"] >= "2026-11-10"]
    user = (after["who"].str[1:].astype(int) < 100) & (after["at"] >= "2026-11-12")
    mine, others = by_hand(after[user]), by_hand(after[~user])
    before = known(apart.before)
    assert before.value == pytest.approx(others.mean()) and before.n == len(others)
    assert before.variance == pytest.approx(others.var(ddof=1))
    found = stats.ttest_ind(mine, others, equal_var=False).confidence_interval(0.95)
    assert (apart.low, apart.high) == pytest.approx((found.low, found.high))


def test_comments_and_words_since_launch(asked: tuple[Builder, pd.DataFrame]) -> None:
    project, rows = asked
    voice = known(card(project, NOW).voice)
    said = rows[(rows["at"] >= "2026-11-10") & rows["said"].notna()]
    assert list(voice.comments["comment"]) == list(said.sort_values("at", ascending=False)["said"])
    assert voice.dimensions == ("platform",) and set(voice.comments["platform"]) == {"web"}
    words = {w.word: (w.before, w.after) for w in voice.words}
    slow = int((said["said"] == "so slow to load").sum())
    assert words["slow"] == (0, slow) and words["load"] == (0, slow)
    assert "so" not in words and "to" not in words, "function words say nothing"


def test_words_are_counted_once_a_comment_and_rare_ones_are_left_out() -> None:
    assert words_of("Slow, SLOW! The page isn’t loading; 3 s.") == {"slow", "page", "isn't", "loading"}
    quiet = ["all is well here"] * 50
    found = changed_words(quiet, [*quiet, *["crash crash"] * 12, "typo"])
    assert [(w.word, w.before, w.after) for w in found if w.z > 0] == [("crash", 0, 12)]
    assert changed_words(quiet, quiet) == () and changed_words([], quiet) == ()


def span(scale: str, given: list[int]) -> pd.DataFrame:
    """One row for each score, as the engine gives them."""
    limits = {"csat": (4, 3), "ces": (5, 4)}[scale]
    group = ["promoters" if s >= limits[0] else "passives" if s >= limits[1] else "detractors" for s in given]
    return pd.DataFrame({"score": [float(s) for s in given], "who": group, "answers": 1})


@pytest.mark.parametrize(
    ("scale", "before", "after", "by_hand", "says"),
    [
        # Satisfied 3 of 5, then 2 of 5. Variance of one .6 × .4 × 5 / 4 = .3, both; error √(.3/5 + .3/5) = .346410.
        # As many answers of equal variance: 8 degrees of freedom, t = 2.306004. .346410 × 2.306004 = .798823.
        (
            "csat",
            [5, 4, 4, 3, 1],
            [5, 5, 3, 2, 1],
            (0.6, 0.4, -0.2, -0.998823, 0.598823),
            "60.0% → 40.0%: −20.0 points (−99.9 to +59.9), not clear with so few answers",
        ),
        # Means 3 and 6, variances 2.5 and 1; error √(2.5/5 + 1/3) = .912871. Freedom (.5 + 1/3)² / (.25/4 + (1/9)/2)
        # = .694444 / .118056 = 5.882353, t = 2.458824; half .912871 × 2.458824 = 2.244588.
        (
            "ces",
            [1, 2, 3, 4, 5],
            [5, 6, 7],
            (3.0, 6.0, 3.0, 0.755412, 5.244588),
            "3.0 → 6.0: +3.0 points (+0.8 to +5.2), up",
        ),
    ],
)
def test_csat_and_ces_have_intervals_by_hand(
    scale: str, before: list[int], after: list[int], by_hand: tuple[float, ...], says: str
) -> None:
    change = changed(scored(span(scale, before), scale), scored(span(scale, after), scale))
    found = (change.before.value, change.after.value, change.change, change.low, change.high)
    assert found == pytest.approx(by_hand, abs=2e-6)
    kpi = Survey.model_validate({"name": "s", "type": "survey", "dataset": "d", "score": "x", "scale": scale})
    assert score_words(kpi, change) == says
    again = span(scale, [*before, *before]).groupby(["score", "who"], as_index=False)["answers"].sum()
    assert scored(again, scale).value == pytest.approx(by_hand[0]) and scored(again, scale).n == 2 * len(before)


@pytest.mark.parametrize(("scale", "most"), [("csat", 5), ("ces", 7)])
def test_the_page_has_their_intervals_over_real_answers(project: Builder, scale: str, most: int) -> None:
    rows, _ = answers()
    rows["score"] = rows["score"].clip(1, most)
    project.rows("answers", rows, entity="who", watermark="whole_days")
    project.kpi("voice", f"type: survey\ndataset: answers\nscore: score\nscale: {scale}")
    launch(project, "on: 2026-11-10\nsuccess: [{kpi: voice}]")
    project.sync(NOW)
    (_, change), *_ = known(card(project, NOW).voice).groups
    points = (rows["score"] >= 4).astype(float) if scale == "csat" else rows["score"].astype(float)
    start = pd.Timestamp("2026-11-10")
    old = points[(rows["at"] < start) & (rows["at"] >= start - pd.Timedelta(days=60))]
    new = points[(rows["at"] >= start) & (rows["at"] < pd.Timestamp("2026-12-01"))]
    found = stats.ttest_ind(new, old, equal_var=False).confidence_interval(0.95)
    assert (change.before.value, change.after.value) == pytest.approx((old.mean(), new.mean()))
    assert (change.low, change.high) == pytest.approx((found.low, found.high))
