"""The factories of fixtures: what pytest calls to set them up, and what is known of them before."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Mapping
from copy import copy
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._names import check_alias, nearest, slug
from pytest_dockerkit._refs import Place, filled, instance_of, refs_in
from pytest_dockerkit._run import containers_of, note, scope_key, scope_of, session_of
from pytest_dockerkit._runtime.scope import ScopeInstance
from pytest_dockerkit._runtime.starting import Wanted
from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit._spec.image import ImageSpec, check_image
from pytest_dockerkit._spec.keywords import spec_from
from pytest_dockerkit._spec.marker import container_from
from pytest_dockerkit._spec.mounts import VolumeSpec
from pytest_dockerkit._spec.network import NetworkSpec
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.image import ImageRequest
    from pytest_dockerkit._spec.service import ServiceSpec

#: What the factories have made, as long as pytest keeps it.
_MADE: weakref.WeakSet[Factory] = weakref.WeakSet()


class Factory:
    """What pytest calls to set a fixture up; its signature names the fixtures that it needs."""

    __name__ = "container"

    def __init__(self, place: Place) -> None:
        self.place = place
        self.params: tuple[Any, ...] = ()
        _MADE.add(self)
        # Where pytest says that the fixture is, as in `pytest --fixtures`: where it was written.
        made_here = _made_here.__code__.replace(co_filename=str(place.file), co_firstlineno=place.line)
        self.__wrapped__: Callable[..., Any] = FunctionType(made_here, {})
        self.__module__ = place.module
        self.__doc__ = f"Made with {self.__name__}_fixture()."

    def needs(self) -> Iterator[str]:
        """Give the names of the fixtures that it needs; called when pytest registers it."""
        return iter(())

    def images(self) -> Iterator[ImageRequest]:
        """Give the images that it is known to ask for before any test runs.

        Raises:
            SpecError: one of them cannot be had from what is there.
        """
        return iter(())

    def text_for(self, item: pytest.Item, name: str | None) -> str:
        """Tell it apart from all others that tests ask for by the same name, in all runs.

        Lines come and go above it while the user writes: they do not count.
        """
        manager = item.session._fixturemanager  # noqa: SLF001  - pytest tells it nowhere else
        place = self.place.text
        for each in manager.getfixturedefs(name or "", item) or ():
            if isinstance(each.func, Factory) and each.func.place is self.place:
                place = f"{self.place.file}::{each.baseid}::{name}"
        return place + instance_of(item, name)

    def setup(self, request: pytest.FixtureRequest, needed: Mapping[str, Any]) -> Any:
        """Make the fixture's value."""
        raise NotImplementedError

    @property
    def __signature__(self) -> inspect.Signature:
        try:
            names = dict.fromkeys(["request", *self.needs()])
        except SpecError as failure:
            # Any other exception pytest would put into a sentence of its own, which names our objects.
            raise pytest.fail.Exception(str(failure), pytrace=False) from None
        return inspect.Signature([inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY) for each in names])

    def __call__(self, request: pytest.FixtureRequest, **needed: Any) -> Any:
        return self.setup(request, needed)

    def __get__(self, instance: object, owner: type | None = None) -> Factory:
        # On a class, pytest binds what it calls to the test's instance, which this has no use for.
        return self


