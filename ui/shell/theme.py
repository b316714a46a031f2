"""Style that Streamlit's theme cannot say."""

from __future__ import annotations

from pathlib import Path

from ui.shell.templates import render

STATIC = Path(__file__).resolve().parents[1] / "static"
CSS = (Path(__file__).parent / "theme.css").read_text()
# Mid-tones that hold on the light and on the dark ground.
LINE, QUIET, BAD, RISK, GOOD = "#6366f1", "#8b93a7", "#dc4b4b", "#d98a1c", "#1f9d6b"
SERIES = ("#6366f1", "#0ea5a4", "#e0862e", "#d6499b", "#5b9b3c", "#8b6fd6", "#c2503f", "#4189c7")


def style() -> None:
    """Load theme.css into the page."""
    render("shell/style", css=CSS)
