"""The snapshot as HTML: a body for the page, and one self-contained file. No script, nothing from the network."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from metrics.snapshots.formats.charts import HIGH, WIDE
from metrics.snapshots.formats.paths import FONTS, FORMS
from metrics.snapshots.formats.sheet import Block, Sheet

DARK = "><style>@media(prefers-color-scheme:dark){text{fill:#b9c0d0}}</style>"
WEIGHTS = (("400", "inter-regular.woff2"), ("600 700", "inter-semibold.woff2"))


def body(sheet: Sheet, *, images: bool = False) -> str:
    """The markup that page and file share; everything in it is escaped.

    images: charts as pictures, for the page, which lets no SVG through; else inline, which is a third smaller.
    """
    return forms().get_template("body.html.j2").render(s=sheet, anchor=anchor, drawn=_image if images else _inline)


def _inline(block: Block) -> Markup:
    return Markup(block.svg)  # noqa: S704 (made by charts.py, which escapes)


def _image(block: Block) -> Markup:
    """An SVG as picture follows light and dark by itself: the page's colours do not reach into it."""
    svg = block.svg.replace(">", DARK, 1)
    data = base64.b64encode(svg.encode()).decode()
    return Markup('<img src="data:image/svg+xml;base64,{}" alt="{}" width="{}" height="{}">').format(
        data, block.alt, WIDE, HIGH
    )


def file(sheet: Sheet) -> str:
    """One HTML file with its fonts, to be kept and forwarded."""
    return forms().get_template("file.html.j2").render(s=sheet, body=body(sheet), css=css(), fonts=_fonts())


def anchor(key: str) -> str:
    """An id for a line, whatever its segment is called."""
    return f"k-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


@cache
def css() -> str:
    """The style of the body, on light and dark ground."""
    return (FORMS / "sheet.css").read_text()


@cache
def forms() -> Environment:
    """The templates; they escape what they print."""
    return Environment(
        loader=FileSystemLoader(FORMS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@cache
def _fonts() -> tuple[tuple[str, str], ...]:
    return tuple((weight, base64.b64encode((FONTS / name).read_bytes()).decode()) for weight, name in WEIGHTS)
