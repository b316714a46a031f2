"""Style that Streamlit's theme cannot say; ui/shell/front.py puts it into the first page."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).resolve().parents[1] / "static"
CSS = "".join((Path(__file__).parent / name).read_text() for name in ("theme.css", "first.css"))
# Mid-tones that hold on the light and on the dark ground.
LINE, QUIET, BAD, RISK, GOOD = "#6366f1", "#8b93a7", "#dc4b4b", "#d98a1c", "#1f9d6b"
SERIES = ("#6366f1", "#0ea5a4", "#e0862e", "#d6499b", "#5b9b3c", "#8b6fd6", "#c2503f", "#4189c7")
