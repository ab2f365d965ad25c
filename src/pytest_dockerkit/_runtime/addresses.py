"""Where a container is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_dockerkit._poll import Look
from pytest_dockerkit._runtime.known import KnownContainer
from pytest_dockerkit._runtime.listening import are_loopback, listening_addresses
from pytest_dockerkit._spec.network import ON_A_WIRE
from pytest_dockerkit._spec.ports import LOOPBACK, port_key
from pytest_dockerkit.errors import PortNotPublishedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  - read from the engine, not bound to
_LOOPBACKS = (LOOPBACK, "::1", "localhost")


class ContainerAddresses(KnownContainer):
    """Where a container is reached."""

    @property
    def host(self) -> str:
        """The address that its published ports are reached at."""
        if self._engine.own_container is not None:
            return self._beside_us or self._engine.own_container.gateway or LOOPBACK
        return LOOPBACK if self._engine.facts.local else urlsplit(self._engine.facts.host).hostname or LOOPBACK

    @property
    def ip(self) -> str:
        """Its address in the first of its networks; the host's own on the host network, empty without one."""
        if self._on_host:
            return self.host
        if not self._networks:
            return ""
        endpoint = self.seen["NetworkSettings"]["Networks"].get(self.network.name) or {}
        return str(endpoint.get("IPAddress") or "")

    def address(self, port: int | str) -> tuple[str, int]:
        """Give the host and the port that a port of it is reached at.

        Args:
            port: the container's port: `6379` or `"53/udp"`.

        Raises:
            PortNotPublishedError: it does not publish that port.
            SpecError: it is no port.
        """
        key = port_key(port)
        number = int(key.partition("/")[0])
        if self._on_host:
            return self.host, number
        declared = any(each.key == key for each in self.spec.published_ports)
        if declared and (beside := self._beside_us):
            return beside, number
        bound = self._bound(key)
        if bound is not None:
            return bound
        if declared and (self._only_internal or self.is_out_of_reach):
            # The engine publishes nothing there. The host itself is in an internal network; from others it is reached
            # by whoever is on their wire.
            return self.ip, number
        published = [each.key for each in self.spec.published_ports]
        raise PortNotPublishedError(
            f"container {self.alias!r} does not publish port {key}",
            saw=f"published: {', '.join(published) or 'none'}; status {self.seen['State']['Status']}",
            mend=f"ports=[{number if key.endswith('/tcp') else repr(key)}]",
        )

    def port(self, port: int | str) -> int:
        """Give the host's port that a port of it is reached at.

        Raises:
            PortNotPublishedError: it does not publish that port.
            SpecError: it is no port.
        """
        return self.address(port)[1]

    def url(self, port: int | str, path: str = "/", *, scheme: str = "http") -> str:
        """Give the URL of a path that it serves.

        Args:
            port: the container's port.
            path: the path, with or without its first "/".
            scheme: http, https, redis, …

        Raises:
            PortNotPublishedError: it does not publish that port.
            SpecError: it is no port.
        """
        return url_of(*self.address(port), path, scheme)

    def first_port(self) -> int | str:
        """Give the first port that it publishes.

        Raises:
            PortNotPublishedError: it publishes none.
        """
        if self.spec.published_ports:
            return self.spec.published_ports[0].key
        raise PortNotPublishedError(
            f"container {self.alias!r} publishes no port",
            saw="ports=[]",
            mend="ports=[3080], or name the port",
        )

    def ways_to(self, port: int | str) -> Iterator[tuple[tuple[str, int], bool]]:
        """Give the addresses of a port, best first, and whether a proxy may answer there for it."""
        number = int(port_key(port).partition("/")[0])
        direct: str | None = None
        if self._engine.own_container is not None:
            direct = self._beside_us
        elif self._engine.facts.local:
            direct = self.ip
        if direct:
            yield (direct, number), False
        address = self.address(port)
        if address != (direct, number):
            yield address, True

    @property
    def is_out_of_reach(self) -> bool:
        """Whether its networks are on the wire of an interface, where its own host does not reach it.

        Source: Docker's documentation of macvlan and ipvlan: the kernel keeps the parent and its children apart.
        """
        return bool(self._networks) and all(each.driver in ON_A_WIRE for each in self._networks)

    def listens_at(self, port: int) -> list[str]:
        """Say at which addresses a TCP port of it is listened on, by its own kernel; nothing if that is not known."""
        return listening_addresses(self._engine.containers, self.id, port)

    def look_inside(self, port: int | str) -> Look:
        """Ask its own kernel whether a port of it is open to others, where nobody here reaches it."""
        number, _, protocol = port_key(port).partition("/")
        addresses = self.listens_at(int(number)) if protocol == "tcp" else []
        is_open = bool(addresses) and not are_loopback(addresses)
        return Look(
            is_open, f"in the container, port {number} is listened on at {', '.join(addresses) or 'no address'}"
        )

    @property
    def _beside_us(self) -> str | None:
        """Its address in a network that the container of the tests is in as well; None where these run in none."""
        own = self._engine.own_container
        if own is None:
            return None
        endpoints = self.seen["NetworkSettings"]["Networks"]
        found = (str(each.get("IPAddress") or "") for name, each in endpoints.items() if own.address_in(name))
        return next(filter(None, found), None)

    @property
    def _only_internal(self) -> bool:
        return bool(self._networks) and all(network.internal for network in self._networks)

    @property
    def _on_host(self) -> bool:
        return any(network.name == "host" for network in self._networks)

    def _bound(self, key: str) -> tuple[str, int] | None:
        for binding in self.seen["NetworkSettings"]["Ports"].get(key) or ():
            address = binding["HostIp"]
            elsewhere = self._engine.own_container is not None or not self._engine.facts.local
            if address in _LOOPBACKS and elsewhere and self.host not in _LOOPBACKS:
                number = key if not key.endswith("/tcp") else key.removesuffix("/tcp")
                raise PortNotPublishedError(
                    f"port {key} of container {self.alias!r} is published on the engine's own machine alone",
                    saw=f"{address}:{binding['HostPort']} there, and the engine is at {self._engine.facts.host}",
                    mend=f'ports=["0.0.0.0::{number}"]',
                )
            return self.host if address in _ANY_ADDRESS else address, int(binding["HostPort"])
        return None


def url_of(host: str, port: int, path: str, scheme: str) -> str:
    """Write a URL; the path with or without its first "/"."""
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}/{path.lstrip('/')}"
