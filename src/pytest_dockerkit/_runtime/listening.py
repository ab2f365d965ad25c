"""What listens in a container, as its kernel tells it; for errors only."""

from __future__ import annotations

import contextlib
import socket
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.containers import Containers

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
#: Source: Linux, include/net/tcp_states.h, TCP_LISTEN.
_LISTEN = "0A"
#: How long it may take to read the tables, in seconds; it is done where a wait has failed already.
_READ_S = 5.0


def listening_addresses(containers: Containers, container_id: str, port: int) -> list[str]:
    """Say at which addresses a TCP port is listened on in a container; nothing where that cannot be known."""
    # One without `cat`, or one that has just ended.
    with contextlib.suppress(DockerkitError, TimeoutError):
        return addresses_in(containers.exec(container_id, ["cat", *_TABLES], timeout_s=_READ_S).stdout.decode(), port)
    return []


def addresses_in(tables: str, port: int) -> list[str]:
    """Find the addresses at which a port is listened on in the kernel's tables of TCP sockets."""
    found: dict[str, None] = {}
    for line in tables.splitlines():
        # sl, local_address, rem_address, st, …
        fields = line.split()
        if len(fields) < 4 or fields[3] != _LISTEN:
            continue
        address, _, number = fields[1].partition(":")
        if int(number, 16) == port:
            found[_address(address)] = None
    return list(found)


def are_loopback(addresses: list[str]) -> bool:
    """Tell whether none but the container itself reaches them."""
    return bool(addresses) and all(_is_loopback(each) for each in addresses)


def _is_loopback(address: str) -> bool:
    parsed = ip_address(address)
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def _address(text: str) -> str:
    """Read an address: words of four bytes, each in the order of the machine."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    packed = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
