"""Containers of the session that stay for the next run, and are taken again."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import docker
import pytest

from pytest_dockerkit._names import KEPT_LABEL, NAME_LABEL
from pytest_dockerkit._runtime import kept as kept_module
from tests.plugin.conftest import RUN_LABEL, Outcome, Suite

if TYPE_CHECKING:
    from docker.models.containers import Container

REUSE = "--dockerkit-reuse"

HEAD = """
import os
import pytest
from pytest_dockerkit import *
from pytest_dockerkit import probes

STAYS = dict(image="busybox:stable", command="sleep 600", stop_timeout=0, scope="session")
"""
DB = "db = container_fixture(**STAYS)\n\n\ndef test_it(db): ...\n"


class Project:
    """A project whose runs keep something."""

    def __init__(self, suite: Suite, client: docker.DockerClient) -> None:
        self.suite = suite
        self.client = client

    def run(
        self, source: str = DB, *args: str, conftest: str = "", subprocess: bool = False, **ended: int
    ) -> Outcome:
        """Run tests; nothing is left of the run but what is kept."""
        args = args or (REUSE,)
        outcome = self.suite.run(
            HEAD + source, *args, conftest=conftest and HEAD + conftest, expect_clean=False, subprocess=subprocess
        )
        outcome.ended(**(ended or {"passed": 1}))
        runs = {each["Config"]["Labels"][RUN_LABEL] for each in outcome.containers}
        left = self.client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True)
        assert [
            each.name
            for each in left
            if each.labels.get(RUN_LABEL) in runs and each.labels.get(KEPT_LABEL) not in self.labels
        ] == []
        assert list(self.suite.path.glob("state/pytest-dockerkit/runs/*")) == []
        return outcome

    @property
    def directories(self) -> list[Path]:
        return sorted(self.suite.path.glob("state/pytest-dockerkit/kept-1/*"))

    @property
    def labels(self) -> set[str]:
        return {each.name for each in self.directories}

    def containers(self) -> list[Container]:
        """Give what is kept."""
        return [
            each
            for label in self.labels
            for each in self.client.containers.list(
                all=True, filters={"label": f"{KEPT_LABEL}={label}"}, ignore_removed=True
            )
        ]

    def ids(self) -> dict[str, str]:
        """Give the ids of what is kept, by what they are found by."""
        found = {each.labels[NAME_LABEL]: str(each.id) for each in self.containers()}
        assert len(found) == len(self.containers())
        return found

    def things(self) -> list[str]:
        """Give the networks and volumes that are kept."""
        found: list[str] = []
        for label in self.labels:
            filters = {"label": f"{KEPT_LABEL}={label}"}
            found += [str(each.name) for each in self.client.networks.list(filters=filters)]
            found += [str(each.name) for each in self.client.volumes.list(filters=filters)]
        return sorted(found)

    def prune(self, *args: str, code: int = 0, **environment: str) -> str:
        """Run `dockerkit prune`."""
        return self.command("prune", *args, code=code, **environment)

    def command(self, *args: str, code: int = 0, **environment: str) -> str:
        """Run a command of `dockerkit`."""
        ran = subprocess.run(
            [sys.executable, "-m", "pytest_dockerkit.cli", *args],
            cwd=self.suite.path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr


@pytest.fixture
def project(suite: Suite) -> Iterator[Project]:
    """A project of its own; nothing of it is kept behind the test."""
    client = docker.from_env()
    made = Project(suite, client)
    try:
        yield made
    finally:
        try:
            made.prune()
            assert (made.containers(), made.things()) == ([], [])
        finally:
            client.close()


def test_the_next_run_takes_what_the_one_before_has_kept(project: Project) -> None:
    """The same container, ready at once; plugins are told of it in each run, and what was made and kept is told."""
    source = "@pytest.mark.parametrize('case', [1, 2])\ndef test_it(db, case): ...\n"
    source = "db = container_fixture(**STAYS)\n" + source
    first = project.run(source, passed=2)
    assert "1 container, 1 network; 1 container kept for the next run, all else removed, images kept" in first.text
    second = project.run("# A line more.\n" + source, passed=2)
    assert "1 container reused; 1 container kept for the next run, all else removed, images kept" in second.text
    assert [each["Id"] for each in second.containers] == [each["Id"] for each in first.containers]
    assert len(project.containers()) == 1
    assert all(each.labels[KEPT_LABEL] in project.labels for each in project.containers())


@pytest.mark.parametrize(
    "options", [("--dockerkit-prefetch=off",), ("--dockerkit-teardown=handover",), ("--dockerkit-max-containers=1",)]
)
def test_it_is_taken_whatever_else_is_set(project: Project, options: tuple[str, ...]) -> None:
    project.run(DB, REUSE, *options)
    before = project.ids()
    project.run(DB, REUSE, *options)
    assert project.ids() == before


def test_markers_of_the_session_are_kept_as_well(project: Project) -> None:
    source = """
