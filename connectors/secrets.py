"""What may not be read in a log or a message: passwords in addresses, keys in queries, values that `${NAME}` stood for.

Two nets: patterns that any credential is caught by, and the values that this process has met (`hide`), however they
are spelled. Names of hosts and tables stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK = "***"
SHORTEST = 4  # a shorter value is a word of too many texts
LIKE_A_KEY = re.compile(r"[^.\s]{8,}|(?=.*\d)\S{20,}")  # a part of a contact point's address; hosts have dots
NAMED = re.compile(r"\$\{(\w+)\}")
_PASSWORD = re.compile(r"://([^:/@\s]*):[^@\s]+@")
_USER_ONLY = re.compile(r"://([^:/@\s]{16,})@")  # a key in the place of a user
_KEYS = r"[\w.-]*(?:token|secret|passw(?:or)?d|passphrase|pwd|api_?key|access_?key|signature|credential)[\w.-]*|key|sig"
_PARAMETER = re.compile(rf"((?:\b|(?<=_))(?:{_KEYS})=)[^&\s'\"#,;)]+", re.IGNORECASE)
_HEADER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}")

_hidden: set[str] = set()
_pattern: re.Pattern[str] | None = None


def mask(text: str) -> str:
    """`text` with *** where a secret stood: for logs."""
    return mask_patterns(_known().sub(MASK, text) if _hidden else text)


def mask_patterns(text: str) -> str:
    """Only what looks like a credential: for words to a user, who must be able to read which table is meant."""
    text = _PASSWORD.sub(rf"://\1:{MASK}@", text)
    text = _USER_ONLY.sub(f"://{MASK}@", text)
    text = _PARAMETER.sub(rf"\1{MASK}", text)
    return _HEADER.sub(rf"\1 {MASK}", text)


def hide(value: str) -> None:
    """From now on `mask` removes this value; of an address, its password and its keys too."""
    if "://" in value:
        hide_address(value, keys_in_path=True)
    _add([value])


def hide_address(url: str, *, keys_in_path: bool = False) -> None:
    """Hide an address's password; with keys_in_path (contact points) also whatever in it looks like a key."""
    try:
        parts = urlsplit(url)
        password = parts.password or ""
    except ValueError:  # no address at all: whoever uses it says so
        return
    keys = [value for name, value in parse_qsl(parts.query) if _PARAMETER.match(f"{name}={value}")]
    if keys_in_path:
        keys += [part for part in re.split(r"[/:@?&=,#]+", url.partition("://")[2]) if LIKE_A_KEY.fullmatch(part)]
    _add([key for key in (password, *keys) if not NAMED.search(key)])


def hide_named(text: str, environment: Mapping[str, str]) -> None:
    """Hide what each ${NAME} of a text stands for, before anybody fills it in."""
    for name in NAMED.findall(text):
        hide(environment.get(name, ""))


def _add(values: Iterable[str]) -> None:
    global _pattern
    for value in values:
        spelled = {value, quote(value, safe=""), quote(value), unquote(value), repr(value)[1:-1]}
        _hidden.update(text for text in spelled if len(text) >= SHORTEST)
    _pattern = None


def _known() -> re.Pattern[str]:
    global _pattern
    if _pattern is None:
        _pattern = re.compile("|".join(re.escape(value) for value in sorted(_hidden, key=len, reverse=True)))
    return _pattern
