"""The shop, as fixtures: two networks, an image, a store and the API.

Fixtures are handed on as objects, so that pytest knows the whole graph before anything runs:

    front ─┐
           ├─ api ── depends on ─┐
    backend┴────────── store ────┘
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from pytest_dockerkit import container_fixture, image_fixture, network_fixture, probes

if TYPE_CHECKING:
    from pytest_dockerkit import RunningContainer

# The store lives where there is no way out of the machine. Only the API is in both networks.
front = network_fixture(scope="session")
backend = network_fixture(internal=True, scope="session")

api_image = image_fixture("api")  # declared in pyproject.toml

store = container_fixture(
    "redis:latest",
    network=backend,
    wait=probes.command(["redis-cli", "ping"]),
    memory="128m",
    scope="session",
)

api = container_fixture(
    api_image,
    network=[front, backend],
    depends_on=[store],
    env={"STORE_URL": "redis://store:6379"},  # a container's name is its host name
    ports=[3080],  # on 127.0.0.1, at a free port
    cpus=0.5,
    memory="256m",
    scope="session",
)


@dataclass(frozen=True)
class Answer:
    status: int
    content: Any


class Shop:
    """Speaks to the API as its clients do."""

    def __init__(self, api: RunningContainer) -> None:
        self._api = api

    def get(self, path: str) -> Answer:
        return self._ask(path, None)

    def post(self, path: str, content: object) -> Answer:
        return self._ask(path, json.dumps(content).encode())

    def _ask(self, path: str, body: bytes | None) -> Answer:
        try:
            # Asked anew each time: a restart may change the host's port.
            with urlopen(self._api.url(3080, path), body, timeout=10) as answer:
                return Answer(answer.status, json.load(answer))
        except HTTPError as answer:
            with answer:
                return Answer(answer.code, json.load(answer))


@pytest.fixture
def shop(api: RunningContainer) -> Shop:
    return Shop(api)
