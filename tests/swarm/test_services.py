"""Services of a swarm that a run makes for itself, and leaves again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._names import RUN_LABEL
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit.errors import ConflictError

if TYPE_CHECKING:
    import docker

    from tests.plugin.conftest import Suite

INIT = ("-o", "dockerkit_swarm=init")
SERVES = 'command=["sh", "-c", "echo up; exec httpd -f -p 8080 -h /run/secrets"], stop_timeout=0'


@pytest.fixture
def swarm() -> Iterator[Daemon]:
    """The engine; a swarm that it was in before stays."""
    engine = Daemon()
    before = engine.swarm.state()
    if before[0] == "inactive" and (others := engine.swarm.losing_their_names("")):
        pytest.skip(f"other containers would lose their names: {', '.join(others)}")
    yield engine
    assert engine.swarm.state() == before
    engine.close()


def is_left(engine: Daemon, before: tuple[str, bool]) -> Look:
    return Look(engine.swarm.state() == before)


def test_a_service_is_reached_scaled_changed_and_taken_back(suite: Suite, swarm: Daemon) -> None:
    suite.run(
        f"""
        from pytest_dockerkit import UpdateConfig, container_fixture, network_fixture, service_fixture

        # The swarm watches each new task for so long, else for five seconds.
        QUICK = UpdateConfig(parallelism=0, monitor="100ms")
        mesh = network_fixture(driver="overlay", attachable=True, scope="module")
        web = service_fixture("busybox:stable", {SERVES}, replicas=2, network=mesh, endpoint_mode="dnsrr",
                              secrets={{"key": "s3cret"}}, configs={{"/etc/app.conf": "x=1"}}, memory="32m",
                              update=QUICK, rollback=QUICK, scope="module")
        asks = container_fixture("busybox:stable", command="sleep 600", network=mesh)

        def env(service):
            return service.inspect()["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env") or []

        def test_it(web, asks, docker_client):
            assert web.replicas == 2
            assert [each.state for each in web.tasks] == ["running"] * 2
            assert {{each.slot for each in web.tasks}} == {{1, 2}}
            assert asks.exec(["wget", "-qO-", "http://web:8080/key"]).stdout == "s3cret"
            assert web.logs().count("up") == 2
            inside = docker_client.containers.get(web.tasks[0].container_id)
            assert inside.exec_run("stat -c %a /run/secrets/key").output == b"400\\n"
            assert inside.exec_run("cat /etc/app.conf").output == b"x=1"
            assert inside.attrs["HostConfig"]["Memory"] == 32 * 2**20
            web.scale(1)
            assert web.replicas == 1
            web.update(env={{"A": "1"}})
            assert env(web) == ["A=1"]
            web.rollback()
            assert env(web) == []
        """,
        *INIT,
    ).ended(passed=1)


def test_what_keeps_a_service_from_running_is_told(suite: Suite, swarm: Daemon) -> None:
    outcome = suite.run(
        """
        def test_fails(dockerkit):
            dockerkit.service("busybox:stable", name="bad", secrets={"key": "s3cret"},
                              command=["sh", "-c", "echo no luck with $(cat /run/secrets/key); exit 3"])

        def test_has_no_place(dockerkit):
            dockerkit.service("busybox:stable", command="sleep 100", placement=["node.labels.zone==mars"], timeout=2)
        """,
        *INIT,
    ).ended(failed=2)
    assert "ServiceError: the tasks of service 'bad' keep failing" in outcome.text
    assert "saw:  task: non-zero exit (3) (exit code 3)" in outcome.text
    assert "last lines of its log (bad):" in outcome.text
    assert "    no luck with ***\n" in outcome.text
    assert "luck with s3cret" not in outcome.text
    assert "NotReadyError: service 'service' has not converged after 2 s" in outcome.text
    assert "no suitable node (scheduling constraints not satisfied on 1 node)" in outcome.text


def test_a_run_that_is_killed_leaves_neither_service_nor_swarm(suite: Suite, swarm: Daemon) -> None:
    before = swarm.swarm.state()
    suite.run(
        f"""
        import os, signal

        def test_it(dockerkit):
            dockerkit.service("busybox:stable", {SERVES}, secrets={{"key": "s3cret"}})
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        *INIT,
        subprocess=True,
        expect_clean=False,
    )
    assert until_ready(lambda: is_left(swarm, before), timeout_s=60).ready


def test_nobody_else_loses_their_names(suite: Suite, swarm: Daemon, docker_client: docker.DockerClient) -> None:
    """An engine that leaves a swarm forgets the names of all containers that run."""
    if swarm.swarm.state()[0] != "inactive":
        pytest.skip("the engine is in a swarm")
    theirs = docker_client.networks.create("theirs-of-swarm-tests")
    try:
        box = docker_client.containers.run("busybox:stable", "sleep 1000", network=theirs.name, detach=True)
        try:
            outcome = suite.run('def test_it(dockerkit): dockerkit.network(driver="overlay")', *INIT).ended(failed=1)
            assert "CapabilityError: no swarm can be made for the run: other containers would not" in outcome.text
            assert f"saw:  running: {box.name}" in outcome.text
            swarm.swarm.init("127.0.0.1", {RUN_LABEL: "ours"})
            with pytest.raises(ConflictError, match="the swarm of the run cannot be left now"):
                swarm.remove("swarm", "ours")
        finally:
            box.remove(force=True, v=True)
        assert swarm.remove("swarm", "ours")
    finally:
        theirs.remove()


def test_the_swarm_of_somebody_else_stays(swarm: Daemon) -> None:
    """A run that was killed had made one, and has left; the next one finds that in its ledger."""
    if swarm.swarm.state()[0] != "inactive":
        pytest.skip("the engine is in a swarm")
    swarm.swarm.init("127.0.0.1", {RUN_LABEL: "theirs"})
    try:
        assert not swarm.remove("swarm", "ours")
        assert swarm.swarm.state() == ("active", True)
    finally:
        assert swarm.remove("swarm", "theirs")
    assert not swarm.remove("swarm", "theirs")


def test_without_a_swarm_services_are_refused_or_skipped(suite: Suite, swarm: Daemon) -> None:
    if swarm.swarm.state()[0] != "inactive":
        pytest.skip("the engine is in a swarm")
    source = 'def test_it(dockerkit): dockerkit.service("busybox:stable", command="sleep 100")'
    outcome = suite.run(source).ended(failed=1)
    assert "CapabilityError: services need a swarm, and this engine is in none" in outcome.text
    assert "mend: docker swarm init; or dockerkit_swarm = init" in outcome.text
    suite.run(source, "--dockerkit-missing-capability=skip").ended(skipped=1)
