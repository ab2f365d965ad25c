"""The endpoints, and the client's files for everything else."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from shop_common import format_price

from shop_api.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shop_common import Catalogue, Product

    from shop_api.store import Store

CART_PATH = re.compile(r"/cart/([A-Za-z0-9_-]{1,40})")
MAX_BODY_BYTES = 10_000


class RefusedError(Exception):
    def __init__(self, status: HTTPStatus, error: str) -> None:
        super().__init__(error)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Shop:
    catalogue: Catalogue
    store: Store
    version: str

    def product(self, sku: object) -> Product:
        for product in self.catalogue.products:
            if product.sku == sku:
                return product
        raise RefusedError(HTTPStatus.NOT_FOUND, f"no product {sku!r}")

    def health(self) -> dict[str, Any]:
        self.store.ping()
        return {"status": "ok", "version": self.version}

    def products(self) -> list[dict[str, Any]]:
        return [asdict(product) for product in self.catalogue.products]

    def cart(self, user: str) -> dict[str, Any]:
        items, total_cents = [], 0
        for sku, quantity in sorted(self.store.cart(user).items()):
            product = self.product(sku)
            items.append({"sku": sku, "name": product.name, "quantity": quantity})
            total_cents += quantity * product.price_cents
        return {"user": user, "items": items, "total": format_price(total_cents)}

    def add_to_cart(self, user: str, order: object) -> dict[str, Any]:
        sku = order.get("sku") if isinstance(order, dict) else None
        self.store.add(user, self.product(sku).sku)
        return self.cart(user)


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, shop: Shop, *args: Any, **kwargs: Any) -> None:
        self._shop = shop
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(self._shop.health)
        elif self.path == "/products":
            self._answer(self._shop.products)
        elif user := CART_PATH.fullmatch(self.path):
            self._answer(lambda: self._shop.cart(user[1]))
        else:
            super().do_GET()

    def do_POST(self) -> None:
        if user := CART_PATH.fullmatch(self.path):
            self._answer(lambda: self._shop.add_to_cart(user[1], self._body()), HTTPStatus.CREATED)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _body(self) -> object:
        size = self.headers.get("Content-Length", "0")
        if not size.isdecimal() or int(size) > MAX_BODY_BYTES:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is too long, or of no length")
        try:
            return json.loads(self.rfile.read(int(size)))
        except ValueError:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None

    def _answer(self, ask: Callable[[], Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        try:
            content = ask()
        except RefusedError as refusal:
            status, content = refusal.status, {"error": str(refusal)}
        except StoreError as failure:
            status, content = HTTPStatus.SERVICE_UNAVAILABLE, {"error": f"store: {failure}"}
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
