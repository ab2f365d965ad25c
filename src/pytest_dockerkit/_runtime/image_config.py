"""What an image says of itself: a module of its own, as few runs ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ImageConfig:
    """What an image says of how it is to be run.

    Attributes:
        user: who runs it; empty is root.
        env: its environment.
        entrypoint: its entrypoint.
        cmd: its command.
        workdir: its working directory.
        exposed_ports: the ports that it says it serves, such as "80/tcp".
        labels: its labels.
        healthcheck: its health check in Docker's own form, such as ("CMD", "healthcheck"); None without one.
        volumes: the paths that it declares as volumes.
        stop_signal: the signal that asks it to stop; None is SIGTERM.
        onbuild: the instructions that run in a build that stands on it.
    """

    user: str
    env: Mapping[str, str]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    workdir: str
    exposed_ports: tuple[str, ...]
    labels: Mapping[str, str]
    healthcheck: tuple[str, ...] | None
    volumes: tuple[str, ...]
    stop_signal: str | None
    onbuild: tuple[str, ...] = ()
