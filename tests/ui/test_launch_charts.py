"""The picture of a launch: days that were left out are no line."""

from __future__ import annotations

import pandas as pd

from metrics.launches.page import Path
from ui.launches.charts import path_figure


def test_no_line_is_drawn_through_days_that_were_left_out() -> None:
    days = [*pd.date_range("2026-10-01", periods=4), *pd.date_range("2026-10-12", periods=3)]
    values = tuple(float(n) for n in range(7))
    texts = tuple(f"on day {n}" for n in range(7))
    path = Path(tuple(days), values, values, values, values, texts, ".0f", "", days[4], ("0", "6"))
    band, drawn = path_figure(path).data[1], path_figure(path).data[-1]
    assert list(drawn.y) == [0, 1, 2, 3, None, 4, 5, 6] and drawn.x[4] == pd.Timestamp("2026-10-05")
    assert list(drawn.text) == [*texts[:4], "", *texts[4:]] and not drawn.connectgaps
    assert list(band.x) == days
