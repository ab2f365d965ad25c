"""One container for all workers of pytest-xdist: made once, taken by all, removed by the controller."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Outcome, Suite

#: A container that stays.
STAYS = '"busybox:stable", command="sleep 600", stop_timeout=0'

#: Of four tests the first worker is given the first two, the second the others.
TWO_EACH = ("-n2", "--dist=load")

#: Notes what each process writes to its ledger, and waits without a sleep of its own.
CONFTEST = """
import json
import os
from pathlib import Path

import pytest
from pytest_dockerkit import container_fixture, network_fixture, volume_fixture, image_fixture, probes, ContainerSpec
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime.ledger import Ledger

HERE = Path(__file__).parent
write = Ledger._write


def note_too(ledger, line):
    with (HERE / f"written-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps([ledger.path.stem, line]) + "\\n")
    write(ledger, line)


Ledger._write = note_too


def tell(word):
    (HERE / word).touch()


def await_(look, what):
    assert until_ready(lambda: Look(bool(look())), timeout_s=60).ready, what


def hear(word):
    await_((HERE / word).exists, word)


@pytest.fixture
def worker(worker_id):
    return worker_id


@pytest.fixture
def seen(worker_id):
    def see(*values):
        with (HERE / f"seen-{worker_id}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\\n")
    return see


@pytest.fixture(scope="session")
def both():
    '''Wait until as many workers are here.'''
    def both(word, count=2):
        (HERE / f"{word}-{os.getpid()}").touch()
        await_(lambda: len(list(HERE.glob(f"{word}-*"))) >= count, word)
    return both
"""


class Run:
    """What an inner run has written and seen."""

    def __init__(self, suite: Suite, outcome: Outcome) -> None:
        self.outcome = outcome
        self.lines = [
            json.loads(line)
            for path in sorted(suite.path.glob("written-*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        self.seen = [
            tuple(json.loads(line))
            for path in sorted(suite.path.glob("seen-*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]

    @property
    def made(self) -> Counter[str]:
        """How many of each kind were made, by whichever worker."""
        return Counter(line["kind"] for _, line in self.lines if line["do"] == "make")

    @property
    def removed_by(self) -> set[tuple[str, str]]:
        """Which process has removed what kind."""
        return {(process, line["kind"]) for process, line in self.lines if line["do"] == "gone"}


def run(suite: Suite, source: str, *args: str, conftest: str = "") -> Run:
    suite.write({"conftest.py": CONFTEST + "\n" + conftest})
    return Run(suite, suite.run(f"from conftest import *\n{source}", *args, subprocess=True))


def test_four_workers_make_everything_once(suite: Suite) -> None:
    """One build, one session container, one network; the controller removes them."""
    suite.write({"ctx/Dockerfile": f"FROM busybox:stable\nRUN echo {uuid4()} > /it\n"})
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(8))
@pytest.mark.container(build="ctx", command="sleep 600", name="app", scope="session", stop_timeout=0)
def test_it(container, both, seen, case, worker):
    both("all", 4)
    seen(worker, container.id, container.network.id, container.image.id)
    assert container.exec(["cat", "/it"]).exit_code == 0
""",
        "-n4",
    )
    done.outcome.ended(passed=8)
    assert done.made == {"image": 1, "container": 1, "network": 1}
    assert len({each[0] for each in done.seen}) == 4
    assert len({each[1:] for each in done.seen}) == 1
    assert len(done.outcome.containers) == 1
    assert {each for each in done.removed_by if each[1] != "image"} == {("main", "container"), ("main", "network")}
    assert "images: 1 built, 0 from cache, 1 container, 1 network; all removed, images kept" in done.outcome.text


def test_what_containers_stand_on_is_shared_as_well(suite: Suite) -> None:
    """A network and a volume that are fixtures, and two containers that find each other in them."""
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(4))
def test_it(db, api, backend, data, both, seen, case, worker):
    both("all")
    seen(worker, db.id, api.id, backend.id, data.name)
    assert api.exec(["nslookup", "db"]).exit_code == 0
    db.exec(["touch", f"/data/{case}"], check=True)
    assert str(case) in api.exec(["ls", "/data"]).stdout
    assert db.network is api.network is backend
    assert set(api.stands_on) == {db}
""",
        "-n2",
        conftest=f"""
