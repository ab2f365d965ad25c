"""Who has room for containers and who waits for it: the rules, without files and locks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Claim:
    """Room for one container.

    Attributes:
        name: its name on the engine; no two are alike.
        memory_bytes: its memory cap; one without a cap takes no memory here.
        shared: it is all processes' together, and stays until the end of the run, whoever has made it.
    """

    name: str
    memory_bytes: int | None = None
    shared: bool = False


@dataclass(frozen=True)
class Bounds:
    """What may run at once.

    Attributes:
        containers: how many containers; None is any number.
        memory_bytes: the sum of their memory caps; None is any.
    """

    containers: int | None = None
    memory_bytes: int | None = None


@dataclass
class Taken:
    """Room that is taken.

    Attributes:
        name: the container's.
        process: whose it is; None is the run's.
        memory_bytes: its memory cap, or 0.
        leaving: it is being removed, and its room comes back whoever waits.
    """

    name: str
    process: str | None
    memory_bytes: int
    leaving: bool = False


@dataclass
class Waiting:
    """A process that waits.

    Attributes:
        ticket: those who came earlier have lower ones.
        process: who waits.
        claims: for what; empty where it waits for something else, that another process does.
        settled: whether it has given back all that it can do without.
    """

    ticket: int
    process: str
    claims: tuple[Claim, ...]
    settled: bool = False


@dataclass
class Book:
    """All that is taken and all who wait.

    Attributes:
        taken: by the container's name.
        waiting: in the order in which they came.
        tickets: how many have been given out.
    """

    taken: dict[str, Taken] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    tickets: int = 0

    @classmethod
    def read(cls, said: dict[str, Any]) -> Self:
        """Make it from what `written` gave."""
        taken = {each["name"]: Taken(**each) for each in said["taken"]}
        waiting = [
            Waiting(**{**each, "claims": tuple(Claim(**claim) for claim in each["claims"])})
            for each in said["waiting"]
        ]
        return cls(taken, waiting, said["tickets"])

    def written(self) -> dict[str, Any]:
        """Give all of it as JSON has it."""
        return {
            # Not by asdict(), which takes a copy of each value: this is written for every container.
            "taken": [dict(vars(each)) for each in self.taken.values()],
            "waiting": [
                {**vars(each), "claims": [dict(vars(claim)) for claim in each.claims]} for each in self.waiting
            ],
            "tickets": self.tickets,
        }

    def processes(self) -> set[str]:
        """Give those who have something or wait."""
        return {each.process for each in self.taken.values() if each.process is not None} | {
            each.process for each in self.waiting
        }

    def held(self, *processes: str | None) -> list[Taken]:
        """Give what these have and keep."""
        return [each for each in self.taken.values() if each.process in processes and not each.leaving]

    def put(self, process: str, claims: Iterable[Claim]) -> None:
        """Take room."""
        for each in claims:
            owner = None if each.shared else process
            self.taken[each.name] = Taken(each.name, owner, each.memory_bytes or 0)

    def enqueue(self, process: str, claims: Sequence[Claim], *, settled: bool) -> int:
        """Begin to wait.

        Returns:
            the ticket.
        """
        self.tickets += 1
        self.waiting.append(Waiting(self.tickets, process, tuple(claims), settled))
        return self.tickets

    def fits(self, process: str, claims: Sequence[Claim], bounds: Bounds, *, alone: bool) -> bool:
        """Tell whether there is room.

        Args:
            process: for whom.
            claims: for what.
            bounds: what may run at once.
            alone: whether it may have more memory than there is, if all that has any is its own or the run's: a cap
                is no reservation, and waiting would change nothing.
        """
        if bounds.containers is not None and len(self.taken) + len(claims) > bounds.containers:
            return False
        wanted = sum(each.memory_bytes or 0 for each in claims)
        if bounds.memory_bytes is None or not wanted:
            return True
        with_memory = [each for each in self.taken.values() if each.memory_bytes]
        if wanted + sum(each.memory_bytes for each in with_memory) <= bounds.memory_bytes:
            return True
        return alone and all(each.process in (process, None) and not each.leaving for each in with_memory)

    def can_never(self, process: str, claims: Sequence[Claim], bounds: Bounds) -> bool:
        """Tell whether what it has itself, and what is there to the end, leaves no room whatever others give back."""
        return bounds.containers is not None and len(self.held(process, None)) + len(claims) > bounds.containers

    def stands_still(self) -> bool:
        """Tell whether all who have something wait, so that nothing is given back any more."""
        waiting = {each.process for each in self.waiting}
        return all(each.settled for each in self.waiting) and all(
            not each.leaving and (each.process is None or each.process in waiting) for each in self.taken.values()
        )

    def next_one(self, bounds: Bounds) -> Waiting | None:
        """Give the one whose turn it is: who came first, so that much is not kept waiting by many who want little.

        Only where nothing moves any more does another come before: what it does may make room.
        """
        in_line = [each for each in self.waiting if each.claims]
        fitting = [each for each in in_line if self.fits(each.process, each.claims, bounds, alone=True)]
        if not fitting or (fitting[0] is not in_line[0] and not self.stands_still()):
            return None
        return fitting[0]

    def one_too_many(self, bounds: Bounds) -> Waiting | None:
        """Give the one who has to give up, if all wait for each other: of those who have something, who came last."""
        in_line = [each for each in self.waiting if each.claims]
        if not in_line or self.next_one(bounds) is not None or not self.stands_still():
            return None
        return max(in_line, key=lambda each: (bool(self.held(each.process)), each.ticket))

    def forget(self, process: str) -> None:
        """Give back all that a process has; what is the run's stays."""
        self.taken = {name: each for name, each in self.taken.items() if each.process != process}
        self.leave_line(process)

    def leave_line(self, process: str) -> None:
        """Let a process wait no more."""
        self.waiting = [each for each in self.waiting if each.process != process]
