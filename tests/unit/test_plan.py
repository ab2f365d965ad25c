"""The order in which containers are started."""

from __future__ import annotations

import pytest

from pytest_dockerkit import ContainerSpec, ImageSpec
from pytest_dockerkit._plan import in_order
from pytest_dockerkit._spec.marker import ContainerRequest
from tests.unit.refusals import refusal


def want(name: str, *needs: str, scope: str = "function", image: str = "busybox") -> ContainerRequest:
    return ContainerRequest(name, ContainerSpec(image=image, name=name, depends_on=needs), scope)


def order(*requests: ContainerRequest, fixtures: tuple[str, ...] = ()) -> list[str]:
    return [each.name for each in in_order(requests, fixtures)]


def test_nothing_asked_for_is_nothing() -> None:
    assert order() == []


def test_what_depends_on_nothing_keeps_its_order() -> None:
    assert order(want("c"), want("a"), want("b")) == ["c", "a", "b"]


def test_dependencies_come_first_and_the_rest_keeps_its_order() -> None:
    assert order(want("api", "db"), want("web"), want("db")) == ["db", "api", "web"]
    assert order(want("a", "b"), want("b", "c"), want("c")) == ["c", "b", "a"]
    assert order(want("d", "b", "c"), want("c", "a"), want("b", "a"), want("a")) == ["a", "b", "c", "d"]


def test_wider_scopes_come_first() -> None:
    requests = [want(scope, scope=scope) for scope in ("function", "class", "module", "package", "session")]
    assert order(*requests) == ["session", "package", "module", "class", "function"]
    narrow_first = [want("f"), want("api", "db", scope="session"), want("db", scope="session")]
    assert order(*narrow_first) == ["db", "api", "f"]


def test_many_that_depend_on_each_other_are_ordered_at_once() -> None:
    layers = [
        [want(f"{layer}-{side}", *(f"{layer - 1}-{other}" for other in "ab") if layer else ()) for side in "ab"]
        for layer in range(40)
    ]
    names = order(*(each for layer in reversed(layers) for each in layer))
    assert names == [f"{layer}-{side}" for layer in range(40) for side in "ab"]


def test_one_marker_seen_twice_is_one_container() -> None:
    assert order(want("db"), want("db")) == ["db"]


def test_a_fixture_of_the_test_may_be_depended_on() -> None:
    assert order(want("api", "db"), fixtures=("db",)) == ["api"]


@pytest.mark.parametrize(
    ("requests", "circle"),
    [
        ((want("a", "a"),), {"a → a"}),
        ((want("a", "b"), want("b", "a")), {"a → b → a", "b → a → b"}),
        (
            (want("x"), want("a", "b"), want("b", "c"), want("c", "a")),
            {"a → b → c → a", "b → c → a → b", "c → a → b → c"},
        ),
    ],
    ids=["self", "two", "three"],
)
def test_a_circle_is_refused(requests: tuple[ContainerRequest, ...], circle: set[str]) -> None:
    what, saw, mend = refusal(lambda: in_order(requests)).splitlines()
    assert what == "containers depend on each other in a circle"
    assert saw.removeprefix("  saw:  ") in circle
    assert mend == "  mend: drop one of the depends_on="


def test_an_unknown_dependency_is_refused_with_the_nearest() -> None:
    assert refusal(lambda: in_order([want("api", "dbb"), want("db")])) == (
        "container 'api' depends on 'dbb', which the test does not have\n"
        "  saw:  depends_on=['dbb']\n"
        "  mend: did you mean 'db'?"
    )
    assert refusal(lambda: in_order([want("api", "x", "cache")], ["cache"])) == (
        "container 'api' depends on 'x', which the test does not have\n"
        "  saw:  depends_on=['x', 'cache']\n"
        "  mend: one of: cache"
    )
    assert refusal(lambda: in_order([want("api", "db")])) == (
        "container 'api' depends on 'db', which the test does not have\n"
        "  saw:  depends_on=['db']\n"
        '  mend: add @pytest.mark.container(…, name="db")'
    )


def test_a_dependency_does_not_live_shorter() -> None:
    assert order(want("api", "db"), want("db", scope="session")) == ["db", "api"]
    assert refusal(lambda: in_order([want("api", "db", scope="session"), want("db", scope="module")])) == (
        "container 'api' lives longer than 'db', which it depends on\n"
        "  saw:  scope='session' depends on scope='module'\n"
        "  mend: scope=\"session\" for 'db' too"
    )


def test_two_containers_of_one_name_are_refused() -> None:
    mend = '  mend: give each a name of its own: @pytest.mark.container(…, name="db")'
    assert refusal(lambda: in_order([want("db"), want("db", image="redis:7")])) == (
        f"two container markers of one test are both named 'db'\n  saw:  images 'busybox' and 'redis:7'\n{mend}"
    )
    built = ContainerRequest("db", ContainerSpec(image=ImageSpec(dockerfile_text="FROM x"), name="db"), "function")
    assert refusal(lambda: in_order([want("db"), built])) == (
        f"two container markers of one test are both named 'db'\n  saw:  images 'busybox' and to be built\n{mend}"
    )
