"""Removing: at once, behind what comes next, and all that is left at the end."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime.crew import Crew
from pytest_dockerkit._spec.self_contained import self_contained
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from pytest_dockerkit._engine.daemon import Daemon
    from pytest_dockerkit._runtime.ledger import Entry
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.container import ContainerSpec

#: How many things are removed at once. An engine on two cores gets no faster with more than four.
WIDTH = 4
#: Kinds in the order in which they can be removed: nothing stands on containers, and they on all the others.
ORDER = ("container", "network", "volume", "image")


class Removals:
    """Removes what one process of a run has made.

    What fails behind the tests' back stays in the ledger, and is tried again at the end of the run.

    Attributes:
        ending: whether no test comes any more, so that nothing can notice what is still there.
    """

    def __init__(self, session: Session) -> None:
        self.ending = False
        self._session = session
        self._lock = threading.Lock()
        self._crew = Crew("removal", WIDTH)
        self._pending: dict[Future[None], str] = {}

    def may_wait(self, spec: ContainerSpec) -> bool:
        """Tell whether what comes next can go on while a container of this spec is still there."""
        return self.ending or self_contained(spec)

    def at_scope_end(self, kind: str, name: str) -> None:
        """Remove a network, volume or image at the end of its scope, once its containers are gone."""
        if self.ending:
            self.later(kind, name)
        else:
            self._session.remove(kind, name)

    def later(self, kind: str, name: str) -> None:
        """Remove something behind what comes next; what is no container, after all containers that are to go."""
        self.after_containers(lambda: self._session.remove(kind, name), kind)

    def after_containers(self, action: Callable[[], object], kind: str = "network") -> None:
        """Do something once all containers are gone that are to go by now."""
        with self._lock:
            # Begun in this order, so that what is waited for has begun before what waits, and no thread is wanting.
            before = () if kind == "container" else self._containers()
            future = self._crew.submit(lambda: self._carry_out(action, before))
            self._pending[future] = kind
        # Already done ones are forgotten at once.
        future.add_done_callback(lambda done: self._pending.pop(done, None))

    def settle(self, *, containers: bool = False) -> None:
        """Wait until all is gone that is to go; or the containers alone."""
        with self._lock:
            pending = self._containers() if containers else tuple(self._pending)
        wait(pending)

    def close(self) -> None:
        """End the threads, once nothing is to be removed any more."""
        self._crew.close()

    def _containers(self) -> tuple[Future[None], ...]:
        return tuple(future for future, kind in tuple(self._pending.items()) if kind == "container")

    @staticmethod
    def _carry_out(action: Callable[[], object], before: Iterable[Future[None]]) -> None:
        wait(before)
        try:
            action()
        except DockerkitError:
            # The ledger has it still.
            return


def undo(engine: Daemon, kind: str, name: str) -> None:
    """Remove one thing; one that is gone is no failure."""
    verbs: dict[str, Callable[[str], None]] = {
        "container": engine.containers.remove,
        "network": engine.networks.remove,
        "volume": engine.volumes.remove,
        "image": engine.images.remove,
    }
    verbs[kind](name)


def undo_side_by_side(entries: Iterable[Entry], remove: Callable[[Entry], None]) -> dict[Entry, DockerkitError]:
    """Remove things, kind after kind, those of one kind at once; one failure stops no other.

    Returns:
        what could not be removed, and why.
    """
    failures: dict[Entry, DockerkitError] = {}

    def attempt(entry: Entry) -> None:
        try:
            remove(entry)
        except DockerkitError as failure:
            failures[entry] = failure

    crew = Crew("removal", WIDTH)
    entries = list(entries)
    for kind in ORDER:
        wait([crew.submit(partial(attempt, entry)) for entry in entries if entry.kind == kind])
    crew.close()
    return failures
