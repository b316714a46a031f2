"""Where the change sits on the KPI page: parts that add up, against differences by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from metrics.alerts.change import where_it_sits
from tests.conftest import Builder, known

NOW = datetime(2026, 11, 9, 3, tzinfo=UTC)


def test_parts_of_a_sum_and_of_a_rate(project: Builder) -> None:
    rows = []
    for day, web, ios in (("2026-11-07", (100, 50), (40, 10)), ("2026-11-08", (100, 30), (80, 20))):
        for platform, (seen, done) in (("web", web), ("ios", ios)):
            rows += [{"at": pd.Timestamp(day), "platform": platform, "done": i < done} for i in range(seen)]
    project.rows("acts", pd.DataFrame(rows), dimensions="[platform]", watermark="whole_days")
    project.kpi("seen", "dataset: acts\nagg: count")
    project.kpi(
        "rate",
        "type: ratio\nnumerator: {dataset: acts, agg: count, filter: done}\n"
        "denominator: {dataset: acts, agg: count}\nformat: percent",
    )
    project.kpi("middle", "dataset: acts\nagg: median\nexpr: CAST(done AS INTEGER)")
    project.sync(NOW)
    context = project.open().context(NOW)
    counted = known(where_it_sits(context, "seen"))
    (block,) = counted.blocks
    assert counted.heading == "Sun 8 Nov against the day before" and counted.told == "+40: 140 → 180."
    assert counted.folded and counted.note.startswith("Too little is known yet")
    assert block.dimension == "platform"
    assert block.line == "Platform ios accounts for all of the change: 40 → 80."
    assert [(p.segment, p.change, p.share, p.levels, p.n) for p in block.parts] == [
        ("ios", "+40", "100% of the change", "40 → 80", "n 80"),
        ("web", "±0", "0% of the change", "100 → 100", "n 100"),
    ]
    rate = known(where_it_sits(context, "rate"))
    (block,) = rate.blocks
    # 60/140 → 50/180: web's rate 50% → 30%, ios 25% → 25%; shares 71.4% → 55.6% and 28.6% → 44.4%.
    assert rate.told == "−15.1 points: 42.9% → 27.8%."
    mean = (60 / 140 + 50 / 180) / 2
    by_web = (100 / 140 + 100 / 180) / 2 * -0.2 + (0.4 - mean) * (100 / 180 - 100 / 140)
    assert block.parts[0].segment == "web" and block.parts[0].change == f"−{abs(by_web) * 100:.1f} points"
    assert "by its own rate" in block.parts[0].detail and block.parts[0].good is False
    assert where_it_sits(context, "middle") is None, "medians of segments do not add up"
