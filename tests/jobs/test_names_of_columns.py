"""What the name of a column says of it: whom it counts, what its number is, what it is called."""

from __future__ import annotations

import pytest

from jobs.authoring.names import label, noun
from jobs.authoring.profile import Column
from jobs.authoring.purposes import Purpose, purpose, who


def test_names_are_human() -> None:
    assert [noun(n) for n in ("orders2", "raw_orders", "orders_export_1", "ga4", "visits-2026-01 (3)", "2026")] == [
        "Orders",
        "Orders",
        "Orders",
        "Ga4",
        "Visits",
        "2026",
    ]
    assert label("averageOrderValue") == "Average order value" and label("user_ID") == "User ID"


@pytest.mark.parametrize(
    ("name", "kind", "wanted"),
    [
        ("Daily User Installs", "BIGINT", Purpose.QUANTITY),
        ("users", "BIGINT", Purpose.PEOPLE),
        ("New users", "BIGINT", Purpose.QUANTITY),
        ("number of orders", "BIGINT", Purpose.QUANTITY),
        ("order number", "BIGINT", Purpose.ID),
        ("views per user", "DOUBLE", Purpose.RATE),
        ("Version", "DOUBLE", Purpose.NEVER),
        ("created", "BIGINT", Purpose.NEVER),
        ("MRR", "DOUBLE", Purpose.LEVEL),
        ("response time", "DOUBLE", Purpose.DURATION),
        ("tax_paid", "BIGINT", Purpose.AMOUNT),
        ("v", "BIGINT", Purpose.UNKNOWN),
        ("payment_type", "BIGINT", Purpose.NEVER),
        ("New MRR", "BIGINT", Purpose.AMOUNT),
    ],
)
def test_a_number_is_what_its_name_says(name: str, kind: str, wanted: Purpose) -> None:
    assert purpose(Column(name, kind)) is wanted


@pytest.mark.parametrize(
    ("name", "kind", "wanted"),
    [
        ("customer", "VARCHAR", "customer"),
        ("Customer Email", "VARCHAR", "customer"),
        ("userID", "BIGINT", "user"),
        ("distinct_id", "VARCHAR", "user"),
        ("email", "VARCHAR", "people"),
        ("Users", "BIGINT", ""),
        ("customer_since", "VARCHAR", ""),
        ("user_agent", "VARCHAR", ""),
        ("customer_type", "VARCHAR", ""),
    ],
)
def test_who_is_counted(name: str, kind: str, wanted: str) -> None:
    assert who(Column(name, kind)) == wanted
