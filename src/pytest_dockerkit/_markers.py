"""From the markers of a test to its containers."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._dying import is_dead, replace
from pytest_dockerkit._plan import in_order
from pytest_dockerkit._refs import Place, filled, refs_in, with_refs
from pytest_dockerkit._run import containers_of, note, scope_of, session_of
from pytest_dockerkit._runtime.handles import RunningContainer
from pytest_dockerkit._runtime.starting import Wanted
from pytest_dockerkit._spec.marker import SCOPES, ContainerRequest, read_marker
from pytest_dockerkit.errors import DockerkitError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._spec.container import ContainerSpec

MARKER = "container"
#: The fixtures that carry the marker out.
FIXTURES = ("container", "containers", "image")

_REQUESTS = pytest.StashKey[list[ContainerRequest]]()
#: The markers that the requests were read from; plugins may add some after the collection.
_MARKS = pytest.StashKey[list[pytest.Mark]]()
#: The containers of markers that are running, or the errors in their place.
_RUNNING = pytest.StashKey[dict[tuple[str, str], list[tuple[ContainerRequest, Any]]]]()


def check(item: pytest.Item) -> None:
    """Read the markers of a test when it is collected; no engine is asked.

    Raises:
        SpecError: a marker is wrong; names the test.
    """
    try:
        requests_of(item)
    except SpecError as failure:
        failure.what = f"{item.nodeid}: @pytest.mark.container: {failure.what}"
        raise failure.with_traceback(None) from None
    names = getattr(item, "fixturenames", None)
    # A marker by itself wants its container as well, as with usefixtures.
    if names is not None and not any(each in names for each in FIXTURES):
        names.append("containers")


def requests_of(item: pytest.Item) -> list[ContainerRequest]:
    """Give what the markers of a test ask for, dependencies first.

    Raises:
        SpecError: a marker is wrong.
    """
    # pytest gives the nearest marker first; people read a stack of decorators from the top.
    markers = list(reversed(list(item.iter_markers_with_node(MARKER))))
    marks = [mark for _, mark in markers]
    if item.stash.get(_MARKS, None) != marks:
        item.stash[_MARKS] = marks
        requests = [_read(item, node, mark) for node, mark in markers]
        marked = {request.name for request in requests}
        for request in requests:
            _check_lifetimes(item, request, marked)
        needed = {need for request in requests for need in request.needs}
        item.stash[_REQUESTS] = in_order(requests, [need for need in needed if _is_fixture(item, need)])
    return item.stash[_REQUESTS]


def _read(item: pytest.Item, node: Any, mark: pytest.Mark) -> ContainerRequest:
    file = _file(node, mark)
    module = item.getparent(pytest.Module)
    name_of = Place(file, {} if module is None else vars(module.obj)).name_of
    return read_marker(with_refs(mark.args, name_of), with_refs(mark.kwargs, name_of), file.parent)


def _check_lifetimes(item: pytest.Item, request: ContainerRequest, marked: Collection[str]) -> None:
    """Refuse fixtures that would be gone, or others, while a container that stands on them still runs."""
    spec = request.spec
    texts = [need for need in request.needs if need not in marked]
    names = [*texts, *(ref.find_name() for ref in refs_in((spec.network, spec.volumes, spec.depends_on)))]
    for name in names:
        *_, scope = ("session", *(each.scope for each in definitions(item, name)))
        if SCOPES.index(scope) > SCOPES.index(request.scope):
            raise SpecError(
                f"container {request.name!r} lives longer than the fixture {name!r}, which it needs",
                saw=f"scope={request.scope!r} needs scope={scope!r}",
                mend=f'scope="{request.scope}" for {name!r} too',
            )


def one_request(item: pytest.Item, fixture: str) -> ContainerRequest:
    """Give the one container that a test's markers ask for.

    Raises:
        SpecError: there is none, or there are several.
    """
    requests = requests_of(item)
    if len(requests) == 1:
        return requests[0]
    if not requests:
        raise SpecError(
            f"the fixture {fixture!r} needs a container marker",
            saw=f"{item.nodeid} has none",
            mend='@pytest.mark.container("redis:7") on the test, its class or its module',
        )
    names = [each.name for each in requests]
    raise SpecError(
        f"the fixture {fixture!r} is for tests with one container marker",
        saw=f"{item.nodeid} has {len(requests)}: {', '.join(names)}",
        mend=f'ask for the fixture containers, and take containers["{names[0]}"]',
    )


def image_of(request: pytest.FixtureRequest) -> Image:
    """Give the image of the test's one marker, built or pulled; no container is started for it."""
    wanted = _without_refs(request, one_request(_item(request), "image").spec)
    return session_of(request.config).images.get(wanted.image, pull=wanted.pull, platform=wanted.platform)


def run_all(request: pytest.FixtureRequest) -> dict[str, RunningContainer]:
    """Start what the markers of a test ask for, or find it running, in the markers' order."""
    item = _item(request)
    running: dict[str, RunningContainer] = {}
    bury_dead(item)
    for wanted in requests_of(item):
        for need in wanted.needs:
            if need not in running:
                note(item, request.getfixturevalue(need))
        running[wanted.name] = _run(request, item, wanted, running)
    return {wanted.name: running[wanted.name] for wanted in requests_of(item)}


