"""Fixture factories, for `conftest.py`: containers, images, networks and volumes as ordinary fixtures."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._factories import ContainerFactory, Factory, ImageFactory, ThingFactory
from pytest_dockerkit._refs import Place, with_refs
from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.keywords import spec_from
from pytest_dockerkit._spec.marker import SCOPES
from pytest_dockerkit._spec.mounts import VolumeSpec
from pytest_dockerkit._spec.network import NetworkSpec
from pytest_dockerkit.errors import SpecError, without_our_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["container_fixture", "image_fixture", "network_fixture", "service_fixture", "volume_fixture"]

_Param: Any = type(pytest.param(None))


@without_our_frames
def container_fixture(
    image: Any = None,
    *,
    scope: Any = "function",
    params: Iterable[Any] | None = None,
    ids: Any = None,
    autouse: bool = False,
    per_worker: bool = False,
    **fields: Any,
) -> Any:
    """Make a fixture that gives a `RunningContainer`.

    As a decorator, without an image, it takes a function that returns the `ContainerSpec`, and that may ask for
    other fixtures. Relative paths start from the file that calls this.

    Args:
        image: an image reference, an `ImageSpec`, a `ContainerSpec`, an image fixture; or `build=` among the
            fields.
        scope: pytest's scope, or a callable that gives it.
        params: runs the tests once with each: an image, a mapping of fields, or a `ContainerSpec`, which take
            the place of what is given here.
        ids: pytest's names for the params.
        autouse: whether every test in reach gets it.
        per_worker: whether each worker of pytest-xdist has one of its own, also where the scope is the session.
        **fields: fields of `ContainerSpec`, and those that say what to build, as in the marker. `image`,
            `network`, `volumes` and `depends_on` take the fixtures of such things.

    Raises:
        SpecError: a keyword, a type or a value is wrong.
    """
    place = Place.of_caller()
    options = {"scope": scope, "params": params, "ids": ids, "autouse": autouse}
    if inspect.isfunction(image) and not fields:
        return _define(ContainerFactory(place, function=image), options)
    checks.flag("per_worker", per_worker)
    if image is None and not fields:
        return lambda function: _define(
            ContainerFactory(Place.of(function), function=function, per_worker=per_worker), options
        )
    if image is None and params is None and not {"build", "dockerfile_text", "image"} & {*fields}:
        raise SpecError(
            "no image is given",
            saw=f"keywords: {', '.join(fields)}",
            mend='an image such as "redis:7", or build=; a decorated function puts them into its ContainerSpec',
        )
    given = {**fields} if image is None else {**fields, "image": image}
    return _define(ContainerFactory(place, given=with_refs(given, place.name_of), per_worker=per_worker), options)


@without_our_frames
def image_fixture(
    image: Any = None,
    *,
    scope: Any = "session",
    params: Iterable[Any] | None = None,
    ids: Any = None,
    autouse: bool = False,
    **fields: Any,
) -> Any:
    """Make a fixture that gives an `Image`, pulled or built; images stay, they are the cache.

    Args:
        image: an image reference or an `ImageSpec`; or fields of one, such as `build=`.
        scope: pytest's scope, or a callable that gives it.
        params: runs the tests once with each: an image, or a mapping of fields in place of those given here.
        ids: pytest's names for the params.
        autouse: whether every test in reach gets it.
        **fields: fields of `ImageSpec`.

    Raises:
        SpecError: a keyword, a type or a value is wrong.
    """
    options = {"scope": scope, "params": params, "ids": ids, "autouse": autouse}
    given = {**fields} if image is None else {**fields, "image": image}
    return _define(ImageFactory(Place.of_caller(), given), options)


@without_our_frames
def network_fixture(
    spec: NetworkSpec | None = None,
    *,
    scope: Any = "function",
    autouse: bool = False,
    per_worker: bool = False,
    **fields: Any,
) -> Any:
    """Make a fixture that gives a `Network`, removed at the end of its scope.

    Args:
        spec: what is wanted; or fields of one.
        scope: pytest's scope, or a callable that gives it.
        autouse: whether every test in reach gets it.
        per_worker: whether each worker of pytest-xdist has one of its own, also where the scope is the session.
        **fields: fields of `NetworkSpec`, such as `internal=True`.

    Raises:
        SpecError: a keyword, a type or a value is wrong.
    """
    wanted = spec_from(NetworkSpec, spec, fields)
    alone = checks.flag("per_worker", per_worker)
    factory = ThingFactory(Place.of_caller(), "network", wanted, per_worker=alone)
    return _define(factory, {"scope": scope, "autouse": autouse})


@without_our_frames
def volume_fixture(
    spec: VolumeSpec | None = None,
    *,
    scope: Any = "function",
    autouse: bool = False,
    per_worker: bool = False,
    **fields: Any,
) -> Any:
    """Make a fixture that gives a `Volume`, removed at the end of its scope.

    Args:
        spec: what is wanted; or fields of one.
        scope: pytest's scope, or a callable that gives it.
        autouse: whether every test in reach gets it.
        per_worker: whether each worker of pytest-xdist has one of its own, also where the scope is the session.
        **fields: fields of `VolumeSpec`.

    Raises:
        SpecError: a keyword, a type or a value is wrong.
    """
    wanted = spec_from(VolumeSpec, spec, fields)
    alone = checks.flag("per_worker", per_worker)
    factory = ThingFactory(Place.of_caller(), "volume", wanted, per_worker=alone)
    return _define(factory, {"scope": scope, "autouse": autouse})


@without_our_frames
def service_fixture(
    image: Any = None,
    *,
    scope: Any = "function",
    autouse: bool = False,
    **fields: Any,
) -> Any:
    """Make a fixture that gives a `RunningService` of the swarm that the engine manages.

    Args:
        image: an image reference, an `ImageSpec`, a `ServiceSpec`, or an image fixture.
        scope: pytest's scope, or a callable that gives it.
        autouse: whether every test in reach gets it.
        **fields: fields of `ServiceSpec`; `image` and `network` take fixtures of such things.

    Raises:
        SpecError: a keyword, a type or a value is wrong.
    """
    from pytest_dockerkit._service_factory import ServiceFactory

    place = Place.of_caller()
    given = {**fields} if image is None else {**fields, "image": image}
    factory = ServiceFactory(place, with_refs(given, place.name_of))
    return _define(factory, {"scope": scope, "autouse": autouse})


def _define(factory: Factory, options: Mapping[str, Any]) -> Any:
    if not callable(options["scope"]):
        checks.one_of("scope", options["scope"], SCOPES)
    if (params := options.get("params")) is not None:
        # Gone through once more than pytest does.
        options = {**options, "params": [*params]}
        factory.params = tuple(each.values[0] if isinstance(each, _Param) else each for each in options["params"])
    return pytest.fixture(**options)(factory)
