"""Customer voice: scores and intervals against scipy's, words that changed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metrics.launches.voice import changed_words, words_of
from tests.conftest import Builder, known
from tests.launches.conftest import card, launch

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
