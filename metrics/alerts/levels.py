"""How bad a judgement is, as numbers and as words. Loads nothing: who has nothing to judge waits for no array."""

from __future__ import annotations

import math

METHOD = 1  # raise it when the judgement of the same values changes
WARNING, CRITICAL = 1, 2
SEVERITIES = ("", "warning", "critical")


def known_or_none(value: float) -> float | None:
    """A number for JSON and words: unknown is None."""
    return None if math.isnan(value) or math.isinf(value) else float(value)
