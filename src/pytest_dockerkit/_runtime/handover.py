"""Handing over: what is left of a run is removed by the process that watches over it, and pytest need not wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.watcher import NotWatchedError
from pytest_dockerkit.errors import EngineUnavailableError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.session import Session

#: The value of the setting.
HANDOVER = "handover"


class NotHandedOverError(Exception):
    """The run cannot be handed over, and pytest has to wait. Its text says why, as the second half of a sentence."""


class Handover:
    """Hands a run over, seen from one of its processes.

    Attributes:
        hurried: whether the user does not want to wait any more, as after another Ctrl-C.
    """

    def __init__(self, session: Session) -> None:
        self.hurried = False
        self._session = session
        self._failure: NotHandedOverError | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether the user wants it."""
        return self.hurried or self._session.settings.teardown == HANDOVER

    def prepare(self, *, owner: bool) -> None:
        """Leave from now on what is to go; no test comes any more.

        Args:
            owner: whether it is this process of the run that hands over, for all.
        """
        removals = self._session.removals
        if removals.leaving or self._failure is not None or not self.is_wanted:
            return
        if not owner:
            # Where containers are bounded, other workers wait for the room of those that this one has.
            removals.leaving = not self._session.places.are_bounded
        elif self._is_anything_left():
            try:
                self._session.watcher.begin()
            except NotWatchedError as failure:
                self._failure = NotHandedOverError(str(failure))
            except EngineUnavailableError as failure:
                self._failure = NotHandedOverError(f"{failure.what}: {failure.saw}")
            else:
                removals.leaving = True

    def complete(self) -> bool:
        """Let another process remove what any process of the run has made and left, where the user wants that.

        Returns:
            whether it does.

        Raises:
            NotHandedOverError: that cannot be; nothing is removed by it.
        """
        session = self._session
        self.prepare(owner=True)
        if self._failure is not None:
            raise self._failure
        if not session.removals.leaving or not self._is_anything_left():
            return False
        try:
            session.watcher.await_understood()
        except NotWatchedError as failure:
            # Those that were begun behind the tests, and that nobody was to wait for.
            session.removals.settle()
            raise NotHandedOverError(str(failure)) from None
        # It waits for the end of this process, and need not.
        session.alive.release()
        return True

    def _is_anything_left(self) -> bool:
        session = self._session
        return session.has_made_anything and bool(ledger.open_entries(ledger.read(session.directory)))
