"""Stripe, Payments > Export: a row for each payment, failed ones included."""

from __future__ import annotations

from jobs.authoring.exports.contract import IN_CURRENCY, Export, count, distinct, ratio, total, typical
from jobs.authoring.proposal import SHARE, Kpi, measure

PAID = "lower({Status}) IN ('paid', 'refunded', 'partially refunded', 'succeeded', 'disputed')"
AMOUNT, REFUNDED = "{Converted Amount|Amount}", "{Converted Amount Refunded|Amount Refunded}"


class StripePayments(Export):
    """Payments."""

    title = "Stripe payments export"
    needed = ("id", "Amount", "Amount Refunded", "Currency", "Status", "Created date (UTC)|Created (UTC)|Created")
    time = ("Created date (UTC)", "Created (UTC)", "Created")
    rows = "Payment attempts"
    rows_first = False
    entity = ("Customer ID", "Customer Email", "User ID")
    key = "id"
    currency = "Converted Currency|Currency"
    dimensions = (
        "Converted Currency|Currency",
        "Status",
        "Card Brand",
        "Card Issue Country",
        "Payment Source Type",
        "Mode",
    )
    templates = (
        count("payments", "Payments", "Payments that went through, refunded ones included.", PAID),
        total(
            "revenue", "Revenue", "Amounts that were paid, before refunds and fees.", AMOUNT, PAID, format_=IN_CURRENCY
        ),
        total(
            "net_revenue",
            "Net revenue",
            "Amounts that were paid, less what of them was refunded.",
            f"{AMOUNT} - coalesce({REFUNDED}, 0)",
            PAID,
            format_=IN_CURRENCY,
        ),
        typical(
            "average_payment",
            "Average payment",
            "Mean amount of a payment that went through.",
            "avg",
            AMOUNT,
            filter=PAID,
            format_=IN_CURRENCY,
        ),
        distinct("buyers", "Buyers", "Distinct customers who paid.", "{Customer ID|Customer Email|User ID}", PAID),
        Kpi(
            "repeat_rate",
            "Repeat rate",
            "Customers who pay again within 30 days.",
            {"type": "conversion", "base": {"filter": PAID}, "conversion": {"filter": PAID}, "window": "30 days"},
            SHARE,
        ),
        ratio(
            "refund_rate",
            "Refund rate",
            "Refunded amounts, of the amounts of the same payments.",
            measure("sum", REFUNDED, PAID),
            measure("sum", AMOUNT, PAID),
            direction="down_is_good",
        ),
        ratio(
            "failure_rate",
            "Failure rate",
            "Payment attempts that failed.",
            measure("count", condition="lower({Status}) = 'failed'"),
            measure("count"),
            direction="down_is_good",
        ),
        total("fees", "Fees", "What Stripe took.", "{Fee}", format_=IN_CURRENCY, direction="down_is_good"),
    )
