"""The engine over the light wire, and the same verbs over docker-py's connections; what is imported for them."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._spec.mounts import VolumeSpec
from pytest_dockerkit._spec.network import NetworkSpec
from pytest_dockerkit.errors import (
    ConflictError,
    ContainerError,
    ContainerFileError,
    ContainerRemovedError,
    EngineError,
    EngineUnavailableError,
    NotOnEngineError,
)
from tests.plugin.wires import Relay

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_dockerkit import Kit

IMAGE = "busybox:stable"
LABELS = {"dockerkit-test": "wire"}


@pytest.fixture
def name() -> str:
    return f"dockerkit-wire-{uuid.uuid4().hex}"


@contextlib.contextmanager
def created(daemon: Daemon, name: str, *command: str, **host: Any) -> Iterator[str]:
    body = {
        "Image": IMAGE,
        "Cmd": command or ["sleep", "1000"],
        "Labels": LABELS,
        "HostConfig": {"NetworkMode": "none", **host},
    }
    try:
        yield daemon.containers.create(name, body, None)
    finally:
        daemon.containers.remove(name)


def test_a_container_from_its_beginning_to_its_end(daemon: Daemon, name: str) -> None:
    with created(daemon, name) as container:
        assert daemon.containers.inspect(name)["Id"] == container
        for _ in range(2):
            # What runs already is no failure.
            daemon.containers.start(container)
        assert daemon.containers.inspect(container)["State"]["Status"] == "running"
        daemon.containers.pause(container)
        with pytest.raises(EngineError):
            daemon.containers.pause(container)
        daemon.containers.unpause(container)
        daemon.containers.kill(container, "STOP")
        for _ in range(2):
            daemon.containers.stop(container, 0)
        assert daemon.containers.inspect(container)["State"]["ExitCode"] == 137
        with pytest.raises(ConflictError) as caught:
            daemon.containers.kill(container, "KILL")
        assert caught.value.what == f"the engine could not send KILL to {container}"
        assert caught.value.saw.endswith("is not running")
        assert caught.value.mend == "it has to be running"
        for _ in range(2):
            daemon.containers.remove(container)
        with pytest.raises(ContainerRemovedError) as gone:
            daemon.containers.inspect(container)
        assert gone.value.what == f"container {container!r} was removed"


def test_a_command_without_output(daemon: Daemon, name: str) -> None:
    with created(daemon, name) as container:
        daemon.containers.start(container)
        session = daemon.containers.begin_exec(container, ["sh", "-c", "exit $(id -u)"], user="7")
        code: list[int | None] = []

        def look() -> Look:
            code.append(daemon.containers.exec_result(session))
            return Look(code[-1] is not None)

        assert until_ready(look, timeout_s=30).ready
        assert code[-1] == 7


def test_what_is_at_a_path(daemon: Daemon, name: str) -> None:
    with created(daemon, name) as container:
        daemon.containers.start(container)
        script = "mkdir '/a b' && ln -s '/a b' /link && ln -s /one /two && ln -s /two /one && ln -s /no /dangling"
        assert daemon.containers.exec(container, ["sh", "-c", script]).exit_code == 0
        assert daemon.containers.has(container, "/a b")
        assert not daemon.containers.has(container, "/a")
        assert daemon.containers.real_path(container, "/link") == "/a b"
        assert daemon.containers.real_path(container, "/a b") == "/a b"
        assert daemon.containers.real_path(container, "/nothing") == "/nothing"
        with pytest.raises(ContainerFileError):
            daemon.containers.real_path(container, "/one")


@pytest.mark.parametrize("size", [10, 8_000_000])
def test_files_are_put(daemon: Daemon, name: str, size: int) -> None:
    """However many; where it cannot be, the engine may hang up before it has heard them all."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("a b")
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(size)))
    with created(daemon, name) as container:
        daemon.containers.put(container, "/tmp", packed.getvalue())
        assert daemon.containers.has(container, "/tmp/a b")
        with pytest.raises(NotOnEngineError) as caught:
            daemon.containers.put(container, "/no/such", packed.getvalue())
        assert caught.value.what == "the engine could not copy files into /no/such"
        assert "no such directory" in caught.value.saw or "Could not find the file" in caught.value.saw
        with daemon.containers.get(container, "/tmp/a b") as pieces:
            assert pieces is not None
            assert sum(len(each) for each in pieces) >= size


