"""The engine, with all its verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dockerkit._engine.builders import ladder
from pytest_dockerkit._engine.connect import connect, variables_for_command
from pytest_dockerkit._engine.containers import Containers
from pytest_dockerkit._engine.images import Images
from pytest_dockerkit._engine.networks import Networks, Volumes
from pytest_dockerkit._engine.translate import translated

if TYPE_CHECKING:
    from docker.models.containers import Container

    from pytest_dockerkit._engine.base import Builder


class Daemon:
    """A Docker engine that answers.

    Attributes:
        client: docker-py's client, for what has no verb here.
        facts: what the engine says of itself.
        builder: what builds on it.
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
        self.client, self.facts = connect(host, context)
        self.images = Images(self.client)
        self.containers = Containers(self.client)
        self.networks = Networks(self.client)
        self.volumes = Volumes(self.client)
        variables = variables_for_command(host, context)
        self._ladder = ladder(self.client, self.images, self.facts, variables, builder)
        self.builder: Builder = self._ladder

    def docker_container(self, container_id: str) -> Container:
        """Give docker-py's own object for a container."""
        with translated("look for the container"):
            return self.client.containers.get(container_id)

    def close(self) -> None:
        """Close the connections, and end what still builds."""
        self._ladder.stop()
        self.client.close()
