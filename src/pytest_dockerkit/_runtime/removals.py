"""Removing: at once, behind what comes next, and all that is left at the end."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime.crew import Crew
from pytest_dockerkit._runtime.undoing import ORDER, WIDTH
from pytest_dockerkit._spec.self_contained import self_contained
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.container import ContainerSpec


#: What is done behind what comes next, beside removing networks, volumes and images: removing a container, cutting
#: one off from its networks, and removing one that was cut off.
_CONTAINER, _CUT, _CUT_CONTAINER = "container", "cut", "cut container"


class Removals:
    """Removes what one process of a run has made.

    What fails behind the tests' back stays in the ledger, and is tried again at the end of the run.

    Attributes:
        ending: whether no test comes any more, so that nothing can notice what is still there.
        at_once: whether nothing is removed behind, since nobody waits for it at the end.
        leaving: whether what is to go behind what comes next is left in the ledger, for another process to remove.
    """

    def __init__(self, session: Session) -> None:
        self.ending = False
        self.leaving = False
        self.at_once = False
        self._session = session
        self._lock = threading.Lock()
        self._crew = Crew("removal", WIDTH)
        self._pending: dict[Future[None], str] = {}
        self._left: list[tuple[Callable[[], object], str]] = []

    def may_wait(self, spec: ContainerSpec, *, has_guests: bool = False) -> bool:
        """Tell whether what comes next can go on while a container is still there.

        Args:
            spec: the container's.
            has_guests: whether others that live longer have joined its network.
        """
        if self.at_once:
            return False
        # Whom a container depends on is not told by what it holds.
        return self.ending or (not has_guests and self_contained(replace(spec, depends_on=())))

    def at_scope_end(self, kind: str, name: str) -> None:
        """Remove a network, volume or image at the end of its scope, once its containers are gone."""
        if self.ending or self.leaving or kind == "volume":
            self.later(kind, name)
        else:
            # The next network may be to have the same addresses, and an image was made for one container alone.
            self.settle(containers=True)
            self._session.remove(kind, name)

    def later(self, kind: str, name: str, networks: Iterable[str] = ()) -> None:
        """Remove something behind what comes next; what is no container, after all containers that are to go.

        Args:
            kind: what it is.
            name: its name.
            networks: of a container, those that are to be removed with it.
        """
        names = [*networks]
        alone = self._session.ledger.count("container") == 1
        if not (self.ending and alone and names) or self.leaving or self._session.is_forked:
            self.after_containers(lambda: self._session.remove(kind, name), kind)
            return
        # Cut off first, they go at the same time: a quarter less than one after the other. With several containers
        # it would be more.
        with self._lock:
            cut = self._submit(lambda: self._cut_off(name, names), _CUT)
            self._submit(lambda: self._session.remove(kind, name), _CUT_CONTAINER, (cut,))

    def after_containers(self, action: Callable[[], object], kind: str = "network") -> None:
        """Do something once all containers are gone that are to go by now, or are in no network any more."""
        if self._session.is_forked:
            # None of the threads are here.
            action()
            return
        if self.leaving:
            self._left.append((action, kind))
            return
        with self._lock:
            # Begun in this order, so that what is waited for has begun before what waits, and no thread is wanting.
            self._submit(action, kind, () if kind == _CONTAINER else self._before(kind))

    def _submit(self, action: Callable[[], object], kind: str, before: Iterable[Future[None]] = ()) -> Future[None]:
        future = self._crew.submit(lambda: self._carry_out(action, before))
        self._pending[future] = kind
        # One that is done already is forgotten at once.
        future.add_done_callback(lambda done: self._pending.pop(done, None))
        return future

    def _before(self, kind: str) -> tuple[Future[None], ...]:
        kinds = (_CONTAINER, _CUT) if kind == "network" else (_CONTAINER, _CUT_CONTAINER)
        return tuple(future for future, each in tuple(self._pending.items()) if each in kinds)

    def _cut_off(self, container: str, networks: Iterable[str]) -> None:
        for network in networks:
            self._session.engine.networks.disconnect(network, container)

    def leave_no_more(self) -> None:
        """Remove what was left so far, and wait for it: there is a test after all that could notice."""
        self.ending = self.leaving = False
        left, self._left = self._left, []
        for wanted in ORDER:
            for action, kind in left:
                if kind == wanted:
                    self.after_containers(action, kind)
        self.settle()

    def settle(self, *, containers: bool = False) -> None:
        """Wait until all is gone that is to go; or the containers alone."""
        if self._session.is_forked:
            return
        with self._lock:
            pending = self._before("volume") if containers else tuple(self._pending)
        wait(pending)

    def close(self) -> None:
        """End the threads, once nothing is to be removed any more."""
        self._crew.close()

    @staticmethod
    def _carry_out(action: Callable[[], object], before: Iterable[Future[None]]) -> None:
        wait(before)
        try:
            action()
        except DockerkitError:
            # The ledger has it still.
            return
