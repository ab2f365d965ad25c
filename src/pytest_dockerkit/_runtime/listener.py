"""Who is told of what goes on in a run, and may have a say in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import Builder
    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit.errors import DockerkitError


class Listener(Protocol):
    """Whoever is told of what goes on; the plugin's hooks are."""

    def builder(self, builder: Builder) -> Builder | None:
        """Give what builds images in place of this one; None leaves it."""

    def wanted(self, spec: ContainerSpec) -> ContainerSpec:
        """Give the spec to carry out in place of this one."""

    def ready(self, container: RunningContainer) -> None:
        """A container is ready."""

    def failed(self, spec: ContainerSpec, error: DockerkitError) -> None:
        """A container did not become ready, and was removed."""
