"""What engines say when a network cannot have the addresses that it was to have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_dockerkit.errors import EngineError

#: Docker's allocator (403; newer ones with "invalid pool request: " before it), its bridge driver (403), and its
#: allocator once more where the gateway is in use; Podman with netavark, and with CNI (500). Seen: the first on
#: Docker 20.10.24 and 28.5.2, Podman's first on 4.3.1. Source of the others: moby, libnetwork, drivers/bridge and
#: ipamapi; containers/podman, libpod/network/cni.
_TAKEN = (
    r"Pool overlaps with other one on this address space"
    r"|networks have overlapping IPv4"
    r"|failed to allocate gateway .*Address already in use"
    r"|subnet \S+ is already used on the host or by another config"
    r"|is being used by a network interface"
    r"|is already being used by a cni configuration"
)
#: Docker (404, and in newer words 400), Podman (500). Seen: Docker 20.10.24 and 28.5.2, Podman 4.3.1.
_NONE_LEFT = (
    r"could not find an available, non-overlapping IPv4 address pool among the defaults"
    r"|all predefined address pools have been fully subnetted"
    r"|could not find free subnet from subnet pools"
)


def subnet_taken(error: EngineError) -> bool:
    """Tell whether the engine refused a network since something else has the addresses of its subnet."""
    return re.search(_TAKEN, error.saw) is not None


def no_subnet_left(error: EngineError) -> bool:
    """Tell whether the engine, which was to choose the addresses by itself, has none left."""
    return re.search(_NONE_LEFT, error.saw) is not None
