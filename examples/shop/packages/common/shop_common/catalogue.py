from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Product:
    sku: str
    name: str
    category: str
    price_cents: int


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    #: Title by key, in the order of the shelves.
    categories: dict[str, str]
    products: tuple[Product, ...]

    @classmethod
    def read(cls, file: Path) -> Catalogue:
        content = json.loads(file.read_text())
        products = tuple(Product(**product) for product in content["products"])
        return cls(categories=content["categories"], products=products)

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")
