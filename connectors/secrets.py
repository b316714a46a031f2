"""What may not be read in anything that is written: credentials in addresses, headers and keys, values of `${NAME}`.

Two nets: patterns that any credential is caught by, and the values that this process has met (`hide`), however they
are spelled: as they are, quoted for an address, HTML or JSON, in base64. Names of hosts and tables stay readable.
Every error, outcome of a message, line of a log and line of JSON goes through `mask` where it is made.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote

MASK = "***"
SHORTEST = 4  # a shorter value is a word of too many texts
ANYWHERE = 8  # a value of this length is removed from the middle of a word, too
LIKE_A_KEY = re.compile(r"[^.\s]{8,}|(?=.*\d)\S{20,}")  # a part of a contact point's address; hosts have dots
NAMED = re.compile(r"\$\{(\w+)\}")
PLAIN = {"true", "false", "none", "null", "http", "https", "localhost", "127.0.0.1", "public", "main", "utf8", "utf-8"}
# Parameters of addresses whose values say how or to whom, never who one is.
_HARMLESS = {"to", "cc", "bcc", "from", "name", "format", "overflow", "mode", "verify", "rto", "cto", "smtp"}
_HARMLESS |= {
    "host",
    "hostaddr",
    "port",
    "dbname",
    "sslmode",
    "connect_timeout",
    "application_name",
    "charset",
    "client_encoding",
    "driver",
    "schema",
}
# A password may hold a slash; what begins as port and path is none.
_USER_PART = re.compile(r"(?<=://)(?:[^/?#@\s'\"]*|[^:/@\s'\"]*:(?!\d+[/?#])[^@\s'\"]+)@")
_SPLIT_USER = re.compile(r"://([^:/?#@\s]*)(?::(?!\d+[/?#])([^@\s]+))?@")
_QUERY = re.compile(r"(://[^\s'\"<>?#]*\?)([^\s'\"<>#]+)")
_FRAGMENT = re.compile(r"(://[^\s'\"<>#]*)#[^\s'\"<>]*[^\s'\"<>.,:;)\]]")
_PLACE = re.compile(r"[\w+.-]+:///")  # no host: a file of this machine, whose folders an error must name
_VALUE = re.compile(r"([^&=]+=)?([^&]*[^&.,:;)\]])")
_KEYS = r"[\w.-]*(?:token|secret|passw(?:or)?d|passphrase|pwd|api_?key|access_?key|signature|credential)[\w.-]*|key|sig"
_PARAMETER = re.compile(rf"((?:\b|(?<=_))(?:{_KEYS})=)[^&\s'\"#,;)]+(?<![.:])", re.IGNORECASE)
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest|Negotiate)\s+[\w.~+/=-]{8,}")
_TOKEN = re.compile(r"\bkpi_(?=[\w-]*[A-Z])[\w-]{43}(?![\w-])")  # ours (jobs/access/tokens.py)
_HEADER = re.compile(
    r"\b((?:Proxy-)?Authorization|X-Api-Key|X-Auth-Token|(?:Set-)?Cookie)(['\"]?\s*[:=]\s*['\"]?)"
    r"(Bearer\s+|Basic\s+|Digest\s+|Negotiate\s+)?[^\s'\",]+",
    re.IGNORECASE,
)

_hidden: set[str] = set()
_pattern: re.Pattern[str] | None = None


def mask(text: str) -> str:
    """`text` with *** where a secret stood."""
    return mask_patterns(_known().sub(MASK, text) if _hidden else text)


def masked(value: Any) -> Any:
    """Plain values of JSON with `mask` over each text, names of keys apart."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


def mask_patterns(text: str) -> str:
    """Only what looks like a credential, whether or not this process knows it."""
    if "://" in text:
        text = _USER_PART.sub(_user_part, text)
        text = _QUERY.sub(lambda found: found[1] + _VALUE.sub(rf"\1{MASK}", found[2]), text)
        text = _FRAGMENT.sub(rf"\1#{MASK}", text)
    text = _TOKEN.sub(MASK, _PARAMETER.sub(rf"\1{MASK}", text))
    return _SCHEME.sub(rf"\1 {MASK}", _HEADER.sub(rf"\1\2\3{MASK}", text))


