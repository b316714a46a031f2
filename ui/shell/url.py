"""Filters live in the address: a view can be bookmarked, reloaded and pasted into a chat.

What an address names and nobody knows is told: a subject (a KPI, a week) by a page that shows nothing else, a choice by
a line that says what is shown in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

import streamlit as st

from connectors.errors import NO_OTHERS, nearest
from ui.shell.ended import stop
from ui.shell.templates import line, render
from ui.shell.words import literal

NEAREST = 3  # names that are offered in place of an unknown one
PAGE, UNKNOWN, RENAMED = "address_page", "address_unknown", "address_renamed"  # keys of the session's state


@dataclass(frozen=True)
class Unknown:
    """A choice of the address that is not known where it is asked for, and what is shown in its place."""

    asked: str
    shown: str
    links: tuple[tuple[str, str], ...] = ()  # words, address


def begin(page: str) -> None:
    """A run of this page begins: nothing of its address is known to be wrong yet."""
    st.session_state[PAGE] = page
    st.session_state[UNKNOWN] = {}


def told() -> None:
    """Draw what was found unknown since the run began."""
    found: dict[str, Unknown] = st.session_state.get(UNKNOWN, {})
    if found:
        render("shell/unknown_choices", found=tuple(found.values()))


def read(name: str, allowed: Sequence[str], default: str) -> str:
    """A parameter of the address, or the default where it is missing; one that says nothing known is told."""
    return _known(name, {slug: slug for slug in allowed}, default)


def write(name: str, value: str, default: str) -> None:
    """Put a choice into the address; the default leaves no trace."""
    if value == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def choose(
    name: str,
    label: str,
    options: Mapping[str, str],
    default: str,
    *,
    buttons: bool = False,
    renamed: Mapping[str, str] = NO_OTHERS,
) -> str:
    """One choice out of slug → label, kept in the address under `name`, which is the widget's key, too.

    renamed: former slug → slug of today, which takes its place.
    """
    current = _known(name, options, default, renamed)
    st.session_state[name] = current  # the address decides; a widget only edits it

    def edited() -> None:
        write(name, st.session_state[name] or default, default)

    draw = partial(st.segmented_control, required=True) if buttons else partial(st.selectbox, width=190)
    draw(
        label,
        list(options),
        format_func=(lambda slug: literal(options[slug])) if buttons else options.__getitem__,
        key=name,
        on_change=edited,
        label_visibility="collapsed",
    )
    return current


def subject(
    name: str,
    label: str,
    options: Mapping[str, str],
    default: str,
    *,
    listing: tuple[str, str] | None = None,
    renamed: Mapping[str, str] = NO_OTHERS,
    picker: bool = True,
) -> str:
    """As `choose`, of what the page is about: where the address names an unknown one, nothing else is shown for it.

    listing: words and page where all of them are. renamed: former slug → slug of today; the address is rewritten.
    picker: whether it can be chosen here; a page that says what is beside it needs no such widget.
    """
    asked = st.query_params.get(name, "")
    if asked not in options and asked in renamed:
        st.query_params[name] = renamed[asked]
        st.session_state[RENAMED] = (name, asked, renamed[asked])
    elif asked and asked not in options:
        st.title(literal(f"No {label if label.isupper() else label.lower()} “{asked[:80]}”"))
        words = "The address names it, and there is none of that name."
        render("shell/unknown", words=words, links=_links(name, asked, options), listing=listing)
        stop()
    chosen = choose(name, label, options, default) if picker else st.query_params.get(name, default)
    kind, old, new = st.session_state.get(RENAMED, ("", "", ""))
    if (kind, new) == (name, chosen):
        line(f"{old} is now called {options[new]} ({new}).")
    return chosen


def unknown(name: str, asked: str, shown: str, options: Mapping[str, str] = NO_OTHERS) -> None:
    """Note that a parameter says nothing known. shown: what is shown in its place, in words."""
    links = _links(name, asked, options)
    found = Unknown(f"{name}={asked[:80]}", shown, tuple(links))
    st.session_state.setdefault(UNKNOWN, {})[name, asked] = found


def _known(name: str, options: Mapping[str, str], default: str, renamed: Mapping[str, str] = NO_OTHERS) -> str:
    asked = st.query_params.get(name, default)
    asked = asked if asked in options else renamed.get(asked, asked)
    if asked in options:
        return asked
    if asked:
        unknown(name, asked, options.get(default, default), options)
    return default


def _links(name: str, asked: str, options: Mapping[str, str]) -> list[tuple[str, str]]:
    """Words and address of what is nearest to an unknown slug; it may be written as it is called, too."""
    by_words = {words: slug for slug, words in options.items()}
    slugs = dict.fromkeys(by_words.get(found, found) for found in nearest(asked, [*options, *by_words], 2 * NEAREST))
    page = st.session_state.get(PAGE, "")
    rest = {key: st.query_params.get_all(key) for key in st.query_params if key != name}
    return [
        (options[slug], f"{page}?{urlencode({**rest, name: slug}, doseq=True)}")
        for slug in [slug for slug in slugs if slug][:NEAREST]
    ]
