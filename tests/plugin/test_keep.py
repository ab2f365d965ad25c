"""`--dockerkit-keep`: what a failed test used stays, with the commands to look inside and to remove it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._runtime import keepsakes
from tests.plugin.test_handover import HANDOVER, watchers_end
from tests.plugin.test_shared_workers import CONFTEST

if TYPE_CHECKING:
    from tests.plugin.conftest import Outcome, Suite

_TESTS = """
import pytest
from pytest_dockerkit import container_fixture, probes

db = container_fixture("busybox:stable", command="sleep 1000", scope="session", volumes={"data": "/data"})
other = container_fixture("busybox:stable", command="sleep 1000", scope="session", volumes={"data": "/data"})
api = pytest.mark.container("busybox:stable", command="sleep 1000", name="api")

@api
def test_bad(db, container):
    assert 0

@api
def test_good(other, container):
    pass

@pytest.mark.container("busybox:stable", command="sh -c 'exit 4'", name="broken", network="none",
                       wait=probes.log("never"))
def test_cannot_start(container): pass

def test_expects_that(dockerkit):
    with pytest.raises(RuntimeError):
        dockerkit.run("busybox:stable", command="sh -c 'exit 4'", network="none", wait=probes.log("never"))
"""


def _names(kind: str, having: str) -> list[str]:
    """Give what the engine has of a kind, and what passes a filter."""
    name = "{{.Names}}" if kind == "container" else "{{.Name}}"
    command = ["docker", kind, "ls", "--filter", having, "--format", name, *(("-a",) if kind == "container" else ())]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _prune(suite: Suite) -> str:
    command = [sys.executable, "-m", "pytest_dockerkit.cli", "prune"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=suite.path).stdout


def _remove(outcome: Outcome, suite: Suite) -> None:
    """Do what the run says that removes it."""
    commands = re.findall(r"(?m)^    (docker rm .*)$", outcome.text)
    for command in commands[0].split(" && "):
        subprocess.run(command.split(), check=True, env=suite.environment, stdout=subprocess.DEVNULL)
    state = suite.path / "state" / "pytest-dockerkit"
    keepsakes.forget(state, {each.name for each in keepsakes.kept_things(state)})


@pytest.mark.parametrize("args", [(), ("-n2",), (HANDOVER,)], ids=" ".join)
def test_what_a_failed_test_used_stays(suite: Suite, args: tuple[str, ...]) -> None:
    """And nothing else: its containers, of whatever scope, one that could not be started, their networks, volumes."""
    outcome = suite.run(_TESTS, "--dockerkit-keep=failed", *args, subprocess="-n2" in args, expect_clean=False)
    try:
        outcome.ended(passed=2, failed=1, errors=1)
        ended = "being removed in the background" if HANDOVER in args else "removed"
        assert f"; all else {ended}, images kept\n" in outcome.text
        watchers_end(suite)
        state = suite.path / "state" / "pytest-dockerkit"
        things = keepsakes.kept_things(state)
        label = f"label=pytest.dockerkit.run={things[0].run}"
        for kind in ("container", "network", "volume"):
            assert sorted(_names(kind, label)) == sorted(each.name for each in things if each.kind == kind)
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
    for kind in ("container", "network", "volume"):
        assert _names(kind, label) == []


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
    assert f"{len(things)} of {len(things)} removed" in _prune(suite)
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


_REUSED = """
import pytest, subprocess
from pathlib import Path
from pytest_dockerkit import container_fixture, network_fixture, volume_fixture, probes

UNTIL_USR1 = "trap 'exit 3' USR1; echo up; while true; do sleep 0.05; done"
SERVE = {"image": "busybox:stable", "command": ["sh", "-c", UNTIL_USR1], "wait": probes.log("up"), "stop_timeout": 0}
backend = network_fixture(scope="session")
data = volume_fixture(scope="session")
db = container_fixture(**SERVE, scope="session", network=backend, volumes={data: "/data"})
frail = container_fixture(**SERVE, scope="session", network=backend, volumes={data: "/data"})
broken = container_fixture("busybox:stable", command="sh -c 'exit 4'", scope="session", wait=probes.log("never"))
api = container_fixture(**SERVE, network=backend, volumes={data: "/data"})

def test_bad(db, api):
    Path("db").write_text(db.id)
    assert 0

def test_cannot_start(broken): pass

