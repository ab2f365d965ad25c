"""What the data provider, the client and the API have in common."""

from shop_common.catalogue import Catalogue, Product
from shop_common.money import format_price, parse_price

__all__ = ["Catalogue", "Product", "format_price", "parse_price"]
