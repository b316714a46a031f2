"""Filters live in the address: a view can be bookmarked, reloaded and pasted into a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from ui.shell.words import literal


def read(name: str, allowed: Sequence[str], default: str) -> str:
    """A parameter of the address, or the default where it is missing or says nothing known."""
    value = st.query_params.get(name, default)
    return value if value in allowed else default


def write(name: str, value: str, default: str) -> None:
    """Put a choice into the address; the default leaves no trace."""
    if value == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def choose(name: str, label: str, options: Mapping[str, str], default: str, *, buttons: bool = False) -> str:
    """One choice out of slug → label, kept in the address under `name`, which is the widget's key, too."""
    current = read(name, list(options), default)
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
