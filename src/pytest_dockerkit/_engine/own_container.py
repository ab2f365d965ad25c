"""The container that this process runs in, where the engine that it talks to has started it.

That is so for a job of a CI system whose container has the engine's socket. What the engine publishes is on its
machine then, and not in this container: others are reached by being in their networks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_dockerkit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_dockerkit._engine.base import EngineFacts
    from pytest_dockerkit._engine.containers import Containers

#: What engines put into each container. Source: moby, daemon/initlayer/setup_unix.go; Podman's manual, podman-run.
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
#: Where the id of a container is told in it: engines mount this file from a directory that is called by it.
_MOUNTS = Path("/proc/self/mountinfo")
_ID = re.compile(r"/(?:overlay-)?containers/(?P<id>[0-9a-f]{64})/\S* /etc/hostname ")


class OwnContainer:
    """The container that this process runs in.

    Attributes:
        id: the engine's id for it.
    """

    def __init__(self, inspect: Callable[[str], Mapping[str, Any]], container_id: str) -> None:
        """Ask for its networks.

        Raises:
            NotOnEngineError: another engine has started it.
        """
        self._inspect = inspect
        self.id = container_id
        self._endpoints: Mapping[str, Mapping[str, Any]] = {}
        self._refresh()

    @property
    def is_on_host(self) -> bool:
        """Whether it is in the network of its machine, so that all is as without it."""
        return "host" in self._endpoints

    def address_in(self, network: str) -> str | None:
        """Give its address in a network; None where it is not in it."""
        if network not in self._endpoints:
            # Another process of the run may have brought it there.
            self._refresh()
        return str(self._endpoints.get(network, {}).get("IPAddress") or "") or None

    @property
    def gateway(self) -> str | None:
        """An address of its machine, as it sees that."""
        return next((str(each["Gateway"]) for each in self._endpoints.values() if each.get("Gateway")), None)

    def _refresh(self) -> None:
        self._endpoints = self._inspect(self.id)["NetworkSettings"]["Networks"]


def own_container_of(containers: Containers, facts: EngineFacts) -> OwnContainer | None:
    """Find the container that this process runs in; None where it is in none, or in one of another engine."""
    if not facts.local or not any(each.exists() for each in _MARKS):
        return None
    try:
        found = _ID.search(_MOUNTS.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    if found is None:
        return None
    try:
        own = OwnContainer(containers.inspect, found["id"])
    except EngineError:
        # Docker in Docker: the engine is in this container, or beside it in one of another engine.
        return None
    return None if own.is_on_host else own
