"""What truly varies is made equal, and what is long is made short.

Made equal: the random end of a generation's name, project and repository folder, when a file was written, digits of a
decimal beyond the twelfth, seconds that a job took, what the audit's key signed; and, where a recorder says so,
versions, disk sizes, parts of mails. Nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.net.product import ROOT

GENERATION = re.compile(r"\b(\d{8}T\d{6})-[0-9a-f]{8}\b")
WRITTEN = re.compile(r"(?<=\d:)(?:\d{19}-\d{19})?(?=:[0-9a-f]{32})")  # in a files cursor; fresh ones have none
STORED_PATH = re.compile(r"(?<=# )/\S*(?=/(?:kpis|datasets)/)")  # in a stored definition: the folder it was made in
DECIMAL = re.compile(r"(?<![\w.])-?\d+(?:\.\d{9,}(?:e[+-]?\d+)?|(?:\.\d+)?e[+-]\d+)(?!\w)")
SECONDS = re.compile(r'("seconds": )[\d.e-]+|\b(in )\d+\.\d( s)\b')
AUDIT = re.compile(r'(?<="audit:head", ")[^}]*\}')  # in a generation: signed by a random key
HEAD, TAIL = 4, 2  # rows of a long list that are kept
LONG = 400  # characters of one text that are kept
NOISE = 1e-12  # below it a decimal is the rest of a subtraction


def settled(text: str, folder: Path | None = None) -> str:
    """The text of any run. To be used before anything is hashed."""
    for path, name in ((folder, "<project>"), (ROOT / ".venv" / "bin", "<bin>"), (ROOT, "<repository>")):
        text = text.replace(str(path), name) if path else text
    text = GENERATION.sub(r"\1-<random>", text)
    text = STORED_PATH.sub("<project>", WRITTEN.sub("<written>", text))
    text = AUDIT.sub("<head>", text)
    text = SECONDS.sub(lambda m: f"{m[1] or m[2]}<seconds>{m[3] or ''}".replace('": <seconds>', '": 0'), text)
    return DECIMAL.sub(_rounded, text)


def _rounded(match: re.Match[str]) -> str:
    value = float(match[0])
    return f"{value:.12g}" if abs(value) > NOISE else "0.0"


def sha(text: str) -> str:
    """Twelve digits are enough to see that something changed."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def shortened(text: str, head: int = 30, tail: int = 5) -> list[str]:
    """Lines of a text; of a long one the first and last, and between them a hash of the whole."""
    lines = [cut(line) for line in text.split("\n")]
    if len(lines) <= head + tail + 1:
        return lines
    return [*lines[:head], f"… {len(lines)} lines, sha256 {sha(text)} …", *lines[-tail:]]


def cut(text: str) -> str:
    """A long text's beginning and the hash of all of it."""
    return text if len(text) <= LONG else f"{text[: LONG // 2]} … {len(text)} characters, sha256 {sha(text)}"


def json_lines(value: Any, indent: int = 0) -> list[str]:
    """JSON with an object's keys in their own order, one to a line; rows on one line each, long lists cut short."""
    pad = "  " * indent
    if isinstance(value, dict) and (indent == 0 or len(json.dumps(value)) > 160):
        found = []
        for key, item in value.items():
            lines = json_lines(item, indent + 1)
            found += [f"{pad}{key}: {lines[0].strip()}"] if len(lines) == 1 else [f"{pad}{key}:", *lines]
        return found or [f"{pad}{{}}"]
    if isinstance(value, list) and len(json.dumps(value)) > 160:
        return _list_lines(value, indent)
    return [pad + cut(json.dumps(value, ensure_ascii=False))]


def _list_lines(value: Sequence[Any], indent: int) -> list[str]:
    pad = "  " * indent
    if len(value) <= HEAD + TAIL + 1:
        shown: list[Any] = list(value)
    else:
        shown = [*value[:HEAD], None, *value[-TAIL:]]
    found = []
    for position, item in enumerate(shown):
        if item is None and position == HEAD and len(shown) < len(value):
            found.append(f"{pad}… {len(value)} items, sha256 {sha(json.dumps(value, ensure_ascii=False))} …")
        elif isinstance(item, (dict, list)) and len(json.dumps(item)) > LONG:
            found += [f"{pad}-", *json_lines(item, indent + 1)]
        else:
            found.append(f"{pad}- {cut(json.dumps(item, ensure_ascii=False))}")
    return found


class Visible(HTMLParser):
    """Markup as the text that a reader sees or hears, a line per block; links with where they lead."""

    BLOCKS = frozenset(
        (
            "p",
            "div",
            "li",
            "tr",
            "h1",
            "h2",
            "h3",
            "h4",
            "dt",
            "dd",
            "ul",
            "ol",
            "table",
            "section",
            "article",
            "figure",
        )
    )
    CELLS = frozenset(("td", "th"))
    SILENT = frozenset(("style", "script"))

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self._silent = 0
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        self._silent += tag in self.SILENT
        if tag in self.BLOCKS:
            self.lines.append("")
        if tag in self.CELLS:
            self.lines[-1] += " | "
        said = [f"{key}={of[key]}" for key in ("href", "aria-label", "title", "alt", "data-testid") if of.get(key)]
        if said:
            self.lines[-1] += f"[{' '.join(said)}]"

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in self.SILENT
        if tag in self.BLOCKS:
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.lines[-1] += data


def html_lines(markup: str) -> list[str]:
    """What markup shows, and a hash of it as it is: a class or a drawn path may change, too."""
    lines = [" ".join(line.split()) for line in Visible(markup).lines]
    found = [cut(line) for line in lines if line]
    if len(found) > 120:
        found = shortened("\n".join(found), 100, 20)
    return [f"html {sha(markup)}", *(f"  {line}" for line in found)]
