"""Which subnet a network gets: small ones of our own, so that neither Docker's nor the machine's are in the way."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pytest_dockerkit._engine.subnet_taken import no_subnet_left, subnet_taken
from pytest_dockerkit._spec.subnets import Course, Obstacles, parse_pools, parse_routes
from pytest_dockerkit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_dockerkit._runtime.settings import Settings
    from pytest_dockerkit._spec.subnets import Block

_T = TypeVar("_T")

#: How many subnets the engine may refuse before it is left to choose. A refusal takes about 1 ms (Docker 20.10.24 and
#: 28.5.2), and the default pool has as many subnets.
MAX_REFUSALS = 256
#: How many subnets of a pool are looked at for one network; each takes about a microsecond.
MAX_LOOKED_AT = 65536

ROUTES = Path("/proc/net/route")


class Subnets:
    """Proposes subnets for the networks of one process.

    No lock is held between processes: the engine is the judge of what is free, and whoever was refused goes on with
    the next one.
    """

    def __init__(self, settings: Settings, *, local: bool, seed: str) -> None:
        """Begin with all of them free.

        Args:
            settings: the pools.
            local: whether the engine runs on this machine, whose routes are then heeded.
            seed: what tells this process from the others, of this run and of others.
        """
        self._written = settings.subnets
        self._courses = [Course(pool, seed) for pool in parse_pools(settings.subnets)]
        self._local = local
        self._lock = threading.Lock()
        self._in_use: set[str] = set()
        # It goes on where it was, and not from the beginning: a subnet rests for as long as there are others.
        self._next = [0] * len(self._courses)

    def make(self, create: Callable[[str | None], _T]) -> _T:
        """Make a network with a subnet that is free, or with one that the engine chooses if there is none.

        Threads may make networks at the same time.

        Args:
            create: makes it with this subnet; None leaves the choice to the engine. It is called again with another
                while the engine says that something else has these addresses.

        Returns:
            what `create` has returned. The subnet is this network's until `give_back`.

        Raises:
            EngineError: the engine refused for another reason, or has no addresses left either.
        """
        met: Counter[str] = Counter()
        for subnet in self._proposals(met):
            try:
                with ExitStack() as undo:
                    undo.callback(self.give_back, subnet)
                    made = create(subnet)
                    undo.pop_all()
                    return made
            except EngineError as failure:
                if not subnet_taken(failure):
                    raise
            met["refused"] += 1
            if met["refused"] == MAX_REFUSALS:
                break
        return self._with_the_engines(create, met)

    def give_back(self, subnet: str) -> None:
        """Let a subnet be proposed again, once its network is gone; one that is not in use is no failure."""
        with self._lock:
            self._in_use.discard(subnet)

    def _proposals(self, met: Counter[str]) -> Iterator[str]:
        """Go once through the subnets that seem free; each is taken the moment it is given."""
        routes = self._routes()
        for index, course in enumerate(self._courses):
            obstacles = Obstacles(routes, course.pool.size)
            if obstacles.cover(course.pool):
                met["on routes"] += len(course.pool)
                continue
            first = self._next[index]
            for step in range(first, first + min(len(course.pool), MAX_LOOKED_AT)):
                subnet = str(course[step])
                if subnet not in self._in_use and obstacles.overlap(course[step]):
                    met["on routes"] += 1
                elif self._take(subnet, index, step):
                    yield subnet
                else:
                    met["in use"] += 1

    def _take(self, subnet: str, index: int, step: int) -> bool:
        with self._lock:
            if subnet in self._in_use:
                return False
            self._in_use.add(subnet)
            self._next[index] = max(self._next[index], step + 1)
            return True

    def _routes(self) -> tuple[Block, ...]:
        """Give the routes of the machine that the engine runs on, as they are now; none where they cannot be read.

        They are read for each network, which takes less than 1 ms for 100 of them: other runs come and go, and a VPN
        may come up. Docker looks at them only where it chooses by itself; it takes a subnet of the local network.
        """
        if not self._local:
            return ()
        try:
            table = ROUTES.read_text(encoding="ascii")
        except OSError:
            # Not Linux: the engine runs in a virtual machine with routes of its own.
            return ()
        return parse_routes(table, sys.byteorder)

    def _with_the_engines(self, create: Callable[[str | None], _T], met: Counter[str]) -> _T:
        try:
            return create(None)
        except EngineError as failure:
            if not no_subnet_left(failure):
                raise
            ours = (
                f"dockerkit_subnets ({self._written}) has none either: {met['refused']} refused by the engine, "
                f"{met['on routes']} on routes of this machine, {met['in use']} in use by this process"
            )
            raise EngineError(
                failure.what,
                saw=f"{failure.saw}\n{ours}" if self._courses else failure.saw,
                mend="remove networks that are left over (`docker network prune`), or name addresses that are free: "
                "dockerkit_subnets = base=10.99.0.0/16,size=24",
            ) from None
