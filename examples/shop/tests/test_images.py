"""Smoke tests of what is shipped. For most of them no container is started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import image_fixture

if TYPE_CHECKING:
    from pytest_dockerkit import Image

base_image = image_fixture("python:3-slim")
web_image = image_fixture("web")


@pytest.fixture(params=["api_image", "web_image"])
def shipped(request: pytest.FixtureRequest) -> Image:
    """Images are ordinary fixtures: pytest's own tools work on them."""
    image: Image = request.getfixturevalue(request.param)
    return image


def test_a_shipped_image_is_fit_for_production(shipped: Image) -> None:
    assert shipped.config.user not in ("", "0", "root")
    assert shipped.config.healthcheck is not None
    assert len(shipped.config.exposed_ports) == 1
    assert shipped.config.labels["org.opencontainers.image.title"].startswith("shop-")


def test_the_api_ships_what_it_runs_and_no_more(api_image: Image, base_image: Image) -> None:
    shipped = {file.path for file in api_image.files("/app/**") if not file.is_dir}
    assert "/app/dist/catalogue.json" in shipped
    assert "/app/client/build.py" not in shipped  # stays in the stage that needs it
    assert [path for path in shipped if path.endswith((".csv", ".pyc", ".md", ".env")) or "test" in path] == []
    assert api_image.size_bytes - base_image.size_bytes < 1024**2


def test_the_api_refuses_a_wrong_setting(api_image: Image) -> None:
    ended = api_image.run(env={"STORE_URL": "mysql://store"})
    assert ended.exit_code == 1
    assert "STORE_URL is not like redis://host:6379: 'mysql://store'" in ended.stderr


@pytest.mark.container("catalogue")
def test_the_catalogue_is_complete(image: Image) -> None:
    """A stage in the middle, built by itself; the file is read out of it."""
    catalogue = json.loads(image.file("/app/dist/catalogue.json").read_text())
    assert {product["category"] for product in catalogue["products"]} == set(catalogue["categories"])
    assert all(product["price_cents"] > 0 for product in catalogue["products"])
