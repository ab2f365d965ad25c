"""Ready means that the service itself works; and it is known as soon as it is so."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, Look, Probe, RunningContainer, probes
from pytest_dockerkit._poll import until_ready
from pytest_dockerkit._runtime import readiness
from pytest_dockerkit.errors import (
    ContainerExitedError,
    NotReadyError,
    OutOfMemoryError,
    SpecError,
    UnhealthyError,
)

if TYPE_CHECKING:
    from pytest_dockerkit import Kit

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


@pytest.mark.parametrize("interval_ms", [30_000, 200])
def test_nothing_goes_on_once_it_is_healthy(dockerkit: Kit, interval_ms: int) -> None:
    """No command of ours and no thread; what Docker says of it is its own."""
    check = HealthCheck(
        test="echo looked >> /tmp/looks; wget -q -O /dev/null http://127.0.0.1/",
        interval=f"{interval_ms}ms",
        retries=100,
    )
    before = set(threading.enumerate())
    with dockerkit.run("busybox:stable", command=LATE, healthcheck=check) as container:
        assert container.health == "healthy"
        assert {each for each in threading.enumerate() if each.name.startswith("pytest-dockerkit")} <= before
        facts = container.inspect()
        assert facts["Config"]["Healthcheck"]["Interval"] == interval_ms * 1_000_000
        if interval_ms == 30_000:
            # One that hung may have been run beside itself; it ends as well.
            assert until_ready(lambda: Look(container.inspect()["ExecIDs"] is None), timeout_s=30).ready
            assert facts["State"]["Health"]["Log"] == []
            looks = container.read_file("/tmp/looks")
            assert container.read_file("/tmp/looks") == looks


#: An image in which nothing but the health command itself can be run.
WITHOUT_SHELL = """
FROM busybox:stable AS box
FROM scratch
COPY --from=box /bin/busybox /busybox
HEALTHCHECK CMD ["/busybox", "test", "-e", "/up"]
CMD ["/busybox", "sh", "-c", "/busybox sleep 0.5; /busybox touch /up; exec /busybox sleep 1000"]
"""


@pytest.mark.container(dockerfile_text=WITHOUT_SHELL)
def test_a_health_check_needs_no_shell(container: RunningContainer) -> None:
    assert container.health == "healthy"


@pytest.mark.container(
    "busybox:stable",
    command=["sh", "-c", "sleep 0.5; touch /tmp/up; exec sleep 1000"],
    healthcheck="test -e /tmp/up || { rm -f /bin/sleep; exit 5; }",
)
def test_a_health_check_needs_no_sleep(container: RunningContainer) -> None:
    assert container.health == "healthy"


@pytest.mark.container(
    "busybox:stable",
    command=LATE,
    # The first looks hang, as those of a service do that accepts before it answers.
    healthcheck="mkdir /tmp/one || mkdir /tmp/two || test -e /tmp/index.html && exit; sleep 1000",
    wait=probes.all_of(probes.healthy(), probes.port(80)),
    ports=[80],
)
def test_a_health_command_that_hangs_keeps_no_other_from_passing(container: RunningContainer) -> None:
    assert container.health == "healthy"


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


#: Accepts, and never answers; ends while it is asked.
MUTE = ["sh", "-c", "sleep 1000 | nc -l -p 80 & sleep 1; exit 9"]


@pytest.mark.parametrize("wait", [probes.http("/"), probes.command(["sleep", "1000"])], ids=["http", "command"])
def test_its_end_ends_also_a_look_that_takes_long(dockerkit: Kit, wait: Probe) -> None:
    with pytest.raises(ContainerExitedError, match="exit code 9"):
        dockerkit.run("busybox:stable", command=MUTE, ports=[80], wait=wait, timeout="1h")


def test_a_wait_in_the_background_ends_with_the_run(dockerkit: Kit) -> None:
    """Though a command of it is under way, which has no end; that ends with the container."""

    class StoppedError(Exception):
        pass

    def go_on() -> None:
        if stop.is_set():
            raise StoppedError

    def wait(container: RunningContainer) -> None:
        with pytest.raises(StoppedError):
            readiness.wait(container, probes.command(["sleep", "1000"]), 3600, go_on)
        ended.append(container)

    def commands() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "pytest-dockerkit runs a command"]

    stop, ended = threading.Event(), list[RunningContainer]()
    with dockerkit.run("busybox:stable", command=SLEEP) as container:
        waiter = threading.Thread(target=wait, args=[container])
        waiter.start()
        assert until_ready(lambda: Look(bool(container.inspect()["ExecIDs"])), timeout_s=30).ready
        stop.set()
        waiter.join()
        assert ended == [container]
        assert len(commands()) == 1
    assert until_ready(lambda: Look(not commands()), timeout_s=30).ready


@pytest.mark.parametrize("network", ["isolated", "internal", "bridge"])
def test_a_port_is_ready_in_each_kind_of_network(dockerkit: Kit, network: str) -> None:
    with dockerkit.run("busybox:stable", command=LATE, ports=[80], network=network) as container:
        assert urlopen(container.url(80, "index.html")).read() == b"hello\n"


def test_a_port_on_the_host_network_is_the_hosts(dockerkit: Kit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
    serve = ["sh", "-c", f"sleep 0.5; exec httpd -f -p {number} -h /"]
    with dockerkit.run("busybox:stable", command=serve, network="host", wait=probes.port(number)) as container:
        assert container.address(number) == ("127.0.0.1", number)
        socket.create_connection(container.address(number)).close()


def test_a_service_that_listens_for_itself_alone_is_told_so(dockerkit: Kit) -> None:
    serve = ["httpd", "-f", "-p", "127.0.0.1:80"]
    for wait in (None, probes.http("/"), probes.all_of(probes.running(), probes.port(80))):
        with pytest.raises(NotReadyError) as caught:
            dockerkit.run("busybox:stable", command=serve, ports=[80], timeout=0.5, wait=wait, name="shy")
        assert caught.value.what == "container 'shy' is not ready after 0.5 s"
        assert caught.value.saw.endswith("; in the container, 80/tcp is listened on at 127.0.0.1 only")
        assert caught.value.mend == ("have the service listen at 0.0.0.0: nobody else reaches a container's loopback")


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
