"""What the verbs speak of: facts about an engine, a build, the result of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pytest_dockerkit._engine.build_request import BuildRequest


@dataclass(frozen=True)
class EngineFacts:
    """What an engine says of itself.

    Attributes:
        host: how it was reached, such as `unix:///var/run/docker.sock`.
        version: its release, such as "28.5.2".
        api: its newest API version.
        os: the kind of its containers: linux or windows.
        podman: whether it is Podman, which speaks the same API.
        arch: the processors that it runs on, such as amd64 or arm64.
    """

    host: str
    version: str
    api: tuple[int, int]
    os: str
    podman: bool
    arch: str = ""

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


class Progress(NamedTuple):
    """What has become of a build or a pull so far.

    Attributes:
        step: what is being done: an instruction with its stage, such as "[api 2/5] RUN make", or a layer.
        number: which step it is, from 1; None where that is not known.
        total: of how many; None where that is not known.
        done_bytes: how much has come over the network; None where nothing has.
        total_bytes: of how much; None where that is not known.
    """

    step: str
    number: int | None = None
    total: int | None = None
    done_bytes: int | None = None
    total_bytes: int | None = None


def tell_nobody(progress: Progress) -> None:
    """Take what has become of a build, and keep it to oneself."""


class Builder(Protocol):
    """A way to build an image."""

    @property
    def name(self) -> str:
        """What it is called: "buildx", "buildkit", "classic", or a plugin's own word."""

    def lacks(self, request: BuildRequest) -> str | None:
        """Say what of a request it cannot serve, such as "build_secrets="; None if it can serve all."""

    def build(self, request: BuildRequest) -> None:
        """Build, and give the image its tags.

        Raises:
            BuildError: an instruction failed.
            EngineError: the engine did.
        """
