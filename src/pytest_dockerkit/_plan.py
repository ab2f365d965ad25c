"""Specs in the order in which they can be carried out. Pure: no engine, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dockerkit._names import did_you_mean
from pytest_dockerkit._spec.marker import SCOPES
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_dockerkit._spec.marker import ContainerRequest


def in_order(requests: Iterable[ContainerRequest], fixtures: Collection[str] = ()) -> list[ContainerRequest]:
    """Put dependencies first; else keep the order in which they were asked for, wider scopes first.

    Args:
        requests: what one test asks for.
        fixtures: names that are known beside them: the test's fixtures.

    Raises:
        SpecError: two have one name, a dependency is unknown or lives shorter, or they go in a circle.
    """
    by_name = _by_name(requests)
    graph: dict[str, list[str]] = {}
    for request in sorted(by_name.values(), key=lambda each: SCOPES.index(each.scope)):
        for need in request.needs:
            _check_need(request, need, by_name, fixtures)
        graph[request.name] = [need for need in request.needs if need in by_name]
    if any(graph.values()):
        _check_circles(graph)
    # Not static_order(): that puts everything that depends on nothing before all that does.
    ordered: dict[str, ContainerRequest] = {}

    def put(name: str) -> None:
        if name in ordered:
            return
        for need in graph[name]:
            put(need)
        ordered[name] = by_name[name]

    for name in graph:
        put(name)
    return list(ordered.values())


def _check_circles(graph: Mapping[str, Sequence[str]]) -> None:
    import graphlib

    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as failure:
        raise SpecError(
            "containers depend on each other in a circle",
            saw=" → ".join(reversed(failure.args[1])),
            mend="drop one of the depends_on=",
        ) from None


def _by_name(requests: Iterable[ContainerRequest]) -> dict[str, ContainerRequest]:
    by_name: dict[str, ContainerRequest] = {}
    for request in requests:
        other = by_name.setdefault(request.name, request)
        if other != request:
            raise SpecError(
                f"two container markers of one test are both named {request.name!r}",
                saw=f"images {_image(other)} and {_image(request)}",
                mend='give each a name of its own: @pytest.mark.container(…, name="db")',
            )
    return by_name


def _image(request: ContainerRequest) -> str:
    return repr(request.spec.image) if isinstance(request.spec.image, str) else "to be built"


def _check_need(
    request: ContainerRequest, need: str, known: Mapping[str, ContainerRequest], fixtures: Collection[str]
) -> None:
    if need in known:
        if SCOPES.index(known[need].scope) > SCOPES.index(request.scope):
            raise SpecError(
                f"container {request.name!r} lives longer than {need!r}, which it depends on",
                saw=f"scope={request.scope!r} depends on scope={known[need].scope!r}",
                mend=f'scope="{request.scope}" for {need!r} too',
            )
        return
    if need not in fixtures:
        names = sorted({*known, *fixtures} - {request.name})
        raise SpecError(
            f"container {request.name!r} depends on {need!r}, which the test does not have",
            saw=f"depends_on={list(request.needs)}",
            mend=did_you_mean(need, names) if names else f'add @pytest.mark.container(…, name="{need}")',
        )
