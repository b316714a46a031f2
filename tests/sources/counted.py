"""What the KPIs that `kpi add source` proposes must say, counted by plain pandas over the fakes' truth.

Each gives period → value, by the period's first day, of every period that has any row.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from tests.fakes.histories import History

Values = dict[str, float]
MONTHS = {"day": 12 / 365, "week": 12 * 7 / 365, "month": 1, "year": 12}
DAY = pd.Timedelta(days=1)


def counted(kind: str, history: History) -> dict[str, Values]:
    """KPI → period → value."""
    of = {"zendesk": _tickets, "stripe": _subscriptions, "ga4": _visits, "github": _issues}
    return of[kind](history) if kind in of else _events(history.frame)


def _start(moments: pd.Series, grain: str) -> pd.Series:
    """First day of each one's day, week from Monday, or month."""
    days = pd.to_datetime(moments, utc=True).dt.tz_localize(None).dt.normalize()
    if grain == "week":
        return days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    return days if grain == "day" else days - pd.to_timedelta(days.dt.day - 1, unit="D")


def _told(values: pd.Series) -> Values:
    return {f"{period:%Y-%m-%d}": float(value) for period, value in values.items() if not pd.isna(value)}


def _events(frame: pd.DataFrame) -> dict[str, Values]:
    day, week, month = (_start(frame["at"], grain) for grain in ("day", "week", "month"))
    who = frame["who"]
    daily, weekly = who.groupby(day).nunique(), who.groupby(week).nunique()
    seven = [daily.reindex([w + n * DAY for n in range(7)], fill_value=0).mean() for w in weekly.index]
    return {
        "daily_active_users": _told(daily),
        "weekly_active_users": _told(weekly),
        "monthly_active_users": _told(who.groupby(month).nunique()),
        "stickiness": _told(pd.Series(seven, weekly.index) / weekly),
        "events_per_user": _told(who.groupby(week).size() / weekly),
        **_who_stays({w: set(people) for w, people in who.groupby(week)}),
    }


def _who_stays(weeks: dict[pd.Timestamp, set[str]]) -> dict[str, Values]:
    """Retention of the first week, and growth accounting."""
    back, ratio = {}, {}
    before: set[str] = set()
    for week, there in weeks.items():
        last, fresh = weeks.get(week - 7 * DAY, set()), there - before
        if fresh and week + 7 * DAY in weeks:
            back[week] = len(fresh & weeks[week + 7 * DAY]) / len(fresh)
        gained, lost = len(there - last), len(last - there)
        if before and lost:
            ratio[week] = gained / lost
        before |= there
    return {"week_1_retention": _told(pd.Series(back)), "quick_ratio": _told(pd.Series(ratio))}


def _tickets(history: History) -> dict[str, Values]:
    known = history.frame[history.frame["status"] != "deleted"]
    day, week = _start(known["created_at"], "day"), _start(known["created_at"], "week")
    minutes = known["metric_set"].map(lambda m: m["reply_time_in_minutes"]["calendar"]).astype(float)
    solved = known["metric_set"].map(lambda m: m["solved_at"] is not None)
    ratings = pd.DataFrame(history.vendor.ratings.values())
    rated, good = _start(ratings["updated_at"], "week"), ratings["score"] == "good"
    answered = ratings["score"].isin(["good", "bad"])
    return {
        "new_tickets": _told(day.groupby(day).size()),
        "first_reply_minutes": _told(minutes.groupby(week).median()),
        "solved_share": _told(solved.groupby(week).mean()),
        "tickets_per_requester": _told(week.groupby(week).size() / known["requester_id"].groupby(week).nunique()),
        "csat": _told(good.groupby(rated).sum() / answered.groupby(rated).sum()),
    }


def paid(history: History) -> pd.DataFrame:
    """Subscriptions that were ever paid for: customer, currency, amount a month, first and last day."""
    rows = []
    for one in history.vendor.objects["subscriptions"].values():
        began = one.get("trial_end") or one.get("start_date") or one["created"]
        ended = one.get("ended_at")
        if one["status"] not in ("active", "past_due", "canceled") or (ended is not None and ended <= began):
            continue
        prices = [(i["price"]["unit_amount"] * i["quantity"], i["price"]["recurring"]) for i in one["items"]["data"]]
        amount = sum(a / (MONTHS[r["interval"]] * r["interval_count"]) for a, r in prices) / 100
        days = [pd.Timestamp(at, unit="s").normalize() if at else pd.NaT for at in (began, ended)]
        rows.append((one["customer"], one["currency"], amount, *days))
    return pd.DataFrame(rows, columns=["customer", "currency", "amount", "first", "last"])


def balance(subscriptions: pd.DataFrame, until: pd.Timestamp) -> dict[pd.Timestamp, pd.DataFrame]:
    """Day → what is paid for in its evening."""
    days = pd.date_range(subscriptions["first"].min(), until)
    last = subscriptions["last"]
    return {day: subscriptions[(subscriptions["first"] <= day) & (last.isna() | (last > day))] for day in days}


