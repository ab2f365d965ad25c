"""`secrets=`: files at /run/secrets for the container's user alone, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, Secret
from pytest_dockerkit._names import KEPT_LABEL
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime import keepsakes
from pytest_dockerkit.errors import EngineError, ExecError, SpecError
from tests.plugin.conftest import RUN_LABEL, Suite, leftovers
from tests.plugin.wires import Relay

if TYPE_CHECKING:
    from pytest_dockerkit import Kit, RunningContainer

IMAGE = "busybox:stable"
LONE: dict[str, Any] = {"command": ["sleep", "600"], "network": "none", "stop_timeout": 0}


@pytest.fixture
def token() -> str:
    """A secret of two lines, as keys have several."""
    return f"first-{uuid.uuid4().hex}\nsecond {uuid.uuid4().hex}"


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


def inside(container: RunningContainer, script: str) -> str:
    return container.exec(["sh", "-c", script], check=True).stdout


def volume_of(container: RunningContainer) -> str:
    [found] = [each for each in container.inspect()["Mounts"] if each["Destination"] == "/run/secrets"]
    return str(found["Name"])


# What the container has


def test_each_is_a_file_for_the_user_alone(
    dockerkit: Kit, client: docker.DockerClient, tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is given, byte for byte; nobody else can read it."""
    monkeypatch.setenv("DOCKERKIT_TEST_TOKEN", token)
    (tmp_path / "a file").write_bytes(token.encode() + b"\xff\0")
    given = {
        "text": token,
        "bytes": b"\xff\0\n",
        "path": tmp_path / "a file",
        "secret": Secret("other name", token),
        "env": Secret.from_env("DOCKERKIT_TEST_TOKEN"),
        "empty": "",
        "Large.key_1-2": b"x" * 512000,
    }
    with dockerkit.run(IMAGE, **LONE, secrets=given, user="nobody") as container:
        assert sorted(inside(container, "cd /run/secrets; stat -c '%n %a %u %g %s %F' *").splitlines()) == [
            "Large.key_1-2 400 65534 65534 512000 regular file",
            "bytes 400 65534 65534 3 regular file",
            "empty 400 65534 65534 0 regular empty file",
            f"env 400 65534 65534 {len(token)} regular file",
            f"path 400 65534 65534 {len(token) + 2} regular file",
            f"secret 400 65534 65534 {len(token)} regular file",
            f"text 400 65534 65534 {len(token)} regular file",
        ]
        assert inside(container, "cat /run/secrets/text") == token
        assert container.exec(["cat", "/run/secrets/bytes"], check=True).stdout_bytes == b"\xff\0\n"
        assert container.read_bytes("/run/secrets/path") == token.encode() + b"\xff\0"
        assert container.exec(["cat", "/run/secrets/text"], user="1234").exit_code != 0
        # Covered also where it cannot be looked up any more.
        monkeypatch.delenv("DOCKERKIT_TEST_TOKEN")
        with pytest.raises(ExecError) as caught:
            container.exec(["sh", "-c", "cat /run/secrets/env; exit 1", token], check=True)
        assert not any(line in str(caught.value) for line in token.split("\n"))
        volume = volume_of(container)
        assert volume == f"{container.name}-secrets"
    assert client.volumes.list(filters={"name": volume}) == []


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        ({}, "0 0"),
        ({"user": 1234}, "1234 0"),
        ({"user": "1234:77"}, "1234 77"),
        (
            {
                "user": "web:staff",
                "files": {"/etc/passwd": "web:x:33:34::/:/bin/sh\n", "/etc/group": "staff:x:50:\n"},
            },
            "33 50",
        ),
    ],
    ids=["root", "number", "numbers", "names"],
)
@pytest.mark.parametrize("read_only", [False, True], ids=["writable", "read-only"])
def test_it_is_the_user_s_that_runs_the_container(
    dockerkit: Kit, fields: dict[str, Any], numbers: str, *, read_only: bool
) -> None:
    """With all capabilities dropped, none of which would be needed to read it."""
    spec = ContainerSpec(image=IMAGE, **LONE, **fields, secrets={"a": "x"}, read_only=read_only, cap_drop=["ALL"])
    with dockerkit.run(spec) as container:
        assert inside(container, "stat -c '%u %g' /run/secrets/a; id -u; cat /run/secrets/a") == (
            f"{numbers}\n{numbers.split()[0]}\nx"
        )


