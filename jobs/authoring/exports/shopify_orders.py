"""Shopify, Orders > Export: a line for each item; what concerns the whole order is on its first line only."""

from __future__ import annotations

from jobs.authoring.exports.contract import IN_CURRENCY, Export, distinct, ratio, total, typical
from jobs.authoring.proposal import SHARE, Kpi, measure

FIRST = "{Total} IS NOT NULL"  # the first line of an order


class ShopifyOrders(Export):
    """Orders with their items."""

    title = "Shopify orders export"
    needed = ("Name", "Financial Status", "Total", "Lineitem name", "Created at|Paid at")
    time = ("Created at", "Paid at")
    rows = "Order lines"
    rows_first = False
    entity = ("Email", "Phone")
    currency = "Currency"
    dimensions = ("Currency", "Financial Status", "Billing Country", "Source", "Shipping Method", "Lineitem name")
    templates = (
        distinct("orders", "Orders", "Distinct order numbers, cancelled ones included.", "{Name}"),
        total(
            "revenue",
            "Revenue",
            "Totals of orders, with tax and shipping, before refunds.",
            "{Total}",
            format_=IN_CURRENCY,
        ),
        typical(
            "average_order_value",
            "Average order value",
            "Mean total of an order.",
            "avg",
            "{Total}",
            format_=IN_CURRENCY,
        ),
        distinct("buyers", "Buyers", "Distinct customers with an order.", "{Email}"),
        Kpi(
            "repeat_rate",
            "Repeat rate",
            "Customers who order again within 30 days.",
            {"type": "conversion", "base": {"filter": FIRST}, "conversion": {"filter": FIRST}, "window": "30 days"},
            SHARE,
        ),
        ratio(
            "refund_rate",
            "Refund rate",
            "Refunded amounts, of the totals of the same orders.",
            measure("sum", "{Refunded Amount}"),
            measure("sum", "{Total}"),
            direction="down_is_good",
        ),
        total("units_sold", "Units sold", "Items on all lines.", "{Lineitem quantity}"),
    )
