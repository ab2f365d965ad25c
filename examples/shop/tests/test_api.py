"""The API against its real store. `api`, `store` and `shop` are in conftest.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Shop

    from pytest_dockerkit import RunningContainer


def test_it_is_well_and_tells_its_version(shop: Shop) -> None:
    answer = shop.get("/health")
    assert answer.status == 200
    assert answer.content == {"status": "ok", "version": "1.4.0"}


def test_it_sells_what_the_tables_hold(shop: Shop) -> None:
    products = shop.get("/products").content
    assert len(products) == 8
    assert {"sku": "TEA-002", "name": "Peppermint, 25 bags", "category": "drinks", "price_cents": 249} in products


def test_a_cart_is_kept_in_the_store(shop: Shop, store: RunningContainer) -> None:
    shop.post("/cart/ada", {"sku": "TEA-001"})
    answer = shop.post("/cart/ada", {"sku": "TEA-001"})
    assert answer.status == 201
    assert answer.content["total"] == "11.80 EUR"
    # What the API says it did is one thing; what is in the store is another.
    kept = store.exec(["redis-cli", "HGETALL", "cart:ada"], check=True)
    assert kept.stdout.split() == ["TEA-001", "2"]


def test_a_product_that_is_not_sold_is_refused(shop: Shop) -> None:
    answer = shop.post("/cart/bob", {"sku": "no-such-thing"})
    assert answer.status == 404
    assert answer.content == {"error": "no product 'no-such-thing'"}


def test_a_cart_survives_a_restart_of_the_api(shop: Shop, api: RunningContainer) -> None:
    shop.post("/cart/eve", {"sku": "BRD-001"})
    api.restart()
    assert shop.get("/cart/eve").content["total"] == "3.20 EUR"


def test_it_says_so_while_the_store_is_down(shop: Shop, store: RunningContainer) -> None:
    store.stop()
    try:
        answer = shop.get("/health")
        assert answer.status == 503
        assert answer.content["error"].startswith("store: store:6379")
    finally:
        store.start()  # returns when the store is ready again
    assert shop.get("/health").status == 200