def test_it_is_the_user_s_that_the_image_says(dockerkit: Kit, made: list[str]) -> None:
    """In an image with one program, without /run and without a list of users."""
    text = (
        f"FROM {IMAGE} AS all\nFROM scratch\nCOPY --from=all /bin/busybox /bin/sh\nUSER 1234\nLABEL x={uuid.uuid4()}"
    )
    image = dockerkit.build(ImageSpec(dockerfile_text=text))
    made.append(image.reference)
    box = ContainerSpec(
        image=image, network="none", command=["/bin/sh", "-c", "exec sleep 600"], read_only=True, secrets={"a": "x"}
    )
    with dockerkit.run(box) as container:
        assert container.exec(["/bin/sh", "-c", "read -r a < /run/secrets/a; echo $a"]).stdout == "x\n"
        assert container.inspect()["Config"]["User"] == "1234"


@pytest.fixture
def made() -> Iterator[list[str]]:
    """Images that a test has built; they are removed behind it."""
    references: list[str] = []
    yield references
    engine = docker.from_env()
    for each in references:
        engine.images.remove(each, force=True)
    engine.close()


def test_hardened_and_started_again(dockerkit: Kit, client: docker.DockerClient) -> None:
    """Below a tmpfs, seen by the health check, beside other files and other mounts; still there after a restart."""
    own = client.volumes.create()
    spec = ContainerSpec(
        image=IMAGE,
        **LONE,
        user="nobody",
        read_only=True,
        tmpfs=["/run", "/tmp"],
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        healthcheck=HealthCheck(test="test -r /run/secrets/a", interval="60s"),
        files={"/run/secrets/sub/public": "p", "/etc/x": "y"},
        secrets={"a": "x"},
        docker_options={"mounts": [{"Type": "volume", "Source": str(own.name), "Target": "/own"}]},
    )
    try:
        with dockerkit.run(spec) as container:
            seen = "cat /run/secrets/a /run/secrets/sub/public /etc/x; test -d /own; touch /run/secrets/b || echo no"
            for _ in range(2):
                assert container.exec(["sh", "-c", seen]).stdout == "xpyno\n"
                assert container.read_file("/run/secrets/a") == "x"
                container.restart()
        assert client.volumes.list(filters={"name": f"{container.name}-secrets"}) == []
    finally:
        own.remove()


def test_what_the_image_has_there_is_in_nobody_s_way(dockerkit: Kit, made: list[str]) -> None:
    """As where a build has left something there, for root alone."""
    text = f"FROM {IMAGE}\nRUN mkdir -p /run/secrets/a && touch /run/secrets/b && chmod 700 /run/secrets\n"
    image = dockerkit.build(ImageSpec(dockerfile_text=f"{text}LABEL x={uuid.uuid4()}\n"))
    made.append(image.reference)
    with dockerkit.run(image, **LONE, secrets={"a": "test"}, user="nobody") as container:
        assert inside(container, "cd /run/secrets; ls; cat a") == "a\ntest"
        # It is in nothing that is saved of the container.
        assert "secrets/" not in str(container.docker.diff())


def test_what_is_run_once_has_them(dockerkit: Kit) -> None:
    result = dockerkit.build(IMAGE).run(["cat", "/run/secrets/a"], secrets={"a": "x"}, user="nobody")
    assert (result.exit_code, result.stdout) == (0, "x")


# What goes wrong


def test_one_that_cannot_be_had_is_told_before_anything_is_made(dockerkit: Kit, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "large").write_bytes(b"x" * 600_000)
    for given, what in (
        (Secret.from_env("DOCKERKIT_TEST_UNSET"), "the environment variable DOCKERKIT_TEST_UNSET is not set"),
        (tmp_path / "directory", "the file of the secret 'a' cannot be read"),
        (tmp_path / "large", "the secret 'a' is too large"),
        (tmp_path / "missing", "secrets= names a file that does not exist"),
    ):
        with pytest.raises(SpecError) as caught:
            dockerkit.run("no-such-image.invalid/x", secrets={"a": given}, network="none")
        assert caught.value.what.startswith(what)


