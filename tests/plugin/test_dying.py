"""Containers that end while a probe looks at them: their end is what is told, not what the engine said of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import ContainerSpec, probes
from pytest_dockerkit.errors import ContainerExitedError
from tests.plugin.test_shared_workers import STAYS, run

if TYPE_CHECKING:
    from pytest_dockerkit import Kit, RunningContainer
    from tests.plugin.conftest import Suite


class Unlucky:
    """A probe in whose look the container ends before a command is run in it."""

    def look(self, container: RunningContainer) -> bool:
        container.kill()
        container.wait_exit()
        return container.exec(["true"]).exit_code == 0


def test_the_cause_is_that_it_has_ended(dockerkit: Kit) -> None:
    spec = ContainerSpec(image="busybox:stable", command=["sleep", "1000"], wait=Unlucky())
    with pytest.raises(ContainerExitedError) as caught:
        dockerkit.run(spec)
    assert caught.value.what == "container 'busybox' has ended before it was ready"
    assert caught.value.saw == "exit code 137"


def test_a_command_that_finds_it_gone_does_not_end_the_wait_for_its_end(dockerkit: Kit) -> None:
    wait = probes.any_of(probes.command(["false"]), probes.exited(3))
    spec = ContainerSpec(image="busybox:stable", command=["sh", "-c", "exit 3"], wait=wait)
    assert dockerkit.run(spec).status == "exited"


#: Serves until it is sent USR1, as no test does through a handle; then it says why it ends.
_SERVICE = """
import subprocess

import pytest
from pytest_dockerkit import container_fixture, probes

SERVE = "trap 'echo disk is on fire; exit 3' USR1; echo up; while true; do sleep 0.05; done"
db = container_fixture("busybox:stable", command=["sh", "-c", SERVE], scope="session", wait=probes.log("up"))


def crash(container):
    subprocess.run(["docker", "kill", "-s", "USR1", container.id], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["docker", "wait", container.id], check=True, stdout=subprocess.DEVNULL)
"""


def test_a_test_whose_container_dies_begins_with_its_death(suite: Suite) -> None:
    """Cause and last lines come before the test's own error; one that passes fails; what it asked for is no death."""
    outcome = suite.run(
        _SERVICE
        + """
def test_refused(db):
    crash(db)
    raise ConnectionRefusedError("nobody listens")

def test_passes_though(db):
    crash(db)

def test_has_waited_for_it(db):
    crash(db)
    assert db.wait_exit() == 3

def test_has_killed_it_and_started_it(db):
    db.kill()
    db.start()
    assert db.status == "running"

def test_ends_by_itself(dockerkit):
    once = dockerkit.run("busybox:stable", command="sleep 0.1", network="none", wait=probes.running())
    subprocess.run(["docker", "wait", once.id], check=True, stdout=subprocess.DEVNULL)
"""
    ).ended(passed=3, failed=2)
    head = "container db (busybox:stable) died during this test: exit code 3\n"
    log = "  last lines of its log (db):\n    up\n    disk is on fire\n"
    assert f"{head}{log}\nThe test's own error:\n" in outcome.text
    assert f"{head}  saw:  the test itself has passed\n" in outcome.text
    assert outcome.text.index(head) < outcome.text.index("E       ConnectionRefusedError: nobody listens")
    assert "test_refused - container db (busybox:stable) died" in outcome.text


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_the_tests_after_it_get_another(suite: Suite, workers: tuple[str, ...]) -> None:
    """With all that was built on it: fixtures of it are set up anew, also what a fixture has started by the kit."""
    outcome = suite.run(
        _SERVICE
        + """
@pytest.fixture(scope="session")
def schema(db):
    db.exec("touch /schema", check=True)
    yield db.name
    db.exec("rm /schema", check=True)

@pytest.fixture(scope="module")
def hidden(dockerkit):
    yield {"id": dockerkit.run("busybox:stable", command="sleep 1000", network="none").id}

api = pytest.mark.container("busybox:stable", command="sleep 1000", name="api", scope="module", depends_on=["db"])

@api
def test_dies(db, schema, containers):
    crash(db)
    assert schema == "nothing"

@api
def test_goes_on(db, schema, containers):
    assert db.name == schema
    assert db.exec("test -e /schema").exit_code == 0
    containers["api"].exec("ping -c 1 db", check=True)

def test_kills(hidden):
    subprocess.run(["docker", "kill", hidden["id"]], check=True)
    assert hidden == "nothing"

def test_has_another(hidden):
    subprocess.run(["docker", "exec", hidden["id"], "true"], check=True)
""",
        *workers,
        subprocess=bool(workers),
    ).ended(passed=2, failed=2)
    assert "FAILED test_inner.py::test_dies - container db (busybox:stable) died" in outcome.text
    ending = "died during test_inner.py::test_dies: exit code 3; the tests after it got another\n"
    assert f"container db (busybox:stable) {ending}" in outcome.text


