"""What the selected tests will ask for, begun before they do.

After the collection it is known which containers, networks and images they want. What lives as long as the session
is made in the background, in the order of first need; what one test has for itself, while the tests before it run. A
test asks for it in the ordinary way, and gets what is there.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.skipping import evaluate_skip_marks, evaluate_xfail_marks

from pytest_dockerkit import _run
from pytest_dockerkit._factories import (
    ContainerFactory,
    Factory,
    ImageFactory,
    ThingFactory,
    alias_of,
    instance_of,
)
from pytest_dockerkit._markers import (
    FIXTURES,
    definitions,
    group_of,
    refs_of,
    requests_of,
    scope_node,
    with_values,
)
from pytest_dockerkit._runtime.ahead import slot_of
from pytest_dockerkit._runtime.scope import ScopeInstance
from pytest_dockerkit._runtime.starting import Wanted
from pytest_dockerkit._spec.marker import SCOPES
from pytest_dockerkit._spec.network import INTERNAL, ISOLATED
from pytest_dockerkit._spec.refs import FixtureRef
from pytest_dockerkit._spec.self_contained import self_contained
from pytest_dockerkit.errors import DockerkitError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from pytest_dockerkit._runtime.ahead import Ahead, Errand, Slot
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.marker import ContainerRequest

#: For how many tests to come containers are made ahead. On two cores, more than three start no faster.
TESTS_AHEAD = 3


def begin(session: pytest.Session) -> None:
    """Begin what the selected tests want of the session, and go on as they run."""
    config = session.config
    broken = session.testsfailed and not config.option.continue_on_collection_errors
    plans = config.option.collectonly or getattr(config.option, "setupplan", False)
    if broken or plans:
        return
    if items := [item for item in session.items if _is_ours(item)]:
        runtime = _run.session_of(config)
        config.pluginmanager.register(Reservations(runtime), "dockerkit-reservations")
        if _run.option(config, "prefetch") == "on":
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
        if _is_ours(item):
            with contextlib.suppress(SpecError):
                self._session.places.reserve(_Test(item, ("function",)).own_specs(self._session.ahead))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        """Give back what was not used."""
        self._release()

    def _release(self) -> None:
        if not self._session.is_forked:
            self._session.places.release()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        """Give back what was not used, though the test was not run."""
        self._release()


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
            counts = itertools.accumulate((_is_isolated(item) for item in reversed(items)), initial=0)
            self._isolated = [*counts][::-1]

    def begin(self, items: Sequence[pytest.Item]) -> None:
        """Begin what lives as long as the session, and the images of all the rest."""
        for item in items:
            if _will_run(item):
                self._plan.begin(item, ("session",))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Note which test comes, and remove what the one before was made ahead and has not asked for."""
        if self._before is not None:
            self._session.ahead.drop(scope_key(self._before, "function"))
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
            if _is_ours(each) and _will_run(each):
                self._plan.begin(each, SCOPES)
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


