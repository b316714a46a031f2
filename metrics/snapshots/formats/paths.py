"""Where the forms and fonts of snapshots are."""

from pathlib import Path

FORMS = Path(__file__).parent / "forms"
FONTS = Path(__file__).parent / "fonts"
