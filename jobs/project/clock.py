"""The clock, for pages and the command: what time it is, and how it is set."""

from connectors.clock import set_clock, timestamp, utc_now

__all__ = ["set_clock", "timestamp", "utc_now"]