@pytest.mark.container(**STAYS, name="db")
@pytest.mark.container(**STAYS, name="api", depends_on=["db"])
def test_it(containers):
    assert containers["api"].exec(["nslookup", "db"]).exit_code == 0
"""
    project.run(source)
    before = project.ids()
    assert project.run(source).text.count("2 containers reused") == 1
    assert project.ids() == before


def changed_file(suite: Suite) -> None:
    suite.write({"settings.txt": "two"})


def changed_context(suite: Suite) -> None:
    suite.write({"ctx/Dockerfile": f"FROM busybox:stable\nRUN echo {uuid4()} > /it\n"})


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ('env={"A": "1"}', 'env={"A": "2"}', None),
        ("labels={}", 'labels={"a": "b"}', None),
        ('files={"/settings": "settings.txt"}', None, changed_file),
        ('image=None, build="ctx"', None, changed_context),
    ],
)
def test_what_has_changed_is_made_anew_and_the_old_one_is_gone_before(
    project: Project, before: str, after: str | None, change: Callable[[Suite], None] | None
) -> None:
    project.suite.write({"settings.txt": "one", "ctx/Dockerfile": f"FROM busybox:stable\nRUN echo {uuid4()} > /it\n"})
    source = """
given = {**STAYS, **dict(FIELDS)}
db = container_fixture(**{key: value for key, value in given.items() if value is not None})
api = container_fixture(**STAYS)


def test_it(db, api):
    found = api.exec(["nslookup", "db"])
    assert found.exit_code == 0
"""
    if "settings.txt" in before:
        before = before.replace('"settings.txt"', "__import__('pathlib').Path(__file__).with_name('settings.txt')")
    project.run(source.replace("FIELDS", before))
    first, networks = project.ids(), project.things()
    if change is not None:
        change(project.suite)
    before_s = time.time()
    project.run(source.replace("FIELDS", after or before))
    second = project.ids()
    assert second["db"] != first["db"]
    assert second["api"] == first["api"]
    # In the same network, under the same name, and never both at once.
    assert project.things() == networks
    happened = project.client.events(
        since=int(before_s), until=int(time.time()) + 1, decode=True, filters={"type": "container"}
    )
    moments = {(each["Action"], each["id"]): each["timeNano"] for each in happened}
    assert moments["destroy", first["db"]] < moments["start", second["db"]]
    [network] = networks
    names = [
        name
        for each in project.containers()
        for name in each.attrs["NetworkSettings"]["Networks"][network]["Aliases"]
    ]
    assert names.count("db") == 1


def cut_off(db: Container) -> None:
    client = docker.from_env()
    try:
        for name in db.attrs["NetworkSettings"]["Networks"]:
            client.networks.get(name).disconnect(db)
    finally:
        client.close()


UNWELL: dict[str, Callable[[Container], object]] = {
    "stopped": lambda db: db.stop(timeout=0),
    "killed": lambda db: db.kill(),
    "removed": lambda db: db.remove(force=True),
    "paused": lambda db: db.pause(),
    "no longer ready": lambda db: db.exec_run(["rm", "/ready"]),
    "cut off": cut_off,
}


@pytest.mark.parametrize("how", UNWELL)
def test_one_that_is_not_well_any_more_is_replaced(project: Project, how: str) -> None:
    source = """