def test_a_platform_is_asked_for_only_where_it_is_given(daemon: Daemon, name: str) -> None:
    body = {"Image": IMAGE, "Cmd": ["true"], "Labels": LABELS}
    try:
        daemon.containers.create(name, body, f"linux/{daemon.facts.arch}")
        assert daemon.containers.inspect(name)["Name"] == f"/{name}"
    finally:
        daemon.containers.remove(name)
    with pytest.raises(EngineError) as caught:
        daemon.containers.create(name, body, "linux/s390x")
    assert caught.value.what == f"the engine could not create the container {name}"


def test_a_refusal_says_what_the_engine_says(daemon: Daemon, name: str) -> None:
    with pytest.raises(EngineError) as caught:
        daemon.containers.create("a b", {"Image": IMAGE}, None)
    assert caught.value.what == "the engine could not create the container a b"
    assert "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" in caught.value.saw
    with created(daemon, name, "/no/such/program") as container:
        with pytest.raises(ContainerError) as program:
            daemon.containers.start(container)
        assert program.value.what == "the container's program '/no/such/program' cannot be run"
    with pytest.raises(NotOnEngineError) as missing:
        daemon.containers.create(name, {"Image": f"{name}:missing"}, None)
    assert missing.value.saw == f"No such image: {name}:missing"


def test_networks(daemon: Daemon, name: str) -> None:
    # By chance, since the same test may run beside itself over the other wire; out of none of the plugin's own pools.
    base = f"10.214.{secrets.randbelow(256)}"
    spec = NetworkSpec(internal=True, subnet=f"{base}.0/29", gateway=f"{base}.5", labels={"a": "b"})
    network = daemon.networks.create(name, spec, LABELS)
    try:
        found = daemon.networks.inspect(name)
        assert found is not None
        assert (found["Id"], found["Internal"], found["Labels"]) == (network, True, {"a": "b", **LABELS})
        assert found["IPAM"]["Config"] == [{"Subnet": f"{base}.0/29", "Gateway": f"{base}.5"}]
        with pytest.raises(ConflictError):
            daemon.networks.create(name, NetworkSpec(), LABELS)
        with created(daemon, f"{name}-c", NetworkMode="bridge") as container:
            daemon.networks.connect(network, container, ["web", "api"])
            daemon.networks.connect(network, container, [])
            daemon.containers.start(container)
            joined = daemon.containers.inspect(container)["NetworkSettings"]["Networks"][name]
            assert {"web", "api"} <= {*joined["Aliases"]}
            daemon.networks.disconnect(network, container)
            assert name not in daemon.containers.inspect(container)["NetworkSettings"]["Networks"]
            daemon.networks.connect(network, container, [])
            # Whatever is in it.
            daemon.networks.remove(name)
        daemon.networks.remove(name)
        daemon.networks.disconnect(network, name)
        assert daemon.networks.inspect(name) is None
    finally:
        daemon.networks.remove(name)


def test_volumes(daemon: Daemon, name: str) -> None:
    spec = VolumeSpec(options={"type": "tmpfs", "device": "tmpfs"}, labels={"a": "b"})
    daemon.volumes.create(name, spec, LABELS)
    try:
        found = daemon.volumes.inspect(name)
        assert found is not None
        assert found["Options"] == {"type": "tmpfs", "device": "tmpfs"}
        assert found["Labels"] == {"a": "b", **LABELS}
    finally:
        for _ in range(2):
            daemon.volumes.remove(name)
    assert daemon.volumes.inspect(name) is None


def test_images(daemon: Daemon, name: str) -> None:
    found = daemon.images.find(IMAGE)
    assert found is not None
    assert daemon.images.find(found["Id"]) == found
    assert daemon.images.history(found["Id"])[0]["Id"] == found["Id"]
    tag = f"127.0.0.1:5000/dockerkit-test/{name}:one"
    daemon.images.tag(found["Id"], tag)
    try:
        tagged = daemon.images.find(tag)
        assert tagged is not None
        assert tagged["Id"] == found["Id"]
    finally:
        for _ in range(2):
            daemon.images.remove(tag)
    assert daemon.images.find(tag) is None


