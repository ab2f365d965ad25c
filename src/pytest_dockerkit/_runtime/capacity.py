"""How many containers run at once, over all processes of a run: who takes room, who waits, who can never have any."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from pytest_dockerkit._poll import Look, pause, until_ready
from pytest_dockerkit._runtime.room import Book, Bounds, Claim, Taken, Waiting
from pytest_dockerkit._runtime.room_file import RoomFile
from pytest_dockerkit._units import show_seconds, show_size
from pytest_dockerkit.errors import CapacityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Capacity", "Claim"]

#: How long one may wait for room, in seconds: as long as for an image that another process makes.
WAIT_S = 1800.0

#: How long what a dead process has left counts, in seconds, for others to remove it. Source: the promise that nothing
#: of it is left after that.
DEAD_S = 5.0


class Capacity:
    """The room for containers, as one process of a run sees it.

    Without limits nothing is counted, and no file is touched.

    Args:
        directory: the run's; made if it is not there.
        process: what this process is called, such as "gw0"; no two that live are called alike.
        containers: how many containers may run at once; None is any number.
        memory_bytes: the sum of their memory caps, and of what there is on the engine; None is any.
        clock: a monotonic clock, in seconds.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        directory: Path,
        process: str,
        *,
        containers: int | None,
        memory_bytes: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
    ) -> None:
        self._file = RoomFile(directory, process)
        self._process = process
        self._bounds = Bounds(containers, memory_bytes)
        self._counts = containers is not None or memory_bytes is not None
        self._clock = clock
        self._sleep = sleep
        #: When the others were first seen dead.
        self._dead: dict[str, float] = {}

    def take(self, claims: Sequence[Claim], *, wait: bool, make_room: Callable[[], object] | None = None) -> bool:
        """Take room for several containers, or for none of them.

        Args:
            claims: all that a test needs. Asking for them one by one may end in two tests that wait for each other.
            wait: whether the test cannot go on without: then this comes back with room or raises. Else, as for what
                is made ahead, nothing is taken while anybody waits.
            make_room: called once before it waits; gives back, or lets leave, what this process can do without.

        Returns:
            whether it is taken.

        Raises:
            CapacityError: there can never be room, or all wait for each other, or it took half an hour.
            LockError: the file cannot be locked.
        """
        if not self._concerns(claims):
            return True
        self._refuse_too_many(claims)
        with self._file.book() as book:
            self._bury(book)
            # More memory than there is only once what this process can do without is gone: see `make_room`.
            if not any(each.claims for each in book.waiting) and book.fits(
                self._process, claims, self._bounds, alone=False
            ):
                book.put(self._process, claims)
                return True
            if not wait:
                return False
            ticket = book.enqueue(self._process, claims, settled=False)
        with self._leaving_line(ticket):
            if make_room is not None:
                make_room()
            self._settle(ticket)
            self._await(ticket, claims)
        return True

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Say that this process waits for another one, and gives nothing back meanwhile.

        For waits that are not for room, as for a container that another process starts: that one may wait for room.
        """
        if not self._counts:
            yield
            return
        with self._file.book() as book:
            ticket = book.enqueue(self._process, (), settled=True)
        with self._leaving_line(ticket):
            yield

    def leaves(self, name: str) -> None:
        """Say that a container is being removed, so that whoever waits knows that its room comes back."""
        self._change(name, lambda book: setattr(book.taken[name], "leaving", True))

    def give_back(self, name: str) -> None:
        """Give back the room of a container that is gone, whoever took it. One that has none is no mistake."""
        self._change(name, lambda book: book.taken.pop(name))

    def drop_process(self, process: str) -> None:
        """Give back the room of a process that has died, and whose containers are gone. What is shared stays."""
        if self._counts:
            with self._file.book() as book:
                book.forget(process)

    def anybody_waits(self) -> bool:
        """Tell whether a process waits for room: then what is made ahead and not needed yet should go."""
        if not self._counts or not self._file.is_there():
            return False
        with self._file.book() as book:
            self._bury(book)
            return any(each.claims for each in book.waiting)

    def close(self) -> None:
        """Count as dead from now on."""
        self._file.close()

    # Waiting

    def _await(self, ticket: int, claims: Sequence[Claim]) -> None:
        last = until_ready(lambda: self._look(ticket, claims), timeout_s=WAIT_S, clock=self._clock, sleep=self._sleep)
        if not last.ready:
            raise CapacityError(
                f"there was no room for {_several(claims)} within {show_seconds(WAIT_S)}",
                saw=last.seen,
                mend="look at what the others do; or fewer workers (-n), or more room (--dockerkit-max-containers=)",
            )

    def _look(self, ticket: int, claims: Sequence[Claim]) -> Look:
        with self._file.book() as book:
            self._bury(book)
            if book.can_never(self._process, claims, self._bounds):
                raise self._never(book, claims)
            turn = book.next_one(self._bounds)
            if turn is not None and turn.ticket == ticket:
                book.put(self._process, claims)
                return Look(ready=True)
            loser = book.one_too_many(self._bounds)
            if loser is not None and loser.ticket == ticket:
                raise self._all_wait(book)
            return Look(ready=False, seen=self._shown(book))

    def _settle(self, ticket: int) -> None:
        with self._file.book() as book:
            for each in book.waiting:
                each.settled = each.settled or each.ticket == ticket

    @contextlib.contextmanager
    def _leaving_line(self, ticket: int) -> Iterator[None]:
        try:
            yield
        finally:
            with self._file.book() as book:
                book.waiting = [each for each in book.waiting if each.ticket != ticket]

    def _bury(self, book: Book) -> None:
        """Leave out the dead: they wait no more, and what they had counts until others had the time to remove it."""
        for process in book.processes():
            if process == self._process or self._file.lives(process):
                self._dead.pop(process, None)
                continue
            book.leave_line(process)
            if self._clock() >= self._dead.setdefault(process, self._clock()) + DEAD_S:
                book.forget(process)

    # Errors

    def _refuse_too_many(self, claims: Sequence[Claim]) -> None:
        most = self._bounds.containers
        if most is not None and len(claims) > most:
            raise CapacityError(
                "more containers are needed at once than may run",
                saw=f"{_several(claims)}: {_names(claims)}; --dockerkit-max-containers={most}",
                mend=f"--dockerkit-max-containers={len(claims)} or more",
            )

    def _never(self, book: Book, claims: Sequence[Claim]) -> CapacityError:
        held = book.held(self._process, None)
        return CapacityError(
            "more containers are needed at once than may run",
            saw=f"{_several(claims)}: {_names(claims)}; beside what is there and stays: {_names(held)}; "
            f"--dockerkit-max-containers={self._bounds.containers}",
            mend=f"--dockerkit-max-containers={len(held) + len(claims)} or more, or a narrower scope= for what stays",
        )

    def _all_wait(self, book: Book) -> CapacityError:
        mend = 'fewer workers (-n), or containers that the workers share: scope="session" without per_worker=True'
        if self._bounds.containers is not None:
            mend = f"--dockerkit-max-containers= above {self._bounds.containers}, or {mend}"
        if self._bounds.memory_bytes is not None:
            mend += ", or a lower memory="
        return CapacityError(
            "all workers wait for room that another one has, so none of them can go on",
            saw=self._shown(book),
            mend=mend,
        )

    def _shown(self, book: Book) -> str:
        """Write out who has what and who waits for what, a line for each."""
        lines = [self._shown_bounds(book)]
        for process in (None, *sorted(book.processes())):
            held = [each for each in book.taken.values() if each.process == process]
            waits = [each for each in book.waiting if each.process == process]
            if held or waits:
                said = ([f"has {_names(held)}"] if held else []) + [_wish(each) for each in waits]
                lines.append(f"{'the run' if process is None else process} {' and '.join(said)}")
        return "\n".join(lines)

    def _shown_bounds(self, book: Book) -> str:
        parts = []
        if self._bounds.containers is not None:
            parts.append(f"containers: {len(book.taken)} of --dockerkit-max-containers={self._bounds.containers}")
        if self._bounds.memory_bytes is not None:
            taken = sum(each.memory_bytes for each in book.taken.values())
            parts.append(f"memory caps: {show_size(taken)} of {show_size(self._bounds.memory_bytes)}")
        return "; ".join(parts)

    def _concerns(self, claims: Sequence[Claim]) -> bool:
        return bool(claims) and (
            self._bounds.containers is not None
            or (self._bounds.memory_bytes is not None and any(each.memory_bytes for each in claims))
        )

    def _change(self, name: str, change: Callable[[Book], object]) -> None:
        if self._counts and self._file.is_there():
            with self._file.book() as book:
                if name in book.taken:
                    change(book)


def _several(claims: Sequence[object]) -> str:
    return "1 container" if len(claims) == 1 else f"{len(claims)} containers"


def _names(those: Iterable[Claim | Taken]) -> str:
    return ", ".join(
        each.name + (f" ({show_size(each.memory_bytes)})" if each.memory_bytes else "") for each in those
    )


def _wish(waiting: Waiting) -> str:
    if not waiting.claims:
        return "waits for another process"
    return f"waits for room for {_names(waiting.claims)}"