backend = network_fixture(internal=True, scope="session")
data = volume_fixture(scope="session")
db = container_fixture({STAYS}, network=backend, volumes={{data: "/data"}}, scope="session")
api = container_fixture({STAYS}, network=backend, volumes={{data: "/data"}}, depends_on=[db], scope="session")
""",
    )
    done.outcome.ended(passed=4)
    assert done.made == {"container": 2, "network": 1, "volume": 1}
    assert len({each[0] for each in done.seen}) == 2
    assert len({each[1:] for each in done.seen}) == 1
    assert {each[0] for each in done.removed_by} == {"main"}


def test_containers_of_one_test_meet_in_one_network(suite: Suite) -> None:
    """Also where two workers have started them: their isolated network and their named volume are one."""
    done = run(
        suite,
        f"""
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container({STAYS}, name="db", scope="session", volumes=["data:/data"])
@pytest.mark.container({STAYS}, name="api", scope="session", volumes=["data:/data"], depends_on=["db"])
def test_it(containers, both, seen, case, worker):
    both("all")
    db, api = containers["db"], containers["api"]
    seen(worker, db.id, api.id, db.network.id)
    assert db.network is api.network
    assert db.exec(["nslookup", "api"]).exit_code == api.exec(["nslookup", "db"]).exit_code == 0
    db.exec(["touch", f"/data/{{case}}"], check=True)
    assert str(case) in api.exec(["ls", "/data"]).stdout
""",
        "-n2",
    )
    done.outcome.ended(passed=4)
    assert done.made == {"container": 2, "network": 1, "volume": 1}
    assert len({each[1:] for each in done.seen}) == 1


def test_a_container_of_one_test_meets_the_shared_one(suite: Suite) -> None:
    """In a network of its own, so that workers do not meet each other there."""
    done = run(
        suite,
        f"""
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container({STAYS}, name="own")
def test_it(container, db, both, seen, case, worker):
    both("all")
    seen(worker, db.id)
    assert container.exec(["nslookup", "db"]).exit_code == 0
    assert container.network is not db.network
    container.exec(["wget", "-qO-", "http://db:8080/word"], check=True)
    assert db.port(8080) == int(db.inspect()["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"])
""",
        "-n2",
        conftest="""
db = container_fixture("busybox:stable", command="httpd -f -p 8080 -h /srv", files={"/srv/word": "x"}, ports=[8080],
                       scope="session", stop_timeout=0)
""",
    )
    done.outcome.ended(passed=4)
    assert len({each[1] for each in done.seen}) == 1


def test_names_of_one_worker_mean_nothing_to_another(suite: Suite) -> None:
    """Both have containers of the same names in the network that they share, and each finds its own."""
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(4))
def test_it(db, api, cache, backend, both, seen, case, worker):
    both(f"all-{case % 2}")
    seen(worker, db.id, backend.id)
    assert cache.exec(["cat", "/it"]).stdout == worker
    assert api.exec(["wget", "-qO-", "http://cache:8080/it"], check=True).stdout == worker
    assert api.exec(["nslookup", "db"]).exit_code == 0
    assert api.network.id == cache.network.id == backend.id
    with api.disconnect(backend):
        for name in ("db", "cache"):
            assert api.exec(["nslookup", "-timeout=1", "-retry=1", name]).exit_code != 0
    assert api.exec(["nslookup", "cache"]).exit_code == 0
""",
        "-n2",
        conftest=f"""
backend = network_fixture(internal=True, scope="session")
db = container_fixture({STAYS}, network=backend, scope="session")
api = container_fixture({STAYS}, network=backend)

@container_fixture
def cache(backend, worker_id):
    return ContainerSpec(image="busybox:stable", command="httpd -f -p 8080 -h /", files={{"/it": worker_id}},
                         network=backend, ports=[8080], stop_timeout=0)
""",
    )
    done.outcome.ended(passed=4)
    assert len({each[1:] for each in done.seen}) == 1


def test_a_failure_is_met_once_and_told_to_all(suite: Suite) -> None:
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(4))
def test_it(both, case, bad): pass
""",
        "-n2",
        conftest="""
# Without a probe it may be seen while it still runs.
bad = container_fixture("busybox:stable", command="false", wait=probes.log("never"), scope="session")

