"""Makes one catalogue of the tables beside this file, and refuses what would break the shop."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from shop_common import Catalogue, Product, parse_price

HERE = Path(__file__).parent


def read_tables() -> Catalogue:
    categories: dict[str, str] = json.loads((HERE / "categories.json").read_text())
    products: dict[str, Product] = {}
    with (HERE / "products.csv").open(newline="") as table:
        rows = csv.DictReader(table)
        for row in rows:
            sku, category = row["sku"], row["category"]
            if sku in products:
                raise ValueError(f"line {rows.line_num}: {sku} is there twice")
            if category not in categories:
                raise ValueError(f"line {rows.line_num}: no category {category!r}")
            price_cents = parse_price(row["price"])
            products[sku] = Product(sku=sku, name=row["name"], category=category, price_cents=price_cents)
    return Catalogue(categories=categories, products=tuple(products.values()))


def main() -> None:
    catalogue = read_tables()
    catalogue.write(Path(sys.argv[1]))
    print(f"{len(catalogue.products)} products in {len(catalogue.categories)} categories")


if __name__ == "__main__":
    main()
