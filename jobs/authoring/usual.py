"""What a good analyst would propose of columns that nobody knows: counts, people, amounts, averages, answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jobs.authoring import purposes
from jobs.authoring.names import column, identifies, inner_label, label, noun, slug, words
from jobs.authoring.profile import Column, Profile
from jobs.authoring.proposal import MEAN, MONEY, NUMBER, SHARE, Kpi, measure, one_of
from jobs.authoring.purposes import Purpose
from jobs.authoring.surveys import survey_kpis

MOST_DIMENSIONS, MOST_AMOUNTS, MOST_SUMS, MOST_MEANS, MOST_SHARES = 6, 3, 6, 4, 2
ADDED = (Purpose.AMOUNT, Purpose.QUANTITY, Purpose.PEOPLE, Purpose.LEVEL)
BAD = set(
    words(
        "bounce churn churned refund refunded error errors crash crashes cancelled canceled failed uninstall "
        "uninstalls complaints cost costs spend cac cpc cpa cpm wait latency delay spam unsubscribes bugs "
        "returns defects loss losses lost fee fees"
    )
)
LINES_OF = set(words("order transaction invoice purchase checkout basket cart receipt booking bestellung"))
ENDINGS = ("refunded", "cancelled", "canceled", "returned", "failed", "churned", "rejected", "declined")
# What a rate is weighted by, the first that fits: words of the rate → words of the weight.
WEIGHTS: tuple[tuple[set[str], tuple[str, ...]], ...] = (
    ({"ctr", "cpm", "position", "rank", "pos"}, ("impressions", "views")),
    ({"cpc"}, ("clicks",)),
    (
        {"rating", "stars", "score", "nps", "csat", "satisfaction"},
        ("ratings", "reviews", "responses", "votes", "answers"),
    ),
    ({"user", "users"}, ("users", "visitors", "customers")),
    ({"order", "basket", "aov"}, ("orders", "transactions", "purchases")),
    ({"conv", "conversion", "cvr"}, ("clicks", "sessions", "visits", "users", "visitors")),
    (
        {"arpu", "arppu", "arpdau", "churn", "retention", "ltv"},
        ("users", "customers", "subscribers", "accounts", "members"),
    ),
    (
        set(),
        ("sessions", "visits", "impressions", "clicks", "sent", "delivered", "views", "pageviews", "orders", "users"),
    ),
)


@dataclass(frozen=True)
class Known:
    """What the columns are for. report: a row is a period, or a period's segment, with numbers of it."""

    time: Column
    entity: Column | None
    currency: Column | None
    report: bool
    order: Column | None
    numbers: tuple[tuple[Column, Purpose], ...]

    def of(self, *wanted: Purpose) -> list[Column]:
        """Columns of these purposes, in the file's order."""
        return [c for c, purpose in self.numbers if purpose in wanted]


def understood(profile: Profile, time: Column) -> Known:
    """What each column is for, as far as it can be seen."""
    someone = purposes.entity(profile, time)
    plain = [c for c in profile.columns if c.is_number and c.name not in (time.name, someone.name if someone else "")]
    counts = any(purposes.purpose(c) == Purpose.QUANTITY for c in plain)
    numbers = tuple((c, _purpose(c, profile, priced=counts)) for c in plain)
    span = profile.spans[time.name]
    unique = any(c.unique and identifies(c.name) for c in profile.columns)
    measured = any(p in (*ADDED, Purpose.RATE) for _, p in numbers)
    report = span.midnight and span.alone and not someone and not unique and measured
    orders = [c for c in profile.columns if LINES_OF & set(words(c.name)) and identifies(c.name) and not c.is_time]
    order = next((c for c in orders if 1 < c.distinct < 0.95 * profile.sampled and _numbered(c)), None)
    return Known(time, someone, purposes.currency(profile), report, None if report else order, numbers)


def _numbered(c: Column) -> bool:
    return not {"line", "item", "type", "zip", "phone"} & set(words(c.name)) and (c.is_text or c.is_whole)


def _purpose(c: Column, profile: Profile, *, priced: bool) -> Purpose:
    found = purposes.purpose(c, priced=priced)
    running = c.is_whole and c.low is not None and c.high is not None and c.high - c.low + 1 == profile.rows > 20
    return Purpose.ID if running and found is Purpose.UNKNOWN and c.distinct == profile.sampled else found


