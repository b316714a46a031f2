"""Texts of data and people in widgets that read Markdown: shown as they are, never as markup, formula or emoji."""

from __future__ import annotations

import re

_CODE = re.compile(r"(`[^`\n]+`)")
_MARKS = re.compile(r"[\\`*\[\]<>$~#|&]|(?<!\w)_|_(?!\w)")
_LINE_START = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))", re.MULTILINE)
# What looks for these reads the text after Markdown has taken backslashes away, so a word joiner stands between.
_SHORT_CODE = re.compile(r":(?=(?:[A-Za-z+-][^\s:]*|100|1234|8ball)(?::|\\?\[))")
_LINK = re.compile(r"(?<=[hw])(?=ttps?://|ww\.)", re.IGNORECASE)
JOINER = "\u2060"


def literal(text: str) -> str:
    """One line of a title, a label, a toast."""
    return _escaped(" ".join(text.split()))


def literal_lines(text: str) -> str:
    """An error or its hint: `code` that we write stays code, lines stay lines."""
    parts = (part if _CODE.fullmatch(part) else _escaped(part) for part in _CODE.split(text))
    return "".join(parts).replace("\n", "  \n")


def _escaped(text: str) -> str:
    text = _LINE_START.sub(lambda found: found[1] + (f"{found[2]}{JOINER}"), text)
    text = _LINK.sub(JOINER, text)
    return _SHORT_CODE.sub(f":{JOINER}", _MARKS.sub(r"\\\g<0>", text))
