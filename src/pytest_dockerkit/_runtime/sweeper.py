"""Sweeps away, beside the tests, what dead runs have left: when the machine went down, or the engine before them."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_dockerkit._engine.labelled import Labelled
    from pytest_dockerkit._runtime.ledger import Entry
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.sweeping import Leavings

#: How long the end of a run waits for what is being swept away, in seconds. What is left then is for the next run.
GRACE_S = 5.0

#: The lock of which there is one for all runs of a user on a machine.
_LOCK = "sweep.lock"


class Sweeper:
    """Sweeps once in a run, in whichever of its processes comes first, in a thread of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._thread: threading.Thread | None = None
        self._begun = False
        self._stopped = threading.Event()

    def begin(self) -> None:
        """Begin, now that the first container is ready and no test waits for the engine."""
        if self._begun or self._session.is_forked:
            return
        self._begun = True
        self._thread = threading.Thread(target=self._sweep, name="dockerkit-sweep", daemon=True)
        self._thread.start()

    def end(self, *, wait: bool) -> None:
        """End it.

        Args:
            wait: whether there is time to wait a little.
        """
        if self._thread is None or self._session.is_forked:
            return
        if wait:
            self._thread.join(GRACE_S)
        self._stopped.set()
        # What is being removed right now; the connections are closed soon.
        self._thread.join(GRACE_S)

    def _sweep(self) -> None:
        try:
            self._sweep_once()
        except Exception as failure:  # noqa: BLE001  - whatever it is: no test is to fail for what runs before have left
            self._tell([f"what runs before have left could not be looked for: {failure}"])

    def _sweep_once(self) -> None:
        session = self._session
        try:
            (session.directory / "swept").touch(exist_ok=False)
        except FileExistsError:
            # Another process of the run does, or has done it.
            return
        if not self._left():
            # As nearly always; what follows takes more to import than this.
            return
        from filelock import FileLock

        from pytest_dockerkit._runtime import sweeping
        from pytest_dockerkit._runtime.locks import acquired

        lock = FileLock(session.settings.directory("locks") / _LOCK, thread_local=False)
        if not acquired(lock, "what runs before have left"):
            # Another run does it.
            return
        try:
            # Once more: whoever held the lock may have removed it.
            swept = sweeping.remove(self._left(), self._remove, self._stopped.is_set)
        finally:
            lock.release()
        self._tell(swept.sentences)

    def _left(self) -> list[Leavings]:
        # Here and not above: a run has its first container before this is imported.
        from pytest_dockerkit._runtime.sweeping import left_by_dead_runs

        session = self._session
        return left_by_dead_runs(session.settings, session.keeper.engine, self._there, except_for=session.run_id)

    def _there(self, label: str, value: str) -> Iterable[Labelled]:
        return self._session.engine.labelled(label, value)

    def _remove(self, entry: Entry) -> bool:
        return self._session.engine.remove(entry.kind, entry.name)

    def _tell(self, sentences: Iterable[str]) -> None:
        # A full disk ends what is told, and nothing else.
        with suppress(DockerkitError):
            for number, sentence in enumerate(sentences):
                self._session.note("swept", f"{self._session.run_id}-{number}", told=sentence)
