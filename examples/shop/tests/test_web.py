"""The front by itself: one marker says all that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from pytest_dockerkit import RunningContainer

# On a module, the marker is for all of its tests; with this scope they share one container.
pytestmark = pytest.mark.container(
    "web",
    name="web",
    ports=[8080],
    cpus=0.25,
    memory="32m",
    pids=20,
    read_only=True,
    cap_drop=["ALL"],
    scope="module",
)


def test_the_opening_hours_are_there(container: RunningContainer) -> None:
    with urlopen(container.url(8080, "/"), timeout=10) as page:
        assert "Opening hours" in page.read().decode()


def test_a_page_that_is_not_there_leads_back(container: RunningContainer) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(container.url(8080, "/sold-out"), timeout=10)
    with caught.value as page:
        assert page.code == 404
        assert "Back to the entrance" in page.read().decode()


def test_it_lives_within_its_limits(container: RunningContainer) -> None:
    """Read back from the engine: this is what holds, not what was written."""
    assert container.limits.cpus == 0.25
    assert container.limits.memory_bytes == 32 * 1024**2
    assert container.limits.pids == 20
    assert container.exec(["touch", "/srv/www/new.html"]).exit_code != 0


def test_it_cannot_reach_the_store(container: RunningContainer, store: RunningContainer) -> None:
    """A test's containers are in a network of their own; the store is in another."""
    assert container.exec(["nslookup", "web"]).exit_code == 0
    assert container.exec(["nslookup", "store"]).exit_code != 0
    assert store.network.internal