db = container_fixture("busybox:stable", command=["sh", "-c", "touch /ready; sleep 600"], stop_timeout=0,
                       wait=probes.command("test -e /ready"), scope="session")


def test_it(db):
    assert db.exec(["test", "-e", "/ready"]).exit_code == 0
"""
    project.run(source)
    [before] = project.containers()
    UNWELL[how](before)
    project.run(source)
    [after] = project.containers()
    assert after.id != before.id


def test_one_that_docker_calls_unhealthy_is_replaced(project: Project) -> None:
    source = """
db = container_fixture("busybox:stable", command=["sh", "-c", "touch /ready; sleep 600"], stop_timeout=0,
                       healthcheck=HealthCheck(test="test -e /ready", interval="100ms", retries=1), scope="session")


def test_it(db):
    assert db.health == "healthy"
    # It has been asked often, and once more than it could fail.
    db.exec(["rm", "/ready"])
    class Unhealthy:
        def look(self, container):
            return container.health == "unhealthy"
    try:
        db.wait(Unhealthy(), timeout=30)
    except UnhealthyError:
        pass
"""
    project.run("from pytest_dockerkit.errors import UnhealthyError\n" + source)
    [before] = project.containers()
    project.run("from pytest_dockerkit.errors import UnhealthyError\n" + source)
    [after] = project.containers()
    assert after.id != before.id


STACK = """
net = network_fixture(scope="session", labels={"a": "LABEL"})
data = volume_fixture(scope="session")
db = container_fixture(**STAYS, volumes={"store": "/store"}, env={"A": "ENV"})
api = container_fixture(**STAYS, network=net, volumes={data: "/data"})
job = container_fixture(**STAYS, depends_on=["db"])


def test_it(db, api, job):
    assert job.exec(["nslookup", "db"]).exit_code == 0
    for container, path in ((db, "/store"), (api, "/data")):
        container.exec(["sh", "-c", f"echo x >> {path}/runs"], check=True)
        assert len(container.exec(["cat", f"{path}/runs"]).stdout.split()) == int("RUN")
"""


def stack(project: Project, run: int, env: str = "1", label: str = "1") -> dict[str, str]:
    project.run(STACK.replace("RUN", str(run)).replace("ENV", env).replace("LABEL", label))
    return project.ids()


def test_what_containers_stand_on_stays_and_so_does_the_data(project: Project) -> None:
    first, things = stack(project, 1), project.things()
    assert stack(project, 2) == first
    # What stands on another that is new is new as well; what is in the volumes stays.
    third = stack(project, 3, env="2")
    assert {name for name in first if third[name] != first[name]} == {"db", "job"}
    assert project.things() == things
    # A network in the place of another: the old one goes, and who was in it.
    fourth = stack(project, 4, env="2", label="2")
    assert {name for name in third if fourth[name] != third[name]} == {"api"}
    assert len(project.things()) == len(things)
    assert project.things() != things


def test_containers_of_later_tests_reach_it_and_its_ports_stay(project: Project) -> None:
    source = """
db = container_fixture("busybox:stable", command="httpd -f -p 80", ports=[80], stop_timeout=0, scope="session")
web = container_fixture("busybox:stable", command="sleep 600", stop_timeout=0)


@pytest.mark.parametrize("case", [1, 2])
def test_it(db, web, case):
    before = db.port(80)
    assert web.exec(["nslookup", "db"]).exit_code == 0
    assert db.exec(["nslookup", "web"]).exit_code == 0
    db.wait(probes.port(80), timeout=10)
    assert db.port(80) == before
