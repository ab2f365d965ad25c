"""Images that are elsewhere: in the registry that machines share, or on another engine of the run.

They are taken from there before they are built or pulled once more. Neither is a reason to fail: what is not given is
made here, and what goes wrong is told once at the end of the run.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.images import is_for
from pytest_dockerkit._names import FINGERPRINT_LABEL
from pytest_dockerkit._runtime.image_registry import WARNING, ImageRegistry
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.progress import note_image
from pytest_dockerkit.errors import DockerkitError, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_dockerkit._engine.daemon import Daemon
    from pytest_dockerkit._runtime.build_state import State
    from pytest_dockerkit._runtime.session import Session

Facts = dict[str, Any]


def why_silent(host: str) -> str:
    """Say why an engine does not answer; nothing if it does."""
    from pytest_dockerkit._engine.daemon import Daemon

    try:
        Daemon(host).close()
    except EngineUnavailableError as failure:
        return f"{failure.what}: {failure.saw}"
    return ""


class Elsewhere:
    """Takes images from elsewhere, for one process of a run.

    Its methods are called by who holds the lock of the image.

    Attributes:
        registry: the one that machines share.
    """

    def __init__(self, session: Session) -> None:
        self.registry = ImageRegistry(session)
        self._session = session
        self._reached: list[Daemon] = []

    def built(self, state: State, title: str) -> Image | None:
        """Take an image that was built elsewhere; None if it has to be built here.

        Args:
            state: what it is built from.
            title: what people call it.
        """
        if self._session.settings.rebuild or state.unsure:
            return None
        begin = time.monotonic()
        facts = self.registry.fetch(state.name, state.digest, title=title, platform=state.spec.platform)
        if facts is not None:
            image = Image(self._session, facts, state.name, cached=False, title=title)
            note_image(self._session, "pulled", image, time.monotonic() - begin)
            return image

        def is_it(facts: Facts) -> bool:
            return ((facts.get("Config") or {}).get("Labels") or {}).get(FINGERPRINT_LABEL) == state.digest

        return self.copied(state.name, title, state.spec.platform, is_it)

    def copied(
        self, name: str, title: str, platform: str | None, is_it: Callable[[Facts], bool] = bool
    ) -> Image | None:
        """Copy an image from another engine of the run; None if none has it.

        Args:
            name: its name, which it has here too.
            title: what people call it.
            platform: what it has to be for; None is this engine's own platform.
            is_it: tells by what an engine says of an image whether it is the right one.
        """
        here = self._session.engine
        wanted = platform or f"{here.facts.os}/{here.facts.arch}"
        for engine in self._engines:
            begin = time.monotonic()
            try:
                there = engine.images.find(name)
                if there is None or not is_for(there, wanted) or not is_it(there):
                    continue
                with self._session.progress.task("copying", title) as task:
                    engine.images.copy(name, here.images, task.tell)
                facts = here.images.find(name)
            except DockerkitError as failure:
                self._warn(f"the image {title} could not be copied from {engine.facts.host}: {failure.saw}")
                continue
            if facts is not None:
                image = Image(self._session, facts, name, cached=False, title=title)
                note_image(self._session, "copied", image, time.monotonic() - begin)
                return image
        return None

    @cached_property
    def _engines(self) -> list[Daemon]:
        """The other engines of the run; one that does not answer is told by the tests that need it."""
        for host in self._session.settings.pool:
            with suppress(EngineUnavailableError):
                from pytest_dockerkit._engine.daemon import Daemon

                self._reached.append(Daemon(host))
        return self._reached

    def _warn(self, sentence: str) -> None:
        told = " ".join(sentence.split())
        self._session.note(WARNING, told, told=told)

    def close(self) -> None:
        """Close the connections to the others."""
        for engine in self._reached:
            engine.close()
