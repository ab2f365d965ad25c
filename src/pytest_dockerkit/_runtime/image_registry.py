"""The image registry: built images that machines share, so that a fleet of them builds each once.

It is a cache and never a reason to fail: what it does not give is built, what it does not take is kept here. What
goes wrong with it is told once at the end of the run, and it is not asked again before the next.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.images import is_for, platform_of
from pytest_dockerkit._engine.registry import Kind
from pytest_dockerkit._names import FINGERPRINT_LABEL
from pytest_dockerkit._runtime.registries import Refusals
from pytest_dockerkit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_dockerkit._runtime.session import Session

#: The note of what went wrong without a test failing.
WARNING = "warning"

#: Of a run: the registry is not asked any more for images, or is not given any more.
_GIVES_NONE, _TAKES_NONE = "image-registry-gives-none", "image-registry-takes-none"


class ImageRegistry:
    """Fetches and publishes built images for one process of a run.

    Its methods are called by who holds the lock of the image's fingerprint.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def fetch(self, name: str, digest: str, *, title: str, platform: str | None = None) -> dict[str, Any] | None:
        """Take an image from there, if it has it.

        Args:
            name: what it is called on the engine, such as `pytest-dockerkit:…`; it has no other name from there.
            digest: its whole fingerprint.
            title: what people call it.
            platform: what it is built for; None is the engine's own platform.

        Returns:
            what the engine says of the image; None if it has to be built.
        """
        if self._session.settings.image_registry is None or self._was(_GIVES_NONE):
            return None
        shared = self._shared(digest)
        try:
            with self._session.progress.task("pulling", title) as task, self._named(shared):
                self._session.images.pulls.registries.pull_own(shared, platform, task.tell)
                return self._taken(shared, name, digest, platform)
        except Refusals as refusals:
            if not self._may_be_empty(refusals):
                self._turn_off(_GIVES_NONE, refusals.last.said, refusals.last.mend)
        except EngineError as failure:
            self._turn_off(_GIVES_NONE, failure.saw, failure.mend)
        return None

    def publish(self, name: str, digest: str, *, title: str) -> None:
        """Put an image there that was built here, where the settings allow it.

        Args:
            name: what it is called on the engine.
            digest: its whole fingerprint.
            title: what people call it.
        """
        settings = self._session.settings
        # One that gives none cannot be reached; one that takes none may still give those of others.
        if settings.image_registry is None or not settings.image_push or self._was(_GIVES_NONE, _TAKES_NONE):
            return
        shared = self._shared(digest)
        try:
            with self._session.progress.task("pushing", title) as task, self._named(shared):
                self._session.engine.images.tag(name, shared)
                self._session.images.pulls.registries.push(shared, task.tell)
        except Refusals as refusals:
            self._turn_off(_TAKES_NONE, refusals.last.said, refusals.last.mend)
        except EngineError as failure:
            self._turn_off(_TAKES_NONE, failure.saw, failure.mend)

    def _shared(self, digest: str) -> str:
        return f"{self._session.settings.image_registry}:{digest[:32]}"

    @contextmanager
    def _named(self, shared: str) -> Iterator[None]:
        """Let an image have its name at the registry for as long as that needs it."""
        self._session.ledger.making("image", shared)
        try:
            yield
        finally:
            self._session.engine.images.remove(shared)
            self._session.ledger.gone("image", shared)

    def _taken(self, shared: str, name: str, digest: str, platform: str | None) -> dict[str, Any] | None:
        images, engine = self._session.engine.images, self._session.engine.facts
        facts = images.find(shared) or {}
        says = ((facts.get("Config") or {}).get("Labels") or {}).get(FINGERPRINT_LABEL)
        if says != digest:
            self._warn(f"{shared} is another image than its name says, and was not taken: its fingerprint is {says}")
            return None
        wanted = platform or f"{engine.os}/{engine.arch}"
        if not is_for(facts, wanted):
            self._warn(f"{shared} is for {platform_of(facts)}, and was not taken for {wanted}")
            return None
        images.tag(facts["Id"], name)
        return images.find(name)

    def _may_be_empty(self, refusals: Refusals) -> bool:
        """Tell whether the image is simply not there yet.

        Some registries deny what does not exist, until the first push has made it; that one tells whether it may.
        """
        kind = refusals.last.kind
        return kind is Kind.MISSING or (kind is Kind.DENIED and self._session.settings.image_push)

    def _was(self, *events: str) -> bool:
        return any((self._session.directory / event).exists() for event in events)

    def _turn_off(self, event: str, said: str, mend: str) -> None:
        (self._session.directory / event).touch()
        what = "gives no images" if event is _GIVES_NONE else "takes no images"
        self._warn(f"the image registry {self._session.settings.image_registry} {what} in this run: {said}; {mend}")

    def _warn(self, sentence: str) -> None:
        # What is noted twice, by several processes, is told once.
        told = " ".join(sentence.split())
        self._session.note(WARNING, told, told=told)