"""
    project.run(source, passed=2)
    [before] = project.containers()
    project.run(source, passed=2)
    [after] = project.containers()
    assert (after.id, after.ports) == (before.id, before.ports)
    assert len(after.attrs["NetworkSettings"]["Networks"]) == 1


def test_params_have_one_each(project: Project) -> None:
    source = """
@container_fixture(scope="session", params=VALUES)
def db(request):
    return ContainerSpec(image="busybox:stable", command="sleep 600", stop_timeout=0, env={"A": request.param})


def test_it(db): ...
"""
    project.run(source.replace("VALUES", "['a', 'b']"), passed=2)
    before = {each.id for each in project.containers()}
    project.run(source.replace("VALUES", "['a', 'b']"), passed=2)
    assert {each.id for each in project.containers()} == before
    project.run(source.replace("VALUES", "['a', 'c']"), passed=2)
    after = {each.id for each in project.containers()}
    assert (len(after), len(after & before)) == (2, 1)


def test_what_cannot_be_known_again_is_not_kept(project: Project) -> None:
    project.run(
        """
class Ready:
    def look(self, container):
        return True


own = container_fixture(**STAYS, per_worker=True)
probed = container_fixture(**STAYS, wait=Ready())
baked = container_fixture(**STAYS, read_only=True, files={"/a": b"1"})
short = container_fixture(**{**STAYS, "scope": "module"})


def test_it(own, probed, baked, short, dockerkit):
    dockerkit.run("busybox:stable", command="sleep 600", stop_timeout=0)
"""
    )
    assert project.containers() == []


def test_one_shot_containers_do_not_run_again(project: Project) -> None:
    """As with migrations: they are done, as long as that which they were done for is there."""
    source = """
db = container_fixture(**{**STAYS, "env": {"A": "VALUE"}})
job = container_fixture(**{**STAYS, "command": "true"}, wait=probes.exited(0), depends_on=["db"])
api = container_fixture(**STAYS, depends_on=["job"])


def test_it(api): ...
"""
    project.run(source.replace("VALUE", "1"))
    before = project.ids()
    project.run(source.replace("VALUE", "1"))
    assert project.ids() == before
    project.run(source.replace("VALUE", "2"))
    after = project.ids()
    assert [name for name in before if after[name] == before[name]] == []


def test_records_that_make_no_sense_are_no_records(project: Project) -> None:
    """As after a crash of the machine."""
    project.run()
    before = project.ids()
    for directory in project.directories:
        for path in directory.glob("*.json"):
            path.write_bytes(b"")
    project.run()
    assert project.ids().keys() == before.keys()
    assert project.ids() != before


def test_what_a_plugin_puts_in_its_place_counts(project: Project) -> None:
    conftest = """
def pytest_dockerkit_container_spec(spec):
    import dataclasses
    return dataclasses.replace(spec, env={"A": "VALUE"})
"""
    project.run(conftest=conftest.replace("VALUE", "1"))
    first = project.ids()
    project.run(conftest=conftest.replace("VALUE", "1"))
    assert project.ids() == first
    project.run(conftest=conftest.replace("VALUE", "2"))
    assert project.ids() != first


def test_with_and_without_workers_it_is_the_same(project: Project) -> None:
    source = """
db = container_fixture(**STAYS)


