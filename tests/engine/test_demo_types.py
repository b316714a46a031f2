"""The demo's KPIs by the SELECTs that stood in for their types before: real types, the same numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from metrics.engine.answer import answer
from metrics.engine.query import Query

# KPI → (breakdown, SELECT of period, segment, value) as it was before the type was computed.
STAND_INS = {
    "activation": (
        "platform",
        """
        SELECT date_trunc('week', signed_up_at) AS period, {by} AS segment,
          count(*) FILTER (activated_at < signed_up_at + INTERVAL '7 days') / count(*) AS value
        FROM users GROUP BY ALL""",
    ),
    "trial_to_paid": (
        "channel",
        """
        SELECT date_trunc('week', u.trial_at) AS period, {by} AS segment, count(s.user_id) / count(*) AS value
        FROM users u
        LEFT JOIN (SELECT user_id, min(started_on) AS paid_on FROM subscriptions GROUP BY user_id) s
          ON s.user_id = u.user_id AND s.paid_on >= CAST(u.trial_at AS DATE)
          AND s.paid_on < u.trial_at + INTERVAL '14 days'
        WHERE u.trial_at IS NOT NULL GROUP BY ALL""",
    ),
    "week_4_retention": (
        "country",
        """
        SELECT date_trunc('week', u.activated_at) AS period, {by} AS segment, count(b.user_id) / count(*) AS value
        FROM users u
        LEFT JOIN (
          SELECT DISTINCT s.user_id FROM sessions s JOIN users v ON v.user_id = s.user_id
          WHERE CAST(s.started_at AS DATE) >= CAST(v.activated_at AS DATE) + INTERVAL '28 days'
            AND CAST(s.started_at AS DATE) < CAST(v.activated_at AS DATE) + INTERVAL '35 days'
        ) b ON b.user_id = u.user_id
        WHERE u.activated_at IS NOT NULL GROUP BY ALL""",
    ),
    "new_mrr": (
        "card_region",
        """
        SELECT date_trunc('month', started_on) AS period, {by} AS segment, sum(mrr) AS value
        FROM subscriptions GROUP BY ALL""",
    ),
    "nps": (
        "editor",
        """
        SELECT date_trunc('week', submitted_at) AS period, {by} AS segment,
          100 * (count(*) FILTER (score >= 9) - count(*) FILTER (score <= 6)) / count(*) AS value
        FROM feedback WHERE score IS NOT NULL GROUP BY ALL""",
    ),
    "stickiness": (
        "plan",
        """
        SELECT date_trunc('week', day) AS period, {by} AS segment, count(*) / 7.0 / count(DISTINCT user_id) AS value
        FROM (SELECT DISTINCT user_id, {by} AS {name}, CAST(started_at AS DATE) AS day FROM sessions) GROUP BY ALL""",
    ),
    "quick_ratio": (
        "",
        """
        WITH active AS (SELECT DISTINCT user_id, date_trunc('week', started_at) AS week FROM sessions),
        around AS (
          SELECT user_id, week, lag(week) OVER (PARTITION BY user_id ORDER BY week) AS before,
            lead(week) OVER (PARTITION BY user_id ORDER BY week) AS next FROM active
        ), counted AS (
          SELECT week AS period, 1 AS gained, 0 AS lost FROM around
            WHERE before IS NULL OR before < week - INTERVAL '7 days'
          UNION ALL
          SELECT week + INTERVAL '7 days', 0, 1 FROM around WHERE next IS NULL OR next > week + INTERVAL '7 days'
        )
        SELECT period, '' AS segment, sum(gained) / nullif(sum(lost), 0) AS value FROM counted GROUP BY period""",
    ),
}


@pytest.mark.parametrize("name", sorted(STAND_INS))
def test_real_types_give_the_numbers_of_their_stand_ins(demo_world: Any, name: str) -> None:
    dimension, text = STAND_INS[name]
    assert demo_world.catalogue.kpi(name).type != "sql"
    for by in dict.fromkeys(("", dimension)):
        column = f"coalesce(CAST({by} AS VARCHAR), '(none)')" if by else "''"
        rows = demo_world.reader.frame(text.format(by=column, name=by or "nothing"))
        if name == "stickiness" and by:
            rows = demo_world.reader.frame(text.format(by=by, name=by))
        want = {
            (r["segment"], pd.Timestamp(r["period"]).tz_localize(None)): r["value"] for r in rows.to_dict("records")
        }
        frame = answer(Query(name, by=by or None), demo_world.catalogue, demo_world.reader).frame
        done = frame[frame["complete"] & frame["value"].notna()]
        assert len(done) > 10 * (4 if by else 1) or name == "new_mrr"
        for row in done.to_dict("records"):
            if name == "stickiness" and row["period"] < pd.Timestamp("2025-10-27"):
                continue  # the first week began on a Wednesday: a mean over the observed days, not over seven
            key = (row["segment"], row["period"])
            assert row["value"] == pytest.approx(want.get(key, 0.0), rel=1e-12), (name, key)