class ContainerFactory(Factory):
    def __init__(
        self,
        place: Place,
        *,
        given: Mapping[str, Any] | None = None,
        function: Callable[..., Any] | None = None,
        per_worker: bool = False,
    ) -> None:
        super().__init__(place)
        self.per_worker = per_worker
        self._given = given or {}
        self._function = function
        if function is not None:
            self.__wrapped__ = function
            self.__doc__ = function.__doc__ or self.__doc__
        if function is None and (
            "image" in self._given or "build" in self._given or "dockerfile_text" in self._given
        ):
            # Wrong values are told where they were written, not when the fixture is first used.
            container_from(self._given)

    def __get__(self, instance: object, owner: type | None = None) -> ContainerFactory:
        if self._function is None or instance is None:
            return self
        bound = copy(self)
        bound._function = self._function.__get__(instance, owner)  # noqa: SLF001  - a copy of our own
        return bound

    def needs(self) -> Iterator[str]:
        if self._function is not None:
            yield from inspect.signature(self._function).parameters
        yield from (each.find_name() for each in refs_in(self._given))

    def setup(self, request: pytest.FixtureRequest, needed: Mapping[str, Any]) -> RunningContainer:
        spec = self._spec(request, needed).anchored(self.place.directory)
        alias = alias_of(spec, request.fixturename or "container")
        texts = [_depend(request, need, self.place) for need in spec.depends_on if isinstance(need, str)]
        place = self.text_for(request._pyfuncitem, request.fixturename)  # noqa: SLF001  - the test it is set up for
        container = start(request, spec, alias, place, per_worker=self.per_worker)
        given = (*texts, *spec.depends_on, *needed.values())
        container.stands_on += [each for each in given if isinstance(each, type(container))]
        return container

    def _spec(self, request: pytest.FixtureRequest, needed: Mapping[str, Any]) -> ContainerSpec:
        if self._function is not None:
            arguments = {
                key: request if key == "request" else needed[key]
                for key in inspect.signature(self._function).parameters
            }
            spec = self._of_test(self._function, request)(**arguments)
            if isinstance(spec, ContainerSpec):
                return spec
            raise SpecError(
                f"the container fixture {request.fixturename!r} did not return a ContainerSpec",
                saw=f"{spec!r} ({type(spec).__name__})",
                mend="return ContainerSpec(image=…)",
            )
        return self._given_spec(filled(self._given, needed.__getitem__), getattr(request, "param", None))

    def images(self) -> Iterator[ImageRequest]:
        if self._function is None:
            for chosen in self.params or [None]:
                yield self.known_spec(chosen).image

    @property
    def is_known(self) -> bool:
        """Whether its spec is known before a test asks for it."""
        return self._function is None

    def known_spec(self, chosen: Any, value_of: Callable[[str], Any] | None = None) -> ContainerSpec:
        """Give the spec, where it is known.

        Args:
            chosen: the one of its params.
            value_of: gives the values of the fixtures in it; without that they stay stand-ins.

        Raises:
            SpecError: it is wrong.
        """
        given = self._given if value_of is None else filled(self._given, value_of)
        return self._given_spec(given, chosen).anchored(self.place.directory)

    def refs(self) -> list[str]:
        """Give the names of the fixtures whose values its spec has in it."""
        return [each.find_name() for each in refs_in(self._given)]

    @staticmethod
    def _given_spec(given: Mapping[str, Any], chosen: Any) -> ContainerSpec:
        """Make the spec of what the factory was given, and of the one of its params that was chosen."""
        if isinstance(chosen, Mapping):
            return container_from({**given, **chosen})
        return container_from(given if chosen is None else {**given, "image": chosen})

    @staticmethod
    def _of_test(function: Callable[..., Any], request: pytest.FixtureRequest) -> Callable[..., Any]:
        """Bind a method to the test's own instance; pytest has bound it to another of the class."""
        instance = request.instance
        if not inspect.ismethod(function) or not isinstance(instance, type(function.__self__)):
            return function
        return MethodType(function.__func__, instance)


class ImageFactory(Factory):
    __name__ = "image"

    def __init__(self, place: Place, given: Mapping[str, Any]) -> None:
        super().__init__(place)
        self._given = given
        if given:
            image_from(given)

    def setup(self, request: pytest.FixtureRequest, needed: Mapping[str, Any]) -> Any:  # noqa: ARG002
        return session_of(request.config).images.get(self.wanted(getattr(request, "param", None)))

    def images(self) -> Iterator[ImageRequest]:
        yield from map(self.wanted, self.params or [None])

    def wanted(self, chosen: Any) -> ImageRequest:
        """Give the image that it asks for.

        Args:
            chosen: the one of its params.
        """
        if chosen is None:
            given = dict(self._given)
        else:
            given = {**self._given, **chosen} if isinstance(chosen, Mapping) else {"image": chosen}
        image = image_from(given)
        return image.anchored(self.place.directory) if isinstance(image, ImageSpec) else image


