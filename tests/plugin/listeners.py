"""Listeners for sessions that tests make by themselves, without pytest's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_dockerkit import ContainerSpec


class Deaf:
    """A listener that lets everything pass."""

    def builder(self, builder: object) -> None: ...

    def wanted(self, spec: ContainerSpec) -> ContainerSpec:
        return spec

    def ready(self, container: object) -> None: ...

    def failed(self, spec: object, error: object) -> None: ...
