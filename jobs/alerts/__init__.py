"""Alerts: evaluated after each sync, what people do about incidents, the page, replays."""