def dimensions(profile: Profile, known: Known) -> list[Column]:
    """What rows can be broken down by: currency first, then few texts that come again and again."""
    out = {known.time.name, known.entity.name if known.entity else "", known.order.name if known.order else ""}
    few = [c for c in profile.columns if c.is_text and 2 <= c.distinct <= 60 and c.name not in out]
    few = [c for c in few if c.distinct < max(3, profile.sampled / 2) and not _long_winded(c)]
    few += [c for c in profile.columns if c.kind == "BOOLEAN"]
    several = known.currency if known.currency and len(known.currency.values) > 1 else None
    return ([several] if several else []) + [c for c in few if c is not several][: MOST_DIMENSIONS - bool(several)]


def _long_winded(c: Column) -> bool:
    """Whether its values are addresses, documents or sentences: nothing to break down by."""
    return any(v[:1] in "{[" or "://" in v or len(v) > 60 for v in c.values) or "url" in words(c.name)


def kpis(profile: Profile, known: Known) -> list[Kpi]:
    """The KPIs, what matters most first."""
    rows = _rows(profile, known)
    surveys = list(survey_kpis(profile))
    answered = {name for kpi in surveys for name in kpi.used}
    left = replace(known, numbers=tuple((c, p) for c, p in known.numbers if c.name not in answered))
    found = [*surveys, *_orders(profile, left), *_amounts(profile, left), *_sums(profile, left)]
    people = list(_people(profile, left, rows))
    means = list(_means(profile, left))
    if known.report:
        return [*found, *means, replace(rows, keys={**rows.keys, "overview": False})]
    if known.order:
        return [*found, *people[:1], *_endings(profile), *means, rows, *people[1:]]
    return [rows, *people[:1], *found, *people[1:], *_endings(profile), *_yes(profile), *means]


def _rows(profile: Profile, known: Known) -> Kpi:
    name = noun(profile.name)
    amounts = {label(c.name).lower() for c in known.of(Purpose.AMOUNT)}
    shown = name if name.endswith("s") and name.lower() not in amounts else f"Rows of {name.lower()}"
    if known.order and "line" not in words(profile.name):
        shown = f"{noun(_bare(known.order))} lines"
    if known.report:
        shown = "Report rows"
    keys = {"dataset": profile.name, "agg": "count"}
    return Kpi(f"{profile.name}_count", shown, f"Rows of {profile.name.replace('_', ' ')}.", keys)


def _bare(c: Column) -> str:
    return next(w for w in words(c.name) if w in LINES_OF)


def _orders(profile: Profile, known: Known) -> Iterator[Kpi]:
    if known.order:
        thing = _bare(known.order)
        keys = {"dataset": profile.name, **measure("count_distinct", column(known.order.name))}
        words_ = f"Distinct {known.order.name}; one has several rows."
        yield Kpi(f"{thing}s", f"{label(thing)}s", words_, keys, used=(known.order.name,))


def _people(profile: Profile, known: Known, rows: Kpi) -> Iterator[Kpi]:
    if known.entity is None:
        return
    who = purposes.who(known.entity)
    named = f"active_{who}" if who == "people" else f"active_{slug(who)}s"
    used = (known.entity.name,)
    keys = {"dataset": profile.name, **measure("count_distinct", column(known.entity.name))}
    yield Kpi(named, label(named), f"Distinct {known.entity.name} with a row.", keys, used=used)
    if known.entity.unique:
        return
    one = "person" if who == "people" else who.replace("_", " ")
    parts = {"type": "ratio", "numerator": rows.name, "denominator": named}
    shown, words_ = f"{rows.label} per {one}", f"{rows.label} per distinct {known.entity.name}."
    yield Kpi(f"{profile.name}_per_{slug(one)}", shown, words_, parts, MEAN, used=used)


def _amounts(profile: Profile, known: Known) -> Iterator[Kpi]:
    fit = sorted(known.of(Purpose.AMOUNT), key=purposes.rank)
    prices = known.of(Purpose.PRICE)
    many = known.of(Purpose.QUANTITY)
    if not fit and prices and many:
        yield _priced(profile, known, prices[0], many[0])
    for at, c in enumerate(fit[:MOST_AMOUNTS]):
        yield _total(profile, known, c)
        if at == 0 and not known.report:
            yield _average_amount(profile, known, c)


def total_name(c: Column) -> str:
    """The name of a column's sum."""
    named = slug(c.name)
    return named if "total" in words(c.name) else f"total_{named}"


def _total(profile: Profile, known: Known, c: Column) -> Kpi:
    read = profile.readings.get(c.name)
    mixed = (known.currency is not None and len(known.currency.values) > 1) or (read is not None and bool(read.mixed))
    shown = label(c.name) + (" (several currencies)" if mixed else "")
    caution = (
        f" Adds up {' and '.join(known.currency.values[:4])}: break it down by currency."
        if mixed and known.currency
        else ""
    )
    keys = {"dataset": profile.name, **measure("sum", column(c.name))}
    bad = "down_is_good" if BAD & set(words(c.name)) else "up_is_good"
    return Kpi(total_name(c), shown, f"Sum of {c.name}.{caution}", keys, _money(c, known, NUMBER), bad, (c.name,))


