"""What columns and keys are called: in files, in SQL, in YAML, and for people."""

from __future__ import annotations

import re
from typing import Any

from connectors.warehouse.names import quoted

RESERVED = {"at", "order", "group", "select", "from", "where", "date", "time", "user", "table", "desc", "asc", "end"}
RESERVED |= {
    "case",
    "limit",
    "offset",
    "having",
    "union",
    "all",
    "as",
    "by",
    "on",
    "in",
    "is",
    "not",
    "null",
    "or",
    "and",
}
ACRONYMS = {
    "id",
    "nps",
    "csat",
    "ces",
    "mrr",
    "arr",
    "aov",
    "gmv",
    "ctr",
    "cpc",
    "cpm",
    "roas",
    "url",
    "ip",
    "api",
    "vat",
}
ACRONYMS |= {"usd", "eur", "gbp", "utc", "sku", "dau", "wau", "mau", "arpu", "p50", "p90", "p95", "p99"}


def slug(name: str) -> str:
    """A name for files and keys: lower case, digits and underscores, starting with a letter."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_").lower()
    plain = re.sub(r"_+", "_", plain)
    return plain if plain[:1].isalpha() else f"c_{plain}".rstrip("_")


def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: `customerID` and `Customer Id` have the same."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return tuple(re.findall(r"[^\W_]+", spaced.lower()))


def label(name: str) -> str:
    """A name as people write it: `total_net_amount` is Total net amount."""
    known = [w.upper() if w in ACRONYMS else w for w in words(name)]
    spoken = " ".join(known)
    return spoken[:1].upper() + spoken[1:]


def inner_label(name: str) -> str:
    """The same within a sentence or behind another word: `CTR` stays, `Net amount` begins small."""
    shown = label(name)
    return shown if words(name)[:1] and words(name)[0] in ACRONYMS else shown[:1].lower() + shown[1:]


def noun(name: str) -> str:
    """What a file's rows are called, without what exports add: `raw_orders_2026-01 (1)` is Orders."""
    kept = [w for w in words(re.sub(r"\(\d+\)", " ", name)) if w not in NO_NOUN and not re.fullmatch(r"[a-z]?\d+", w)]
    kept = [re.sub(r"(?<=[a-z]{3})\d+$", "", w) for w in kept]
    return label(" ".join(kept)) or label(name)


NO_NOUN = {
    "raw",
    "stg",
    "export",
    "exports",
    "exported",
    "dump",
    "final",
    "copy",
    "new",
    "csv",
    "data",
    "utf",
    "download",
}


IDS = {
    "id",
    "ids",
    "uuid",
    "guid",
    "key",
    "code",
    "no",
    "nr",
    "number",
    "sku",
    "identifier",
    "isbn",
    "ean",
    "upc",
    "asin",
}
IDS |= {"barcode", "zip", "zipcode", "postcode", "postal", "phone", "tel", "fax", "ssn", "iban", "hash", "token", "ref"}
IDS |= {"reference", "index", "idx", "row", "line", "last4", "plz", "invoice", "serial", "imei", "mac", "ip", "port"}


def identifies(name: str) -> bool:
    """Whether a column of this name tells rows or things apart: never an amount."""
    known = words(name)
    counted = known[:2] in (("number", "of"), ("no", "of"), ("nr", "of"))
    return not counted and (not known or known[-1] in IDS or bool({"id", "uuid", "guid"} & set(known)))


def column(name: str) -> str:
    """A column in SQL: quoted unless it is plain."""
    return (
        name if re.fullmatch(r"[A-Za-z_]\w*", name, flags=re.ASCII) and name.lower() not in RESERVED else quoted(name)
    )


def text(value: str) -> str:
    """A YAML scalar: quoted unless it is plain words."""
    plain = re.fullmatch(r"[A-Za-z][\w .,/-]*[\w.]|[A-Za-z]", value, flags=re.ASCII)
    if plain and value.lower() not in ("true", "false", "null", "yes", "no"):
        return value
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", value):
        return '"' + "".join(_escaped(c) for c in value) + '"'
    return "'" + value.replace("'", "''") + "'"


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    return (
        character if 0x20 <= code < 0x7F or 0xA0 <= code < 0x2028 else f"\\u{code:04x}" if code < 0x10000 else character
    )


def flow(value: Any) -> str:
    """A value on one line of YAML: maps and lists in braces, what they hold quoted unless it is a word."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    written = text(str(value))
    return written if written[0] in "'\"" or re.fullmatch(r"\w+", written) else "'" + written + "'"
