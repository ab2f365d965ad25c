"""`--dockerkit-keep`: what a failed test used stays, with the commands to look inside and to remove it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._runtime import keepsakes

if TYPE_CHECKING:
    from tests.plugin.conftest import Outcome, Suite

_TESTS = """
import pytest
from pytest_dockerkit import container_fixture, probes

db = container_fixture("busybox:stable", command="sleep 1000", scope="session", volumes={"data": "/data"})
api = pytest.mark.container("busybox:stable", command="sleep 1000", name="api")

@api
def test_bad(db, container):
    assert 0

@api
def test_good(container):
    pass

@pytest.mark.container("busybox:stable", command="sh -c 'exit 4'", name="broken", network="none",
                       wait=probes.log("never"))
def test_cannot_start(container): pass

def test_expects_that(dockerkit):
    with pytest.raises(RuntimeError):
        dockerkit.run("busybox:stable", command="sh -c 'exit 4'", network="none", wait=probes.log("never"))
"""


def _remove(outcome: Outcome, suite: Suite) -> None:
    """Do what the run says that removes it."""
    commands = re.findall(r"(?m)^    (docker rm .*)$", outcome.text)
    for command in commands[0].split(" && "):
        subprocess.run(command.split(), check=True, env=suite.environment, stdout=subprocess.DEVNULL)
    state = suite.path / "state" / "pytest-dockerkit"
    keepsakes.forget(state, {each.name for each in keepsakes.kept_things(state)})


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_a_failed_test_used_stays(suite: Suite, workers: tuple[str, ...]) -> None:
    """And nothing else: its containers, of whatever scope, one that could not be started, their networks, volumes."""
    outcome = suite.run(_TESTS, "--dockerkit-keep=failed", *workers, subprocess=bool(workers), expect_clean=False)
    try:
        outcome.ended(passed=2, failed=1, errors=1)
        state = suite.path / "state" / "pytest-dockerkit"
        things = keepsakes.kept_things(state)
        assert sorted(each.alias for each in things if each.kind == "container") == ["api", "broken", "db"]
        assert len([each for each in things if each.kind == "volume"]) == 1
        assert {each.test for each in things} == {
            "test_inner.py::test_bad",
            "test_inner.py::test_cannot_start",
        }
        assert list((state / "runs").iterdir()) == []
        db = next(each.name for each in things if each.alias == "db")
        broken = next(each.name for each in things if each.alias == "broken")
        assert "db (busybox:stable), running, of test_inner.py::test_bad\n" in outcome.text
        assert f"    docker exec -it {db} sh\n" in outcome.text
        assert "broken (busybox:stable), exited (4), of test_inner.py::test_cannot_start\n" in outcome.text
        assert f"    docker start {broken}\n" in outcome.text
    finally:
        _remove(outcome, suite)
    label = f"label=pytest.dockerkit.run={things[0].run}"
    for kind in ("container", "network", "volume"):
        listed = ["docker", kind, "ls", "-q", "--filter", label, *(("-a",) if kind == "container" else ())]
        assert subprocess.run(listed, check=True, capture_output=True).stdout == b""


def test_always_keeps_what_passes_too_and_what_is_bounded_is_stopped(suite: Suite) -> None:
    """So the room of a kept container is there for the next test, and nobody waits for it in vain."""
    tests = """
    import pytest

    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.container("busybox:stable", command="sleep 1000", network="none")
    def test_it(container, number): pass
    """
    outcome = suite.run(tests, "--dockerkit-keep=always", "--dockerkit-max-containers=1", expect_clean=False)
    try:
        outcome.ended(passed=2)
        assert len(re.findall(r"container \(busybox:stable\), exited \(\d+\), of test_inner", outcome.text)) == 2
    finally:
        _remove(outcome, suite)


def test_prune_removes_it(suite: Suite) -> None:
    """At once, as the run has said."""
    fails = """
    import pytest

    @pytest.mark.container("busybox:stable", command="sleep 1000")
    def test_it(container): assert 0
    """
    suite.run(fails, "--dockerkit-keep=failed", expect_clean=False).ended(failed=1)
    state = suite.path / "state" / "pytest-dockerkit"
    things = keepsakes.kept_things(state)
    assert {each.kind for each in things} == {"container", "network"}
    command = [sys.executable, "-m", "pytest_dockerkit.cli", "prune"]
    assert (
        f"{len(things)} of {len(things)} removed"
        in subprocess.run(command, check=True, capture_output=True, text=True, cwd=suite.path).stdout
    )
    assert keepsakes.kept_things(state) == []
    for thing in things:
        gone = subprocess.run(["docker", thing.kind, "inspect", thing.name], check=False, capture_output=True)
        assert gone.returncode != 0


def test_what_stays_goes_after_a_day(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the next run that has containers."""
    fails = """
    import pytest

    @pytest.mark.container("busybox:stable", command="sleep 1000")
    def test_it(container): assert 0
    """
    suite.run(fails, "--dockerkit-keep=failed", expect_clean=False).ended(failed=1)
    things = keepsakes.kept_things(suite.path / "state" / "pytest-dockerkit")
    monkeypatch.setattr(keepsakes.outdated, "__defaults__", (-1.0,))
    suite.run(fails).ended(failed=1)
    assert keepsakes.kept_things(suite.path / "state" / "pytest-dockerkit") == []
    for thing in things:
        gone = subprocess.run(["docker", thing.kind, "inspect", thing.name], check=False, capture_output=True)
        assert gone.returncode != 0
