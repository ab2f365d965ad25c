"""Ports: what is written, and what is meant by it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_dockerkit.errors import SpecError

LOOPBACK = "127.0.0.1"
PROTOCOLS = ("tcp", "udp", "sctp")

# A text: `re` compiles it where it is first used, and most ports are numbers.
_WRITTEN = (
    r"(?:(?P<ip>\[[0-9a-fA-F:.]+\]|\d+(?:\.\d+){3}):)?(?:(?P<host>\d*):)?(?P<port>\d+)(?:/(?P<protocol>[a-z]+))?"
)
_MEND = 'a port of the container, such as 3080 or "53/udp", or "HOST:PORT" such as "8080:80"'


@dataclass(frozen=True)
class PublishedPort:
    """A port of the container that the host answers for.

    Attributes:
        container_port: the port in the container.
        protocol: tcp, udp or sctp.
        host_ip: the host's address that it is bound to.
        host_port: the host's port; None lets the engine choose a free one.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = LOOPBACK
    host_port: int | None = None

    @property
    def key(self) -> str:
        """The container's side as Docker writes it: `80/tcp`."""
        return f"{self.container_port}/{self.protocol}"


def parse_port(written: object) -> PublishedPort:
    """Read a value of `ports=`: `80`, `"53/udp"`, `"8080:80"`, `"0.0.0.0:8080:80"`, `"[::1]::80"`.

    Raises:
        SpecError: it is not a port.
    """
    if isinstance(written, int) and not isinstance(written, bool):
        return PublishedPort(_in_range(written, written))
    match = re.fullmatch(_WRITTEN, written, re.ASCII) if isinstance(written, str) else None
    if match is None or (match["ip"] and match["host"] is None):
        raise SpecError(
            "ports= has a value that is not a port", saw=f"{written!r} ({type(written).__name__})", mend=_MEND
        )
    protocol = match["protocol"] or "tcp"
    if protocol not in PROTOCOLS:
        raise SpecError("ports= has an unknown protocol", saw=f"{written!r}", mend="one of: tcp, udp, sctp")
    return PublishedPort(
        _in_range(int(match["port"]), written),
        protocol,
        _address(match["ip"] or LOOPBACK, written),
        _in_range(int(match["host"]), written) if match["host"] else None,
    )


def port_key(port: object) -> str:
    """Read what a handle is asked for: `80` or `"80/tcp"`, as Docker writes it.

    Raises:
        SpecError: it is not a port.
    """
    asked = parse_port(port)
    return asked.key


def _address(ip: str, written: object) -> str:
    import ipaddress

    bare = ip.strip("[]")
    try:
        ipaddress.ip_address(bare)
    except ValueError as failure:
        mend = 'an address of this machine, as in "127.0.0.1:8080:80"'
        raise SpecError("ports= has no right address", saw=f"{written!r}: {failure}", mend=mend) from None
    return bare


def _in_range(port: int, written: object) -> int:
    if 1 <= port <= 65535:
        return port
    raise SpecError("ports= has a port out of range", saw=f"{written!r}", mend="a port from 1 to 65535")