class ThingFactory(Factory):
    """A network or a volume."""

    def __init__(self, place: Place, kind: str, spec: NetworkSpec | VolumeSpec, *, per_worker: bool) -> None:
        self.__name__ = kind
        super().__init__(place)
        self._spec = spec
        self.per_worker = per_worker

    def setup(self, request: pytest.FixtureRequest, needed: Mapping[str, Any]) -> Any:  # noqa: ARG002
        session = session_of(request.config)
        name = request.fixturename or "thing"
        made = session.ahead.take_thing(self.slot(scope_key(request.node, request.scope), name), request.addfinalizer)
        if made is not None:
            return made
        scope = ScopeInstance(request.scope, f"fixture {name}", request.addfinalizer)
        item = request._pyfuncitem  # noqa: SLF001  - the test that the fixture is set up for
        return self.make(session, scope, name, self.text_for(item, name) if request.scope == "session" else None)

    def slot(self, scope_key: str, name: str) -> tuple[object, ...]:
        """Give what it is found by when it was made before it is asked for."""
        return (scope_key, self.place.text, name)

    def make(self, session: Session, scope: ScopeInstance, name: str, instance: str | None) -> Any:
        """Make the network or volume; at the end of the scope it is removed, unless all workers share it.

        Args:
            session: what makes it.
            scope: for how long, where it is not shared.
            name: the fixture's.
            instance: which of the session's it is, see `text_for`; None for what ends sooner.
        """
        if session.shared is not None and instance is not None and not self.per_worker:
            key = session.shared.key(self.__name__, instance, self._spec)
            if isinstance(self._spec, NetworkSpec):
                return session.shared.networks.network(key, self._spec, slug(name), instance)
            return session.shared.volume(key, self._spec, slug(name))
        if isinstance(self._spec, NetworkSpec):
            return session.surroundings.network(self._spec, scope, slug(name))
        return session.surroundings.volume(self._spec, scope, slug(name))


def alias_of(spec: ContainerSpec | ServiceSpec, fixture: str) -> str:
    """Give what others find a fixture's container by."""
    return spec.name or (check_alias("name", fixture) if fixture.isascii() else slug(fixture))


def image_from(given: Mapping[str, Any]) -> ImageRequest:
    fields = dict(given)
    image = fields.pop("image", None)
    if image is not None and not fields:
        return check_image(image)
    if image is not None:
        raise SpecError(
            "an image to be used and one to be built are both given",
            saw=f"{image!r} and {', '.join(checks.shown(key, value) for key, value in fields.items())}",
            mend="give one of them",
        )
    return spec_from(ImageSpec, None, fields)


def made() -> list[Factory]:
    """Give what the factories have made in this process, in the order of the files."""
    return sorted(_MADE, key=lambda each: (each.place.file, each.place.line))


def _made_here() -> None:
    """Stand for a fixture that no function of the user's makes."""


def _depend(request: pytest.FixtureRequest, need: str, place: Place) -> object:
    """Set up a fixture that `depends_on=` names by its text."""
    try:
        value = request.getfixturevalue(need)
    except pytest.FixtureLookupError as failure:
        if failure.argname != need:
            raise
        above = [each.fixturename for each in request._iter_chain()]  # noqa: SLF001  - pytest tells it nowhere else
        if need in above:
            circle = [*above[: above.index(need) + 1][::-1], need]
            raise SpecError(
                "containers depend on each other in a circle",
                saw=" → ".join(map(str, circle)),
                mend="drop one of the depends_on=",
            ) from None
        best = nearest(need, {*request.fixturenames, *place.fixtures()} - {request.fixturename})
        raise SpecError(
            f"container {request.fixturename!r} depends on {need!r}, which is no fixture here",
            saw=f"depends_on={need!r}",
            mend=f"did you mean {best!r}?" if best else "name a container fixture, or pass the fixture itself",
        ) from None
    note(request._pyfuncitem, value)  # noqa: SLF001  - the test that the fixture is set up for
    return value


def start(
    request: pytest.FixtureRequest, spec: ContainerSpec, alias: str, place: str, *, per_worker: bool
) -> RunningContainer:
    """Start a container for a fixture; it is removed when the fixture is torn down, unless all workers share it."""
    item = request._pyfuncitem  # noqa: SLF001  - the test that the fixture is set up for
    wanted = Wanted(spec, scope_of(request.node, request.scope), alias, place=place, per_worker=per_worker)
    session = session_of(request.config)
    container = session.run(wanted, peers=containers_of(item), at_end=request.addfinalizer)
    note(item, container)
    return container
