"""Text of people or data in Markdown."""

from __future__ import annotations

import re


def escaped(text: str) -> str:
    """Text that Markdown takes for nothing else, in one line."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", plain)
