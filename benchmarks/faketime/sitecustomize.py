"""Python runs this first where a clock is moved (clocks.py): libfaketime before 0.9.11 breaks its `time.sleep`.

It takes a moment of the monotonic clock, which is not moved, for one of the clock that is: "Invalid argument".
"""

import select
import time


def sleep(seconds: float, /) -> None:
    """As time.sleep, by a call that takes a duration."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = sleep  # type: ignore[assignment]
