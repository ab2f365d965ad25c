"""A container's secrets are covered in all that is shown of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime.container_secrets import read
from pytest_dockerkit._spec.secret import Secret, as_bytes
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_dockerkit._engine.builders.masks import Mask
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.service import ServiceSpec


class Cover:
    """Covers a container's secrets in what is shown of it."""

    def __init__(self, spec: ContainerSpec | ServiceSpec, values: Mapping[str, Secret] | None) -> None:
        """Begin; nothing is read before there is something to cover.

        Args:
            spec: the container's, or the service's.
            values: its secrets as they were read; None where another process has done that.
        """
        self._spec = spec
        self._values = values

    def __call__(self, text: str) -> str:
        """Give a text without the secrets."""
        return self._mask(text) if text else text

    @cached_property
    def _mask(self) -> Mask:
        from pytest_dockerkit._engine.builders.masks import Mask

        values = dict(_readable(self._spec)) if self._values is None else self._values
        return Mask(values)


def _readable(spec: ContainerSpec | ServiceSpec) -> Iterator[tuple[str, Secret]]:
    for name, each in spec.secrets.items():
        try:
            yield name, Secret(name, as_bytes(read(name, each).reveal()))
        except DockerkitError:
            # It is gone since, and so cannot be covered.
            continue
