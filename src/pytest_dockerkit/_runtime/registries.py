"""Registries, with the mirrors that are asked before them, and asked again while they only fail for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pytest_dockerkit._engine.base import tell_nobody
from pytest_dockerkit._engine.registry import Answer, Kind, RefusedError, refused
from pytest_dockerkit._poll import pause, retried
from pytest_dockerkit._spec.reference import parse
from pytest_dockerkit.errors import ImageNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_dockerkit._engine.base import Progress
    from pytest_dockerkit._engine.images import Images
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.reference import Reference

T = TypeVar("T")

#: How often a registry is asked that fails for a moment; between are pauses of 1, 2, 4, 8 s, and up to half more.
TRIES = 5

#: Docker's own image store keeps one platform of a digest; Podman may not tell digests. A tag is good for both.
_BY_TAG = (Kind.HELD, Kind.UNSUPPORTED)


class Refusals(Exception):  # noqa: N818  - never leaves _runtime; what leaves is made of it
    """What all places have answered where an image may come from.

    Attributes:
        answers: the answers of the last round, with the names that were asked for; the registry's own is the last.
        tries: how often they were asked.
    """

    def __init__(self, answers: list[tuple[str, Answer]], tries: int = 1) -> None:
        super().__init__(answers)
        self.answers = answers
        self.tries = tries

    @property
    def passes(self) -> bool:
        """Whether one of them may answer otherwise in a moment."""
        return any(answer.passes for _, answer in self.answers)

    @property
    def tag_may_do(self) -> bool:
        """Whether it may be had by its tag, where this was asked of its digest."""
        # What only fails for a moment would fail the same, after as many tries.
        return not self.passes or any(answer.kind in _BY_TAG for _, answer in self.answers)

    @property
    def last(self) -> Answer:
        """The answer of the registry itself."""
        return self.answers[-1][1]

    def error(self, what: str) -> ImageNotFoundError:
        """Make the error.

        Args:
            what: the sentence that says what cannot be done.
        """
        said = [(f"{name}: " if len(self.answers) > 1 else "") + answer.said for name, answer in self.answers]
        tries = f" (tried {self.tries} times)" if self.tries > 1 else ""
        return ImageNotFoundError(what + tries, saw="\n".join(said), mend=self.last.mend)


class Place(NamedTuple):
    """Where an image may come from.

    Attributes:
        reference: what it is called there.
        mirror: whether that is another name than it was asked for by.
    """

    reference: Reference
    mirror: bool


class Registries:
    """Asks registries for one process of a run.

    Attributes:
        pause: waits between two tries, for so many seconds.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.pause: Callable[[float], None] = pause

    def places(self, asked: str) -> list[Place]:
        """Give where an image may come from, in the order in which it is asked for there."""
        reference = parse(asked)
        mirrors = [mirror for registry, mirror in self._session.settings.mirrors if registry == reference.registry]
        return [
            *(Place(reference.mirrored(mirror), mirror=True) for mirror in mirrors),
            Place(reference, mirror=False),
        ]

    def digest(self, asked: str) -> str:
        """Ask for the digest that a reference stands for: of the index, where there is one.

        Raises:
            Refusals: nobody has it.
        """
        return self._first(asked, lambda place: self._images.registry_digest(place.reference.short))

    def pull(self, asked: str, platform: str | None = None, tell: Callable[[Progress], None] = tell_nobody) -> None:
        """Pull an image by its tag; it has the name that it was asked for by, whoever gave it.

        Raises:
            Refusals: nobody has it.
        """

        def from_there(place: Place) -> None:
            if place.mirror:
                self._from_mirror(place.reference, asked, platform, tell)
            else:
                self._images.pull(asked, platform, tell)

        self._first(asked, from_there)

    def pull_digest(
        self, asked: str, digest: str, platform: str | None = None, tell: Callable[[Progress], None] = tell_nobody
    ) -> str:
        """Pull an image by its digest.

        Returns:
            the name by which the engine has it now, such as `redis@sha256:…`; a mirror's own, where that gave it.

        Raises:
            Refusals: nobody has it.
        """

        def from_there(place: Place) -> str:
            name = place.reference.at(digest)
            self._images.pull(name, platform, tell)
            return name

        return self._first(asked, from_there)

    def push(self, name: str, tell: Callable[[Progress], None] = tell_nobody) -> None:
        """Push an image by a name that it has.

        Raises:
            Refusals: the registry does not take it.
        """
        self._rounds(lambda: self._each([Place(parse(name), mirror=False)], lambda _: self._images.push(name, tell)))

    def pull_own(
        self, name: str, platform: str | None = None, tell: Callable[[Progress], None] = tell_nobody
    ) -> None:
        """Pull an image from nowhere but the registry that its name has.

        Raises:
            Refusals: it is not there.
        """
        place = Place(parse(name), mirror=False)
        self._rounds(lambda: self._each([place], lambda _: self._images.pull(name, platform, tell)))

    @property
    def _images(self) -> Images:
        return self._session.engine.images

    def _from_mirror(
        self, there: Reference, asked: str, platform: str | None, tell: Callable[[Progress], None]
    ) -> None:
        """Pull an image from a mirror, without a trace in the names that the user has given.

        By its digest, so that no tag of the mirror's is made, nor one moved that the user has. Its digest stays known
        to the engine by the mirror's name, as the engine gives no such name by itself.
        """
        try:
            name = there.at(self._images.registry_digest(there.short))
            self._images.pull(name, platform, tell)
        except RefusedError as failure:
            if failure.answer.kind not in _BY_TAG:
                raise
            self._from_mirror_by_tag(there, asked, platform, tell)
        else:
            self._name(name, asked)

    def _from_mirror_by_tag(
        self, there: Reference, asked: str, platform: str | None, tell: Callable[[Progress], None]
    ) -> None:
        before = self._images.find(there.short)
        self._images.pull(there.short, platform, tell)
        self._name(there.short, asked)
        if before is None:
            self._images.remove(there.short)
        else:
            self._images.tag(before["Id"], there.short)

    def _name(self, name: str, asked: str) -> None:
        facts = self._images.find(name)
        if facts is None:
            raise refused(Answer(Kind.OTHER, f"{name} was pulled, but the engine does not have it"))
        self._images.tag(facts["Id"], asked)

    def _first(self, asked: str, ask: Callable[[Place], T]) -> T:
        """Take what the first place gives that has it."""
        places = self.places(asked)
        return self._rounds(lambda: self._each(places, ask))

    def _each(self, places: list[Place], ask: Callable[[Place], T]) -> T:
        answers: list[tuple[str, Answer]] = []
        for place in places:
            try:
                return ask(place)
            except RefusedError as failure:
                answers.append((place.reference.short, failure.answer))
        raise Refusals(answers)

    def _rounds(self, ask: Callable[[], T]) -> T:
        """Ask once more while somebody's answer may be another in a moment: not a mirror alone, but all in turn."""
        tries = 0

        def once() -> T:
            nonlocal tries
            tries += 1
            try:
                return ask()
            except Refusals as failure:
                failure.tries = tries
                raise

        return retried(
            once,
            passes=lambda failure: isinstance(failure, Refusals) and failure.passes,
            tries=TRIES,
            sleep=self.pause,
        )