def _user_part(found: re.Match[str]) -> str:
    """`***@`; of what is only named, `${NAME}` and `{owner}`, the name stays."""
    return found[0] if re.fullmatch(r"(?:[:@]|\$?\{\w+\})+", found[0]) else f"{MASK}@"


def hide(value: str) -> None:
    """From now on `mask` removes this value; of an address, its password and its keys too."""
    if "://" in value:
        hide_address(value, keys_in_path=True)
    if value.lower() not in PLAIN and not _is_place(value):
        _add([value])


def hide_address(url: str, *, keys_in_path: bool = False) -> None:
    """Hide an address's user, password and keys; with keys_in_path (contact points) whatever in it looks like a key."""
    keys: list[str] = []
    for user, password in _SPLIT_USER.findall(url):
        alone = not password or any(letter.isdigit() for letter in user)
        keys += [password] + ([user] if alone and LIKE_A_KEY.fullmatch(user) else [])
    before, _, fragment = url.partition("#")
    path, _, query = before.partition("?")
    given = [(name, value) for name, value in parse_qsl(query) if name.lower() not in _HARMLESS]
    keys += [v for n, v in given if _PARAMETER.match(f"{n}={v}") or LIKE_A_KEY.fullmatch(v)]
    keys += [fragment] if len(fragment) >= ANYWHERE else []
    if keys_in_path and not _PLACE.match(path):
        parts = re.split(r"[/:@=,]+", path.partition("://")[2])
        keys += [part for part in parts if LIKE_A_KEY.fullmatch(part)]
    _add([key for key in keys if not NAMED.search(key)])


def hide_named(text: str, environment: Mapping[str, str]) -> None:
    """Hide what each ${NAME} of a text stands for, before anybody fills it in."""
    for name in NAMED.findall(text):
        hide(environment.get(name, ""))


def _is_place(value: str) -> bool:
    """Whether a value is a path on this machine, or its address: an error about a file must name it."""
    if (address := _PLACE.match(value)) and not re.search("[?#]", value):
        value = f"/{value[address.end() :].lstrip('/')}"
    parts = Path(value).parts
    return len(parts) > 2 and Path(value).is_absolute() and Path(*parts[:2]).is_dir()


def _add(values: Iterable[str]) -> None:
    global _pattern
    for value in values:
        if len(value) >= SHORTEST:
            _hidden.update(text for text in _spelled(value) if len(text) >= SHORTEST)
    _pattern = None


def _spelled(value: str) -> set[str]:
    """A value in every form in which a text may have it."""
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    small = {re.sub("%..", lambda found: found[0].lower(), text) for text in quoted}
    escaped = {
        repr(value)[1:-1],
        html.escape(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
    }
    found = {value, unquote(value), *quoted, *small, *escaped}
    return found | {text for plain in (value, unquote(value)) for text in _in_base64(plain)}


def _in_base64(value: str) -> set[str]:
    """What is the same in base64 whatever stands before and after a value, for each of the three ways to begin."""
    found = set()
    data = value.encode(errors="surrogatepass")
    for offset, skipped in ((0, 0), (1, 2), (2, 3)):
        whole = b64encode(b"\0" * offset + data).decode()
        core = whole[skipped : (offset + len(data)) * 8 // 6]
        if len(core) >= ANYWHERE:
            found |= {core, core.replace("+", "-").replace("/", "_")}
    return found


def _known() -> re.Pattern[str]:
    global _pattern
    if _pattern is None:
        words = sorted(_hidden, key=len, reverse=True)
        _pattern = re.compile("|".join(_as_pattern(word) for word in words))
    return _pattern


def _as_pattern(word: str) -> str:
    plain = re.escape(word)
    return plain if len(word) >= ANYWHERE else rf"(?<!\w){plain}(?!\w)"
