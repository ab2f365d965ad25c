"""Renders the client: one page with every product, and assets that may be cached for ever."""

from __future__ import annotations

import argparse
import hashlib
from html import escape
from pathlib import Path
from string import Template

from shop_common import Catalogue, format_price

HERE = Path(__file__).parent


def copy_assets(out: Path) -> dict[str, str]:
    """Copy each asset under a name with its hash in it; the new names by template variable."""
    out.mkdir(parents=True, exist_ok=True)
    names = {}
    for asset in sorted((HERE / "assets").iterdir()):
        content = asset.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:8]
        name = f"{asset.stem}.{digest}{asset.suffix}"
        (out / name).write_bytes(content)
        names[asset.name.replace(".", "_")] = name
    return names


def render_shelves(catalogue: Catalogue) -> str:
    lines = []
    for key, title in catalogue.categories.items():
        lines.append(f'    <section id="{escape(key)}"><h2>{escape(title)}</h2><ul>')
        lines.extend(
            f"      <li><span>{escape(product.name)}</span> {format_price(product.price_cents)}"
            f' <button data-sku="{escape(product.sku)}">Add</button></li>'
            for product in catalogue.products
            if product.category == key
        )
        lines.append("    </ul></section>")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shop-name", required=True)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()

    page = Template((HERE / "index.html").read_text()).substitute(
        copy_assets(options.out / "assets"),
        shop_name=escape(options.shop_name),
        shelves=render_shelves(Catalogue.read(options.catalogue)),
    )
    (options.out / "index.html").write_text(page)


if __name__ == "__main__":
    main()