def _run(
    request: pytest.FixtureRequest,
    item: pytest.Item,
    wanted: ContainerRequest,
    running: Mapping[str, RunningContainer],
) -> RunningContainer:
    node = scope_node(item, wanted.scope)
    needed = [running[need] if need in running else request.getfixturevalue(need) for need in wanted.needs]
    # With the values of fixtures in it: a parametrised one makes another request each time.
    wanted = dataclasses.replace(wanted, spec=_without_refs(request, wanted.spec))
    for need in wanted.spec.depends_on:
        note(item, need)
    stands_on = [each for each in (*needed, *wanted.spec.depends_on) if isinstance(each, RunningContainer)]
    place, known = (wanted.scope, node.nodeid), request.config.stash.setdefault(_RUNNING, {})
    shared = known.setdefault(place, [])
    for other, outcome in shared:
        if other == wanted:
            if isinstance(outcome, DockerkitError):
                raise outcome.with_traceback(None)
            note(item, outcome)
            container: RunningContainer = outcome
            return container
    if not shared:
        node.addfinalizer(lambda: known.pop(place, None))
    try:
        container = session_of(request.config).run(
            Wanted(
                wanted.spec,
                scope_of(node, wanted.scope),
                wanted.name,
                group_of(item, wanted),
                per_worker=wanted.per_worker,
            ),
            peers=containers_of(item),
        )
    except DockerkitError as failure:
        # Each test that shares it is told, and none of them waits for it anew.
        shared.append((wanted, failure))
        raise
    shared.append((wanted, container))
    container.stands_on += [each for each in stands_on if each not in container.stands_on]
    note(item, container)
    return container


def bury_dead(item: pytest.Item) -> None:
    """Forget the containers of a test's markers that are gone, or stand on others that are: they are made anew."""
    running = item.config.stash.get(_RUNNING, {})
    for wanted in requests_of(item) if running else ():
        shared = running.get((wanted.scope, scope_node(item, wanted.scope).nodeid), [])
        made = [each for _, each in shared if not isinstance(each, DockerkitError)]
        gone = [each for each in made if is_dead(each, item) or any(below.removed for below in each.stands_on)]
        if gone:
            replace(item, gone)
            shared[:] = [each for each in shared if each[1] not in gone]


def running_of(item: pytest.Item, wanted: ContainerRequest) -> list[tuple[ContainerRequest, Any]]:
    """Give the containers of a request's name and scope that run already, or the errors in their place."""
    node = scope_node(item, wanted.scope)
    shared = item.config.stash.get(_RUNNING, {}).get((wanted.scope, node.nodeid), [])
    return [(other, made) for other, made in shared if other.name == wanted.name]


def group_of(item: pytest.Item, wanted: ContainerRequest) -> object:
    """Tell which containers of one scope share a network: those that one test asks for together.

    Two tests may have different containers of one name in one session, which must not meet.
    """
    if wanted.scope == "function":
        return ""
    return tuple(f"{each.name} {each.spec!r}" for each in requests_of(item) if each.scope == wanted.scope)


def _item(request: pytest.FixtureRequest) -> pytest.Item:
    item: pytest.Item = request.node
    return item


def scope_node(item: pytest.Item, scope: str) -> pytest.Item | pytest.Collector:
    """Find the node whose end is the scope's; where there is none, as pytest does, the next narrower or wider."""
    if scope == "class":
        return item.getparent(pytest.Class) or item
    if scope == "module":
        return item.getparent(pytest.Module) or item
    if scope == "package":
        return item.getparent(pytest.Package) or item.session
    return item if scope == "function" else item.session


def _without_refs(request: pytest.FixtureRequest, spec: ContainerSpec) -> ContainerSpec:
    """Put the values of fixtures in the place of their stand-ins."""
    return with_values(spec, request.getfixturevalue)


def refs_of(spec: ContainerSpec) -> list[str]:
    """Give the names of the fixtures whose values a spec has in it."""
    return [ref.find_name() for ref in refs_in(_fields_with_refs(spec))]


def with_values(spec: ContainerSpec, value_of: Callable[[str], Any]) -> ContainerSpec:
    """Put values in the place of the stand-ins for fixtures."""
    fields = _fields_with_refs(spec)
    return dataclasses.replace(spec, **filled(fields, value_of)) if any(True for _ in refs_in(fields)) else spec


def _fields_with_refs(spec: ContainerSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in ("image", "network", "volumes", "depends_on")}


def _is_fixture(item: pytest.Item, name: str) -> bool:
    return bool(definitions(item, name))


def definitions(item: pytest.Item, name: str) -> Sequence[pytest.FixtureDef[Any]]:
    """Give the fixtures of a name that a test can see, the nearest last."""
    manager = item.session._fixturemanager  # noqa: SLF001  - pytest tells it nowhere else
    return manager.getfixturedefs(name, item) or ()


def _file(node: Any, mark: pytest.Mark) -> Path:
    """Find the file that a marker is written in."""
    path: Path = next(_files(node, mark), node.path)
    return path


def _files(node: Any, mark: pytest.Mark) -> Iterator[Path]:
    target = getattr(node, "obj", None)
    if inspect.isclass(target):
        # A class may have it from its base, which may stand in another file.
        for each in target.__mro__:
            own = each.__dict__.get("pytestmark", ())
            if mark in (own if isinstance(own, list | tuple) else (own,)):
                yield Path(inspect.getfile(each))
    elif callable(target) and mark in getattr(target, "pytestmark", ()):
        yield Path(inspect.unwrap(target).__code__.co_filename)
