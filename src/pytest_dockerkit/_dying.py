"""Containers that die: the test that it happens to fails, and the tests after it get another.

A container of a wider scope is the value of a fixture, or stands behind it. Such a fixture is ended as pytest does it
where a param changes: what was built on it is torn down before, and all is set up anew by the next test that asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._behind import MADE_BY, fixtures_of, put_behind
from pytest_dockerkit._run import CONTAINERS, containers_of, session_of
from pytest_dockerkit._runtime import deaths
from pytest_dockerkit._runtime.handles import RunningContainer

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What the user wants to end all with.
_STOPS = (KeyboardInterrupt, SystemExit, pytest.exit.Exception)


def check(item: pytest.Item) -> None:
    """Look at the end of a test that has passed whether its containers are alive.

    Raises:
        ContainerError: one of them has died.
    """
    for container in containers_of(item):
        known, seen = container.known_death, container.end_seen
        death = deaths.look(container, item.nodeid)
        # What ended by itself without a fault is at the end of its work.
        if known is None and death is not None and death.is_crash and not seen:
            raise deaths.error_for(container, death, item.nodeid)


def made_by(fixture: pytest.FixtureDef[Any], item: pytest.Item, before: int) -> None:
    """Note which containers stand behind a fixture that was set up.

    Args:
        fixture: which.
        item: the test that it was set up for.
        before: how many containers the test had to do with before.
    """
    value = fixture.cached_result[0] if fixture.cached_result is not None else None
    behind = [value, *item.stash.get(CONTAINERS, [])[before:]]
    containers = dict.fromkeys(each for each in behind if isinstance(each, RunningContainer))
    if alive := [each for each in containers if not each.removed]:
        put_behind(item, fixture, alive)


def bury(item: pytest.Item) -> None:
    """Look, before a test is set up, at the containers that are there already; what stands on dead ones is ended."""
    made = item.config.stash.get(MADE_BY, {})
    for fixture in fixtures_of(item) if made else ():
        if fixture not in made or fixture.cached_result is None or fixture.cached_result[2] is not None:
            continue
        if gone := [each for each in made[fixture].containers if is_dead(each, item)]:
            del made[fixture]
            replace(item, gone)
            _end(item, fixture)


def is_dead(container: RunningContainer, item: pytest.Item) -> bool:
    """Tell whether a container that a test is to share is to be replaced before it begins."""
    # Where a test has removed it, or another worker has made another in its place, it is gone for this one, too.
    if container.removed:
        return True
    death = deaths.look(container, item.nodeid, before=True)
    return container.left_stopped or (death is not None and death.is_final)


def replace(item: pytest.Item, gone: Sequence[RunningContainer]) -> None:
    """Make room for what comes in the place of dead containers."""
    session = session_of(item.config)
    for container in gone:
        session.keeper.keep_crashed(container)
        session.starter.bury(container)
    # It may have been made for those that are gone.
    session.ahead.drop_all()


def _end(item: pytest.Item, fixture: pytest.FixtureDef[Any]) -> None:
    """End a fixture, and those that were built on it; they are set up anew when they are asked for."""
    request: Any = item._request  # type: ignore[attr-defined]  # noqa: SLF001  - pytest has no other way to it
    try:
        fixture.finish(request)
    except _STOPS:
        raise
    except BaseException as failure:  # also pytest.fail()
        if isinstance(failure, BaseExceptionGroup) and failure.subgroup(_STOPS) is not None:
            raise
        text = f"what was built on {fixture.argname} could not be ended as it should, its container being dead"
        item.add_report_section("setup", "dockerkit", f"{text}: {failure!r}")