def test_a_death_that_two_workers_see_is_told_by_both_and_mended_once(suite: Suite) -> None:
    """Also where one still has the old one while the other removes it, and when the other has the next already."""
    done = run(
        suite,
        """
import subprocess

def crash(container):
    subprocess.run(["docker", "kill", container.id], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["docker", "wait", container.id], check=True, stdout=subprocess.DEVNULL)

@pytest.mark.xdist_group("a")
def test_a1(db, both):
    both("first")
    crash(db)
    raise ConnectionRefusedError("nobody listens")

@pytest.mark.xdist_group("b")
def test_b1(db, both):
    both("first")
    hear("removed")

@pytest.mark.xdist_group("a")
def test_a2(schema, db, both, seen):
    both("second")
    seen("second", schema, db.id)
    crash(db)
    raise ConnectionRefusedError("nobody listens")

@pytest.mark.xdist_group("b")
def test_b2(schema, db, both, seen):
    both("second")
    seen("second", schema, db.id)
    hear("replaced")

@pytest.mark.xdist_group("a")
def test_a3(schema, db, both, seen):
    tell("replaced")
    both("third")
    seen("third", schema, db.id)

@pytest.mark.xdist_group("b")
def test_b3(schema, db, both, seen):
    both("third")
    seen("third", schema, db.id)
""",
        "-n2",
        "--dist=loadgroup",
        conftest=f"""
from pytest_dockerkit._runtime.records import Records

mark = Records.mark

def late(records, name, text=""):
    '''The engine has removed it, and the other worker's test ends before that is written down.'''
    if name.startswith("gone-") and not (HERE / "over").exists():
        tell("removed")
        hear("over")
    mark(records, name, text)

Records.mark = late

def pytest_runtest_logreport(report):
    if report.when == "call" and "test_b1" in report.nodeid:
        tell("over")

db = container_fixture({STAYS}, scope="session")

@pytest.fixture(scope="session")
def schema(db):
    db.exec(["touch", "/schema"], check=True)
    return db.id
""",
    )
    done.outcome.ended(passed=2, failed=4)
    died = "container db (busybox:stable) died during this test: exit code 137, ended by SIGKILL\n"
    assert done.outcome.text.count(died) == 4, done.outcome.text
    assert done.outcome.text.count(f"{died}  saw:  the test itself has passed\n") == 2
    assert len(set(done.seen)) == len(done.seen) / 2 == 2
    assert {each[1] for each in done.seen} == {each[2] for each in done.seen}
    assert done.made == {"container": 3, "network": 1}
    assert done.outcome.text.count("; the tests after it got another\n") == 2


def test_a_container_that_the_kernel_kills_for_its_memory_dies_of_that(suite: Suite) -> None:
    """By the kernel's own hand; engines on cgroup v1 miss some of its kills, and then it is told as most likely."""
    outcome = suite.run(
        _SERVICE
        + """
# Four times as much as it may have; where nobody counts, it ends with that.
EATS = "trap 'exec dd if=/dev/zero of=/dev/null bs=64M count=1' USR1; echo up; while true; do sleep 0.05; done"
greedy = container_fixture("busybox:stable", command=["sh", "-c", EATS], memory="16m", network="none",
                           wait=probes.log("up"))

def eat(container):
    crash(container)
    told = ["docker", "inspect", "-f", "{{.State.ExitCode}}", container.id]
    if subprocess.run(told, check=True, capture_output=True, text=True).stdout != "137\\n":
        pytest.skip("not held to its cap")

def test_refused(greedy):
    eat(greedy)
    raise ConnectionRefusedError("nobody listens")

def test_passes_though(greedy):
    eat(greedy)
""",
    )
    if outcome.result.parseoutcomes().get("skipped"):
        pytest.skip("the kernel lets a container have more memory than its cap")
    outcome.ended(failed=2)
    head = re.escape("container greedy (busybox:stable) died during this test: exit code 137, ")
    cause = r"(most likely )?killed by the kernel: out of memory \(cap 16 MiB\)\n"
    log = re.escape("  last lines of its log (greedy):\n    up\n")
    saw = r"  saw:  the test itself has passed\n  mend: raise memory=, or make it use less; .*\n"
    assert re.search(f"{head}{cause}{log}\nThe test's own error:\n", outcome.text), outcome.text
    assert re.search(f"{head}{cause}{saw}{log}", outcome.text), outcome.text
