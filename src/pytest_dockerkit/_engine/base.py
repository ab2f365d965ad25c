"""What the verbs speak of: facts about an engine, a build, the result of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_dockerkit._engine.context import BuildContext


@dataclass(frozen=True)
class EngineFacts:
    """What an engine says of itself.

    Attributes:
        host: how it was reached, such as `unix:///var/run/docker.sock`.
        version: its release, such as "28.5.2".
        api: its newest API version.
        os: the kind of its containers: linux or windows.
        podman: whether it is Podman, which speaks the same API.
    """

    host: str
    version: str
    api: tuple[int, int]
    os: str
    podman: bool

    @property
    def local(self) -> bool:
        """Whether it runs on this machine."""
        return self.host.startswith(("unix://", "npipe://"))

    @property
    def buildkit(self) -> bool:
        """Whether the Engine API builds with BuildKit: `POST /build?version=2`, API 1.39 (Docker 18.09)."""
        return self.os == "linux" and self.api >= (1, 39) and not self.podman

    @property
    def start_interval(self) -> bool:
        """Whether health checks have a start interval: API 1.44 (Docker 25.0)."""
        return self.api >= (1, 44) and not self.podman


class Exit(NamedTuple):
    """What a command left behind."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class BuildRequest:
    """A build, with everything decided.

    Attributes:
        title: what to call it in messages.
        context: the files that go to the engine, with the Dockerfile.
        target: the stage, or None for the last.
        args: the build args.
        labels: the image's labels.
        tags: the names that the image gets.
        platform: or None for the engine's own.
        cache_from: images whose layers may be used.
        by_hand: the command that a person would build it with.
        nocache: whether every instruction is run, though the builder may know its result.
    """

    title: str
    context: BuildContext
    target: str | None
    args: Mapping[str, str]
    labels: Mapping[str, str]
    tags: Sequence[str]
    platform: str | None
    cache_from: Sequence[str]
    by_hand: str
    nocache: bool = False


class Builder(Protocol):
    """A way to build an image."""

    def build(self, request: BuildRequest) -> None:
        """Build, and give the image its tags.

        Raises:
            BuildError: an instruction failed.
            EngineError: the engine did.
        """