@pytest.mark.parametrize("verb", ["volumes.create", "containers.create", "containers.put", "containers.start"])
def test_nothing_is_left_where_the_engine_fails(
    dockerkit: Kit, client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Whether it has made the thing or not."""
    names: list[str] = []
    part, _, name = verb.partition(".")
    plain: Callable[..., Any] = getattr(getattr(dockerkit._session.engine, part), name)

    def fails(*args: Any) -> None:
        names.append(str(args[0]))
        plain(*args)
        raise EngineError("it cannot", saw="broken", mend="wait")

    monkeypatch.setattr(getattr(dockerkit._session.engine, part), name, fails)
    with pytest.raises(EngineError, match="it cannot"):
        dockerkit.run(IMAGE, **LONE, name="fails", secrets={"a": "x"})
    assert len(names) == 1
    monkeypatch.undo()
    label = f"{RUN_LABEL}={dockerkit._session.run_id}"
    assert [each.name for each in client.volumes.list(filters={"label": label}) if "-fails-" in each.name] == []
    found = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
    assert [each.name for each in found if "-fails-" in str(each.name)] == []


def test_a_user_that_nobody_knows_is_the_engine_s_to_refuse(dockerkit: Kit) -> None:
    with pytest.raises(EngineError) as caught:
        dockerkit.run(IMAGE, **LONE, user="missing", secrets={"a": "x"})
    assert "unable to find user missing" in caught.value.saw


# Where it is not


_NOWHERE = """
import os
from pathlib import Path

import docker
import pytest
from pytest_dockerkit import ContainerSpec, HealthCheck, Secret, container_fixture, probes

KEPT = Path({kept!r})
GIVEN = {{
    "text": KEPT.read_text(),
    "bytes": KEPT.read_bytes(),
    "path": KEPT,
    "secret": Secret("secret", KEPT.read_text()),
    "env": Secret.from_env("DOCKERKIT_TEST_TOKEN"),
}}
TELLS = ["sh", "-c", "for each in /run/secrets/*; do cat $each; echo; done; echo begun; exec sleep 600"]
BOX = {{"image": "busybox:stable", "network": "none", "stop_timeout": 0, "secrets": GIVEN}}

db = container_fixture(**BOX, command=TELLS, wait=probes.log("begun"), scope="session")


def look_around(*containers):
    client = docker.from_env()
    with Path(__file__).with_name("seen").open("ab") as seen:
        for container in containers:
            for mount in container.inspect()["Mounts"]:
                seen.write(f"volume {{client.api.inspect_volume(mount['Name'])}}\\n".encode())
            seen.write(str(client.api.inspect_container(container.id)).encode())
        for path in Path(os.environ["XDG_CACHE_HOME"]).rglob("*"):
            if path.is_file():
                seen.write(str(path).encode() + path.read_bytes())
    client.close()


@pytest.mark.container(**BOX, command=TELLS, wait=probes.log("begun"))
def test_fails_beside_what_tells_it(container, db):
    assert container.logs().count(KEPT.read_text()) == db.logs().count(KEPT.read_text()) == 5
    print(container, db, container.spec, db.spec, vars(container), vars(db))
    look_around(container, db)
    pytest.fail("by itself")

def test_command(dockerkit, db):
    box = dockerkit.run(ContainerSpec(**BOX, command=["sleep", "600"]))
    box.exec(["sh", "-c", "cat /run/secrets/text >&2; exit 3"], check=True)

def test_dies(dockerkit, db):
    command = ["sh", "-c", "cat /run/secrets/path; exit 4"]
    dockerkit.run(ContainerSpec(**BOX), command=command, wait=probes.log("never"))

def test_unhealthy(dockerkit):
    check = HealthCheck(test="cat /run/secrets/env; exit 1", interval="100ms", retries=1)
    dockerkit.run(ContainerSpec(**BOX), command=["sleep", "600"], healthcheck=check)

def test_not_ready(dockerkit):
    probe = probes.command(["sh", "-c", "cat /run/secrets/bytes; exit 1"])
    dockerkit.run(ContainerSpec(**BOX), command=["sleep", "600"], wait=probe, timeout=0.5)

@pytest.mark.container(**{{**BOX, "image": "busybox:missing"}}, pull="never")
def test_no_image(container): ...
"""


def test_it_is_nowhere_else(
    suite: Suite, tmp_path: Path, token: str, dockerkit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In nothing that pytest prints or reports, that the plugin writes down, or that the engine says.

    The engine is reached over TCP, and the session's container is two workers'.
    """
    kept = tmp_path / "kept" / "token"
    kept.parent.mkdir()
    kept.write_text(token, encoding="utf-8")
    monkeypatch.setenv("DOCKERKIT_TEST_TOKEN", token)
    relay = Relay(dockerkit.engine.host.removeprefix("unix://"))
    monkeypatch.setenv("DOCKER_HOST", relay.url)
    suite.environment["DOCKER_HOST"] = relay.url
    try:
        outcome = suite.run(
            _NOWHERE.format(kept=str(kept)),
            *("-n", "2", "-vv", "-rA", "--setup-show", "--showlocals", "--tb=long", "--log-level=DEBUG"),
            "--junitxml=report.xml",
            subprocess=True,
        )
    finally:
        relay.close()
    outcome.ended(failed=5, errors=1)
    halves = [line.encode() for line in token.split("\n")]
    written = {str(path): path.read_bytes() for path in suite.path.rglob("*") if path.is_file()}
    seen = b"".join(content for path, content in written.items() if path.endswith("/seen"))
    assert b"/run/secrets" in seen
    assert b".jsonl" in seen
    assert b"/shared/" in seen
    for where, content in {**written, "output": outcome.text.encode()}.items():
        assert [half for half in halves if half in content] == [], where
    # Each of the containers had something to tell.
    assert outcome.text.count("***") > 20
    assert outcome.names.count("db") == 1


# How long it is there


def test_a_run_that_is_killed_leaves_nothing(suite: Suite) -> None:
    outcome = suite.run(
        """
        import os
        import signal

        import pytest

        @pytest.mark.container("busybox:stable", command="sleep 600", network="none", secrets={"a": "x"})
        def test_it(container):
            assert container.read_file("/run/secrets/a") == "x"
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        subprocess=True,
        expect_clean=False,
    )
    [container] = outcome.containers
    run = container["Config"]["Labels"][RUN_LABEL]
    assert until_ready(lambda: Look(not leftovers(run), seen=str(leftovers(run))), timeout_s=20).ready


_STAYS = """
import os
import pytest
from pytest_dockerkit import Secret, container_fixture

db = container_fixture("busybox:stable", command="sleep 600", stop_timeout=0, scope="session", network="none",
                       secrets={"a": Secret.from_env("DOCKERKIT_TEST_TOKEN")})

def test_it(db):
    assert db.read_file("/run/secrets/a") == os.environ["DOCKERKIT_TEST_TOKEN"]
"""


def test_what_is_kept_for_the_next_run_is_taken_as_long_as_its_secrets_are_the_same(
    suite: Suite, client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the one goes the other; nothing that is recorded says what it is."""
    ids: list[str] = []
    volumes: list[list[str]] = []
    tokens = [uuid.uuid4().hex, uuid.uuid4().hex]
    project = ""
    try:
        for each in (tokens[0], tokens[0], tokens[1]):
            monkeypatch.setenv("DOCKERKIT_TEST_TOKEN", each)
            outcome = suite.run(_STAYS, "--dockerkit-reuse", expect_clean=False)
            outcome.ended(passed=1)
            ids += [found["Id"] for found in outcome.containers]
            project = outcome.containers[0]["Config"]["Labels"][KEPT_LABEL]
            kept = client.volumes.list(filters={"label": f"{KEPT_LABEL}={project}"})
            volumes.append([str(found.name) for found in kept])
        assert ids[0] == ids[1] != ids[2]
        assert volumes[0] == volumes[1] != volumes[2]
        assert [len(each) for each in volumes] == [1, 1, 1]
        state = [path.read_bytes() for path in (suite.path / "state").rglob("*") if path.is_file()]
        assert [each for each in tokens if any(each.encode() in content for content in state)] == []
    finally:
        command = [sys.executable, "-m", "pytest_dockerkit.cli", "prune"]
        subprocess.run(command, cwd=suite.path, env=os.environ, check=True, stdout=subprocess.DEVNULL)
    assert client.volumes.list(filters={"label": f"{KEPT_LABEL}={project}"}) == []
    assert client.containers.list(all=True, filters={"label": f"{KEPT_LABEL}={project}"}) == []


def test_what_stays_for_a_person_has_them_until_it_is_removed(suite: Suite, client: docker.DockerClient) -> None:
    source = """
        import pytest

        @pytest.mark.container("busybox:stable", command="sleep 600", network="none", secrets={"a": "x"})
        def test_it(container):
            assert 0
        """
    outcome = suite.run(source, "--dockerkit-keep=failed", expect_clean=False)
    try:
        outcome.ended(failed=1)
        things = keepsakes.kept_things(suite.path / "state" / "pytest-dockerkit")
        [container] = [each.name for each in things if each.kind == "container"]
        assert [each.name for each in things if each.kind == "volume"] == [f"{container}-secrets"]
        assert client.containers.get(container).exec_run(["cat", "/run/secrets/a"]).output == b"x"
    finally:
        command = [sys.executable, "-m", "pytest_dockerkit.cli", "prune"]
        subprocess.run(command, cwd=suite.path, env=os.environ, check=True, stdout=subprocess.DEVNULL)
    assert leftovers(outcome.containers[0]["Config"]["Labels"][RUN_LABEL]) == []
