"""Thirteen months of an invented collaborative editor, as files. Everything here is simulated.

The same day gives the same files: every draw comes from one seed. Shares are drawn by systematic
sampling, so that the totals are what the story says and only their noise is random.
docs/demo.md tells the story.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from connectors.demo import voices

SEED = 20261122
DAYS = 395
FORMAT = 7  # raise it when the files change, so that a demo made earlier is made again
PLATFORMS = ("web", "ios", "android")
COUNTRIES = ("US", "DE", "GB", "IN", "FR", "BR", "JP")
COUNTRY_SHARES = (0.33, 0.15, 0.12, 0.13, 0.10, 0.08, 0.05, 0.04)  # the last: unknown
CHANNELS = np.array(["organic", "referral", "ads"])
EU = ("DE", "FR")
PRICES = {"pro": 49.0, "team": 129.0, "business": 299.0}
# Days before yesterday, as the story counts them.
CAMPAIGN, ONBOARDING, OUTAGE, EDITOR, ANDROID, SUPPORT_STOPS = 100, 70, 33, 18, 3, 3
QUARANTINED = 37
ASKED, POLLED = 150.0, 0.1  # answers a day; share of the sessions in the new editor that are asked besides

Draws = np.random.Generator
Column = Any  # a numpy array


@dataclass(frozen=True)
class Story:
    """The time line: `last` is yesterday; days are counted from the first day, 0 to DAYS − 1."""

    last: date

    @property
    def first(self) -> date:
        """The first day of data."""
        return self.last - timedelta(days=DAYS - 1)

    def on(self, ago: int) -> date:
        """The date that many days before yesterday."""
        return self.last - timedelta(days=ago)

    @staticmethod
    def day(ago: int) -> int:
        """The day number that many days before yesterday."""
        return DAYS - 1 - ago


def write(folder: Path, last: date) -> None:
    """Write all files of the demo; `last` is the last day with data."""
    rng, story = np.random.default_rng(SEED), Story(last)
    for part in ("sessions", "support"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for old in (folder / part).iterdir():
            old.unlink()
    users = _users(rng, story)
    activity = _activity(rng, story, users)
    sessions = _sessions(rng, story, users, activity)
    exported = users[["user_id", "signed_up_at", "platform", "country", "plan", "channel", "activated_at", "trial_at"]]
    exported.to_parquet(folder / "users.parquet", index=False, use_dictionary=_repeated(exported))
    months = sessions["started_at"].to_numpy().astype("datetime64[M]").astype("datetime64[s]")
    for month, part in sessions.groupby(months, sort=True):
        file = folder / "sessions" / f"{month:%Y-%m}.parquet"
        part.to_parquet(file, index=False, use_dictionary=_repeated(part))
    _subscriptions(rng, story, users).to_csv(folder / "subscriptions.csv", index=False)
    feedback = _feedback(rng, story, sessions)
    written = json.JSONEncoder(ensure_ascii=False).encode
    with (folder / "feedback.jsonl").open("w", encoding="utf-8") as lines:
        for row in feedback.to_dict("records"):
            lines.write(written({k: v for k, v in row.items() if v is not None and v == v}) + "\n")
    _write_support(rng, story, sessions, folder / "support")


def _repeated(rows: pd.DataFrame) -> list[str]:
    """Columns that a dictionary makes shorter; to look for repeated ids and times takes as long as to write them."""
    return [name for name in rows if rows[name].dtype in ("str", "object")]


def _systematic(rng: Draws, share: Column) -> Column:
    """True for about sum(share) entries, spread evenly: each prefix is within one of its expectation."""
    steps = np.floor(np.cumsum(share) + rng.random())
    return np.diff(steps, prepend=0.0) > 0


def _noise(rng: Draws, periods: int, size: float) -> Column:
    """Slow multiplicative noise around 1, fading to none in the last four entries."""
    steps = np.zeros(periods)
    for i in range(1, periods):
        steps[i] = 0.6 * steps[i - 1] + rng.normal(0, size)
    fade = np.clip((periods - 1 - np.arange(periods)) / 4, 0, 1)
    return np.exp(steps * fade)


def _users(rng: Draws, story: Story) -> pd.DataFrame:
    day = np.arange(DAYS)
    weekday = (day + story.first.weekday()) % 7
    level = 205 + 182 / (1 + np.exp(-(day - 150) / 75)) + 7 * day / DAYS
    shape = np.array([1.12, 1.14, 1.12, 1.08, 1.0, 0.74, 0.80])[weekday]
    organic = np.round(level * shape * np.repeat(_noise(rng, DAYS // 7 + 1, 0.025), 7)[:DAYS])
    burst = np.where((day >= story.day(CAMPAIGN)) & (day < story.day(CAMPAIGN) + 14), 0.4 * organic, 0.0)
    per_day = (organic + np.round(burst)).astype(int)
    n = int(per_day.sum())
    signed_day = np.repeat(day, per_day)
    campaign = np.concatenate([np.arange(c) >= o for c, o in zip(per_day, organic, strict=True)])
    platform = np.where(campaign, rng.choice(3, n, p=[0.2, 0.3, 0.5]), rng.choice(3, n, p=[0.46, 0.25, 0.29]))
    users = pd.DataFrame(
        {
            "user_id": np.arange(100_001, 100_001 + n),
            "day": signed_day,
            "signed_up_at": _times(rng, story, signed_day),
            "platform": np.array(PLATFORMS)[platform],
            "country": np.array([*COUNTRIES, None], dtype=object)[rng.choice(8, n, p=COUNTRY_SHARES)],
            "plan": np.array(["free", "pro", "team"])[rng.choice(3, n, p=[0.7, 0.22, 0.08])],
            "channel": np.where(campaign, "campaign", CHANNELS[rng.choice(3, n, p=[0.58, 0.24, 0.18])]),
            "second_platform": rng.random(n) < 0.08,
            "loyal": rng.random(n),
        }
    )
    # Activation: by channel, and 5 points more on the web since Guided onboarding; mobile is the control.
    share = np.where(campaign, 0.22, 0.3925)
    share = share + np.where((platform == 0) & (signed_day >= story.day(ONBOARDING)), 0.05, 0.0) * ~campaign
    share *= np.repeat(_noise(rng, DAYS // 7 + 1, 0.012), 7)[:DAYS][signed_day]
    active = _systematic(rng, share)
    delay = np.minimum(rng.exponential(1.3, n), 6.9)
    late = ~active & (rng.random(n) < 0.02)
    delay = np.where(late, 8 + rng.exponential(10, n), delay)
    users["activated_at"] = (users["signed_up_at"] + _span(delay)).where(active | late)
    users["trial_at"] = (users["signed_up_at"] + _span(np.minimum(rng.exponential(0.4, n), 5))).where(
        _systematic(rng, np.full(n, 0.56))
    )
    end = pd.Timestamp(story.last) + pd.Timedelta(days=1)
    for column in ("activated_at", "trial_at"):
        users[column] = users[column].where(users[column] < end)
    return users


def _activity(rng: Draws, story: Story, users: pd.DataFrame) -> pd.DataFrame:
    """One row per active user and day: index into users, day."""
    active = users[users["activated_at"].notna()]
    start = ((active["activated_at"] - pd.Timestamp(story.first)) // pd.Timedelta(days=1)).to_numpy()
    # Calendar weeks, so that who works every week is active in every week that a report counts.
    monday = start - (start + story.first.weekday()) % 7
    weeks = (DAYS - 1 - monday) // 7 + 1
    who = np.repeat(np.arange(len(active)), weeks)
    week = np.arange(len(who)) - np.repeat(np.cumsum(weeks) - weeks, weeks)
    regular = _systematic(rng, np.full(len(active), 0.333))
    life = np.where(regular, rng.geometric(0.0045, len(active)), 0)  # weeks until a regular leaves for good
    linger = np.array([1.0, 0.14, 0.06, 0.025, 0.0])[np.minimum(week, 4)]
    miss = rng.random(len(who)) < 0.008
    on = np.where(regular[who], (week <= life[who]) & ~miss, rng.random(len(who)) < linger)
    who, week = who[on], week[on]
    day = monday[who][:, None] + 7 * week[:, None] + np.arange(7)[None, :]
    weekday = (day + story.first.weekday()) % 7
    habit = np.where(regular, 0.20 + 0.22 * active["loyal"].to_numpy(), 0.16)[who][:, None]
    lift = np.where(day >= story.day(EDITOR) + 4, 1.055, 1.0)
    draw = rng.random(day.shape)
    chosen = draw < habit * lift * np.where(weekday >= 5, 0.62, 1.15)
    none = ~chosen.any(axis=1)
    chosen[none, np.argmin(draw[none], axis=1)] = True
    chosen = (chosen & (day > start[who][:, None])) | (day == start[who][:, None])  # the day of activation itself
    chosen &= day < DAYS
    rows, columns = np.nonzero(chosen)
    position = users.index.get_indexer(active.index)
    return pd.DataFrame({"user": position[who[rows]], "day": day[rows, columns]})


def _sessions(rng: Draws, story: Story, users: pd.DataFrame, activity: pd.DataFrame) -> pd.DataFrame:
    rows = activity.loc[activity.index.repeat(1 + (rng.random(len(activity)) < 0.18))]
    rows = rows.sort_values(["day", "user"], kind="stable").reset_index(drop=True)
    user, day = rows["user"].to_numpy(), rows["day"].to_numpy()
    n = len(rows)
    person = users.iloc[user].reset_index(drop=True)
    other = person["second_platform"].to_numpy() & (rng.random(n) < 0.35)
    platform = np.where(other, np.where(person["platform"] == "web", "ios", "web"), person["platform"])
    new_version = (platform == "android") & (
        rng.random(n) < np.interp(day, [story.day(ANDROID + 1), story.day(ANDROID), story.day(0)], [0, 0.82, 0.97])
    )
    version = np.select(
        [platform == "web", platform == "ios", new_version], ["web", "ios 8.1", "android 8.2"], "android 8.1"
    )
    # The new editor: offered to 10, 50, then 100% by day 14; about one in four whom it is offered to uses it.
    since = day - story.day(EDITOR)
    offered = np.select([since < 0, since < 7, since < 14], [0.0, 0.10, 0.50], 1.0)
    fixed = np.random.default_rng(SEED + 1).random((len(users), 2))
    editor = (fixed[user, 0] < offered) & (fixed[user, 1] < 0.242) & (rng.random(n) < 0.93)
    base = np.where(new_version, 0.0465, 0.0052 * _noise(rng, DAYS, 0.05)[day])
    crashed = _systematic(rng, base)
    median = np.where(editor, 1.78, 0.94) * np.where(platform == "web", 0.97, 1.05) * _noise(rng, DAYS, 0.012)[day]
    sessions = pd.DataFrame(
        {
            "session_id": np.arange(1, n + 1),
            "user_id": users["user_id"].to_numpy()[user],
            "started_at": _times(rng, story, day),
            "platform": platform,
            "country": person["country"].to_numpy(),
            "plan": person["plan"].to_numpy(),
            "app_version": version,
            "editor": np.where(editor, "new", "classic"),
            "core_action": rng.random(n) < 0.97,
            "crashed": crashed,
            "load_seconds": np.round(median * np.exp(rng.normal(0, 0.46, n)), 3),
        }
    )
    return sessions.sort_values("started_at", kind="stable").reset_index(drop=True)


def _subscriptions(rng: Draws, story: Story, users: pd.DataFrame) -> pd.DataFrame:
    trial = users[users["trial_at"].notna()].sort_values("trial_at", kind="stable")
    day = ((trial["trial_at"] - pd.Timestamp(story.first)) // pd.Timedelta(days=1)).to_numpy()
    share = 0.0868 * np.repeat(_noise(rng, DAYS // 7 + 2, 0.02), 7)[day]
    paid = trial[_systematic(rng, share)]
    started = paid["trial_at"] + _span(np.minimum(rng.exponential(4.5, len(paid)), 13.5))
    number = ((started - pd.Timestamp(story.first)) // pd.Timedelta(days=1)).to_numpy()
    # The checkout outage: no EU card went through for three days, others too lost some; most came back after.
    out = (number >= story.day(OUTAGE)) & (number <= story.day(OUTAGE) + 2)
    eu = paid["country"].isin(EU).to_numpy()
    hit = out & (eu | (rng.random(len(paid)) < 0.45))
    number = np.where(
        hit & (rng.random(len(paid)) < 0.6), story.day(OUTAGE) + 3 + rng.integers(0, 2, len(paid)), number
    )
    keep = ~(hit & (number <= story.day(OUTAGE) + 2)) & (number < DAYS)
    paid, number = paid[keep], number[keep]
    plan = rng.choice(3, len(paid), p=[0.545, 0.33, 0.125])
    months = np.interp(number, [0, DAYS], [0.0195, 0.0245])
    stays = rng.geometric(np.maximum(months / 30.4, 1e-6))
    ended = number + stays
    first = pd.Timestamp(story.first)
    return pd.DataFrame(
        {
            "subscription_id": np.arange(1, len(paid) + 1),
            "user_id": paid["user_id"].to_numpy(),
            "started_on": (first + _span(number)).strftime("%Y-%m-%d"),
            "ended_on": np.where(ended < DAYS, (first + _span(ended)).strftime("%Y-%m-%d"), ""),
            "plan": np.array(list(PRICES))[plan],
            "mrr": np.array(list(PRICES.values()))[plan],
            "country": paid["country"].to_numpy(),
            "card_region": np.where(paid["country"].isin(EU), "EU", "other"),
        }
    ).sort_values(["started_on", "subscription_id"])


def _feedback(rng: Draws, story: Story, sessions: pd.DataFrame) -> pd.DataFrame:
    day = ((sessions["started_at"] - pd.Timestamp(story.first)) // pd.Timedelta(days=1)).to_numpy()
    per_day = np.bincount(day, minlength=DAYS)
    asked = sessions[_systematic(rng, np.minimum(1.0, ASKED / np.maximum(per_day, ASKED))[day])]
    noise = _noise(rng, DAYS // 7 + 1, 0.015)
    heard = _answers(rng, asked, day[asked.index], noise, speaks_share=48.0 / ASKED)
    # Who works in the new editor is asked there, too: a poll of its own, so that its users are heard.
    poll = np.random.default_rng(SEED + 2)
    inside = sessions[_systematic(poll, np.where(sessions["editor"] == "new", POLLED, 0.0))]
    polled = _answers(poll, inside, day[inside.index], noise, speaks_share=0.1)
    answers = pd.concat([heard, polled]).sort_values(["submitted_at", "user_id"], kind="stable", ignore_index=True)
    return answers.assign(response_id=np.arange(1, len(answers) + 1))


def _answers(rng: Draws, asked: pd.DataFrame, day: Column, noise: Column, speaks_share: float) -> pd.DataFrame:
    adopter = (asked["editor"] == "new").to_numpy()
    # Passives stay 28%; NPS = 100 × (promoters − detractors).
    level = 0.465 + 0.03 * (day >= Story.day(EDITOR))
    nps = level * noise[np.minimum(day // 7, DAYS // 7)] - 0.06 * adopter
    crashes = (asked["app_version"] == "android 8.2").to_numpy()
    nps = nps - 0.10 * crashes
    promoter = (0.72 + nps) / 2
    draw = (np.cumsum(np.full(len(asked), 0.6180339887)) + rng.random()) % 1  # low-discrepancy: even shares
    group = np.where(draw < promoter, 2, np.where(draw < promoter + 0.28, 1, 0))
    score = np.select(
        [group == 2, group == 1],
        [rng.choice([9, 10], len(asked), p=[0.45, 0.55]), rng.choice([7, 8], len(asked))],
        rng.choice(7, len(asked), p=[0.04, 0.04, 0.08, 0.12, 0.16, 0.24, 0.32]),
    )
    since = day >= Story.day(120)
    speaks = since & _systematic(rng, np.where(since, speaks_share * np.where(group == 0, 0.22, 0.085), 0.0))
    ago = DAYS - 1 - day
    said: list[str | None] = [None] * len(asked)
    rows = zip(np.flatnonzero(speaks), asked[speaks].to_dict("records"), strict=True)
    for i, row in rows:
        themes = _themes(row, int(ago[i]), int(score[i]))
        said[i] = voices.comment(rng, themes, int(score[i]))
    return pd.DataFrame(
        {
            "response_id": 0,
            "user_id": asked["user_id"].to_numpy(),
            "submitted_at": asked["started_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "score": score,
            "platform": asked["platform"].to_numpy(),
            "country": asked["country"].to_numpy(),
            "plan": asked["plan"].to_numpy(),
            "editor": asked["editor"].to_numpy(),
            "comment": said,
        }
    )


def _themes(row: Mapping[str, Any], ago: int, score: int) -> list[str]:
    """What this person would speak of, most likely first."""
    themes = []
    if row["app_version"] == "android 8.2":
        themes.append("android_crash")
    if row["editor"] == "new":
        themes.append("editor_good" if score >= 9 else "editor_slow")
    if OUTAGE - 2 <= ago <= OUTAGE and row["country"] in EU:
        themes.append("checkout")
    if ago <= ONBOARDING and row["platform"] == "web" and score >= 9:
        themes.append("onboarding")
    return [*themes, "praise" if score >= 9 else "fine" if score >= 7 else "pain"]


def _write_support(rng: Draws, story: Story, sessions: pd.DataFrame, folder: Path) -> None:
    """Monthly CSV files of tickets; they stop coming three days before yesterday. 37 rows cannot be read."""
    day = ((sessions["started_at"] - pd.Timestamp(story.first)) // pd.Timedelta(days=1)).to_numpy()
    people = sessions.assign(day=day).groupby("day")["user_id"].nunique().reindex(range(DAYS), fill_value=0)
    rate = 7.25 * _noise(rng, DAYS, 0.04)
    rate[story.day(OUTAGE) : story.day(OUTAGE) + 3] *= 1.9
    count = np.round(people.to_numpy() * rate / 1000).astype(int)
    count[story.day(SUPPORT_STOPS) + 1 :] = 0
    number = np.repeat(np.arange(DAYS), count)
    n = len(number)
    topics = np.array(["billing", "editor", "sync", "login", "export"])[
        rng.choice(5, n, p=[0.27, 0.25, 0.2, 0.16, 0.12])
    ]
    tickets = (
        pd.DataFrame(
            {
                "ticket_id": [f"T-{i:06d}" for i in range(1, n + 1)],
                "opened_at": _times(rng, story, number).strftime("%Y-%m-%d %H:%M:%S"),
                "topic": topics,
                "platform": np.array(PLATFORMS)[rng.choice(3, n, p=[0.46, 0.25, 0.29])],
                "minutes_to_answer": np.round(rng.lognormal(3.6, 0.8, n)).astype(int).astype(str),
            }
        )
        .sort_values("opened_at")
        .reset_index(drop=True)
    )
    month = tickets["opened_at"].str[:7]
    broken = rng.choice(np.arange(n // 2, n), QUARANTINED, replace=False)
    for i, at in enumerate(broken):
        column = ("opened_at", "minutes_to_answer")[i % 2]
        tickets.loc[at, column] = ("yesterday", "n/a (merged)")[i % 2]
    for name, part in tickets.groupby(month, sort=True):
        part.to_csv(folder / f"tickets-{name}.csv", index=False)


def _span(days: Column) -> Any:
    return pd.to_timedelta(np.asarray(days, dtype=float), unit="D")


def _times(rng: Draws, story: Story, day: Column) -> pd.DatetimeIndex:
    """A moment of each day, most of them in working hours of Europe and America; whole seconds."""
    hour = np.clip(rng.normal(15, 4.4, len(day)), 0, 23.999)
    seconds = np.asarray(day) * 86400 + np.floor(hour * 3600)
    return pd.DatetimeIndex(pd.Timestamp(story.first) + pd.to_timedelta(seconds, unit="s")).as_unit("us")