@pytest.mark.parametrize("case", range(4))
def test_it(db, case): ...
"""
    project.run(source, REUSE, "-n2", "--dist=each", subprocess=True, passed=8)
    first = project.ids()
    done = project.run(source, passed=4)
    assert project.ids() == first
    again = project.run(source, REUSE, "-n2", "--dist=each", subprocess=True, passed=8)
    assert project.ids() == first
    assert [len(each.containers) for each in (done, again)] == [1, 1]
    assert "1 container reused; 1 container kept for the next run" in again.text


def test_two_runs_at_once_have_one_each(project: Project) -> None:
    """The second makes its own, says so, and keeps nothing."""
    project.run()
    first = project.ids()
    [directory] = project.directories
    with kept_module.unused(directory) as is_unused:
        assert is_unused
        second = project.run()
        assert (
            "another run of this project has what is kept for the next one: this run has made its own" in second.text
        )
        with_workers = project.run(DB, REUSE, "-n1", subprocess=True)
        assert "another run of this project has what is kept" in with_workers.text
    assert [each["Id"] for each in second.containers] != list(first.values())
    assert project.ids() == first


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_where_there_can_be_no_lock_tests_run_as_without_it(project: Project, workers: tuple[str, ...]) -> None:
    project.run()
    [directory] = project.directories
    project.prune()
    lock = directory / "in-use.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    done = project.run(DB, REUSE, *workers, subprocess=True)
    assert "nothing was kept for the next run: the lock of what is kept for the next run cannot be taken" in done.text
    assert project.containers() == []
    lock.rmdir()


def test_a_run_without_the_option_takes_and_touches_nothing(project: Project) -> None:
    project.run()
    before = project.ids()
    other = project.run(DB, "-q")
    assert [each["Id"] for each in other.containers] != list(before.values())
    assert project.ids() == before
    assert [each.status for each in project.containers()] == ["running"]


@pytest.mark.parametrize("moment", ["in a test", "before it is recorded"])
def test_a_run_that_is_killed_leaves_nothing_that_stands_in_the_way(project: Project, moment: str) -> None:
    kill = "import os, signal\n\n\ndef kill(): os.kill(os.getpid(), signal.SIGKILL)\n"
    early = """
from pytest_dockerkit._runtime.records import Records
write = Records.write


def write_or_die(self, key, record):
    if "alias" in record:
        kill()
    write(self, key, record)


Records.write = write_or_die
"""
    conftest = kill + (early if moment == "before it is recorded" else "")
    source = DB.replace("...", "__import__('conftest').kill()" if moment == "in a test" else "...")
    project.suite.run(HEAD + source, REUSE, conftest=conftest, expect_clean=False, subprocess=True)
    [left] = project.containers()
    for each in project.suite.path.glob("state/pytest-dockerkit/runs/*"):
        each.rename(project.suite.path / each.name)
    project.suite.write({"conftest.py": ""})
    project.run()
    [after] = project.containers()
    assert (after.id == left.id) is (moment == "in a test")


def test_one_that_a_test_removes_is_made_anew(project: Project) -> None:
    source = """
@pytest.mark.container(**STAYS, name="db")
def test_removes(container):
    container.remove()


@pytest.mark.container(**STAYS, name="db")
def test_it(container):
    container.exec(["true"], check=True)
    LAST
"""
    project.run(source.replace("LAST", ""), passed=2)
    assert len(project.containers()) == 1
    removed = project.run(source.replace("LAST", "container.remove()"), passed=2)
    assert (project.containers(), project.things()) == ([], [])
    assert "kept for the next run" not in removed.text


def test_a_failure_of_one_run_is_none_of_the_next(project: Project, tmp_path: Path) -> None:
    source = f"""
db = container_fixture("busybox:stable", command=["sh", "-c", "test -e /flags/on && echo up; sleep 600"],
                       stop_timeout=0, volumes={{"/flags": {str(tmp_path)!r}}}, wait=probes.log("up"), timeout=2,
                       scope="session")


