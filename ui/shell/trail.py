"""Where a reader is: the way to a detail page, its neighbours, and the browser's title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import streamlit as st

from ui.shell.templates import render

Step = tuple[str, str]  # words, address


def trail(
    steps: Sequence[Step], here: str, page: str, parameter: str, titles: Mapping[str, str], name: str, what: str = ""
) -> None:
    """Draw it above the heading. titles: slug → words of all things of this kind, in their order; name: this one's.

    what: what it is, in a sentence.
    """
    before, after = neighbours(list(titles), name)
    near = [(titles[slug], f"{page}?{urlencode({parameter: slug})}") if slug else None for slug in (before, after)]
    render("shell/trail", steps=steps, here=here, what=what, before=near[0], after=near[1])
    title(here)


def title(words: str) -> None:
    """What the browser's tab says."""
    st.set_page_config(page_title=f"{words} · Bellwether")


def neighbours(names: Sequence[str], name: str) -> tuple[str, str]:
    """The one before and the one after; empty at the ends."""
    at = names.index(name)
    return names[at - 1] if at else "", names[at + 1] if at + 1 < len(names) else ""
