"""Scopes: for how long something is kept, without knowing pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable

#: The scope of what all xdist workers share. All others are pytest's, but for the kit's and that of what is made
#: ahead.
RUN = "run"
#: The scope of what is run to its end.
ONCE = "once"


def end_all(endings: list[Callable[[], object]]) -> None:
    """Carry out what is to be done at an end, the last one first; one failure stops no other.

    Raises:
        Exception: what failed, as it is; several as an `ExceptionGroup`.
    """
    failures: list[Exception] = []
    while endings:
        try:
            endings.pop()()
        except Exception as failure:  # noqa: BLE001  - collected, raised together below
            failures.append(failure)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        msg = "teardown left things behind"
        raise ExceptionGroup(msg, failures)


class EndsWithBlock:
    """A handle that removes what it stands for at the end of a `with` block."""

    def remove(self) -> None:
        """Remove it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class ScopeInstance(NamedTuple):
    """One test, class, module, package or session, while it lasts.

    Attributes:
        scope: pytest's word for it.
        key: tells it from all others of the run.
        at_end: takes what is to be done at its end, last in first out.
    """

    scope: str
    key: str
    at_end: Callable[[Callable[[], object]], object]
