"""What the verbs speak of: facts about an engine, a build, the result of a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_dockerkit._values import FrozenMapping

if TYPE_CHECKING:
    from pytest_dockerkit._engine.context import BuildContext
    from pytest_dockerkit._spec.secret import Secret


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


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """A build, with everything decided.

    Attributes:
        title: what to call it in messages.
        context: the files that go to the engine, with the Dockerfile.
        target: the stage, or None for the last.
        args: the build args.
        secrets: what `RUN --mount=type=secret` may read, by its id.
        ssh: what `RUN --mount=type=ssh` may use: "default" is the running agent, else the path of a key or a socket.
        labels: the image's labels.
        tags: the names that the image gets.
        platform: or None for the engine's own.
        cache_from: where layers may be taken from, as buildx writes it: a reference, or `type=…,…`.
        cache_to: where layers are kept, in the same form.
        by_hand: the command that a person would build it with.
        nocache: whether every instruction is run, though the builder may know its result.
        dockerfile_title: what to call the Dockerfile in messages, such as "docker/api.Dockerfile"; None takes its
            name in the context.
        tell: hears what becomes of it.
    """

    title: str
    context: BuildContext
    target: str | None
    args: Mapping[str, str]
    secrets: Mapping[str, Secret] = field(default_factory=FrozenMapping)
    ssh: str | None = None
    labels: Mapping[str, str]
    tags: Sequence[str]
    platform: str | None
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    by_hand: str
    nocache: bool = False
    dockerfile_title: str | None = None
    tell: Callable[[Progress], None] = tell_nobody

    def __repr__(self) -> str:
        """Give all fields, and of the build args the keys alone: people put tokens into them."""
        shown = {each.name: getattr(self, each.name) for each in fields(self)}
        shown["args"] = [*self.args]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


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
