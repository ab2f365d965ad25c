"""The engine, with all its verbs."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.connect import connect
from pytest_dockerkit._engine.containers import Containers
from pytest_dockerkit._engine.images import Images
from pytest_dockerkit._engine.networks import Networks, Volumes
from pytest_dockerkit._engine.own_container import own_container_of
from pytest_dockerkit._engine.removing import remove
from pytest_dockerkit._engine.swarm import Swarm
from pytest_dockerkit._engine.translate import translated
from pytest_dockerkit._engine.wire import SocketWire, ask

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

    from pytest_dockerkit._engine.base import Builder
    from pytest_dockerkit._engine.builders import Ladder
    from pytest_dockerkit._engine.labelled import Labelled
    from pytest_dockerkit._engine.survey import Survey


class Daemon:
    """A Docker engine that answers.

    Attributes:
        facts: what the engine says of itself.
        own_container: the container that this process runs in, where it is one of the same engine.
    """

    def __init__(self, host: str | None = None, context: str | None = None, builder: str = "auto") -> None:
        """Reach an engine.

        Args:
            host: its address.
            context: or its docker context; without either it is found as the docker command line finds it.
            builder: the one way to build, or "auto".

        Raises:
            EngineUnavailableError: none answers.
        """
        self._wire, self._client, self.facts, self._variables = connect(host, context)
        self.images = Images(self._wire, self._client)
        self.containers = Containers(self._wire, self._client)
        self.own_container = own_container_of(self.containers, self.facts)
        self.networks = Networks(self._wire, self.own_container)
        self.volumes = Volumes(self._wire)
        self.swarm = Swarm(self._wire, self._client)
        self._builder = builder
        self._ladder: Ladder | None = None
        #: Held while the ladder is made: there is one of it, which knows all that is being built.
        self._making = threading.Lock()

    @property
    def client(self) -> docker.DockerClient:
        """docker-py's client, for what has no verb here; made when it is first asked for."""
        return self._client.docker

    @property
    def directions(self) -> dict[str, Any]:
        """How another process of this machine reaches it; `removing.wire_by` reads it. There may be secrets in it."""
        if isinstance(self._wire, SocketWire):
            return self._wire.directions
        variables = dict(self._variables)
        if certificates := variables.get("DOCKER_CERT_PATH"):
            variables["DOCKER_CERT_PATH"] = os.path.abspath(certificates)  # noqa: PTH100  - a text as before
        return {"variables": variables}

    @cached_property
    def builder(self) -> Builder:
        """What builds on it."""
        with self._making:
            if self._ladder is None:
                from pytest_dockerkit._engine.builders import ladder

                self._ladder = ladder(self._client, self.images, self.facts, self._variables, self._builder)
            return self._ladder

    def memory_bytes(self) -> int | None:
        """Give the memory of the machine that it runs on; None where it does not say."""
        with translated("say what it is"):
            said = ask(self._wire, "GET", "/info")
        return int(said.get("MemTotal") or 0) or None

    def labelled(self, label: str, value: str | None = None) -> list[Labelled]:
        """Give the containers, networks and volumes that have a label, with a value or with any."""
        from pytest_dockerkit._engine.labelled import labelled

        return labelled(self._wire, label, value)

    def remove(self, kind: str, name: str) -> bool:
        """Remove a container, network, volume or image, and tell whether it was there."""
        return remove(self._wire, kind, name)

    @property
    def survey(self) -> Survey:
        """What is asked of it for a person to read."""
        from pytest_dockerkit._engine.survey import Survey

        return Survey(self._wire, self.facts)

    def docker_container(self, container_id: str) -> Container:
        """Give docker-py's own object for a container."""
        with translated("look for the container"):
            return self.client.containers.get(container_id)

    def close(self) -> None:
        """Close the connections, and end what still builds."""
        if self._ladder is not None:
            self._ladder.stop()
        self._wire.close()
        self._client.close()
