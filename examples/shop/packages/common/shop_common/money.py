from __future__ import annotations

from decimal import Decimal, InvalidOperation


def parse_price(text: str) -> int:
    """`"2.49"` as 249 cents."""
    try:
        cents = Decimal(text) * 100
    except InvalidOperation:
        raise ValueError(f"not a price: {text!r}") from None
    if cents != int(cents) or cents <= 0:
        raise ValueError(f"not a price: {text!r}")
    return int(cents)


def format_price(cents: int) -> str:
    """249 cents as `"2.49 EUR"`."""
    return f"{cents // 100}.{cents % 100:02} EUR"
