"""Isolated networks that nobody is in: to make and to remove one costs more than a container."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_dockerkit._runtime.networks import Network
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.network import NetworkSpec


#: How long a network may take to come back before another is made, in seconds: the engine seems to have trouble.
_PATIENCE_S = 10.0


class IdleNetworks:
    """The networks of one process that one test has left and the next may have.

    Attributes:
        still_wanted: tells how many networks the tests to come may want at once; None where that is not known.
    """

    def __init__(self, session: Session) -> None:
        self.still_wanted: Callable[[], int | None] = lambda: None
        self._session = session
        self._lock = threading.Condition()
        self._idle: list[tuple[NetworkSpec, Network]] = []
        #: How many were given back that somebody may still be in, and how many threads wait for one.
        self._coming = 0
        self._waiting = 0

    def take(self, spec: NetworkSpec, after: Iterable[str] = (), *, wait: bool = False) -> Network | None:
        """Give a network that nobody is in, with a handle of its own; None if there is none.

        Args:
            spec: of what kind.
            after: the networks of containers that will join it: its name has to sort behind theirs.
            wait: whether to wait for those that are about to be left. That takes less than half of the engine's time
                for one more, and is for what is made ahead.
        """
        first = max(after, default="")
        with self._lock:
            self._waiting += 1
            try:
                while True:
                    for place, (kind, network) in enumerate(self._idle):
                        if kind == spec and network.name > first:
                            del self._idle[place]
                            return network.anew()
                    if not wait or self._coming == 0 or not self._lock.wait(_PATIENCE_S):
                        return None
            finally:
                self._waiting -= 1

    def give_back(self, spec: NetworkSpec, network: Network) -> None:
        """Take a network whose containers are gone, or are to go by now."""
        guests = network.is_gone()
        stays = self._session.keeper.holds("network", network.name)
        if self._session.removals.ending and not stays:
            self._session.removals.later("network", network.name)
            return
        for guest in guests:
            # Before the next test begins, which may look whom they know.
            self._session.engine.networks.disconnect(network.name, guest)
        if stays:
            self._session.remove("network", network.name)
            return
        if self._session.removals.leaving:
            # For another process; it does not come back.
            self._session.removals.after_containers(lambda: self._keep(spec, network))
            return
        with self._lock:
            self._coming += 1
        self._session.removals.after_containers(lambda: self._come_back(spec, network))

    def remove_all(self) -> None:
        """Remove those that are kept, behind what comes next."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, network in idle:
            self._session.removals.later("network", network.name)

    def _come_back(self, spec: NetworkSpec, network: Network) -> None:
        try:
            self._keep(spec, network)
        finally:
            with self._lock:
                self._coming -= 1
                self._lock.notify_all()

    def _keep(self, spec: NetworkSpec, network: Network) -> None:
        """Keep it for the next, if it is as new; else remove it."""
        if not self._session.ledger.is_open("network", network.name):
            return
        try:
            if self._is_wanted() and _is_empty(network):
                with self._lock:
                    self._idle.append((spec, network))
                return
        except DockerkitError:
            # The engine has its reasons; the next test gets another.
            pass
        self._session.remove("network", network.name)

    def _is_wanted(self) -> bool:
        wanted = self.still_wanted()
        return not self._session.removals.ending and (wanted is None or len(self._idle) < wanted + self._waiting)


def _is_empty(network: Network) -> bool:
    facts = network.inspect()
    return bool(facts) and not network.others_in(facts)