def test_who_removes_a_container_that_is_being_removed_waits_for_its_end(daemon: Daemon, name: str) -> None:
    with created(daemon, name) as container:
        daemon.containers.start(container)
        gone: list[bool] = []

        def remove() -> None:
            daemon.containers.remove(container)
            with pytest.raises(ContainerRemovedError):
                daemon.containers.inspect(container)
            gone.append(True)

        threads = [threading.Thread(target=remove) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert gone == [True] * 4


def test_an_engine_that_has_gone_is_told(dockerkit: Kit, name: str) -> None:
    relay = Relay(dockerkit.engine.host.removeprefix("unix://"))
    daemon = Daemon(relay.url)
    relay.close()
    try:
        with pytest.raises(EngineUnavailableError) as caught:
            daemon.containers.inspect(name)
    finally:
        daemon.close()
    assert caught.value.what == f"the engine went away while it was to inspect the container {name}"
    assert caught.value.mend == "look whether it still runs: `docker info`"


@pytest.mark.parametrize("said", [{"auths": {"127.0.0.1:1": "no"}}, []])
def test_a_configuration_that_docker_py_cannot_read_is_told_where_it_is_needed(
    dockerkit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: object
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(said), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    daemon = Daemon(dockerkit.engine.host)
    try:
        assert daemon.images.find(IMAGE) is not None
        with pytest.raises(EngineError) as caught:
            daemon.client.ping()
        assert caught.value.what == "docker-py cannot be set up"
    finally:
        daemon.close()


# What is imported


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )


def test_docker_py_is_imported_for_who_asks_for_its_client(dockerkit: Kit, name: str) -> None:
    """And for builds and pulls; containers get along without it, also with what streams."""
    host = dockerkit.engine.host
    if not host.startswith("unix:///"):
        pytest.skip("the engine is elsewhere")
    script = f"""
import json, sys
from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._spec.network import NetworkSpec
import pytest_dockerkit._runtime.session

def heavy():
    return sorted({{"docker", "requests", "urllib3", "http", "ssl"}} & {{*sys.modules}})

daemon = Daemon({host!r})
seen = [heavy()]
daemon.networks.create({name!r}, NetworkSpec(), {LABELS!r})
try:
    image = daemon.images.find({IMAGE!r})["Id"]
    body = {{"Image": image, "Cmd": ["sleep", "1000"], "Labels": {LABELS!r}, "HostConfig": {{"NetworkMode": "none"}}}}
    container = daemon.containers.create({name!r}, body, None)
    daemon.containers.start(container)
    daemon.containers.inspect(container)
    session = daemon.containers.begin_exec(container, ["true"])
    until_ready(lambda: Look(daemon.containers.exec_result(session) is not None), timeout_s=30)
    ran = daemon.containers.exec(container, ["cat"], stdin=b"said")
    assert (ran.exit_code, ran.stdout) == (0, b"said")
    assert daemon.containers.logs(container) == b""
    assert daemon.containers.stats(container)["pids_stats"]["current"] == 1
    with daemon.containers.get(container, "/etc/passwd") as pieces:
        assert b"root:" in b"".join(pieces)
    with daemon.containers.get(container, "/etc/none") as pieces:
        assert pieces is None
    seen.append(heavy())
    daemon.builder.name
    daemon.client.ping()
    seen.append("docker" in heavy())
finally:
    daemon.containers.remove({name!r})
    daemon.networks.remove({name!r})
    daemon.close()
print(json.dumps(seen))
"""
    assert json.loads(python(script).stdout) == [[], [], True]


def test_docker_py_is_imported_by_one_thread_at_a_time() -> None:
    script = """
import sys
import threading
from pytest_dockerkit._engine.client import IMPORTING, import_docker
threads = [threading.Thread(target=import_docker) for _ in range(4)]
with IMPORTING:
    for each in threads:
        each.start()
    print("docker" in sys.modules, "requests" in sys.modules)
for each in threads:
    each.join()
print("docker" in sys.modules, sys.modules["requests"].exceptions.__name__)
"""
    assert python(script).stdout == "False False\nTrue requests.exceptions\n"