def pytest_dockerkit_container_failed(spec, error):
    with (HERE / f"seen-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps([str(error)]) + "\\n")
""",
    )
    done.outcome.ended(errors=4).says(
        """
        container 'bad' has ended before it was ready
          saw:  exit code 1
          mend: read its log below, and correct its command, env or files
          its log (bad) is empty
        """,
        times=4,
    )
    assert done.made["container"] == 1
    assert len(done.seen) == 1


def test_plugins_are_told_once_and_before_any_test_has_it(suite: Suite) -> None:
    done = run(
        suite,
        f"""
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container({STAYS}, scope="session")
def test_it(container, both, case, seen):
    both("all")
    assert container.exec(["cat", "/seeded"]).stdout == "once\\n"
""",
        "-n2",
        conftest="""
def pytest_dockerkit_container_ready(container):
    container.exec(["sh", "-c", "echo once >> /seeded"], check=True)
""",
    )
    done.outcome.ended(passed=4)
    assert done.made["container"] == 1


def test_who_wants_one_each_has_one_each(suite: Suite) -> None:
    done = run(
        suite,
        f"""
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container({STAYS}, name="own", scope="session", per_worker=True)
def test_it(container, mine, net, vol, image, both, case, seen, worker):
    both("all")
    seen(worker, container.id, mine.id, net.id, vol.name)
""",
        "-n2",
        conftest=f"""
mine = container_fixture({STAYS}, scope="session", per_worker=True)
net = network_fixture(scope="session", per_worker=True)
vol = volume_fixture(scope="session", per_worker=True)
""",
    )
    done.outcome.ended(passed=4)
    assert len(set(done.seen)) == 2
    assert done.made["container"] == 4
    assert {process for process, kind in done.removed_by if kind == "container"} == {"gw0", "gw1"}


def test_narrower_scopes_stay_with_their_worker(suite: Suite) -> None:
    done = run(
        suite,
        f"""
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container({STAYS}, scope="module")
def test_it(container, both, case, seen, worker):
    both("all")
    seen(worker, container.id)
""",
        "-n2",
    )
    done.outcome.ended(passed=4)
    assert len(set(done.seen)) == 2


def test_what_differs_between_workers_is_not_shared(suite: Suite) -> None:
    """By its spec, as with a temporary directory, or since nobody can know; names do not get mixed up by it."""
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(4))
def test_it(db, own, probed, both, case, seen, worker):
    both("all")
    seen(worker, own.id, probed.id, db.id)
    assert own.exec(["cat", "/it"]).stdout == worker
    found = probed.exec(["nslookup", "own"]).stdout
    assert [each for each in addresses(own) if each in found], (addresses(own), found)
    assert own.exec(["nslookup", "db"]).exit_code == 0
""",
        "-n2",
        conftest=f"""
def addresses(container):
    return [each["IPAddress"] for each in container.inspect()["NetworkSettings"]["Networks"].values()]

class Mine:
    def look(self, container): return Look(True)

db = container_fixture({STAYS}, scope="session")
probed = container_fixture({STAYS}, wait=Mine(), scope="session")

@container_fixture(scope="session")
def own(tmp_path_factory, worker_id):
    path = tmp_path_factory.mktemp("own") / "it"
    path.write_text(worker_id)
    return ContainerSpec({STAYS.replace('"busybox', 'image="busybox')}, files={{"/it": path}})
""",
    )
    done.outcome.ended(passed=4)
    assert len(set(done.seen)) == 2
    assert done.made["container"] == 5


def test_each_param_has_one_of_its_own(suite: Suite) -> None:
    """Though both are there at once, each finds the one that it stands on by its name."""
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(3))
def test_it(db, api, both, case, seen, worker):
    seen(worker, db.id, api.id)
    assert db.ip in api.exec(["nslookup", "db"]).stdout
    # What the worker has of the other param is none of this test's.
    assert {*db.network.inspect()["Containers"]} == {db.id, api.id}
""",
        "-n2",
        conftest=f"""
db = container_fixture("busybox:stable", stop_timeout=0, scope="session",
                       params=[{{"command": "sleep 600"}}, {{"command": "sleep 601"}}])

@container_fixture(scope="session")
def api(db):
    return ContainerSpec({STAYS.replace('"busybox', 'image="busybox')}, depends_on=["db"])
""",
    )
    done.outcome.ended(passed=6)
    assert len({each[1:] for each in done.seen}) == 2
    assert done.made["container"] == 4


def test_a_spec_that_a_plugin_replaces_is_shared_by_what_was_asked_for(suite: Suite) -> None:
    done = run(
        suite,
        f"""
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container({STAYS}, scope="session")
def test_it(container, both, case, seen, worker):
    both("all")
    seen(worker, container.id)
    assert container.spec.env["PLACE"]
""",
        "-n2",
        conftest="""
import dataclasses

def pytest_dockerkit_container_spec(spec):
    return dataclasses.replace(spec, env={"PLACE": str(os.getpid())})
