"""Markup of the dashboard: templates in ui/templates, a folder per room. Whatever they print is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import streamlit as st
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from ui.shell.once import once

FOLDER = Path(__file__).resolve().parents[1] / "templates"
WORDS_GO_ON = re.compile(r"(?<=[^>\s])\s*\n\s*(?=[^<\s])")
BREAK = re.compile(r"\s*\n\s*")


def render(name: str, /, **values: object) -> None:
    """Draw a template, named as `room/name`. A value that it needs and does not get is an error."""
    st.html(markup(name, **values))


def render_once(name: str, views: Sequence[object], words: str = "", /, **values: object) -> None:
    """As `render`, of values that are made of these view models and words: the markup is kept as long as the models."""
    st.html(once(f"{name} {words}", lambda: markup(name, **values), *views))


def markup(name: str, /, **values: object) -> str:
    """What `render` draws."""
    return environment().get_template(f"{name}.html.j2").render(values)


def line(words: str) -> None:
    """A quiet line."""
    render("shell/line", words=words)


def banner(words: str, link: str = "") -> None:
    """A line that stands out; `link` is said after it and leads to the page Data."""
    render("shell/banner", words=words, link=link)


@cache
def environment() -> Environment:
    """The one environment of pages and ui."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=[JoinedLines],  # instead of trim_blocks and lstrip_blocks, which keep the indentation of tags
    )
    made.filters["web"] = web
    return made


def web(target: str) -> str:
    """Only web addresses: a link of another kind could run something."""
    return target if target.startswith(("https://", "http://")) else "#"


class JoinedLines(Extension):
    """A line break beside a tag, with its indentation, is not in the markup; between words it is a space."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Tokens keep their line, so that errors name it."""
        for token in stream:
            if token.type == "data":
                yield Token(token.lineno, token.type, BREAK.sub("", WORDS_GO_ON.sub(" ", token.value)))
            else:
                yield token
