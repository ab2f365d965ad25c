"""The swarm that a run needs: one that is there, or one that it makes and leaves again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dockerkit._names import RUN_LABEL
from pytest_dockerkit.errors import CapabilityError, EngineError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.session import Session

#: Where a swarm of one engine alone is, which nobody else joins.
_ALONE = "127.0.0.1"


def join_swarm(session: Session, what: str) -> None:
    """See that the engine manages a swarm; one is made where that is allowed, and left at the end of the run.

    Args:
        session: whose engine it is.
        what: what is told if there is none.

    Raises:
        CapabilityError: it is in none, or no manager of its own; or one that is left again would harm others.
    """
    swarm = session.engine.swarm
    state, manages = swarm.state()
    if state == "active" and manages:
        return
    if state == "active":
        raise CapabilityError(
            "services are made by managers of a swarm, and this engine is a worker",
            saw="docker info: Swarm: active, Is Manager: false",
            mend="name a manager: --dockerkit-host",
        )
    if state != "inactive" or session.settings.swarm != "init":
        raise CapabilityError(
            what,
            saw=f"docker info: Swarm: {state}",
            mend="docker swarm init; or dockerkit_swarm = init, to make one for the run and to leave it again",
        )
    if others := swarm.losing_their_names(session.run_id):
        raise CapabilityError(
            "no swarm can be made for the run: other containers would not find each other once it is left again",
            saw=f"running: {', '.join(others)}",
            mend="docker swarm init, to have one that stays; or an engine of its own for these tests",
        )
    # It is left when the run ends, with all that is in the ledger then: other workers may use it until then.
    session.ledger.making("swarm", session.run_id)
    try:
        swarm.init(_ALONE, {RUN_LABEL: session.run_id})
    except EngineError:
        # Another worker has, between the two calls.
        if swarm.state() != ("active", True):
            raise