""",
    )
    done.outcome.ended(passed=4)
    assert len({each[1] for each in done.seen}) == 1


def test_one_that_a_test_removes_is_made_anew_for_all(suite: Suite) -> None:
    done = run(
        suite,
        f"""
pytestmark = pytest.mark.container({STAYS}, scope="session")

@pytest.mark.xdist_group("a")
def test_a1(container, both):
    both("first")
    (HERE / "old").write_text(container.id)
    container.remove()
    tell("removed")

@pytest.mark.xdist_group("b")
def test_b1(container, both):
    both("first")
    hear("removed")
    assert container.removed
    with pytest.raises(LookupError, match="was removed"):
        container.exec(["true"])

@pytest.mark.xdist_group("a")
def test_a2(container, seen, both):
    both("second")
    seen(container.id)
    assert container.id != (HERE / "old").read_text()

@pytest.mark.xdist_group("b")
def test_b2(container, seen, both):
    both("second")
    seen(container.id)
""",
        "-n2",
        "--dist=loadgroup",
    )
    done.outcome.ended(passed=4)
    assert len(set(done.seen)) == 1
    assert len(done.seen) == 2


def test_one_that_has_ended_is_made_anew_for_who_comes(suite: Suite) -> None:
    done = run(
        suite,
        """
def test_kills(db):
    (HERE / "id").write_text(db.id)
    db.kill()
    db.wait_exit()
    tell("killed")
    hear("over")

def test_of_the_same_worker(): pass

def test_comes_later(request):
    hear("killed")
    db = request.getfixturevalue("db")
    assert db.status == "running"
    assert db.id != (HERE / "id").read_text()
    tell("over")

def test_of_the_other_worker(): pass
""",
        *TWO_EACH,
        "--dockerkit-prefetch=off",
        conftest=f"db = container_fixture({STAYS}, scope='session')",
    )
    done.outcome.ended(passed=4)
    assert done.made["container"] == 2


def test_one_that_may_end_is_shared_when_it_has(suite: Suite) -> None:
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container("busybox:stable", command="true", wait=probes.exited(0), scope="session")
def test_it(container, both, case, seen, worker):
    both("all")
    seen(worker, container.id)
""",
        "-n2",
    )
    done.outcome.ended(passed=4)
    assert len({each[1] for each in done.seen}) == 1


def test_a_fixed_port_is_one_for_all(suite: Suite) -> None:
    done = run(
        suite,
        """
import socket

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = int(os.environ.setdefault("FIXED_PORT", str(free.getsockname()[1])))

@pytest.mark.parametrize("case", range(4))
def test_it(web, both, case): both("all")
""",
        "-n2",
        conftest="""
import socket

if not (HERE / "port").exists():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        (HERE / "port").write_text(str(free.getsockname()[1]))

web = container_fixture("busybox:stable", command="httpd -f -p 80 -h /", scope="session", stop_timeout=0,
                        ports=[f"{(HERE / 'port').read_text()}:80"])
""",
    )
    done.outcome.ended(passed=4)


DIES = """
import docker

@pytest.mark.container({stays}, name="own")
def test_dies(containers, db):
    (HERE / "own").write_text(containers["own"].id)
    (HERE / "db").write_text(db.id)
    (HERE / "net").write_text(containers["own"].network.id)
    hear("other")
    {death}

def test_is_taken_by_another(db, worker):
    assert worker != "gw0"
    assert db.id == (HERE / "db").read_text()

def test_lives(db, docker_client):
    tell("other")
    hear("net")
    def gone(get, word):
        try:
            get((HERE / word).read_text())
        except docker.errors.NotFound:
            return True
        return False
    await_(lambda: gone(docker_client.containers.get, "own"), "container")
    await_(lambda: gone(docker_client.networks.get, "net"), "network")
    assert db.status == "running"
    assert db.id == (HERE / "db").read_text()

def test_after_it(db):
    assert db.status == "running"
"""


@pytest.mark.parametrize("death", ["os._exit(9)", "os.kill(os.getpid(), 9)"])
def test_a_worker_that_dies_takes_nothing_with_it(suite: Suite, death: str) -> None:
    """What it had for itself is removed while the others go on; what is shared stays, also for who replaces it."""
    done = run(
        suite,
        DIES.format(stays=STAYS, death=death),
        *TWO_EACH,
        conftest=f"db = container_fixture({STAYS}, scope='session')",
    )
    done.outcome.ended(passed=3, failed=1)
    assert done.made["container"] == 2


