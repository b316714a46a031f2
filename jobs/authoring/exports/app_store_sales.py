"""App Store Connect, sales report: units and proceeds of each day, product, country and currency."""

from __future__ import annotations

from jobs.authoring.exports.contract import IN_CURRENCY, Export, total
from jobs.authoring.proposal import one_of

TYPE = "CAST({Product Type Identifier} AS VARCHAR)"
FIRST = one_of(TYPE, ("1", "1F", "1T", "1E", "1EP", "1EU", "1-B", "F1", "F1-B"))
AGAIN = one_of(TYPE, ("3", "3F", "3T", "F3"))
UPDATED = one_of(TYPE, ("7", "7F", "7T", "F7"))
WITHIN = f"{TYPE} LIKE 'IA%' OR {TYPE} LIKE 'FI%'"


class AppStoreSales(Export):
    """Units by product type: first downloads, updates and purchases are different things."""

    title = "App Store sales report"
    needed = ("SKU", "Product Type Identifier", "Units", "Developer Proceeds", "Begin Date")
    time = ("Begin Date",)
    rows = "Report rows"
    rows_first = False
    currency = "Currency of Proceeds"
    dimensions = ("Currency of Proceeds", "Country Code", "Title", "Product Type Identifier", "Device", "Version")
    templates = (
        total(
            "installs",
            "Installs",
            "First downloads: units of product types 1, 1F, 1T, F1 and their bundles.",
            "{Units}",
            FIRST,
        ),
        total("redownloads", "Redownloads", "Units of product types 3, 3F, 3T, F3.", "{Units}", AGAIN),
        total("updates", "Updates", "Units of product types 7, 7F, 7T, F7.", "{Units}", UPDATED),
        total("in_app_purchases", "In-app purchases", "Units of product types IA… and FI….", "{Units}", WITHIN),
        total(
            "proceeds",
            "Proceeds",
            "Units × developer proceeds of one, in the currency of proceeds.",
            "{Units} * {Developer Proceeds}",
            format_=IN_CURRENCY,
        ),
    )
