"""Amounts that an API counts in the smallest unit of their currency."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

# https://docs.stripe.com/currencies: all others have two decimals, ISK and UGX too, in which Stripe counts hundredths.
NO_DECIMALS = {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
THREE_DECIMALS = {"BHD", "JOD", "KWD", "OMR", "TND"}


def real(minor: Any, currency: Any) -> float | None:
    """An amount in a currency's smallest unit as an amount: 1000 of USD is 10.0, of JPY 1000.0, of KWD 1.0."""
    found = decimal(minor)
    return None if found is None or not currency else float(found.scaleb(-decimals(str(currency))))


def decimals(currency: str) -> int:
    """How many decimals Stripe's smallest unit of a currency stands for."""
    return 0 if currency.upper() in NO_DECIMALS else 3 if currency.upper() in THREE_DECIMALS else 2


def decimal(value: Any) -> Decimal | None:
    """A number; None if it is none."""
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
