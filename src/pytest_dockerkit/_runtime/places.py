"""Room for a process's containers: who takes it when, where the user has bounded it."""

from __future__ import annotations

import os
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from pytest_dockerkit._runtime.capacity import Capacity, Claim
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.container import ContainerSpec


class NoRoomError(Exception):
    """There is no room for what nobody waits for yet."""


class Places:
    """Takes and gives back room for the containers of one process; without bounds it does nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._capacity: Capacity | None = None
        #: Claims that a test has made for all of its containers, before the first of them was started.
        self._reserved: list[Claim] = []
        #: Those of them that were given back since, and that the test wants again.
        self._owed: list[Claim] = []
        #: What each container has claimed.
        self._claims: dict[str, str] = {}
        self._number = 0

    def reserve(self, specs: Sequence[ContainerSpec]) -> None:
        """Take room for all that a test is about to start at once, so that no two tests wait for each other.

        Raises:
            CapacityError: there can be none.
        """
        wanted = [spec for spec in specs if self._counts(spec)]
        claims = [self._claim(spec, f"of-a-test-{self._session.process}-{self._next()}") for spec in wanted]
        if claims:
            self._take(claims)
            self._reserved += claims

    def release(self) -> None:
        """Give back what a test has reserved and not used."""
        self._let_reserved_go()
        self._owed = []

    def _let_reserved_go(self) -> None:
        """Give back what the test has not used yet, before it waits for something else.

        Whoever keeps room and waits may keep it from the one who is waited for. Nothing is lost by it: all of it is
        taken again, at once, before the first of its containers is started.
        """
        reserved, self._reserved = self._reserved, []
        for claim in reserved:
            self._all.give_back(claim.name)
        self._owed += reserved

    def take(self, name: str, spec: ContainerSpec, *, wait: bool, shared: bool) -> None:
        """Take room for a container.

        Args:
            name: the container's.
            spec: what it is.
            wait: whether somebody waits for it.
            shared: whether it outlives this process.

        Raises:
            NoRoomError: there is none, and nobody waits for it.
            CapacityError: there can be none.
        """
        if not self._counts(spec):
            return
        if wait and not shared:
            self._reserve_again()
            if (reserved := self._taken_from_reserved(spec)) is not None:
                self._claims[name] = reserved
                return
        claim = self._claim(spec, name, shared=shared)
        self._claims[name] = name
        if self._all.take([claim], wait=False):
            return
        if not wait:
            raise NoRoomError
        self._let_reserved_go()
        # What is shared is waited for by others, which may have the room that the rest of this test's wants.
        again = [] if shared else self._owed
        self._take([claim, *again])
        if again:
            self._reserved, self._owed = self._reserved + again, []

    def _reserve_again(self) -> None:
        if self._owed:
            self._take(self._owed)
            self._reserved, self._owed = self._reserved + self._owed, []

    def has(self, name: str) -> bool:
        """Tell whether a container of this process has taken room."""
        return name in self._claims

    def leaves(self, name: str) -> None:
        """Note that a container is about to be removed."""
        if (claim := self._claims.get(name)) is not None:
            self._all.leaves(claim)

    def is_gone(self, name: str) -> None:
        """Give back the room of a container that is gone, or was never made."""
        if (claim := self._claims.pop(name, None)) is not None:
            self._all.give_back(claim)

    def make_room(self) -> None:
        """Let go what was made ahead, where somebody waits for room."""
        if self._capacity is not None and self._capacity.anybody_waits():
            self._session.ahead.drop_all()

    def standing_still(self) -> AbstractContextManager[None]:
        """Say that this process waits for what another one makes, which gets all the room that is not in use here."""
        if not self.are_bounded:
            return nullcontext()
        self._let_reserved_go()
        self._session.ahead.drop_all()
        return self._all.standing_still()

    def drop_process(self, process: str) -> None:
        """Give back the room of a process that has died, once its containers are gone."""
        if self.are_bounded:
            self._all.drop_process(process)

    def close(self) -> None:
        """Count as dead from now on."""
        if self._capacity is not None:
            self._capacity.close()

    def _take(self, claims: Sequence[Claim]) -> None:
        self._all.take(claims, wait=True, make_room=self._session.ahead.drop_all)

    def _taken_from_reserved(self, spec: ContainerSpec) -> str | None:
        for claim in self._reserved:
            if claim.memory_bytes == spec.memory_bytes:
                self._reserved.remove(claim)
                return claim.name
        return None

    @property
    def are_bounded(self) -> bool:
        """Whether others may wait for what this process has taken."""
        return self._bounds_containers or self._capacity is not None

    @property
    def _bounds_containers(self) -> bool:
        return self._session.settings.max_containers is not None

    def _counts(self, spec: ContainerSpec) -> bool:
        return self._bounds_containers or spec.memory_bytes is not None

    def _claim(self, spec: ContainerSpec, name: str, *, shared: bool = False) -> Claim:
        # Here and below: it is imported where something is bounded.
        from pytest_dockerkit._runtime.capacity import Claim

        return Claim(name, spec.memory_bytes, shared=shared)

    def _next(self) -> int:
        self._number += 1
        return self._number

    @property
    def _all(self) -> Capacity:
        with self._lock:
            if self._capacity is None:
                from pytest_dockerkit._runtime.capacity import Capacity

                self._capacity = Capacity(
                    self._session.directory,
                    self._session.process,
                    containers=self._session.settings.max_containers,
                    memory_bytes=self._memory_bytes(),
                )
            return self._capacity

    def _memory_bytes(self) -> int | None:
        """Give the memory of the machine that the engine runs on."""
        engine = self._session.engine
        if engine.facts.local and {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= {*getattr(os, "sysconf_names", ())}:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return engine.memory_bytes()