def test_crash(frail):
    Path("frail").write_text(frail.id)
    subprocess.run(["docker", "kill", "-s", "USR1", frail.id], check=True)
    subprocess.run(["docker", "wait", frail.id], check=True)

def test_again(db, frail, api):
    assert db.id == Path("db").read_text()
    assert frail.id != Path("frail").read_text()
    assert db.ip in api.exec(["nslookup", "db"], check=True).stdout
"""


def test_what_failed_stays_and_what_goes_on_is_taken_for_the_next_run(suite: Suite) -> None:
    """What has crashed is not taken again, and neither taken away; what the next run takes is told, too."""
    args = ("--dockerkit-keep=failed", "--dockerkit-reuse", "-k")
    state = suite.path / "state" / "pytest-dockerkit"
    try:
        outcome = suite.run(_REUSED, *args, "not again", expect_clean=False).ended(failed=2, errors=1, deselected=1)
        things = keepsakes.kept_things(state)
        assert sorted(each.alias for each in things if each.kind == "container") == ["api", "broken", "frail"]
        # None of it is what the next run takes.
        assert not [each.name for each in things if "-backend-" in each.name or "-data-" in each.name]
        db = _names("container", f"id={(suite.path / 'db').read_text()}")[0]
        assert (
            "kept for the next run, which takes it as it is:\n"
            "  db (busybox:stable), running, of test_inner.py::test_bad\n"
            f"    docker logs {db}\n    docker exec -it {db} sh\n"
        ) in outcome.text
        assert "1 container kept for the next run, all else removed, images kept\n" in outcome.text
        outcome = suite.run(_REUSED, *args, "test_again", expect_clean=False).ended(passed=1, deselected=3)
        assert "1 container reused, 2 containers, " in outcome.text
        assert "; 2 containers kept for the next run, all else removed, images kept\n" in outcome.text
        run = f"label=pytest.dockerkit.run={things[0].run}"
        assert {*_names("container", run)} == {db, *(each.name for each in things if each.kind == "container")}
        # With the network that it stands in, though nothing that the next run takes does.
        broken = next(each.name for each in things if each.alias == "broken")
        subprocess.run(["docker", "start", broken], check=True, stdout=subprocess.DEVNULL)
    finally:
        pruned = _prune(suite)
    found = len(re.findall(r"(?m)  removed$", pruned))
    assert f"{found} of {found} removed\n" in pruned
    project = next(each.name for each in state.glob("kept-1/*"))
    for kind in ("container", "network", "volume"):
        assert _names(kind, run) + _names(kind, f"label=pytest.dockerkit.kept={project}") == []
    assert keepsakes.kept_things(state) == []


def test_what_has_crashed_stays_though_another_worker_replaces_it(suite: Suite) -> None:
    """While the test that it fails still runs, and nobody knows yet that it will."""
    conftest = """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if item.name.startswith("test_b2"):
        tell("free")
        hear("dead")

db = container_fixture("busybox:stable", command="sleep 1000", scope="session")
"""
    tests = """
from conftest import *
import subprocess

@pytest.mark.xdist_group("a")
def test_a1(db, both):
    both("first")
    hear("free")
    subprocess.run(["docker", "kill", db.id], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["docker", "wait", db.id], check=True, stdout=subprocess.DEVNULL)
    tell("dead")
    hear("replaced")
    raise ConnectionRefusedError("nobody listens")

@pytest.mark.xdist_group("b")
def test_b1(db, both): both("first")

@pytest.mark.xdist_group("a")
def test_a2(db): assert db.status == "running"

@pytest.mark.xdist_group("b")
def test_b2(db):
    assert db.status == "running"
    tell("replaced")
"""
    args = ("-n2", "--dist=loadgroup", "--dockerkit-keep=failed")
    outcome = suite.run(tests, *args, conftest=CONFTEST + conftest, subprocess=True, expect_clean=False)
    try:
        outcome.ended(passed=3, failed=1)
        assert (
            "container db (busybox:stable) died during this test: exit code 137, ended by SIGKILL\n" in outcome.text
        )
        things = keepsakes.kept_things(suite.path / "state" / "pytest-dockerkit")
        run = f"label=pytest.dockerkit.run={things[0].run}"
        assert _names("container", run) == [each.name for each in things if each.kind == "container"]
        assert "  db (busybox:stable), exited (137), of test_inner.py::test_" in outcome.text
    finally:
        _remove(outcome, suite)
    assert _names("container", run) + _names("network", run) == []
