"""What a column is for, by its name and what was seen in it: when, who, how much, how many, how good."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from jobs.authoring.names import identifies, words
from jobs.authoring.profile import TIMELY, Column, Profile


class Purpose(StrEnum):
    """What a number may be used for. Only AMOUNT, QUANTITY, PEOPLE and LEVEL are ever added up."""

    ID = "tells rows apart"
    NEVER = "no quantity"
    RATE = "a rate"
    DURATION = "a duration"
    PRICE = "a price of one"
    LEVEL = "a level"  # what there is at a moment: adds up over segments, not over time
    PEOPLE = "a number of people"  # the same ones come again tomorrow: adds up over neither
    AMOUNT = "an amount"
    QUANTITY = "a quantity"
    UNKNOWN = "a number"


KINDS = {"type", "class", "category", "group", "kind", "mode", "status", "state", "bucket", "segment", "tier", "gender"}
KINDS |= {"zone", "region", "district", "lane", "gate", "channel", "store", "branch", "shift", "step", "phase", "floor"}
NO_QUANTITY = set(
    words(
        "year month day hour minute week weekday quarter dow lat latitude lon lng longitude version ver build port "
        "timestamp ts date datetime epoch at on created updated modified birthday dob x y seed flag period cohort slot"
    )
)
RATES = set(
    words(
        "rate rates ratio share percent percentage pct perc ctr cvr cr roas roi cpc cpm cpa cpi cac aov arpu arppu "
        "arpdau ltv avg average mean median per min max minimum maximum score rating stars grade rank ranking position "
        "pos nps csat ces satisfaction temperature temp humidity age weight height level probability prob likelihood "
        "factor margin quality percentile stddev std variance p50 p75 p90 p95 p99 growth change delta speed stickiness "
        "retention churn sentiment confidence quote anteil taux frequency availability uptime utilization"
    )
)
DURATIONS = set(
    words("duration seconds minutes hours secs mins latency ms millis elapsed days time lead wait delay length")
)
LEVELS = set(
    words(
        "balance mrr arr stock inventory headcount backlog aum cumulative outstanding open active running installed "
        "remaining lifetime capacity saldo"
    )
)
PEOPLE = set(
    words(
        "users customers visitors uniques subscribers members players buyers people accounts clients guests followers "
        "fans dau wau mau viewers listeners readers persons companies teams workspaces devices employees students "
        "patients nutzer kunden reach"
    )
)
COMING = {"new", "first", "lost", "churned", "added", "gained", "acquired", "joined", "reactivated", "cancelled"}
STRONG = words(
    "revenue sales gmv turnover umsatz rev income subtotal amount earnings proceeds profit betrag summe montant "
    "importe ingresos donation payout spend spending cost costs expense expenses budget refund refunded discount "
    "commission fee fees tax taxes vat tip shipping charge charged usd eur gbp money cents"
)
WEAK = ("total", "net", "gross", "value", "sum", "paid", "payment", "bill", "loss", "price")
RANK = (
    {"revenue", "sales", "gmv", "turnover", "umsatz", "rev", "income", "ingresos"},
    {"net", "subtotal", "total", "summe"},
    {"amount", "value", "gross", "paid", "payment", "proceeds", "earnings", "betrag", "montant", "importe", "price"},
    {"profit", "donation", "payout", "charge", "charged", "usd", "eur", "gbp", "money", "bill"},
    {"spend", "spending", "cost", "costs", "expense", "expenses", "budget", "commission"},
)
BESIDE = {"tax", "taxes", "vat", "fee", "fees", "discount", "shipping", "refund", "refunded", "tip"}
COUNTED = set(
    words(
        "quantity qty units count counts cnt num views pageviews impressions downloads menge anzahl stück hits traffic "
        "volume quantité nombre cantidad"
    )
)
SOME = {"quantity", "qty", "units"}  # they count wherever they stand in a name
# Ends of words that sound like several and are not.
SINGULAR = ("ss", "us", "is")

WHO = set(
    words(
        "user customer visitor buyer client member subscriber person player guest shopper patient student contact lead "
        "respondent requester donor rider passenger employee kunde kundin nutzer cliente usuario utilisateur people "
        "distinct anonymous"
    )
)
GROUPS = {"account", "company", "organization", "organisation", "org", "tenant", "workspace", "team", "device"}
SUFFIXES = set(
    words("id uuid guid key no nr number email mail e name code ref hash pseudo address identifier username login")
)

LATE = set(
    words(
        "due birth birthday dob expiry expires expiration end ended closed resolved solved shipped shipping delivered "
        "delivery estimated cancelled canceled scheduled until fulfilled arrival refunded start started hire hired "
        "stage assigned initially previous first"
    )
)
CHANGED = set(words("updated modified changed loaded synced last viewed exported imported ingested import"))
CURRENCIES = {"currency", "ccy", "waehrung", "währung", "devise", "moneda", "valuta"}
STATES = {"status", "state", "stage", "outcome", "result", "zustand"}


def purpose(c: Column, *, priced: bool = False) -> Purpose:
    """Of a number. priced: a column beside it says how many, so a price is that of one."""
    known = words(c.name)
    has = set(known)
    if identifies(c.name):
        return Purpose.ID
    if known[-1] in NO_QUANTITY | KINDS or not has - NO_QUANTITY:
        return Purpose.NEVER
    if has & RATES or "%" in c.name:
        return Purpose.RATE
    last = known[-1]
    if last in WHO | GROUPS:
        return Purpose.ID
    if last in DURATIONS and not _counts(known, c):
        return Purpose.DURATION
    if last in ("price", "msrp", "each") or {"unit", "each"} & has:
        one = priced or bool({"unit", "each", "msrp", "list"} & has)
        return Purpose.PRICE if one and not {"total", "sum"} & has else Purpose.AMOUNT
    if known[-1] in PEOPLE:
        return Purpose.QUANTITY if has & COMING else Purpose.PEOPLE
    if has & LEVELS:
        return Purpose.AMOUNT if has & COMING else Purpose.LEVEL
    return _adds_up(known, has, c)


def _adds_up(known: tuple[str, ...], has: set[str], c: Column) -> Purpose:
    if _worded(has, STRONG) and known[-1] not in COUNTED:
        return Purpose.AMOUNT
    if _counts(known, c):
        return Purpose.QUANTITY
    if _worded(has, WEAK):
        return Purpose.AMOUNT
    return Purpose.UNKNOWN


def _worded(has: set[str], listed: Sequence[str]) -> bool:
    return any(word in has for word in listed)


def _counts(known: tuple[str, ...], c: Column) -> bool:
    """Whether it says how many: by its words, or whole numbers of what is named in the plural."""
    plural = known[-1].endswith("s") and not known[-1].endswith(SINGULAR) and len(known[-1]) > 3
    named = known[0] in ("number", "num", "no", "nb", "n", "count", "anzahl") and len(known) > 1
    return (
        bool({known[-1], *SOME.intersection(known)} & COUNTED)
        or named
        or (plural and c.is_whole and known[-1] not in DURATIONS)
    )


def rank(c: Column) -> int:
    """How near an amount is to revenue: lower is nearer."""
    has = set(words(c.name))
    if has & BESIDE:
        return len(RANK)
    return next((at for at, group in enumerate(RANK) if has & group), len(RANK))


def who(c: Column) -> str:
    """Who or what a column names one of, in the singular; empty if nobody."""
    known = [w for w in words(c.name) if w not in SUFFIXES]
    stripped = len(known) < len(words(c.name))
    if not known:
        return "people" if {"email", "mail", "username", "login"} & set(words(c.name)) else ""
    last = known[-1]
    if c.is_number and not stripped and last.endswith("s"):
        return ""
    if last in ("distinct", "anonymous"):
        return "user"
    return "_".join(known) if last in WHO | GROUPS else ""


def entity(profile: Profile, time: Column) -> Column | None:
    """The column of who is counted: a person before a company, an id before a name."""
    fit = [c for c in profile.columns if c.name != time.name and c.distinct > 1 and who(c) and _names_somebody(c)]
    return min(fit, key=lambda c: _nearness(c, profile.rows), default=None)


def _names_somebody(c: Column) -> bool:
    fraction = c.is_number and not c.is_whole and not identifies(c.name)
    return (c.is_text or c.is_number) and not fraction


def _nearness(c: Column, rows: int) -> tuple[bool, bool, bool, int]:
    group = who(c).split("_")[-1] in GROUPS
    return (group, c.nulls > rows / 2, not identifies(c.name), -c.distinct)


def times(profile: Profile) -> list[Column]:
    """Columns that may say when a row happened, the likeliest first."""
    fit = [c for c in profile.columns if c.is_time and c.nulls < max(1, profile.rows / 2)]
    named = [c for c in fit if not c.style or set(words(c.name)) & TIMELY]
    fit = named or fit
    moving = [c for c in fit if profile.spans[c.name].distinct > 1] or fit
    finer = any(not profile.spans[c.name].midnight for c in moving)
    return sorted(moving, key=lambda c: (_lateness(c), c.nulls > 0, finer and profile.spans[c.name].midnight))


def _lateness(c: Column) -> int:
    has = set(words(c.name))
    return 2 if has & CHANGED else 1 if has & LATE else 0


def currency(profile: Profile) -> Column | None:
    """The column that says in which currency amounts are."""
    return next((c for c in profile.columns if c.is_text and CURRENCIES & set(words(c.name)) and c.values), None)
