"""What tests want, as far as it is known before they run."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from _pytest.skipping import evaluate_skip_marks, evaluate_xfail_marks

from pytest_dockerkit import _run
from pytest_dockerkit._factories import (
    ContainerFactory,
    Factory,
    ImageFactory,
    ThingFactory,
    alias_of,
)
from pytest_dockerkit._markers import (
    FIXTURES,
    definitions,
    group_of,
    refs_of,
    requests_of,
    running_of,
    scope_node,
    with_values,
)
from pytest_dockerkit._runtime.ahead import Errand, slot_of
from pytest_dockerkit._runtime.scope import ScopeInstance
from pytest_dockerkit._runtime.starting import Wanted
from pytest_dockerkit._spec.marker import SCOPES
from pytest_dockerkit._spec.network import INTERNAL, ISOLATED
from pytest_dockerkit._spec.refs import FixtureRef
from pytest_dockerkit._spec.self_contained import self_contained
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import pytest

    from pytest_dockerkit._runtime.ahead import Ahead, Slot
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.marker import ContainerRequest


class Plan:
    """Knows what was begun, so that nothing is begun twice."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ahead = session.ahead
        self._fixtures: dict[tuple[object, ...], Errand | None] = {}
        self._under_way: set[tuple[object, ...]] = set()
        self._markers: dict[tuple[object, ...], list[tuple[ContainerRequest, Errand]]] = {}

    def begin(
        self, item: pytest.Item, scopes: Collection[str], *, now: pytest.Item | None = None, by_any: bool = False
    ) -> None:
        """Begin what one test wants of some scopes; of the others its images alone.

        Args:
            item: the test.
            scopes: of which.
            now: the test that runs.
            by_any: whether it may be another worker of xdist that runs it; then what each has for itself waits.
        """
        try:
            test = Test(item, scopes, now=now, by_any=by_any)
            for name in test.names:
                self._fixture(test, name)
            for request in test.requests:
                self._marker(test, request)
        except Exception:  # noqa: BLE001  - whoever asks for it is told, and no other test is to suffer from it
            return

    def forget(self, scope: str) -> None:
        """Forget what was begun for a scope that is over, by its key: it holds on to containers that are gone."""
        for begun in (self._fixtures, self._markers):
            for key in [each for each in begun if each[0] == scope]:
                del begun[key]

    # Fixtures

    def _fixture(self, test: Test, name: str) -> Errand | None:
        """Begin what a fixture will give; None if that is not known before the fixture is set up."""
        found = definitions(test.item, name)
        factory = found[-1].func if found else None
        if not isinstance(factory, Factory) or (factory.params and name not in test.params):
            return None
        place = _Place(name, found[-1].scope, scope_key(test.item, found[-1].scope), chosen=test.params.get(name))
        key = (place.key, name, factory, id(place.chosen))
        if self._fixtures.get(key) is None:
            if place.scope in test.scopes_of_now and found[-1].cached_result is not None:
                # A test has asked for it already.
                return _there(found[-1].cached_result[0])
            if key in self._under_way:
                # They depend on each other in a circle, which is told when they are set up.
                return None
            self._under_way.add(key)
            try:
                self._fixtures[key] = self._begin_fixture(test, factory, place)
            finally:
                self._under_way.discard(key)
        return self._fixtures[key]

    def _begin_fixture(self, test: Test, factory: Factory, place: _Place) -> Errand | None:
        if isinstance(factory, ImageFactory):
            return self._ahead.image(factory.wanted(place.chosen))
        if isinstance(factory, ThingFactory) and test.is_turn_of(place.scope, own=factory.per_worker):
            slot = factory.slot(place.key, place.name)
            instance = factory.text_for(test.item, place.name) if place.scope == "session" else None
            return self._ahead.thing(slot, lambda scope: factory.make(self._session, scope, place.name, instance))
        if not isinstance(factory, ContainerFactory) or not factory.is_known:
            return None
        spec = factory.known_spec(place.chosen)
        names = [*factory.refs(), *(need for need in spec.depends_on if isinstance(need, str))]
        needs = {need: self._fixture(test, need) for need in names}
        wanted = partial(
            Wanted,
            alias=alias_of(spec, place.name),
            place=factory.text_for(test.item, place.name),
            per_worker=factory.per_worker,
        )
        return self._container(
            test, place, spec, needs, wanted, lambda values: factory.known_spec(place.chosen, values.__getitem__)
        )

    # Markers

    def _marker(self, test: Test, request: ContainerRequest) -> Errand | None:
        place = _Place(request.name, request.scope, scope_key(test.item, request.scope), "marker")
        group = group_of(test.item, request)
        begun = self._markers.setdefault((place.key, request.name, group), [])
        for other, made in begun:
            if other == request:
                return made
        running = running_of(test.item, request)
        if running:
            # A test has asked for it already, or for another of that name.
            return next((_there(made) for other, made in running if other == request), None)
        marked = {each.name: each for each in test.requests}
        needs = {
            need: self._marker(test, marked[need]) if need in marked else self._fixture(test, need)
            for need in request.needs
        } | {ref: self._fixture(test, ref) for ref in refs_of(request.spec)}
        wanted = partial(Wanted, alias=request.name, group=group, per_worker=request.per_worker)
        errand = self._container(
            test, place, request.spec, needs, wanted, lambda values: with_values(request.spec, values.__getitem__)
        )
        if errand is not None:
            begun.append((request, errand))
        return errand

    # Containers

    def _container(
        self,
        test: Test,
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
        if len(known) < len(needs) or not test.lets_ahead(spec, place.scope, place.who):
            return None
        first = wanted(spec, ScopeInstance(place.scope, place.key, _nothing))
        if not test.is_turn_of(place.scope, own=first.per_worker):
            return None

        def make(scope_of: Callable[[str, str], ScopeInstance]) -> Wanted:
            values = {name: self._ahead.result(errand) for name, errand in known.items()}
            return wanted(filled(values), scope_of(place.scope, place.key))

        return self._ahead.container(slot_of(first), make)


class _Place(NamedTuple):
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


class Test:
    """One test, as far as it is known before it runs."""

    def __init__(
        self,
        item: pytest.Item,
        scopes: Collection[str] = (),
        *,
        now: pytest.Item | None = None,
        by_any: bool = False,
    ) -> None:
        self.item = item
        #: The scopes that the test that runs now stands in as well.
        self.scopes_of_now = [each for each in SCOPES if now and scope_key(item, each) == scope_key(now, each)]
        self._scopes = scopes
        self._by_any = by_any
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

    def is_turn_of(self, scope: str, *, own: bool) -> bool:
        """Tell whether it is time for what lives as long as a scope.

        Args:
            scope: pytest's word.
            own: whether each worker of xdist has one for itself.
        """
        return scope in self._scopes and not (own and self._by_any)

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
                if not isinstance(factory, ContainerFactory):
                    continue
                if definition.scope == "function" and factory.is_known:
                    spec = factory.known_spec(self.params.get(name))
                    specs[key, alias_of(spec, name), "", factory.text_for(self.item, name)] = spec
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


def is_ours(item: pytest.Item) -> bool:
    """Tell whether a test has a marker, or a fixture of a factory."""
    names: Sequence[str] = getattr(item, "fixturenames", ())
    if any(name in names for name in FIXTURES):
        return True
    found = (definition for name in names for definition in definitions(item, name)[-1:])
    return any(isinstance(definition.func, Factory) for definition in found)


def is_isolated(item: pytest.Item) -> bool:
    """Tell whether a test may want an isolated network of its own."""
    if not is_ours(item):
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


def will_run(item: pytest.Item) -> bool:
    """Tell whether a test is not skipped by its marks."""
    try:
        expected = evaluate_xfail_marks(item)
        not_run = expected is not None and not expected.run and not item.config.option.runxfail
        return evaluate_skip_marks(item) is None and not not_run
    except Exception:  # noqa: BLE001  - a condition of the user's; pytest tells of it when the test's turn comes
        return False


def _there(value: object) -> Errand | None:
    """Stand for what is there already; None for what could not be had."""
    if value is None or isinstance(value, BaseException):
        return None
    outcome: Future[object] = Future()
    outcome.set_result(value)
    return Errand((), outcome)


def _nothing(_: object) -> None:
    """Take what is to be done at the end of a scope that is never entered."""