def test_it(db): ...
"""
    project.run(source, errors=1)
    assert (project.containers(), project.things()) == ([], [])
    (tmp_path / "on").touch()
    project.run(source)
    before = project.ids()
    project.run(source)
    assert project.ids() == before


def test_what_was_not_used_for_its_lifetime_is_removed(project: Project) -> None:
    """By any run that makes something, also by one of another project that keeps nothing; and it is not taken."""
    none = project.run(DB, REUSE, "--dockerkit-reuse-lifetime=0s")
    assert (project.containers(), project.things()) == ([], [])
    assert "all removed" in none.text
    source = "net = network_fixture(scope='session')\n" + DB.replace("(db)", "(db, net)")
    project.run(source)
    before = project.ids()
    age(project, 11 * 3600)
    project.run(DB, "-q")
    assert project.ids() == before
    age(project, 3600)
    taken = project.run(source)
    assert "reused" not in taken.text
    assert project.ids() != before
    age(project, 12 * 3600)
    project.run(DB, "-q")
    assert (project.containers(), project.things()) == ([], [])


def age(project: Project, by_s: float) -> None:
    """Let what is kept have been used so much longer ago."""
    for directory in project.directories:
        for path in directory.glob("*.json"):
            record: dict[str, Any] = json.loads(path.read_bytes())
            if "used_at" in record:
                path.write_text(json.dumps({**record, "used_at": record["used_at"] - by_s}), encoding="utf-8")


def test_rebuilt_images_have_new_containers(project: Project) -> None:
    project.suite.write({"ctx/Dockerfile": f"FROM busybox:stable\nRUN echo {uuid4()} $(date) $$ > /it\n"})
    source = 'db = container_fixture(build="ctx", command="sleep 600", stop_timeout=0, scope="session")\n'
    source += "def test_it(db): print(db.image.id)\n"
    project.run(source)
    before = project.ids()
    project.run(source, REUSE, "--dockerkit-rebuild")
    assert project.ids() != before


def test_a_port_that_is_kept_makes_way_for_its_next_owner(project: Project) -> None:
    """A fixture that has another name now: the old container would still hold the port."""
    source = """
import socket
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = int(os.environ.setdefault("THE_PORT", str(free.getsockname()[1])))
db = container_fixture(**STAYS, name="db", ports=[f"{PORT}:80"], wait=probes.running())


def test_it(db): ...
"""
    project.run(source)
    before = project.ids()
    project.run(source.replace("db = ", "store = ").replace("(db)", "(store)"))
    assert project.ids().keys() == {"db"}
    assert project.ids() != before


def test_a_password_is_in_no_record(project: Project) -> None:
    source = """
@pytest.mark.container(**STAYS, name="db", env={"PASSWORD": "open-sesame"})
def test_it(container): ...
"""
    project.run(source)
    files = [path for path in project.suite.path.glob("state/**/*") if path.is_file()]
    assert files
    assert [path.name for path in files if b"open-sesame" in path.read_bytes()] == []


def test_a_worker_that_dies_takes_nothing_with_it(project: Project) -> None:
    source = """
db = container_fixture(**STAYS)


@pytest.mark.parametrize("case", range(4))
def test_it(db, case):
    if case == 1:
        os._exit(1)
    db.exec(["true"], check=True)
"""
    project.run(source, REUSE, "-n1", subprocess=True, passed=3, failed=1)
    before = project.ids()
    project.run(source.replace("os._exit(1)", "pass"), passed=4)
    assert project.ids() == before


def test_a_network_with_its_addresses_makes_way(project: Project) -> None:
    """One that was changed, or that another fixture has now, would have the same addresses as the old one."""
    source = """
net = network_fixture(subnet="SUBNET", scope="session", labels={"a": "LABEL"})
db = container_fixture(**STAYS, network=net)


def test_it(db, net): ...
"""
    source = source.replace("SUBNET", f"10.232.{secrets.randbelow(256)}.0/24")
    project.run(source.replace("LABEL", "1"))
    first = project.things()
    project.run(source.replace("LABEL", "2"))
    second = project.things()
    assert (len(second), second != first) == (1, True)
    project.run(source.replace("net =", "other =").replace("net)", "other)").replace("LABEL", "2"))
    third = project.things()
    assert (len(third), third != second) == (1, True)
    assert len(project.containers()) == 1
