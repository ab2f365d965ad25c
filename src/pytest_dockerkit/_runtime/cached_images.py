"""The images of the cache: which there are, and which may go."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.build_state import REPOSITORY
from pytest_dockerkit._runtime.runs import known_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_dockerkit._engine.survey import CachedImage
    from pytest_dockerkit._runtime.session import Session

#: What an image of the cache is called. One that is still being built has more behind it.
_OURS = re.compile(rf"{REPOSITORY}:[0-9a-f]{{32}}")

_USED = "stays: a container uses it"
_WANTED = "stays: a run that goes on uses it"


class Removable(NamedTuple):
    """An image, or one name of it, that may go.

    Attributes:
        name: what it is called on the engine.
        created_at: when it was built, in seconds since the epoch.
        size_bytes: its size, with what it has in common with others.
        stays: why it is not to go; empty if it may.
    """

    name: str
    created_at: float
    size_bytes: int
    stays: str


def cached_images(session: Session) -> list[Removable]:
    """Give the images of the cache, the oldest first.

    An image that a person has given a name of their own is theirs as well: of it, our name goes and no more.
    """
    wanted = _used_by_living_runs(session)
    found = [one for each in session.engine.survey.cached_images() for one in _of_image(each, wanted)]
    return sorted(found, key=lambda each: each.created_at)


def _of_image(image: CachedImage, wanted: set[str]) -> Iterator[Removable]:
    names = [name for name in image.names if _OURS.fullmatch(name)] if image.names else [image.id]
    for name in names:
        stays = _USED if image.is_used else _WANTED if name in wanted else ""
        yield Removable(name, image.created_at, image.size_bytes, stays)


def _used_by_living_runs(session: Session) -> set[str]:
    """Give the names of images that living runs have built, or have taken from the cache."""
    names: set[str] = set()
    for run in known_runs(session.settings.state_dir):
        # One that ends meanwhile needs none of them any more.
        with suppress(OSError):
            if run.lives:
                names |= {str(line.get("name")) for line in ledger.read(run.directory) if line["do"] == "note"}
    return names