class Plan:
    """Knows what was begun, so that nothing is begun twice."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ahead = session.ahead
        self._fixtures: dict[tuple[object, ...], Errand | None] = {}
        self._markers: dict[tuple[object, ...], list[tuple[ContainerRequest, Errand | None]]] = {}

    def begin(self, item: pytest.Item, scopes: Collection[str]) -> None:
        """Begin what one test wants of some scopes; of the others its images alone."""
        try:
            test = _Test(item, scopes)
            for name in test.names:
                self._fixture(test, name)
            for request in test.requests:
                self._marker(test, request)
        except DockerkitError:
            # Whoever asks for it is told.
            return

    # Fixtures

    def _fixture(self, test: _Test, name: str) -> Errand | None:
        """Begin what a fixture will give; None if that is not known before the fixture is set up."""
        found = definitions(test.item, name)
        factory = found[-1].func if found else None
        if not isinstance(factory, Factory) or (factory.params and name not in test.params):
            return None
        place = _Place(name, found[-1].scope, scope_key(test.item, found[-1].scope), chosen=test.params.get(name))
        key = (place.key, name, factory, id(place.chosen))
        if self._fixtures.get(key) is None:
            self._fixtures[key] = self._begin_fixture(test, factory, place)
        return self._fixtures[key]

    def _begin_fixture(self, test: _Test, factory: Factory, place: _Place) -> Errand | None:
        if isinstance(factory, ImageFactory):
            return self._ahead.image(factory.wanted(place.chosen))
        if isinstance(factory, ThingFactory) and place.scope in test.scopes:
            slot = factory.slot(place.key, place.name)
            instance = instance_of(test.item, place.name) if place.scope == "session" else None
            return self._ahead.thing(slot, lambda scope: factory.make(self._session, scope, place.name, instance))
        if not isinstance(factory, ContainerFactory) or not factory.is_known:
            return None
        spec = factory.known_spec(place.chosen)
        names = [*factory.refs(), *(need for need in spec.depends_on if isinstance(need, str))]
        needs = {need: self._fixture(test, need) for need in names}
        wanted = partial(
            Wanted,
            alias=alias_of(spec, place.name),
            place=factory.place.text + instance_of(test.item, place.name),
            per_worker=factory.per_worker,
        )
        return self._container(
            test, place, spec, needs, wanted, lambda values: factory.known_spec(place.chosen, values.__getitem__)
        )

    # Markers

    def _marker(self, test: _Test, request: ContainerRequest) -> Errand | None:
        place = _Place(request.name, request.scope, scope_key(test.item, request.scope), "marker")
        group = group_of(test.item, request)
        begun = self._markers.setdefault((place.key, request.name, group), [])
        for other, errand in begun:
            if other == request and errand is not None:
                return errand
        marked = {each.name: each for each in test.requests}
        needs = {
            need: self._marker(test, marked[need]) if need in marked else self._fixture(test, need)
            for need in request.needs
        } | {ref: self._fixture(test, ref) for ref in refs_of(request.spec)}
        wanted = partial(Wanted, alias=request.name, group=group, per_worker=request.per_worker)
        errand = self._container(
            test, place, request.spec, needs, wanted, lambda values: with_values(request.spec, values.__getitem__)
        )
        begun.append((request, errand))
        return errand

    # Containers

    def _container(
        self,
        test: _Test,
        place: _Place,
        spec: ContainerSpec,
        needs: Mapping[str, Errand | None],
        wanted: Callable[[ContainerSpec, ScopeInstance], Wanted],
        filled: Callable[[Mapping[str, Any]], ContainerSpec],
    ) -> Errand | None:
        """Begin a container; None if it has to wait for its test.

        Args:
            test: the first that asks for it.
            place: where it is asked for.
            spec: what is wanted, as far as that is known.
            needs: what it stands on, by the names of fixtures and containers.
            wanted: makes the request of the whole spec, in a scope.
            filled: makes the whole spec of what it stands on.
        """
        if not isinstance(spec.image, FixtureRef):
            self._ahead.image(spec.image, spec.pull, spec.platform)
        known = {name: errand for name, errand in needs.items() if errand is not None}
        if (
            place.scope not in test.scopes
            or len(known) < len(needs)
            or not test.lets_ahead(spec, place.scope, place.who)
        ):
            return None

        def make(scope_of: Callable[[str, str], ScopeInstance]) -> Wanted:
            values = {name: self._ahead.result(errand) for name, errand in known.items()}
            return wanted(filled(values), scope_of(place.scope, place.key))

        return self._ahead.container(slot_of(wanted(spec, ScopeInstance(place.scope, place.key, _nothing))), make)


@dataclass(frozen=True)
class _Place:
    """Where something is asked for.

    Attributes:
        name: the fixture's or the container's.
        scope: pytest's word.
        key: the scope's.
        who: whether a fixture asks for it or a marker.
        chosen: the one of the fixture's params.
    """

    name: str
    scope: str
    key: str
    who: str = "fixture"
    chosen: Any = None


class _Test:
    """One test, as far as it is known before it runs."""

    def __init__(self, item: pytest.Item, scopes: Collection[str]) -> None:
        self.item = item
        self.scopes = scopes
        names: Sequence[str] = getattr(item, "fixturenames", ())
        self.names = names
        self.params: Mapping[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        requests = requests_of(item) if any(name in names for name in FIXTURES) else []
        # The fixture `image` starts no container.
        self.requests = requests if {"container", "containers"} & {*names} else []
        self._has_kit = "dockerkit" in names
        self._isolated = {*self._isolated_ones()}

    def _isolated_ones(self) -> Iterator[tuple[str, str]]:
        """Give the scopes of the containers that others are made known to, and who asks for them."""
        for request in self.requests:
            if ISOLATED in request.spec.networks:
                yield request.scope, "marker"
        for name in self.names:
            for definition in definitions(self.item, name)[-1:]:
                factory = definition.func
                if isinstance(factory, ContainerFactory):
                    yield definition.scope, "fixture"

    def own_specs(self, ahead: Ahead) -> list[ContainerSpec]:
        """Give the known specs of the containers that it has for itself, and that are not there yet."""
        key = scope_key(self.item, "function")
        specs: dict[Slot, ContainerSpec] = {}
        for request in self.requests:
            if request.scope == "function":
                specs[key, request.name, group_of(self.item, request), ""] = request.spec
        for name in self.names:
            for definition in definitions(self.item, name)[-1:]:
                factory = definition.func
                if (
                    definition.scope != "function"
                    or not isinstance(factory, ContainerFactory)
                    or not factory.is_known
                ):
                    continue
                spec = factory.known_spec(self.params.get(name))
                specs[key, alias_of(spec, name), "", factory.place.text] = spec
        return [spec for slot, spec in specs.items() if not ahead.has(slot)]

    def lets_ahead(self, spec: ContainerSpec, scope: str, who: str) -> bool:
        """Tell whether a container can be there before its test without anybody noticing.

        Args:
            spec: what it is.
            scope: for how long.
            who: whether a marker asks for it or a fixture.
        """
        if any(isinstance(each.source, Path) for each in spec.mounts):
            # What other fixtures write there first is not known.
            return False
        # Those of markers and those of fixtures have networks apart, and are made known to each other as they come.
        if scope != "function" and any(each == scope and kind != who for each, kind in self._isolated):
            return False
        if scope == "session":
            return True
        wider = any(SCOPES.index(each) < SCOPES.index(scope) for each, _ in self._isolated)
        return self_contained(replace(spec, depends_on=())) and not wider and not self._has_kit


def scope_key(item: pytest.Item, scope: str) -> str:
    """Give the key of the scope that a test stands in."""
    return _run.scope_key(scope_node(item, scope), scope)


def _is_ours(item: pytest.Item) -> bool:
    """Tell whether a test has a marker, or a fixture of a factory."""
    names: Sequence[str] = getattr(item, "fixturenames", ())
    if any(name in names for name in FIXTURES):
        return True
    found = (definition for name in names for definition in definitions(item, name)[-1:])
    return any(isinstance(definition.func, Factory) for definition in found)


def _is_isolated(item: pytest.Item) -> bool:
    """Tell whether a test may want an isolated network of its own."""
    if not _is_ours(item):
        return False
    try:
        requests = requests_of(item)
    except DockerkitError:
        return False
    markers = any(
        {ISOLATED, INTERNAL} & {*request.spec.networks} for request in requests if request.scope != "session"
    )
    names: Sequence[str] = getattr(item, "fixturenames", ())
    found = (definition for name in names for definition in definitions(item, name)[-1:])
    return markers or any(isinstance(each.func, ContainerFactory) and each.scope != "session" for each in found)


def _will_run(item: pytest.Item) -> bool:
    """Tell whether a test is not skipped by its marks."""
    try:
        expected = evaluate_xfail_marks(item)
        not_run = expected is not None and not expected.run and not item.config.option.runxfail
        return evaluate_skip_marks(item) is None and not not_run
    except Exception:  # noqa: BLE001  - a condition of the user's; pytest tells of it when the test's turn comes
        return False


def _nothing(_: object) -> None:
    """Take what is to be done at the end of a scope that is never entered."""
