"""Many images at once: those that do not stand on each other are built side by side."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._spec.declared import check_declared, stands_on, with_bases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.session import Session

#: How long the threads are waited for whose builds were interrupted, in seconds.
ENDS_WITHIN_S = 2.0


@dataclass(frozen=True)
class Result:
    """What has become of a declared image.

    Attributes:
        name: its name.
        how: built, pulled or cached; failed; or skipped, since one that it stands on is not there.
        seconds: how long that took.
        image: the image; None if it failed or was skipped.
        error: why it failed.
        missing: those that failed, which it stands on.
    """

    name: str
    how: str
    seconds: float = 0.0
    image: Image | None = None
    error: Exception | None = None
    missing: tuple[str, ...] = ()


def tell_nobody(name: str, result: Result | None) -> None:
    """Take what has become of an image, and keep it to oneself."""


def side_by_side() -> int:
    """Give how many images are built at once: one for each core, and two where there is one.

    A build waits for its network and its disk as well as for a core.
    """
    return max(2, os.cpu_count() or 2)


def build_all(
    session: Session, names: Iterable[str], *, tell: Callable[[str, Result | None], object] = tell_nobody
) -> dict[str, Result]:
    """Build declared images, and those that they stand on; one that fails stops those alone that stand on it.

    Args:
        session: the run that they are built in.
        names: the images' names.
        tell: hears of an image when it begins, with None, and when it ends. It is called by several threads.

    Returns:
        what has become of each, in the order in which they can be built.

    Raises:
        SpecError: the project declares no image of a name.
        EngineUnavailableError: no engine answers.
    """
    images = session.settings.images
    ordered = with_bases(images, [check_declared(images, name) for name in names])
    needs = {name: stands_on(images, name) for name in ordered}
    # Reached before there are threads, which would each reach for their own.
    _ = session.engine, session.ledger
    return _Matrix(session, needs, tell).carry_out()


class _Matrix:
    """Hands images to threads as soon as all that they stand on is there."""

    def __init__(
        self, session: Session, needs: dict[str, tuple[str, ...]], tell: Callable[[str, Result | None], object]
    ) -> None:
        self._session = session
        self._needs = needs
        self._tell = tell
        self._waiting = list(needs)
        self._interrupted = False
        self._results: dict[str, Result] = {}
        self._ready: SimpleQueue[str | None] = SimpleQueue()
        #: What is no Exception ends the whole, as in the main thread.
        self._done: SimpleQueue[Result | BaseException] = SimpleQueue()

    def carry_out(self) -> dict[str, Result]:
        threads = [Thread(target=self._work, daemon=True) for _ in self._needs][: side_by_side()]
        for thread in threads:
            thread.start()
        try:
            self._hand_out()
            while len(self._results) < len(self._needs):
                self._end(self._wait())
                self._hand_out()
        except BaseException:
            # Nothing more begins, and nothing is made behind the back of whoever clears up.
            self._interrupted = True
            self._session.close()
            raise
        finally:
            for _ in threads:
                self._ready.put(None)
            until = time.monotonic() + ENDS_WITHIN_S
            for thread in threads:
                # One whose builder cannot be ended ends with the process.
                thread.join(max(0.0, until - time.monotonic()) if self._interrupted else None)
        return {name: self._results[name] for name in self._needs}

    def _hand_out(self) -> None:
        # In their order, so that an image is looked at after all that it stands on.
        for name in [*self._waiting]:
            bases = self._needs[name]
            if not self._results.keys() >= {*bases}:
                continue
            self._waiting.remove(name)
            missing = [self._results[base] for base in bases if self._results[base].image is None]
            if missing:
                roots = dict.fromkeys(root for each in missing for root in each.missing or (each.name,))
                self._end(Result(name, "skipped", missing=tuple(roots)))
            else:
                self._ready.put(name)

    def _wait(self) -> Result:
        ended = self._done.get()
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def _end(self, result: Result) -> None:
        self._results[result.name] = result
        self._tell(result.name, result)

    def _work(self) -> None:
        while (name := self._ready.get()) is not None and not self._interrupted:
            begun = time.monotonic()
            try:
                self._tell(name, None)
                image = self._session.images.get(name)
                result = Result(name, self._how(image), time.monotonic() - begun, image)
            except Exception as failure:  # noqa: BLE001  - told with the others, when all that can be built is
                result = Result(name, "failed", time.monotonic() - begun, error=failure)
            except BaseException as ending:  # noqa: BLE001  - raised where somebody waits, such as pytest.exit()
                self._done.put(ending)
                return
            self._done.put(result)

    def _how(self, image: Image) -> str:
        if image.cached:
            return "cached"
        lines = ledger.read(self._session.directory)
        notes = {line["name"]: str(line["what"]) for line in lines if line["do"] == "note"}
        return notes.get(image.reference, "built")