def test_one_that_dies_while_it_makes_it_lets_the_next_one(suite: Suite) -> None:
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(4))
def test_it(db, case, seen):
    seen(db.id)
""",
        "-n2",
        # Else it may die before xdist has given it a test.
        "--dockerkit-prefetch=off",
        conftest=f"""
from pytest_dockerkit._runtime.starting import Starter

create = Starter._create

def dies_once(*args, **kwargs):
    made = create(*args, **kwargs)
    try:
        (HERE / "died").touch(exist_ok=False)
    except FileExistsError:
        return made
    os._exit(9)

Starter._create = dies_once
db = container_fixture({STAYS}, scope="session")
""",
    )
    done.outcome.ended(passed=3, failed=1)
    assert len(set(done.seen)) == 1
    assert done.made["container"] == 2


@pytest.mark.parametrize("dist", ["load", "loadscope", "loadfile", "loadgroup", "worksteal", "each"])
def test_however_tests_are_distributed(suite: Suite, dist: str) -> None:
    done = run(
        suite,
        f"""
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container({STAYS}, scope="session")
def test_it(container, case, seen, worker):
    seen(worker, container.id)
""",
        "--dist",
        dist,
        "--tx",
        "2*popen",
    )
    done.outcome.ended(passed=8 if dist == "each" else 4)
    assert done.made["container"] == 1
    assert len({each[1] for each in done.seen}) == 1


@pytest.mark.parametrize("args", [("-n1",), ("-n0",), ("-p", "no:xdist", "-p", "no:randomly")])
def test_one_worker_or_none(suite: Suite, args: tuple[str, ...]) -> None:
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(2))
def test_it(db, case): assert db.status == "running"
""",
        *args,
        conftest=f"db = container_fixture({STAYS}, scope='session')",
    )
    done.outcome.ended(passed=2)
    assert done.made["container"] == 1
    assert {each[0] for each in done.removed_by} == {"main"}


def test_a_worker_elsewhere_makes_and_removes_its_own(suite: Suite) -> None:
    """One that cannot see the controller's files, as on another machine, shares nothing with it."""
    unshare = shutil.which("unshare")
    if os.getuid() != 0 or unshare is None or subprocess.run([unshare, "--mount", "true"], check=False).returncode:
        pytest.skip("needs the right to make a mount namespace")
    elsewhere = suite.path / "elsewhere"
    (suite.path / "state").mkdir()
    inside = f'mount -t tmpfs none {suite.path}/state && exec {sys.executable} "$@"'
    elsewhere.write_text(f"#!/bin/sh\nexec {unshare} --mount sh -c '{inside}' sh \"$@\"\n", encoding="utf-8")
    elsewhere.chmod(0o755)
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(4))
def test_it(db, both, seen, case, worker):
    both("all")
    seen(worker, db.id)
    assert db.status == "running"
""",
        "--dist=load",
        "--tx",
        "popen",
        "--tx",
        f"popen//python={elsewhere}",
        conftest=f"db = container_fixture({STAYS}, scope='session')",
    )
    done.outcome.ended(passed=4)
    assert len(set(done.seen)) == 2
    assert {process for process, kind in done.removed_by if kind == "container"} == {"main", "gw1"}
    assert re.search(r"(?m)^gw1, elsewhere: 1 container, 1 network; all removed, images kept$", done.outcome.text)


def test_a_worker_in_another_directory_shares(suite: Suite) -> None:
    done = run(
        suite,
        """
@pytest.mark.parametrize("case", range(4))
@pytest.mark.container("busybox:stable", command="sleep 600", stop_timeout=0, scope="session")
def test_it(container, seen, case):
    seen(container.id)
""",
        "--dist=load",
        "--tx",
        f"2*popen//python={sys.executable}",
    )
    done.outcome.ended(passed=4)
    assert len(set(done.seen)) == 1


def test_a_container_for_each_param_meets_what_the_session_has(suite: Suite) -> None:
    """Also the second one, which is set up when the other is there already."""
    suite.run(
        """
        def test_it(p, db):
            assert p.exec(["nslookup", "db"]).exit_code == 0
        """,
        "-n1",
        conftest="""
        from pytest_dockerkit import container_fixture

        STAYS = ["sleep", "1000"]
        db = container_fixture("busybox:stable", command=STAYS, scope="session")
        p = container_fixture(
            "busybox:stable", command=STAYS, scope="session", params=[{"env": {"A": "1"}}, {"env": {"A": "2"}}]
        )
        """,
        subprocess=True,
    ).ended(passed=2)
