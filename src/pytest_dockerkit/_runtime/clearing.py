"""Clearing up for others than the process itself: for workers that have died, and among what is kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime import ledger

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.session import Session


def leave_kept(session: Session) -> int:
    """Put in order what is kept for the next run; what was kept for too long is undone with the rest.

    Returns:
        how many containers of this run are kept, those among them that a run before has made.
    """
    session.keeper.expire()
    if session.shared is None and not any(session.settings.state_dir.glob("kept-*")):
        # As in most runs; the rest is imported for it alone.
        return 0
    from pytest_dockerkit._runtime import kept, kept_records

    mine = None if session.shared is None else session.shared.kept
    left = set() if mine is None else kept_records.settle(mine, session.run_id)
    return len(left - kept.expire(session))


def bury(session: Session, process: str) -> None:
    """Remove, beside the tests, what a worker that has died had for itself; what all share stays for the others.

    The ledger keeps it: the engine may still carry out what it was asked last, so that the end of the run looks once
    more.

    Args:
        session: the controller's.
        process: the worker's name.
    """
    from pytest_dockerkit._runtime.shared import names_recorded

    if not session.has_made_anything:
        return
    mine = None if session.shared is None else session.shared.kept
    kept = names_recorded(mine or session.directory / "shared")
    for entry in ledger.open_entries(ledger.read(session.directory, process)):
        # An image holds up nobody, and a container that is shared may stand on it; a swarm is for all workers.
        if entry.kind not in ("image", "swarm") and entry.name not in kept:
            session.removals.after_containers(partial(session.undo, entry), entry.kind)
    session.removals.after_containers(lambda: session.places.drop_process(process))
