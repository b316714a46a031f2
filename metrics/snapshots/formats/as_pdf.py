"""The snapshot as PDF (A4) and as PNG: set by Typst, which needs no browser, no network and no library of the system.

Fonts come from this repository; a letter that they lack is taken from the machine's, if it has it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import datetime
from functools import cache

import typst

from metrics.snapshots.formats.paths import FONTS, FORMS
from metrics.snapshots.formats.sheet import Sheet

PPI = 144
_ONE = threading.Lock()  # a compiler's memory is shared: one document at a time


def pdf(sheet: Sheet, made_at: datetime) -> bytes:
    """A4, tagged for screen readers (PDF/UA-1 where every letter has a font). made_at: written into the file."""
    inputs, at = {"sheet": json.dumps(sheet.as_dict())}, made_at.replace(microsecond=0)
    with _ONE:
        compiler = _compiler("sheet.typ")
        try:
            found = compiler.compile(format="pdf", sys_inputs=inputs, timestamp=at, pdf_standards="ua-1")
        except typst.TypstError:  # a letter that no font has: shown as a box, and the standard forbids that
            found = compiler.compile(format="pdf", sys_inputs=inputs, timestamp=at)
    return _one(found)


def header_png(sheet: Sheet) -> bytes:
    """Headline and status grid, 1200 pixels wide."""
    with _ONE:
        return _one(
            _compiler("header.typ").compile(format="png", ppi=PPI, sys_inputs={"sheet": json.dumps(sheet.as_dict())})
        )


def spark_pngs(pictures: Sequence[str]) -> list[bytes]:
    """Each SVG as PNG, 200 × 60 pixels."""
    if not pictures:
        return []
    with _ONE:
        found = _compiler("sparks.typ").compile(
            format="png", ppi=PPI, sys_inputs={"pictures": json.dumps(list(pictures))}
        )
    return list(found) if isinstance(found, list) else [_one(found)]


@cache
def _compiler(form: str) -> typst.Compiler:
    return typst.Compiler(input=str(FORMS / form), root=str(FORMS), font_paths=_fonts())


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True, font_paths=[str(FONTS)])


def _one(found: bytes | list[bytes] | None) -> bytes:
    if isinstance(found, list):
        return found[0]
    assert found is not None
    return found