def _money(c: Column, known: Known, plain: str) -> str:
    codes = known.currency.values if known.currency else tuple(w for w in words(c.name) if w in ("usd", "eur", "gbp"))
    one = codes[0].upper() if len(codes) == 1 else ""
    return f"currency {one}" if len(one) == 3 and one.isascii() and one.isalpha() else plain


def _average_amount(profile: Profile, known: Known, c: Column) -> Kpi:
    name, shown, form = f"average_{slug(c.name)}", inner_label(c.name), _money(c, known, MONEY)
    if known.order is None:
        keys = {"dataset": profile.name, **measure("avg", column(c.name))}
        return Kpi(name, f"Average {shown}", f"Mean {c.name} of a row.", keys, form, used=(c.name,))
    thing = _bare(known.order)
    parts = {"type": "ratio", "numerator": total_name(c), "denominator": f"{thing}s"}
    return Kpi(
        f"average_{thing}_value", f"Average {thing} value", f"{c.name} per {thing}.", parts, form, used=(c.name,)
    )


def _priced(profile: Profile, known: Known, price: Column, many: Column) -> Kpi:
    sql = f"{column(price.name)} * {column(many.name)}"
    keys = {"dataset": profile.name, **measure("sum", sql)}
    return Kpi(
        "revenue",
        "Revenue",
        f"Sum of {price.name} × {many.name}.",
        keys,
        _money(price, known, NUMBER),
        used=(price.name, many.name),
    )


def _sums(profile: Profile, known: Known) -> Iterator[Kpi]:
    step = profile.spans[known.time.name].step
    for c in known.of(Purpose.QUANTITY, Purpose.PEOPLE, Purpose.LEVEL)[:MOST_SUMS]:
        purpose = {n.name: p for n, p in known.numbers}[c.name]
        keys = {"dataset": profile.name, **measure("sum", column(c.name))}
        bad = "down_is_good" if BAD & set(words(c.name)) else "up_is_good"
        if purpose is Purpose.QUANTITY:
            yield Kpi(total_name(c), _counted(c), f"Sum of {c.name}.", keys, NUMBER, bad, (c.name,))
        elif known.report:
            yield _standing(c, purpose, keys, step)


def _counted(c: Column) -> str:
    """What a quantity counts: `number of orders` is Orders."""
    known = words(c.name)
    return label(" ".join(w for w in known if w not in ("number", "num", "of", "n", "nb", "no")) or c.name)


def _standing(c: Column, purpose: Purpose, keys: dict[str, str], step: str) -> Kpi:
    """A number of people, or a level, of each period: a longer one has the mean, or the last."""
    counted = [w for w in words(c.name) if w != "active"] if purpose is Purpose.PEOPLE else list(words(c.name))
    how, words_ = ("mean", "mean") if purpose is Purpose.PEOPLE else ("last", "last value")
    each = {"day": "daily", "week": "weekly", "month": "monthly"}[step]
    named = f"{each}_{slug(' '.join(counted))}" if purpose is Purpose.PEOPLE else slug(c.name)
    shown = f"{label(c.name)} a {step}" if purpose is Purpose.PEOPLE else label(c.name)
    description = f"{c.name} of a {step}; a longer period has the {words_} of its {step}s, since they do not add up."
    return Kpi(named, shown, description, {**keys, "grain": step, "period_agg": how}, NUMBER, used=(c.name,))


def _means(profile: Profile, known: Known) -> Iterator[Kpi]:
    lone = [] if known.report else known.of(Purpose.LEVEL, Purpose.PEOPLE)
    unknown = [] if known.of(Purpose.AMOUNT) else [c for c in known.of(Purpose.UNKNOWN) if not c.is_whole]
    clocks = [c for c in profile.columns if c.kind == "TIME"]
    for c in [*known.of(Purpose.RATE, Purpose.DURATION), *clocks, *lone, *unknown][:MOST_MEANS]:
        yield mean(profile, known, c)


def _mean_name(c: Column) -> str:
    named = slug(c.name)
    return named if {"avg", "average", "mean", "median"} & set(words(c.name)) else f"average_{named}"


