"""What `host.docker.internal` stands for in a container."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pytest_dockerkit._spec.ports import LOOPBACK
from pytest_dockerkit.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_dockerkit._engine.daemon import Daemon
    from pytest_dockerkit._runtime.networks import Network
    from pytest_dockerkit._spec.container import ContainerSpec

#: What engines replace by an address that leads to the machine, or on Docker Desktop to the one around theirs.
#: Source: Engine API 1.41, HostConfig.ExtraHosts; dockerd --host-gateway-ip.
_ENGINES_OWN = "host-gateway"


def host_address(spec: ContainerSpec, networks: Sequence[Network], engine: Daemon) -> str:
    """Say where a container reaches servers of this machine.

    In a network whose gateway is this machine that is the gateway: it is also reached where there is no way out, and
    a server can listen there for the containers of that network alone.

    Raises:
        CapabilityError: the engine is on another machine.
    """
    if not engine.facts.local:
        raise CapabilityError(
            "host_access= needs an engine on this machine",
            saw=f"the engine is at {engine.facts.host}",
            mend="hand the container an address of this machine that it reaches from there, in env= or extra_hosts=",
        )
    if engine.own_container is not None:
        # The test is in a container as well, in the same networks.
        beside = (engine.own_container.address_in(each.name) for each in networks)
        return next(filter(None, beside), _ENGINES_OWN)
    if "host" in spec.networks:
        return LOOPBACK
    return next(
        (each.gateway for each in networks if each.gateway is not None and _is_of_this_machine(each.gateway)),
        _ENGINES_OWN,
    )


def _is_of_this_machine(address: str) -> bool:
    """Tell whether servers of this machine can listen there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True
