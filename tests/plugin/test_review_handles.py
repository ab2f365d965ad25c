"""Handles when something is amiss: directories in the way, cut connections, hung commands, removed containers."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, RunningContainer, container_fixture, probes
from pytest_dockerkit._engine import containers
from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit.errors import (
    ContainerError,
    ContainerFileError,
    ContainerRemovedError,
    EngineError,
    EngineUnavailableError,
    ExecTimeoutError,
    NotReadyError,
    PortNotPublishedError,
    UnhealthyError,
)

if TYPE_CHECKING:
    import docker

    from pytest_dockerkit import Kit

IMAGE = "busybox:stable"
SLEEP = ("sleep", "1000")

box = container_fixture(IMAGE, command=SLEEP, scope="module")


# Files


def test_a_file_does_not_replace_a_directory(dockerkit: Kit, box: RunningContainer, tmp_path: Path) -> None:
    box.write_file("/srv/d/kept", "kept")
    file = tmp_path / "file"
    file.write_text("new", encoding="utf-8")

    def text(path: str) -> str:
        return (
            f"{path} is a directory\n"
            "  saw:  a file would replace it with all that is in it\n"
            f'  mend: name the file in it, "{path}/…"; copy_in() takes "{path}/" too'
        )

    with pytest.raises(ContainerFileError) as caught:
        box.write_file("/srv/d", "x")
    assert str(caught.value) == text("/srv/d")
    with pytest.raises(ContainerFileError) as caught:
        box.copy_in(file, "/srv/d")
    assert str(caught.value) == text("/srv/d")
    with pytest.raises(ContainerFileError) as caught:
        dockerkit.run(IMAGE, command=SLEEP, files={"/bin": "x"})
    assert str(caught.value) == text("/bin")
    box.copy_in(file, "/srv/d/")
    assert (box.read_file("/srv/d/kept"), box.read_file("/srv/d/file")) == ("kept", "new")


def test_a_directory_does_not_replace_a_file(box: RunningContainer, tmp_path: Path) -> None:
    box.write_file("/srv/file", "kept")
    with pytest.raises(ContainerFileError) as caught:
        box.copy_in(tmp_path, "/srv/file")
    assert str(caught.value) == (
        "/srv/file is no directory, or a link to one\n"
        "  saw:  a directory would replace it\n"
        "  mend: correct the path, or remove what is there before"
    )
    assert box.read_file("/srv/file") == "kept"


def test_a_tmpfs_behind_a_link_is_told(dockerkit: Kit) -> None:
    """The engine would write below the mount, and report success."""
    with dockerkit.run(IMAGE, command=SLEEP, tmpfs=["/run"]) as container:
        container.exec(["sh", "-c", "ln -s /run /r; ln -s /r /srv; mkdir /run/sub; echo hi > /run/sub/x"], check=True)
        for path, real in {"/r/x": "/run/x", "/srv/sub/x": "/run/sub/x"}.items():
            for call in (
                lambda path=path: container.write_file(path, "x"),
                lambda path=path: container.read_file(path),
            ):
                with pytest.raises(ContainerFileError) as caught:
                    call()
                assert str(caught.value) == (
                    f"{real} lies in a tmpfs, which only the container itself can see\n"
                    "  saw:  tmpfs='/run'\n"
                    f'  mend: container.exec(["cat", {real!r}]) to read it, '
                    f'exec(["tee", {real!r}], stdin=…) to write it'
                )
        container.write_file("/tmp/x", "beside it")
        assert container.exec(["cat", "/tmp/x"]).stdout == "beside it"


def test_each_name_of_a_file_in_an_image_has_its_content(dockerkit: Kit, docker_client: docker.DockerClient) -> None:
    text = f"FROM {IMAGE}\nRUN mkdir /h && printf one > /h/a && ln /h/a /h/b && ln /h/a /h/c\n"
    image = dockerkit.build(ImageSpec(dockerfile_text=text))
    found = image.files("/h/[bc]")
    docker_client.images.remove(image.reference)
    assert [(each.path, each.read_text(), each.size_bytes) for each in found] == [
        ("/h/b", "one", 3),
        ("/h/c", "one", 3),
    ]


# Connections


class Proxy:
    """Passes on what comes through a socket of its own, and hangs up as soon as a text has come from the engine."""

    def __init__(self, engine: str, path: Path) -> None:
        self.url = f"unix://{path}"
        self._engine = engine
        self._until: bytes | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut_after(self, text: bytes) -> None:
        """Hang up once, right behind this text."""
        self._until = text

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._pass_on, args=(source, target, source is far), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, from_engine: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                until = self._until if from_engine else None
                if until is not None and until in piece:
                    self._until = None
                    target.sendall(piece[: piece.index(until) + len(until)])
                    break
                target.sendall(piece)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listening, *self._open):
            each.close()


@pytest.fixture
def proxy(dockerkit: Kit) -> Iterator[Proxy]:
    # The paths of sockets are short, and those of pytest's directories need not be.
    path = Path("/tmp") / f"{uuid.uuid4().hex[:12]}.sock"
    made = Proxy(dockerkit.engine.host.removeprefix("unix://"), path)
    yield made
    made.close()
    path.unlink()


@pytest.fixture
def cut_off(proxy: Proxy) -> Iterator[Daemon]:
    """The engine, behind the proxy."""
    daemon = Daemon(proxy.url)
    yield daemon
    daemon.close()


def test_a_command_whose_connection_is_cut_has_no_result(
    dockerkit: Kit, proxy: Proxy, cut_off: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "_NOTED_S", 0.1)
    argv = ["sh", "-c", "echo begun; exec sleep 1000"]
    with dockerkit.run(IMAGE, command=SLEEP) as container:
        proxy.cut_after(b"begun\n")
        with pytest.raises(EngineError) as caught:
            cut_off.containers.exec(container.id, argv)
        assert str(caught.value) == (
            "the connection ended before the command did\n"
            f"  saw:  {argv} still runs\n"
            "  mend: look what cuts connections to the engine; a command that closes its output has no exit code"
        )
        proxy.cut_after(b"beg")
        with pytest.raises(EngineUnavailableError) as gone:
            cut_off.containers.exec(container.id, argv)
        assert str(gone.value) == (
            f"the engine went away while it was to run sh in {container.id}\n"
            "  saw:  the connection ended within a frame\n"
            "  mend: look whether it still runs: `docker info`"
        )


def test_a_command_that_closes_its_output_early_has_its_exit_code(box: RunningContainer) -> None:
    assert box.exec(["sh", "-c", "exec >&- 2>&-; sleep 0.5; exit 3"]).exit_code == 3
    with pytest.raises(ExecTimeoutError) as caught:
        box.exec(["sh", "-c", "exec >&- 2>&-; sleep 1000"], timeout=0.5)
    assert str(caught.value) == (
        "'sh' in container 'box' has not ended after 0.5 s\n"
        "  saw:  ['sh', '-c', 'exec >&- 2>&-; sleep 1000']\n"
        "  mend: raise timeout=, or find out what it waits for"
    )


def test_a_log_whose_connection_is_cut_is_told(dockerkit: Kit, proxy: Proxy, cut_off: Daemon) -> None:
    with dockerkit.run(
        IMAGE, command=["sh", "-c", "echo begun; exec sleep 1000"], wait=probes.log("begun")
    ) as container:
        proxy.cut_after(b"begun\n")
        with pytest.raises(EngineUnavailableError) as caught:
            list(cut_off.containers.follow(container.id))
        assert caught.value.what == f"the engine went away while it was to follow the log of {container.id}"
        assert caught.value.mend == "look whether it still runs: `docker info`"


# Containers that are gone, or somewhere else

VERBS: list[Callable[[RunningContainer], object]] = [
    lambda container: container.status,
    lambda container: container.docker,
    lambda container: container.inspect(),
    lambda container: container.exec(["true"]),
    lambda container: container.logs(),
    lambda container: list(container.follow()),
    lambda container: container.read_file("/etc/passwd"),
    lambda container: container.write_file("/x", "x"),
    lambda container: container.copy_out("/etc/passwd", "never"),
    lambda container: container.stop(),
    lambda container: container.start(),
    lambda container: container.restart(),
    lambda container: container.kill(),
    lambda container: container.pause(),
    lambda container: container.unpause(),
    lambda container: container.stats(),
    lambda container: container.wait(probes.running()),
    lambda container: container.wait_exit(),
]


def test_a_container_that_was_removed_says_so(dockerkit: Kit, docker_client: docker.DockerClient) -> None:
    with dockerkit.run(IMAGE, command=SLEEP, name="db") as container:
        docker_client.api.remove_container(container.id, force=True)
        for verb in VERBS:
            with pytest.raises(ContainerRemovedError) as caught:
                verb(container)
            assert str(caught.value) == (
                "container 'db' was removed\n"
                f"  saw:  No such container: {container.id}\n"
                "  mend: use it before its `with` block ends, and before remove(); else something else removed it"
            )


def test_a_network_that_it_is_not_in_cannot_be_cut(dockerkit: Kit, box: RunningContainer) -> None:
    with dockerkit.network() as network:
        with pytest.raises(ContainerError) as caught, box.disconnect(network):
            pass
        assert str(caught.value) == (
            f"container 'box' is not in the network {network.name!r}\n"
            f"  saw:  its networks: {box.network.name}\n"
            "  mend: disconnect() without a network takes the first of its own"
        )


def test_a_port_on_the_loopback_of_another_machine_is_not_ours(
    dockerkit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dockerkit.run(
        IMAGE, command=SLEEP, name="far", ports=[6379, "53/udp", "0.0.0.0::80"], wait=probes.running()
    ) as container:
        ours = container.address(6379)
        facts = container._engine.facts
        monkeypatch.setattr(container._engine, "facts", dataclasses.replace(facts, host="tcp://192.0.2.7:2375"))
        for port, key, mend in ((6379, "6379/tcp", "6379"), ("53/udp", "53/udp", "53/udp")):
            number = container.seen["NetworkSettings"]["Ports"][key][0]["HostPort"]
            with pytest.raises(PortNotPublishedError) as caught:
                container.address(port)
            assert str(caught.value) == (
                f"port {key} of container 'far' is published on the engine's own machine alone\n"
                f"  saw:  127.0.0.1:{number} there, and the engine is at tcp://192.0.2.7:2375\n"
                f'  mend: ports=["0.0.0.0::{mend}"]'
            )
        assert container.address(80)[0] == "192.0.2.7"
        # A tunnel, or a proxy of the engine's socket on this machine.
        monkeypatch.setattr(container._engine, "facts", dataclasses.replace(facts, host="tcp://127.0.0.1:2375"))
        assert container.address(6379) == ours


# Waiting


def test_a_probing_command_that_hangs_ends_with_the_wait(dockerkit: Kit) -> None:
    with dockerkit.run(IMAGE, command=SLEEP, name="hung") as container:
        with pytest.raises(NotReadyError) as caught:
            container.wait(probes.command(["tail", "-f", "/dev/null"]), timeout=0.5)
        assert str(caught.value) == (
            "container 'hung' is not ready after 0.5 s\n"
            "  saw:  tail has not ended\n"
            "  mend: read its log below; raise timeout= if it is only slow, or wait for something else with wait=\n"
            "  its log (hung) is empty"
        )


def test_a_health_command_that_hangs_once_is_run_again(dockerkit: Kit) -> None:
    """Docker itself looks for the first time after its interval, which is longer than the wait."""
    check = HealthCheck(test="mkdir /tmp/first 2>/dev/null && exec sleep 1000; exit 0")
    with dockerkit.run(IMAGE, command=SLEEP, healthcheck=check, timeout="25s") as container:
        assert container.health == "healthy"


def test_the_end_of_an_unhealthy_container_is_awaited_as_any(dockerkit: Kit) -> None:
    check = HealthCheck(test="exit 3", interval="50ms", retries=1)
    spec = ContainerSpec(image=IMAGE, command=SLEEP, name="sick", healthcheck=check, wait=probes.running())
    with dockerkit.run(spec) as container:
        with pytest.raises(UnhealthyError):
            container.wait(probes.log("never"))
        with pytest.raises(NotReadyError) as caught:
            container.wait_exit(timeout=0.2)
        assert str(caught.value) == (
            "container 'sick' has not ended after 0.2 s\n"
            "  saw:  status running\n"
            "  mend: raise timeout=, or stop() it\n"
            "  its log (sick) is empty"
        )
        container.kill()
        assert container.wait_exit() == 137


def test_one_probe_that_cannot_apply_is_no_hindrance(dockerkit: Kit) -> None:
    wait = probes.any_of(probes.healthy(), probes.port(80))
    with dockerkit.run(IMAGE, command=["httpd", "-f", "-p", "80"], ports=[80], wait=wait) as container:
        assert container.status == "running"
