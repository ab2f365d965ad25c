"""What stands behind a test's fixtures: containers that were started as these were set up, maybe for another test.

Every run imports this module: whatever is heavy is imported where it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_dockerkit._runtime.handles import RunningContainer


class Behind(NamedTuple):
    """What stands behind a fixture.

    Attributes:
        containers: its value, or what it has started.
        params: those that it was set up with, and that the fixtures below it were, by the fixtures' names.
    """

    containers: list[RunningContainer]
    params: Mapping[str, object]


#: What stands behind each fixture.
MADE_BY = pytest.StashKey[dict["pytest.FixtureDef[Any]", Behind]]()


def fixtures_of(item: pytest.Item) -> list[pytest.FixtureDef[Any]]:
    """Give the fixtures that a test stands on, as far as that is known before it asks for them."""
    info = getattr(item, "_fixtureinfo", None)
    return [] if info is None else [each for several in info.name2fixturedefs.values() for each in several]


def put_behind(item: pytest.Item, fixture: pytest.FixtureDef[Any], containers: Sequence[RunningContainer]) -> None:
    """Note what stands behind a fixture that was set up for a test."""
    made = item.config.stash.setdefault(MADE_BY, {})
    params = _params_below(item, fixture)
    # What it has asked for by other ways than its arguments, such as a text in depends_on=.
    for other, behind in made.items():
        if other.cached_result is not None and any(other.cached_result[0] is each for each in containers):
            params |= behind.params
    made[fixture] = Behind([*containers], params)


def behind_fixtures(item: pytest.Item) -> list[RunningContainer]:
    """Give the containers behind a test's fixtures, but for those that were set up with other params than its own."""
    made = item.config.stash.get(MADE_BY, {})
    known = [made[fixture] for fixture in fixtures_of(item) if fixture in made] if made else []
    params = _params_of(item)
    # As pytest has it: by what they are, and not by what they equal.
    mine = [each for each in known if all(params.get(name, known) is value for name, value in each.params.items())]
    return [container for each in mine for container in each.containers]


def _params_of(item: pytest.Item) -> Mapping[str, object]:
    params: Mapping[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return params


def _params_below(item: pytest.Item, fixture: pytest.FixtureDef[Any]) -> dict[str, object]:
    """Give the params of a fixture and of all that its arguments lead to."""
    params = _params_of(item)
    if not params:
        return {}
    known = {each.argname: each for each in fixtures_of(item)}
    names: set[str] = set()
    waiting = [fixture.argname, *fixture.argnames]
    while waiting:
        if (name := waiting.pop()) not in names:
            names.add(name)
            waiting += known[name].argnames if name in known else ()
    return {name: params[name] for name in names if name in params}
