"""What the selected tests will ask for, begun before they do.

After the collection it is known which containers, networks and images they want. What lives as long as the session
is made in the background, in the order of first need; what one test has for itself, while the tests before it run. A
test asks for it in the ordinary way, and gets what is there.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import _options, _run
from pytest_dockerkit._spec.marker import SCOPES
from pytest_dockerkit._wants import Plan, Test, is_isolated, is_ours, scope_key, will_run
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.shared import Shared

#: The scopes of what is made ahead of one test. Whose end a package is, pytest knows when its fixtures are set up.
_SCOPES = tuple(scope for scope in SCOPES if scope != "package")
#: For how many tests to come containers are made ahead. On two cores, more than three start no faster.
TESTS_AHEAD = 3


def begin(session: pytest.Session) -> None:
    """Begin what the selected tests want of the session, and go on as they run."""
    config = session.config
    broken = session.testsfailed and not config.option.continue_on_collection_errors
    plans = config.option.collectonly or getattr(config.option, "setupplan", False)
    if broken or plans:
        return
    if items := [item for item in session.items if is_ours(item)]:
        runtime = _run.session_of(config)
        config.pluginmanager.register(Reservations(runtime), "dockerkit-reservations")
        if runtime.shared is not None:
            config.pluginmanager.register(Introductions(runtime.shared), "dockerkit-introductions")
        if _options.option(config, "prefetch") == "on":
            prefetch = Prefetch(runtime, session.items, alone=not _run.is_worker(config))
            config.pluginmanager.register(prefetch, "dockerkit-prefetch")
            prefetch.begin(items)


class Reservations:
    """Takes room for all that a test has for itself at once, so that no two tests wait for each other."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Take it, and first let go what is kept for later where another process waits for room."""
        if self._session.is_forked:
            return
        self._session.places.make_room()
        if is_ours(item):
            with contextlib.suppress(SpecError):
                self._session.places.reserve(Test(item).own_specs(self._session.ahead))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        """Give back what was not used."""
        self._release()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        """Give back what was not used, though the test was not run."""
        self._release()

    def _release(self) -> None:
        if not self._session.is_forked:
            self._session.places.release()


class Introductions:
    """Lets the containers of one test meet that were there before it asked for them."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Introduce them once the test has all that it needs."""
        self._shared.acquaint(_run.containers_of(item))


class Prefetch:
    """Looks ahead of the test that runs; a plugin of runs that have anything to look for."""

    def __init__(self, session: Session, items: Sequence[pytest.Item], *, alone: bool) -> None:
        self._session = session
        self._plan = Plan(session)
        self._items = items
        self._places = {item: place for place, item in enumerate(items)}
        self._alone = alone
        self._next: pytest.Item | None = None
        self._begun = 0
        self._before: pytest.Item | None = None
        if alone:
            session.surroundings.idle.still_wanted = self._networks_to_come
            #: How many tests from each place on want a network of their own.
            counts = itertools.accumulate((is_isolated(item) for item in reversed(items)), initial=0)
            self._isolated = [*counts][::-1]

    def begin(self, items: Sequence[pytest.Item]) -> None:
        """Begin what lives as long as the session, and the images of all the rest."""
        for item in items:
            if will_run(item):
                self._plan.begin(item, ("session",), by_any=not self._alone)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Note which test comes, and remove what the one before was made ahead and has not asked for."""
        if self._before is not None:
            over = scope_key(self._before, "function")
            self._session.ahead.drop(over)
            self._plan.forget(over)
        self._before, self._next = item, nextitem

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Look ahead once the test has all that it needs."""
        self._look_ahead(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Look ahead also where the test was not run; after the last one nothing has to make room."""
        if nextitem is None or item.session.shouldstop or item.session.shouldfail:
            self._session.removals.ending = True
        else:
            self._look_ahead(item)

    def _look_ahead(self, item: pytest.Item) -> None:
        if self._session.is_forked or item.session.shouldstop or item.session.shouldfail:
            return
        for each in self._to_come(item):
            if is_ours(each) and will_run(each):
                self._plan.begin(each, _SCOPES, now=item)
                self._begun = max(self._begun, self._places.get(each, 0) + 1)

    def _to_come(self, item: pytest.Item) -> Sequence[pytest.Item]:
        if not self._alone:
            # A worker of xdist knows of the next test alone that it is its own.
            return [] if self._next is None else [self._next]
        after = self._places.get(item, len(self._items)) + 1
        return self._items[after : after + TESTS_AHEAD]

    def _networks_to_come(self) -> int:
        """Count the tests that nothing is made for yet, and that want a network."""
        return self._isolated[min(self._begun, len(self._items))]
