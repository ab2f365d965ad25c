"""Verbs on networks and volumes."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.network_refusals import explained, told_by
from pytest_dockerkit._engine.removing import cut_off, remove_network, remove_volume
from pytest_dockerkit._engine.translate import NotOnEngineError, translated
from pytest_dockerkit._engine.wire import AnswerError, ask, path_of
from pytest_dockerkit._spec.network import ON_A_WIRE
from pytest_dockerkit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_dockerkit._engine.own_container import OwnContainer
    from pytest_dockerkit._engine.wire import Wire
    from pytest_dockerkit._spec.mounts import VolumeSpec
    from pytest_dockerkit._spec.network import NetworkSpec

Json = dict[str, Any]

#: How engines say that a container is in a network already: Docker (403; seen: 20.10.24), Podman.
_CONNECTED = r"endpoint with name \S+ already exists in network|is already connected to network"

#: How engines refuse an address: somebody has it now, or the engine alone deals them in this network. Source: moby,
#: libnetwork/ipamapi, ErrIPAlreadyAllocated; runconfig and daemon, ErrUnsupportedNetworkNoSubnetAndIP.
_NOT_THAT_ADDRESS = r"address already in use|user specified IP address is supported"

_NO_POOL = "remove networks that are left over (`docker network prune`), or give the NetworkSpec a subnet= of its own"


class Networks:
    """Verbs on networks; each takes a name or an id."""

    def __init__(self, wire: Wire, own_container: OwnContainer | None = None) -> None:
        self._wire = wire
        self._own_container = own_container

    def create(self, name: str, spec: NetworkSpec, labels: Mapping[str, str]) -> str:
        """Create a network, and give its id; the container that this process runs in joins it."""
        created = self._create(name, spec, labels)
        if self._own_container is not None and spec.driver not in ON_A_WIRE:
            self.connect(name, self._own_container.id, [])
        return created

    def _create(self, name: str, spec: NetworkSpec, labels: Mapping[str, str]) -> str:
        body = _network_body(name, spec, labels)
        with told_by(partial(explained, spec=spec)), translated(f"create the network {name}", _NO_POOL):
            return str(ask(self._wire, "POST", "/networks/create", body=body)["Id"])

    def inspect(self, network: str) -> Json | None:
        """Say all that the engine knows of it; None if it does not exist."""
        try:
            with translated(f"inspect the network {network}"):
                found: Json = ask(self._wire, "GET", path_of("networks", network))
                return found
        except NotOnEngineError:
            return None

    def connect(self, network: str, container: str, aliases: Sequence[str], *, address: str | None = None) -> None:
        """Connect a container; one that is connected already stays as it is.

        Args:
            network: to which.
            container: which.
            aliases: names beside its own.
            address: the IPv4 address that it had there; another where it cannot have that one again.
        """
        endpoint: Json = {"Aliases": list(aliases)} if aliases else {}
        own: Json = {"IPAMConfig": {"IPv4Address": address}} if address else {}
        try:
            with translated(f"connect {container} to {network}"):
                self._connect(network, container, endpoint, own)
        except EngineError as failure:
            if not re.search(_CONNECTED, failure.saw):
                raise

    def _connect(self, network: str, container: str, endpoint: Json, own: Json) -> None:
        path = path_of("networks", network, "connect")
        try:
            ask(self._wire, "POST", path, body={"Container": container, "EndpointConfig": endpoint | own})
        except AnswerError as refusal:
            if not own or not re.search(_NOT_THAT_ADDRESS, refusal.said, re.IGNORECASE):
                raise
            ask(self._wire, "POST", path, body={"Container": container, "EndpointConfig": endpoint})

    def disconnect(self, network: str, container: str) -> None:
        """Disconnect a container; one that is not connected is no failure."""
        cut_off(self._wire, network, container)

    def remove(self, network: str) -> None:
        """Remove it with whatever is connected cut off; one that is gone is no failure."""
        remove_network(self._wire, network)


class Volumes:
    """Verbs on volumes."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def create(self, name: str, spec: VolumeSpec, labels: Mapping[str, str]) -> None:
        """Create a volume."""
        body = {
            "Name": name,
            "Driver": spec.driver,
            "DriverOpts": dict(spec.options),
            "Labels": {**spec.labels, **labels},
        }
        with translated(f"create the volume {name}"):
            ask(self._wire, "POST", "/volumes/create", body=body)

    def inspect(self, name: str) -> Json | None:
        """Say all that the engine knows of it; None if it does not exist."""
        try:
            with translated(f"inspect the volume {name}"):
                found: Json = ask(self._wire, "GET", path_of("volumes", name))
                return found
        except NotOnEngineError:
            return None

    def remove(self, name: str) -> None:
        """Remove it; one that is gone is no failure."""
        remove_volume(self._wire, name)


def _network_body(name: str, spec: NetworkSpec, labels: Mapping[str, str]) -> Json:
    body: Json = {
        "Name": name,
        "Driver": spec.driver,
        "Options": dict(spec.options) | ({} if spec.parent is None else {"parent": spec.parent}),
        # Engines before Docker 25 else make a second network of the same name.
        "CheckDuplicate": True,
        "Labels": {**spec.labels, **labels},
    }
    if spec.subnet is not None:
        body["IPAM"] = {"Driver": "default", "Config": [_pool(spec.subnet, spec.gateway)]}
    # A missing key and False are the same to the engine; only swarm knows the last.
    flags = {"Internal": spec.internal, "EnableIPv6": spec.ipv6, "Attachable": spec.attachable}
    return body | {key: True for key, value in flags.items() if value}


def _pool(subnet: str, gateway: str | None) -> Json:
    return {"Subnet": subnet} | ({} if gateway is None else {"Gateway": gateway})