def _subscriptions(history: History) -> dict[str, Values]:
    vendor, today = history.vendor, pd.Timestamp(history.vendor.now, unit="s").normalize()
    evenings = balance(paid(history), today)
    customers, charges = (pd.DataFrame(vendor.objects[name].values()) for name in ("customers", "charges"))
    charges = charges[charges["status"] == "succeeded"]
    created = _start(pd.to_datetime(customers["created"], unit="s"), "week")
    week = _start(pd.to_datetime(charges["created"], unit="s"), "week")
    amount, refunded = (charges[name].groupby(week).sum() / 100 for name in ("amount", "amount_refunded"))
    return {
        "mrr": _told(pd.Series({day: there["amount"].sum() for day, there in evenings.items()})),
        "paying_subscriptions": _told(pd.Series({day: len(there) for day, there in evenings.items()})),
        "new_customers": _told(created.groupby(created).size()),
        "payments": _told(amount),
        "refunded_share": _told(refunded / amount),
        **_churn(evenings),
    }


def _churn(evenings: dict[pd.Timestamp, pd.DataFrame]) -> dict[str, Values]:
    """Of each month, the customers of the evening before it."""
    found: dict[str, dict[pd.Timestamp, float]] = {}
    for end in pd.date_range(min(evenings), max(evenings), freq="ME"):
        month = end - (end.day - 1) * DAY
        if month - DAY not in evenings:
            continue
        before, after = (evenings[day].groupby("customer")["amount"].sum() for day in (month - DAY, end))
        after = after.reindex(before.index, fill_value=0)
        found.setdefault("mrr_churn", {})[month] = (before - after).clip(lower=0).sum() / before.sum()
        found.setdefault("net_revenue_retention", {})[month] = after.sum() / before.sum()
        found.setdefault("customer_churn", {})[month] = (after == 0).mean()
    return {kpi: _told(pd.Series(values)) for kpi, values in found.items()}


def _visits(history: History) -> dict[str, Values]:
    frame = history.frame
    day, week = _start(frame["day"], "day"), _start(frame["day"], "week")
    users = {n: _users(frame["user"], day, n) for n in (1, 7, 28)}
    in_weeks = users[1].groupby(_start(pd.Series(users[1].index, users[1].index), "week")).sum()
    sessions = week.groupby(week).size()
    return {
        "daily_active_users": _told(users[1]),
        "active_users_7_days": _told(users[7]),
        "active_users_28_days": _told(users[28]),
        "stickiness": _told(users[1] / users[28]),
        "new_users": _told(frame["new"].groupby(week).sum()),
        "sessions_per_user": _told(sessions / in_weeks),
        "sessions": _told(sessions),
        "engagement_rate": _told(frame["engaged"].groupby(week).mean()),
    }


def _users(user: pd.Series, day: pd.Series, days: int) -> pd.Series:
    """Distinct users of so many days up to each."""
    dates = pd.date_range(day.min(), day.max())
    return pd.Series({one: user[(day > one - days * DAY) & (day <= one)].nunique() for one in dates})


def _issues(history: History) -> dict[str, Values]:
    frame = history.frame
    pull = frame["pull_request"].notna()
    issues = frame[~pull]
    closed = issues[issues["closed_at"].notna()]
    opened_on, closed_on = _start(issues["created_at"], "day"), _start(closed["closed_at"], "day")
    days = pd.date_range(opened_on.min(), closed_on.max() + 3 * DAY)
    open_ = pd.Series({d: (opened_on <= d).sum() - (closed_on <= d).sum() for d in days})
    pulls = (
        frame[pull]
        .assign(merged_at=frame[pull]["pull_request"].map(lambda p: p["merged_at"]))
        .dropna(subset="merged_at")
    )
    releases = pd.DataFrame(history.vendor.releases["octo-org/shop"])
    month = _start(releases[~releases["draft"] & ~releases["prerelease"]]["published_at"], "month")
    return {
        "open_issues": _told(open_),
        "opened_issues": _weekly(issues, "created_at"),
        "closed_issues": _weekly(closed, "closed_at"),
        "days_to_close": _waited(closed, "closed_at"),
        "merged_pull_requests": _weekly(pulls, "merged_at"),
        "days_to_merge": _waited(pulls, "merged_at"),
        "releases": _told(month.groupby(month).size()),
    }


def _weekly(frame: pd.DataFrame, when: str) -> Values:
    week = _start(frame[when], "week")
    return _told(week.groupby(week).size())


def _waited(frame: pd.DataFrame, until: str) -> Values:
    """Median of days since creation, by week of the end."""
    ends: Any = pd.to_datetime(frame[until])
    spans = (ends - pd.to_datetime(frame["created_at"])).dt.total_seconds() / 86_400
    return _told(spans.groupby(_start(frame[until], "week")).median())
