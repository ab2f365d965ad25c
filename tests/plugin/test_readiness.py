"""Ready means that the service itself works; and it is known as soon as it is so."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, Look, Probe, probes
from pytest_dockerkit.errors import (
    ContainerExitedError,
    NotReadyError,
    OutOfMemoryError,
    SpecError,
    UnhealthyError,
)

if TYPE_CHECKING:
    from pytest_dockerkit import Kit, RunningContainer

SLEEP = ["sleep", "1000"]
#: Listens one second after its start: the engine's port proxy accepts long before.
LATE = ["sh", "-c", "echo hello > /tmp/index.html; sleep 1; exec httpd -f -p 80 -h /tmp"]


@pytest.mark.container(
    "busybox:stable", command=LATE, healthcheck="wget -q -O /dev/null http://127.0.0.1/", ports=[80]
)
def test_a_health_check_is_known_to_pass_before_docker_looks(container: RunningContainer) -> None:
    """Docker looks after its interval of 30 s; by then the test is over."""
    state = container.inspect()["State"]["Health"]
    assert state["Status"] == "starting"
    assert state["Log"] == []
    assert container.health == "healthy"
    assert urlopen(container.url(80)).read() == b"hello\n"


@pytest.mark.container(
    "busybox:stable", command=LATE, healthcheck=HealthCheck(test="test -e /tmp/index.html", interval="100ms")
)
def test_with_a_short_interval_docker_itself_is_asked(container: RunningContainer) -> None:
    assert container.inspect()["State"]["Health"]["Status"] == "healthy"


@pytest.mark.container(dockerfile_text="FROM busybox:stable\nHEALTHCHECK CMD test -e /tmp/index.html\n", command=LATE)
def test_the_images_health_check_counts(container: RunningContainer) -> None:
    assert container.image.config.healthcheck == ("CMD-SHELL", "test -e /tmp/index.html")
    assert container.health == "healthy"
    assert container.exec(["test", "-e", "/tmp/index.html"]).exit_code == 0


@pytest.mark.container(
    dockerfile_text="FROM busybox:stable\nHEALTHCHECK CMD false\n", command=SLEEP, healthcheck=HealthCheck.none()
)
def test_the_images_health_check_can_be_switched_off(container: RunningContainer) -> None:
    assert container.health is None
    assert container.status == "running"


@pytest.mark.container("busybox:stable", command=LATE, ports=[80])
def test_a_port_is_ready_when_the_service_accepts(container: RunningContainer) -> None:
    """One request, without a retry."""
    with socket.create_connection(container.address(80)) as connection:
        connection.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
        assert connection.recv(15).startswith(b"HTTP/1.")


@pytest.mark.container("busybox:stable", command=SLEEP, ports=["53/udp"])
def test_without_a_tcp_port_it_is_ready_when_it_runs(container: RunningContainer) -> None:
    assert container.status == "running"


@pytest.mark.parametrize(
    "probe",
    [
        probes.http("/index.html"),
        probes.http("/index.html", port=80, body="^hel+o", headers={"X-Test": "1"}),
        probes.http("/nothing-here", status=[404, 410]),
        probes.command(["test", "-e", "/tmp/index.html"]),
        probes.log("^started$"),
        probes.log("start", times=2),
        probes.running(),
        probes.all_of(probes.port(80), probes.log("started")),
        probes.any_of(probes.log("never said"), probes.port("80/tcp")),
    ],
    ids=["http", "http-body", "http-status", "command", "log", "log-times", "running", "all", "any"],
)
def test_each_probe_is_satisfied(dockerkit: Kit, probe: Probe) -> None:
    serve = "echo start; echo hello > /tmp/index.html; echo started >&2; exec httpd -f -p 80 -h /tmp"
    with dockerkit.run("busybox:stable", command=["sh", "-c", serve], ports=[80], wait=probe) as container:
        assert container.status == "running"


def test_a_probe_of_ones_own_looks_at_the_container(dockerkit: Kit) -> None:
    class Third:
        looks = 0

        def look(self, container: RunningContainer) -> Look:
            self.looks += 1
            return Look(self.looks == 3, f"look {self.looks} at {container.alias}")

    probe = Third()
    with dockerkit.run("busybox:stable", command=SLEEP, wait=probe, name="mine"):
        assert probe.looks == 3


def test_a_one_shot_container_is_awaited_to_its_end(dockerkit: Kit) -> None:
    with dockerkit.run("busybox:stable", command=["sh", "-c", "echo done"], wait=probes.exited(0)) as container:
        assert container.status == "exited"
        assert container.logs() == "done\n"


def test_the_log_of_a_one_shot_container_counts(dockerkit: Kit) -> None:
    both = probes.all_of(probes.exited(0), probes.log("^A="))
    with dockerkit.run("busybox:stable", command=["sh", "-c", "echo A=1"], wait=both) as container:
        assert container.logs() == "A=1\n"


def test_a_one_shot_container_with_another_exit_code_fails(dockerkit: Kit) -> None:
    with pytest.raises(ContainerExitedError) as caught:
        dockerkit.run(
            "busybox:stable", command=["sh", "-c", "echo broken; exit 4"], wait=probes.exited(0), name="job"
        )
    assert str(caught.value) == (
        "container 'job' has ended before it was ready\n"
        "  saw:  exit code 4\n"
        "  mend: read its log below, and correct its command, env or files\n"
        "  last lines of its log (job):\n"
        "    broken"
    )


def test_a_container_that_ends_by_itself_says_what_to_do(dockerkit: Kit) -> None:
    with pytest.raises(ContainerExitedError) as caught:
        dockerkit.run("busybox:stable", command=["true"], name="job", wait=probes.log("never said"))
    assert str(caught.value) == (
        "container 'job' has ended before it was ready\n"
        "  saw:  exit code 0\n"
        "  mend: it ended by itself: wait=probes.exited(0) for a one-shot container, "
        "else give it a command that stays\n"
        "  its log (job) is empty"
    )


@pytest.mark.parametrize(
    "wait", [None, probes.port(80), probes.http("/"), probes.log("x"), probes.command(["false"])]
)
def test_a_dead_container_ends_every_wait_at_once(dockerkit: Kit, wait: Probe | None) -> None:
    """Not at the timeout: that would be long after the suite's own."""
    with pytest.raises(ContainerExitedError, match="exit code 9"):
        dockerkit.run("busybox:stable", command=["sh", "-c", "exit 9"], ports=[80], wait=wait, timeout="1h")


