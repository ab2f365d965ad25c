"""Verbs on networks and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docker.types import IPAMConfig, IPAMPool

from pytest_dockerkit._engine.translate import ConflictError, NotOnEngineError, translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import docker

    from pytest_dockerkit._spec.mounts import VolumeSpec
    from pytest_dockerkit._spec.network import NetworkSpec

Json = dict[str, Any]

_NO_POOL = (
    "remove networks that are left over (`docker network prune`), or give the NetworkSpec a subnet= of its own; "
    "if the driver or the parent interface is named above, this engine or machine does not have it"
)


class Networks:
    """Verbs on networks; each takes a name or an id."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._api = client.api

    def create(self, name: str, spec: NetworkSpec, labels: Mapping[str, str]) -> str:
        """Create a network, and give its id."""
        options = dict(spec.options)
        if spec.parent is not None:
            options["parent"] = spec.parent
        with translated(f"create the network {name}", _NO_POOL):
            made: Json = self._api.create_network(
                name,
                driver=spec.driver,
                options=options,
                ipam=_ipam(spec),
                check_duplicate=True,
                internal=spec.internal,
                labels={**spec.labels, **labels},
                enable_ipv6=spec.ipv6,
                # A missing key and False are the same to the engine; only swarm knows it.
                attachable=spec.attachable or None,
            )
            return str(made["Id"])

    def inspect(self, network: str) -> Json | None:
        """Say all that the engine knows of it; None if it does not exist."""
        try:
            with translated(f"inspect the network {network}"):
                found: Json = self._api.inspect_network(network)
                return found
        except NotOnEngineError:
            return None

    def connect(self, network: str, container: str, aliases: Sequence[str]) -> None:
        """Connect a container under further names; one that is connected already stays as it is."""
        try:
            with translated(f"connect {container} to {network}"):
                self._api.connect_container_to_network(container, network, aliases=list(aliases) or None)
        except ConflictError:  # pragma: no cover - newer engines' word for "already connected"
            return

    def disconnect(self, network: str, container: str) -> None:
        """Disconnect a container; one that is not connected is no failure."""
        try:
            with translated(f"disconnect {container} from {network}"):
                self._api.disconnect_container_from_network(container, network, force=True)
        except NotOnEngineError:
            return

    def remove(self, network: str) -> None:
        """Remove it with whatever is connected cut off; one that is gone is no failure."""
        found = self.inspect(network)
        if found is None:
            return
        for container in found.get("Containers") or {}:
            self.disconnect(network, container)
        try:
            with translated(f"remove the network {network}"):
                self._api.remove_network(network)
        except NotOnEngineError:
            return


class Volumes:
    """Verbs on volumes."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._api = client.api

    def create(self, name: str, spec: VolumeSpec, labels: Mapping[str, str]) -> None:
        """Create a volume."""
        with translated(f"create the volume {name}"):
            self._api.create_volume(
                name, driver=spec.driver, driver_opts=dict(spec.options), labels={**spec.labels, **labels}
            )

    def inspect(self, name: str) -> Json | None:
        """Say all that the engine knows of it; None if it does not exist."""
        try:
            with translated(f"inspect the volume {name}"):
                found: Json = self._api.inspect_volume(name)
                return found
        except NotOnEngineError:
            return None

    def remove(self, name: str) -> None:
        """Remove it; one that is gone is no failure."""
        try:
            with translated(f"remove the volume {name}"):
                self._api.remove_volume(name)
        except NotOnEngineError:
            return


def _ipam(spec: NetworkSpec) -> IPAMConfig | None:
    if spec.subnet is None:
        return None
    pool = IPAMPool(subnet=spec.subnet, gateway=spec.gateway)
    return IPAMConfig(pool_configs=[pool])
