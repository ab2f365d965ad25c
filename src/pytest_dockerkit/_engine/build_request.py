"""A build, with everything decided: a module of its own, as many runs build nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.base import Progress, tell_nobody
from pytest_dockerkit._values import FrozenMapping

if TYPE_CHECKING:
    from pytest_dockerkit._engine.context import BuildContext
    from pytest_dockerkit._spec.secret import Secret


@dataclass(frozen=True, kw_only=True, repr=False)
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