def test_an_unhealthy_container_ends_the_wait_at_once(dockerkit: Kit) -> None:
    check = HealthCheck(test="echo no luck; exit 3", interval="50ms", retries=2)
    with pytest.raises(UnhealthyError) as caught:
        dockerkit.run("busybox:stable", command=SLEEP, healthcheck=check, timeout="1h", name="sick")
    assert caught.value.what == "container 'sick' is unhealthy"
    assert caught.value.saw.startswith("its health check failed ")
    assert caught.value.saw.endswith(" times in a row, at last with 3: no luck")


def test_an_oom_kill_is_told_as_the_cause(dockerkit: Kit) -> None:
    eat = ["sh", "-c", "x=a; while true; do x=$x$x; done"]
    with pytest.raises(OutOfMemoryError) as caught:
        dockerkit.run(
            "busybox:stable", command=eat, memory="8m", timeout="1h", name="eater", wait=probes.log("never")
        )
    # Engines on cgroup v1 miss some of the kernel's kills, and then it is told as what it is, likely.
    assert (caught.value.what, caught.value.saw) in [
        ("container 'eater' was killed for reaching its memory cap", "exit code 137, OOM-killed at memory=8 MiB"),
        (
            "container 'eater' was killed, most likely for reaching its memory cap",
            "exit code 137 at memory=8 MiB; the engine has not seen what killed it",
        ),
    ]


def test_what_never_becomes_ready_shows_what_was_seen_last(dockerkit: Kit) -> None:
    spec = ContainerSpec(
        image="busybox:stable",
        command=["sh", "-c", "echo waiting; exec sleep 1000"],
        ports=[80],
        timeout=0.5,
        name="late",
    )
    with pytest.raises(NotReadyError) as caught:
        dockerkit.run(spec)
    assert caught.value.what == "container 'late' is not ready after 0.5 s"
    assert caught.value.saw.startswith("port 80/tcp at ")
    assert caught.value.saw.endswith(" refused")
    assert caught.value.details == "  last lines of its log (late):\n    waiting"


def test_waiting_for_health_without_a_check_is_told(dockerkit: Kit) -> None:
    with pytest.raises(SpecError) as caught:
        dockerkit.run("busybox:stable", command=SLEEP, wait=probes.healthy())
    assert caught.value.what == "the container has no health check"


@pytest.mark.container("busybox:stable", command=SLEEP)
def test_a_container_can_be_awaited_again(container: RunningContainer) -> None:
    container.exec(["touch", "/tmp/flag"])
    container.wait(probes.command(["test", "-e", "/tmp/flag"]))
    with pytest.raises(NotReadyError, match=r"is not ready after 0\.2 s"):
        container.wait(probes.command(["test", "-e", "/tmp/other"]), timeout=0.2)