def mean(profile: Profile, known: Known, c: Column) -> Kpi:
    """The average of a rate: weighted where a column says by what, else each row counts the same."""
    clock = c.kind == "TIME"  # 00:04:31 is a time of day to a database, and a duration to a report
    sql = f"epoch({column(c.name)})" if clock else column(c.name)
    shown = label(c.name) if _mean_name(c) == slug(c.name) else f"Average {inner_label(c.name)}"
    direction = "down_is_good" if BAD & set(words(c.name)) else "neutral" if clock else "up_is_good"
    form = "duration" if clock else SHARE if _is_share(c, profile) else MEAN
    by = weight(c, known)
    if by is None:
        how = f"Mean {c.name} of the rows" + (
            ", each alike: no column says how much one weighs." if known.report else "."
        )
        keys = {"dataset": profile.name, **measure("avg", sql)}
        return Kpi(_mean_name(c), shown, how, keys, form, direction, (c.name,))
    there, many = f"{sql} IS NOT NULL", column(by.name)
    parts = {
        "type": "ratio",
        "dataset": profile.name,
        "numerator": measure("sum", f"{sql} * {many}", there),
        "denominator": measure("sum", many, there),
    }
    return Kpi(
        _mean_name(c), shown, f"Mean {c.name}, weighted by {by.name}.", parts, form, direction, (c.name, by.name)
    )


def _is_share(c: Column, profile: Profile) -> bool:
    read = profile.readings.get(c.name)
    if read is not None and read.style.endswith("%"):
        return True
    within = c.low is not None and c.high is not None and c.low >= 0 and c.high <= 1
    return within and bool(
        {"rate", "ratio", "share", "ctr", "cvr", "percent", "pct", "percentage"} & set(words(c.name))
    )


def weight(c: Column, known: Known) -> Column | None:
    """The column that says how much each row of a report's rate weighs."""
    if not known.report:
        return None
    has = set(words(c.name))
    counts = known.of(Purpose.QUANTITY, Purpose.PEOPLE)
    for rate, weights in WEIGHTS:
        fit = (n for word in weights for n in counts if words(n.name)[-1] == word) if not rate or rate & has else ()
        found = next(iter(sorted(fit, key=lambda n: weights.index(words(n.name)[-1]))), None)
        if found is not None:
            return found
    return None


def _endings(profile: Profile) -> Iterator[Kpi]:
    """The share of rows that ended badly, by a status column."""
    for c in profile.columns:
        bad = [v for v in c.values if v.lower() in ENDINGS]
        if c.is_text and bad and purposes.STATES & set(words(c.name)) and len(bad) < len(c.values):
            thing = slug(bad[0]) if len(bad) == 1 else "lost"
            parts = {
                "type": "ratio",
                "dataset": profile.name,
                "numerator": measure("count", condition=one_of(column(c.name), bad)),
                "denominator": measure("count"),
            }
            said = f"Rows with {c.name} {' or '.join(bad)}, of all."
            yield Kpi(f"{thing}_share", f"{label(thing)} share", said, parts, SHARE, "down_is_good", (c.name,))
            return


def mixed(codes: Sequence[str], dimension: str) -> str:
    """What to know of a sum over several currencies."""
    listed = f"{len(codes)} currencies ({', '.join(codes[:5])})"
    return f"{listed} are added up as if they were one: break sums down by {dimension}, or state a `filter`."


def _yes(profile: Profile) -> Iterator[Kpi]:
    """The share of rows that answer yes."""
    for c in [c for c in profile.columns if c.kind == "BOOLEAN" and c.distinct > 1][:MOST_SHARES]:
        named = [w for w in words(c.name) if w not in ("is", "has", "was", "did", "flag")] or ["yes"]
        parts = {
            "type": "ratio",
            "dataset": profile.name,
            "numerator": measure("count", condition=column(c.name)),
            "denominator": measure("count", condition=f"{column(c.name)} IS NOT NULL"),
        }
        thing, said = " ".join([*named, "share"]), f"Rows with {c.name}, of those that say."
        yield Kpi(slug(thing), label(thing), said, parts, SHARE, used=(c.name,))


def cautions(profile: Profile, known: Known, found: Sequence[Kpi]) -> Iterator[str]:
    """What to look at before the numbers are believed."""
    if known.currency and len(known.currency.values) > 1 and known.of(Purpose.AMOUNT):
        yield mixed(known.currency.values, slug(known.currency.name))
    for c in profile.columns:
        bad = [v for v in c.values if v.lower() in ENDINGS]
        if bad and purposes.STATES & set(words(c.name)) and any("sum" in str(k.keys) for k in found):
            rows = f"rows with {c.name} {' or '.join(bad)}"
            yield f"{rows} are in every count and sum; a `filter` in a KPI's file leaves them out."
    unweighted = [k.used[0] for k in found if "each alike" in k.description]
    if unweighted:
        yield f"No column weighs {', '.join(unweighted)}: a quiet day counts as much as a busy one."
