"""Customer voice: scores before and after with an interval, and the words that are said more or less often since.

Words: each comment counts a word once. A word's change is the logarithm of its odds after over those before, shrunk
towards how common it is in all comments, divided by its standard error. No language model
(docs/launches.md, "Most changed words").
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metrics.engine.sampling import classes
from metrics.launches.distributions import special
from metrics.launches.impact import Words

WORD = re.compile(r"[^\W\d_][\w'’-]*[^\W_]|[^\W\d_]")
PRIOR = 20.0  # comments' worth of the whole that each side is shrunk by
FEWEST = 3  # comments with a word, for it to be named
CLEAR = 1.96
# Words that carry no meaning alone; of other languages the surest changes show without such a list, too.
_LISTED = (
    "a about after all also am an and any are as at be because been before but by can could did do does for "
    "from get had has have he her him his how if in into is it its just me more my no nor not now of off on "
    "one only or our out own she so some such than that the their them then there these they this those to "
    "too up us very was we were what when where which who why will with would you your"
)
FUNCTION_WORDS = frozenset(_LISTED.split())
POINTS = {
    "nps": {"promoters": 100.0, "passives": 0.0, "detractors": -100.0},
    "csat": {"promoters": 1.0, "passives": 0.0, "detractors": 0.0},
}
WORTHS = {"nps": (100.0, 0.0, -100.0), "csat": (1.0, 0.0), "ces": (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)}  # of one answer


@dataclass(frozen=True)
class Scored:
    """A score of one group in one span, from n answers; None = nobody answered."""

    value: float | None
    n: int
    variance: float = 0.0  # of one answer


@dataclass(frozen=True)
class ScoreChange:
    """Before and after; the difference with its 95% interval, None where either is unknown."""

    before: Scored
    after: Scored
    change: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        """Words of a verdict; empty if unknown."""
        if self.low is None or self.high is None:
            return ""
        return str(Words.UP if self.low > 0 else Words.DOWN if self.high < 0 else Words.UNCLEAR)


@dataclass(frozen=True)
class Word:
    """In how many comments a word is, before and after; z: how sure its change is."""

    word: str
    before: int
    after: int
    z: float


def scored(answers: pd.DataFrame, scale: str) -> Scored:
    """From a table of score, who, answers (engine/feedback.py)."""
    n = int(answers["answers"].sum())
    if not n:
        return Scored(None, 0)
    points = answers["who"].map(POINTS[scale]) if scale in POINTS else answers["score"]
    weights, values = answers["answers"].to_numpy(dtype=float), points.to_numpy(dtype=float)
    mean = float(weights @ values / n)
    spread = float(weights @ (values - mean) ** 2 / max(1, n - 1))
    return Scored(mean, n, spread or alike(mean, n, scale))


def alike(value: float, n: int, scale: str) -> float:
    """Variance of one answer where all n were the same: the next one need not be. See engine/sampling.py, classes."""
    worths = WORTHS[scale]
    counts = np.array([[float(n) if worth == value else 0.0 for worth in worths]])
    return float(np.nan_to_num(classes(counts, worths))[0]) * n


def changed(before: Scored, after: Scored) -> ScoreChange:
    """The difference, by Welch's t: answers of two spans are of different people, on the whole."""
    if before.value is None or after.value is None or before.n < 2 or after.n < 2:
        return ScoreChange(before, after)
    parts = before.variance / before.n, after.variance / after.n
    error, change = math.sqrt(sum(parts)), after.value - before.value
    freedom = error**4 / (parts[0] ** 2 / (before.n - 1) + parts[1] ** 2 / (after.n - 1))
    half = float(special.stdtrit(freedom, 0.975)) * error
    return ScoreChange(before, after, change, change - half, change + half)


def words_of(comment: str) -> set[str]:
    """The words of a comment, small, each once; two letters at least, no function words."""
    words = {word.lower().replace("’", "'") for word in WORD.findall(comment) if len(word) > 1}
    return words - FUNCTION_WORDS


def changed_words(before: Iterable[str], after: Iterable[str], *, most: int = 8) -> tuple[Word, ...]:
    """Words that are clearly said more often since, the surest first, then those said less often."""
    counts, sizes = [], []
    for comments in (before, after):
        said: Counter[str] = Counter()
        size = 0
        for comment in comments:
            said.update(words_of(comment))
            size += 1
        counts.append(said)
        sizes.append(size)
    if not all(sizes):
        return ()
    found = []
    for word in set(counts[0]) | set(counts[1]):
        old, new = counts[0][word], counts[1][word]
        if old + new >= FEWEST:
            z = _surety(old, new, sizes[0], sizes[1])
            if abs(z) >= CLEAR:
                found.append(Word(word, old, new, z))
    found.sort(key=lambda w: (-abs(w.z), w.word))
    more, less = ([w for w in found if (w.z > 0) == up][:most] for up in (True, False))
    return (*more, *less)


def _surety(old: int, new: int, before: int, after: int) -> float:
    share = (old + new + 0.5) / (before + after + 1)  # a word of every comment, too, might have been left out
    prior = PRIOR * share, PRIOR * (1 - share)
    odds = [np.log((k + prior[0]) / (n - k + prior[1])) for k, n in ((old, before), (new, after))]
    variance = 1 / (old + prior[0]) + 1 / (new + prior[0])
    return float((odds[1] - odds[0]) / math.sqrt(variance))
