"""The snapshot as HTML: a body for the page, and one self-contained file. No script, nothing from the network."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from metrics.snapshots.formats.charts import HIGH, SPARK_HIGH, SPARK_WIDE, WIDE
from metrics.snapshots.formats.front import Cell
from metrics.snapshots.formats.paths import FONTS, FORMS
from metrics.snapshots.formats.sheet import Block, Sheet

DARK = "><style>@media(prefers-color-scheme:dark){text{fill:#b9c0d0}}</style>"
XMLNS = ' xmlns="http://www.w3.org/2000/svg"'  # which a picture needs, and markup inside of HTML does not
WEIGHTS = (("400", "inter-regular.woff2"), ("600 700", "inter-semibold.woff2"))


def body(sheet: Sheet, *, images: bool = False) -> str:
    """The markup that page and file share; everything in it is escaped.

    images: charts as pictures, for the page, which lets no SVG through; else inline, which is a third smaller.
    """
    drawn, small = (_image, _small_image) if images else (_inline, _small_inline)
    return forms().get_template("body.html.j2").render(s=sheet, anchor=anchor, drawn=drawn, small=small)


def _inline(block: Block) -> Markup:
    return Markup(block.svg.replace(XMLNS, "", 1))  # noqa: S704 (made by charts.py, which escapes)


def _small_inline(cell: Cell) -> Markup:
    """Without words: the cell says the number, and the KPI's own chart the rest."""
    return Markup(cell.spark.replace(XMLNS, ' aria-hidden="true"', 1))  # noqa: S704 (as above)


def _image(block: Block) -> Markup:
    return _picture(block.svg, block.alt, WIDE, HIGH)


def _small_image(cell: Cell) -> Markup:
    return _picture(cell.spark, "", SPARK_WIDE, SPARK_HIGH)


def _picture(svg: str, alt: str, wide: int, high: int) -> Markup:
    """An SVG as picture follows light and dark by itself: the page's colours do not reach into it."""
    data = base64.b64encode(svg.replace(">", DARK, 1).encode()).decode()
    return Markup('<img src="data:image/svg+xml;base64,{}" alt="{}" width="{}" height="{}">').format(
        data, alt, wide, high
    )


def file(sheet: Sheet) -> str:
    """One HTML file with its fonts, to be kept and forwarded."""
    return forms().get_template("file.html.j2").render(s=sheet, body=body(sheet), css=css(), fonts=_fonts())


def anchor(key: str, kind: str = "k") -> str:
    """An id for a line, whatever its segment is called; kind o: where it comes from."""
    return f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


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
