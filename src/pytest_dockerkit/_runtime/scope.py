"""Scopes: for how long something is kept, without knowing pytest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class ScopeInstance:
    """One test, class, module, package or session, while it lasts.

    Attributes:
        scope: pytest's word for it.
        key: tells it from all others of the run.
        at_end: takes what is to be done at its end, last in first out.
    """

    scope: str
    key: str
    at_end: Callable[[Callable[[], object]], object]
