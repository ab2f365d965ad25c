"""Locking: asking which digests references stand for at this moment, to be written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime.registries import Refusals
from pytest_dockerkit._spec import lockfile
from pytest_dockerkit._spec.image import check_reference
from pytest_dockerkit._spec.reference import is_id, parse
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import DockerkitError, ImageNotFoundError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from pytest_dockerkit._runtime.session import Session


@dataclass(frozen=True)
class Locked:
    """Which digests references stand for.

    Attributes:
        digests: by reference, in Docker's short form; where a registry gave none, that of the lock file as it is.
        before: what the lock file says as it is.
        failed: why there is no new one, by reference.
    """

    digests: Mapping[str, str]
    before: Mapping[str, str]
    failed: Mapping[str, DockerkitError]

    def write(self, path: Path) -> bool:
        """Write the lock file.

        Returns:
            whether it is another than before.

        Raises:
            SpecError: it cannot be written.
        """
        return lockfile.write(path, self.digests)


def lock(
    session: Session, references: Iterable[str], *, tell: Callable[[str, str | DockerkitError], object] | None = None
) -> Locked:
    """Ask for the digests of references, at their registries or the mirrors of these; nothing is pulled.

    What needs no digest is left out: ids, and references that have one. One that no registry gives is told with the
    others, and keeps the digest that it had.

    Args:
        session: the run that they are asked in.
        references: the images that tests name; not those that the project builds.
        tell: hears of each reference when it has been asked for, with its digest or with why there is none.

    Raises:
        EngineUnavailableError: no engine answers.
    """
    before = _before(session)
    digests: dict[str, str] = {}
    failed: dict[str, DockerkitError] = {}
    for short in sorted({parse(each).short for each in references if not is_id(each) and not parse(each).digest}):
        try:
            digests[short] = _digest(session, short)
        except (ImageNotFoundError, SpecError) as failure:
            failed[short] = failure
            if short in before:
                digests[short] = before[short]
        if tell is not None:
            tell(short, failed.get(short) or digests[short])
    return Locked(FrozenMapping(digests), FrozenMapping(before), FrozenMapping(failed))


def _digest(session: Session, reference: str) -> str:
    check_reference("image", reference)
    try:
        return session.images.pulls.registries.digest(reference)
    except Refusals as refusals:
        raise refusals.error(f"no registry gives the digest of {reference}") from None


def _before(session: Session) -> Mapping[str, str]:
    path = session.settings.lock_file
    try:
        return lockfile.read(path).digests if path is not None else FrozenMapping()
    except SpecError:
        # It is about to be written anew.
        return FrozenMapping()
