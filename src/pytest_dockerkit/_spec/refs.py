"""Stand-ins for things that exist or will exist: what a spec may name without knowing how it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_dockerkit._spec import checks
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable


class ImageHandle:
    """An image on the engine."""

    id: str


class ContainerHandle:
    """A container on the engine."""

    id: str


class NetworkHandle:
    """A network on the engine."""

    id: str
    name: str


class VolumeHandle:
    """A volume on the engine."""

    name: str


@dataclass(frozen=True)
class FixtureRef:
    """The value of another fixture, not known before that fixture is set up.

    Attributes:
        definition: the fixture, as pytest keeps it.
        find_name: gives the fixture's name in pytest; known once its module is imported.
    """

    definition: object
    find_name: Callable[[], str] = field(compare=False, repr=False)

    def __repr__(self) -> str:
        # Alike in all processes: what specs look like tells groups of containers apart.
        try:
            return f"FixtureRef({self.find_name()!r})"
        except SpecError:
            return "FixtureRef()"


@dataclass(frozen=True)
class External:
    """Something that the user made and keeps: used, never removed."""

    name: str


def external(name: str) -> External:
    """Name a network or volume that exists already; it is used as it is and never removed."""
    return External(checks.text("external", name, 'external("name-on-the-engine")'))
