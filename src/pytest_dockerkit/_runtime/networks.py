"""Handles of networks and volumes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._names import BUILT_IN
from pytest_dockerkit._runtime.scope import EndsWithBlock
from pytest_dockerkit._spec.refs import NetworkHandle, VolumeHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_dockerkit._engine.daemon import Daemon
    from pytest_dockerkit._runtime.handles import RunningContainer


def named(networks: Iterable[Network]) -> str:
    """Give the names of networks, for a sentence."""
    return ", ".join(each.name for each in networks) or "none"


class Network(EndsWithBlock, NetworkHandle):
    """A network on the engine.

    As a context manager it is removed at the end of the block.

    Attributes:
        id: the engine's id for it.
        name: its name on the engine.
        driver: bridge, host, macvlan, overlay, …
        internal: whether it has no way out of the machine.
    """

    #: The network beside it in which those that are in it have their names; None where that is itself.
    names: Network | None = None

    def __init__(self, engine: Daemon, facts: dict[str, Any], remove: Callable[[], None] | None) -> None:
        self._engine = engine
        self._facts = facts
        self._remove = remove
        self._joined: list[RunningContainer] = []
        self.id: str = facts["Id"]
        self.name: str = facts["Name"]
        self.driver: str = facts["Driver"]
        self.internal: bool = facts["Internal"]

    @cached_property
    def subnet(self) -> str | None:
        """Its addresses in CIDR form; None on Docker's host and none networks."""
        pools = self._facts["IPAM"].get("Config") or []
        return pools[0]["Subnet"] if pools else None

    @cached_property
    def gateway(self) -> str | None:
        """The host's own address in a bridge network, at which servers of this machine are reached from it alone."""
        pools = self._facts["IPAM"].get("Config") or []
        if self.driver != "bridge" or not pools:
            return None
        if said := pools[0].get("Gateway"):
            return str(said).partition("/")[0]
        import ipaddress

        # Engines before 28 do not say which one they took where only the subnet was chosen: it is the first.
        return str(next(ipaddress.ip_network(pools[0]["Subnet"]).hosts()))

    @property
    def has_names(self) -> bool:
        """Whether containers find each other by name in it."""
        return self.name not in BUILT_IN

    def connect(
        self, container: RunningContainer, aliases: Sequence[str] = (), *, address: str | None = None
    ) -> None:
        """Connect a running container, under its alias and further ones.

        Args:
            container: which.
            aliases: further names of it in this network.
            address: the IPv4 address that it is to have; another where somebody else has it, or where the engine
                alone deals them.

        Raises:
            EngineError: the engine refuses, as for a container on the host network.
        """
        names = list(dict.fromkeys([container.alias, *container.spec.aliases, *aliases]))
        self._engine.networks.connect(self.name, container.id, names if self.has_names else [], address=address)
        self._joined.append(container)
        container.joined(self)

    def disconnect(self, container: RunningContainer) -> None:
        """Disconnect a container; one that is not connected stays as it is."""
        self._engine.networks.disconnect(self.name, container.id)
        container.left(self)

    def others_in(self, facts: dict[str, Any]) -> list[str]:
        """Give the ids of the containers in it, but for the one that the tests themselves run in."""
        own = self._engine.own_container
        return [each for each in facts.get("Containers") or {} if own is None or each != own.id]

    def inspect(self) -> dict[str, Any]:
        """Give all that the engine knows of it now; empty if it is gone."""
        return self._engine.networks.inspect(self.name) or {}

    def remove(self) -> None:
        """Remove it, and cut off what is connected; Docker's own and external ones stay."""
        if self._remove is not None:
            self._remove()
            self.is_gone()

    @property
    def is_ours(self) -> bool:
        """Whether the plugin has made it, and removes it."""
        return self._remove is not None

    @property
    def has_guests(self) -> bool:
        """Whether containers have joined it that were not started in it."""
        return bool(self._joined)

    def is_gone(self) -> list[str]:
        """Note that it was removed, or left to others: the containers that had joined it have one network less.

        Returns:
            the ids of those containers.
        """
        joined = [container.id for container in self._joined]
        for container in self._joined:
            container.forget(self)
        self._joined.clear()
        return joined

    def anew(self) -> Network:
        """Give another handle of it, that knows nothing of who was in it."""
        return Network(self._engine, self._facts, self._remove)

    def __repr__(self) -> str:
        return f"<Network {self.name} ({self.driver})>"


class Volume(EndsWithBlock, VolumeHandle):
    """A volume on the engine; as a context manager it is removed at the end of the block.

    Attributes:
        name: its name on the engine.
    """

    def __init__(self, engine: Daemon, name: str, remove: Callable[[], None]) -> None:
        self._engine = engine
        self._remove = remove
        self.name = name

    def inspect(self) -> dict[str, Any]:
        """Give all that the engine knows of it now; empty if it is gone."""
        return self._engine.volumes.inspect(self.name) or {}

    def remove(self) -> None:
        """Remove it; the containers that use it must be gone.

        Raises:
            EngineError: it is in use.
        """
        self._remove()

    def __repr__(self) -> str:
        return f"<Volume {self.name}>"
