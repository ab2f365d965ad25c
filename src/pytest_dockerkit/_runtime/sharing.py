"""What the processes of a run are told, so that they share what lives as long as the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.shared import Shared


class Sharing(NamedTuple):
    """How processes share what lives as long as the session.

    Attributes:
        secret: makes the digests of secrets useless to all who do not have it; alike in all of them.
        kept: where that is recorded which is kept for the next run; None keeps nothing.
    """

    secret: bytes
    kept: Path | None = None

    def of(self, session: Session) -> Shared:
        """Give what one process shares with the others."""
        # Of no use where there are no workers.
        from pytest_dockerkit._runtime.shared import Shared

        return Shared(session, self.secret, self.kept)
