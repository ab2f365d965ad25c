"""Many images at once: their order, and what a failure stops. What is built for good is in tests/plugin."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._runtime import matrix
from pytest_dockerkit._spec.declared import read_images
from pytest_dockerkit.errors import BuildError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_dockerkit._runtime.matrix import Result


class Run:
    """A session whose images are made by a function."""

    def __init__(self, tmp_path: Path, make: Callable[[str], object], **stands_on: str) -> None:
        lines = [
            f'{name} = {{ dockerfile_text = "FROM busybox:stable'
            + "".join(f"\\nCOPY --from={each} / /" for each in on.split())
            + '" }'
            for name, on in stands_on.items()
        ]
        text = "\n".join(["[tool.pytest_dockerkit.images]", *lines])
        self.settings = SimpleNamespace(images=read_images(text, tmp_path / "pyproject.toml"))
        self.engine = self.ledger = None
        self.directory = tmp_path
        self.images = self
        self.asked: list[str] = []
        self.make = make
        self.closed = threading.Event()

    def get(self, name: str) -> Any:
        self.asked.append(name)
        self.make(name)
        return SimpleNamespace(cached=False, reference=f"{name}:built")

    def close(self) -> None:
        self.closed.set()

    def build(self, *names: str, tell: Any = matrix.tell_nobody) -> dict[str, Result]:
        session: Any = self  # as much of one as is used
        return matrix.build_all(session, names, tell=tell)


def fail(*names: str) -> Callable[[str], None]:
    """Let these fail."""

    def make(name: str) -> None:
        if name in names:
            raise BuildError(f"building {name} failed")

    return make


def succeed(_: str) -> None: ...


def test_what_others_stand_on_is_built_first(tmp_path: Path) -> None:
    run = Run(tmp_path, succeed, top="middle", middle="base", base="", other="")
    results = run.build("top")
    assert run.asked == [*results] == ["base", "middle", "top"]
    assert {each.how for each in results.values()} == {"built"}


def test_those_that_stand_on_nothing_in_common_are_built_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them waits in its build for the others; also after one that all stand on."""
    monkeypatch.setattr(matrix, "side_by_side", lambda: 3)
    barrier = threading.Barrier(3)

    def make(name: str) -> None:
        if name != "base":
            barrier.wait(timeout=30)

    results = Run(tmp_path, make, one="base", two="base", three="base", base="").build("one", "two", "three")
    assert [each.how for each in results.values()] == ["built"] * 4


def test_at_least_two_are_built_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, expected in ((None, 2), (1, 2), (8, 8)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert matrix.side_by_side() == expected


def test_a_failure_stops_those_alone_that_stand_on_it(tmp_path: Path) -> None:
    """Those are told what is missing, and are not tried."""
    run = Run(
        tmp_path,
        fail("left", "right"),
        base="",
        left="base",
        right="base",
        both="left right",
        top="both",
        other="base",
    )
    results = run.build("top", "other")
    assert sorted(run.asked) == ["base", "left", "other", "right"]
    hows = {name: (each.how, each.missing) for name, each in results.items()}
    assert hows == {
        "base": ("built", ()),
        "left": ("failed", ()),
        "right": ("failed", ()),
        "both": ("skipped", ("left", "right")),
        "top": ("skipped", ("left", "right")),
        "other": ("built", ()),
    }
    assert str(results["left"].error) == "building left failed"
    assert results["top"].image is None


def test_each_is_told_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    told: list[tuple[str, str | None]] = []
    run = Run(tmp_path, fail("a"), a="", b="a")
    run.build("b", tell=lambda name, result: told.append((name, result and result.how)))
    assert told == [("a", None), ("a", "failed"), ("b", "skipped")]


def test_an_error_that_is_not_ours_is_a_failure_too(tmp_path: Path) -> None:
    def make(name: str) -> None:
        if name == "a":
            raise ZeroDivisionError

    results = Run(tmp_path, make, a="", b="").build("a", "b")
    assert isinstance(results["a"].error, ZeroDivisionError)
    assert results["b"].how == "built"


def test_an_interruption_ends_what_is_being_built(tmp_path: Path) -> None:
    """Which is over before it is told, and nothing more begins."""
    begun = threading.Event()
    run = Run(tmp_path, succeed, slow="", quick="", top="quick", last="quick")

    def make(name: str) -> None:
        if name == "slow":
            begun.set()
            assert run.closed.wait(timeout=30)
            run.asked.append("slow was ended")
        assert begun.wait(timeout=30)

    def interrupt(name: str, result: Result | None) -> None:
        if result is not None:
            raise KeyboardInterrupt

    run.make = make
    with pytest.raises(KeyboardInterrupt):
        run.build("slow", "quick", "top", "last", tell=interrupt)
    assert sorted(run.asked) == ["quick", "slow", "slow was ended"]


def test_an_interruption_does_not_wait_for_what_cannot_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "ENDS_WITHIN_S", 0.01)
    begun, let_go = threading.Event(), threading.Event()

    def make(name: str) -> None:
        if name == "slow":
            begun.set()
            assert let_go.wait(timeout=30)
        assert begun.wait(timeout=30)

    def interrupt(name: str, result: Result | None) -> None:
        if result is not None:
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            Run(tmp_path, make, slow="", quick="").build("slow", "quick", tell=interrupt)
    finally:
        let_go.set()


def test_a_name_that_is_not_declared_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    run = Run(tmp_path, succeed, api="", web="")
    with pytest.raises(SpecError) as caught:
        run.build("api", "wep")
    assert str(caught.value) == (
        "the project declares no image of this name\n  saw:  'wep'; declared: api, web\n  mend: did you mean 'web'?"
    )
    assert run.asked == []


@pytest.mark.parametrize("end", [pytest.fail, pytest.skip, sys.exit])
def test_what_ends_a_test_ends_the_whole(tmp_path: Path, end: Callable[[str], object]) -> None:
    """As it does where a plugin's own builder calls it in the main thread."""

    def make(name: str) -> None:
        if name == "a":
            end("enough")

    run = Run(tmp_path, make, a="", b="a")
    with pytest.raises(BaseException, match="enough") as caught:
        run.build("b")
    assert not isinstance(caught.value, Exception)
    assert run.closed.is_set()
    assert run.asked == ["a"]


def test_a_ledger_that_cannot_be_read_is_a_failure_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Path) -> None:
        raise PermissionError("no")

    monkeypatch.setattr("pytest_dockerkit._runtime.ledger.read", read)
    results = Run(tmp_path, succeed, a="", b="a").build("b")
    assert isinstance(results["a"].error, PermissionError)
    assert [each.how for each in results.values()] == ["failed", "skipped"]
