"""Who reaches whom: isolated by default, by name within a test, and never across tests."""

from __future__ import annotations

import socket
import subprocess
import uuid
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from pytest_dockerkit import ContainerSpec, NetworkSpec, external, probes
from pytest_dockerkit.errors import EngineError, PortNotPublishedError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from pytest_dockerkit import Kit, RunningContainer
    from tests.plugin.conftest import Suite

SLEEP = ["sleep", "1000"]
SERVE = ["sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"]


def finds(container: RunningContainer, name: str) -> bool:
    """Whether a container finds another by name; an answer that there is no such name is False."""
    return container.exec(["nslookup", name]).exit_code == 0


def misses(container: RunningContainer, name: str) -> bool:
    """Whether a container finds no other by a name; in an internal network it hears nothing, and asks on."""
    return container.exec(["nslookup", "-timeout=1", "-retry=1", name]).exit_code != 0


def fetches(container: RunningContainer, name: str) -> bool:
    """Whether a container is answered by another's service."""
    return container.exec(["wget", "-q", "-O", "-", f"http://{name}/"]).stdout == "hello\n"


@pytest.mark.container("busybox:stable", name="a", command=SERVE, aliases=["first"], ports=[80])
@pytest.mark.container("busybox:stable", name="b", command=SLEEP)
def test_containers_of_one_test_reach_each_other_by_name(containers: dict[str, RunningContainer]) -> None:
    a, b = containers["a"], containers["b"]
    assert fetches(b, "a")
    assert fetches(b, "first")
    assert finds(a, "b")
    assert a.network.name == b.network.name
    assert a.network.driver == "bridge"


def test_containers_of_different_tests_do_not_meet(suite: Suite) -> None:
    """Also where both live as long as the session, and have one name."""
    outcome = suite.run(
        """
        import pytest

        SLEEP = ["sleep", "1000"]

        @pytest.mark.container("busybox:stable", name="db", command=SLEEP, env={"ME": "1"}, scope="session")
        def test_first(container):
            test_first.ip = container.ip

        @pytest.mark.container("busybox:stable", name="db", command=SLEEP, env={"ME": "2"}, scope="session")
        @pytest.mark.container("busybox:stable", name="client", command=SLEEP, scope="session")
        def test_second(containers):
            client = containers["client"]
            assert client.exec(["nslookup", "db"]).stdout.count(containers["db"].ip) == 1
            assert test_first.ip not in client.exec(["nslookup", "db"]).stdout
            assert client.exec(["timeout", "2", "ping", "-c", "1", "-W", "1", test_first.ip]).exit_code != 0
        """
    )
    outcome.ended(passed=2)
    assert len(outcome.containers) == 3


def test_a_wide_container_joins_each_test_and_keeps_its_port(suite: Suite) -> None:
    """A session's database is found by every test's own service, and its published port stays."""
    outcome = suite.run(
        """
        import pytest
        from urllib.request import urlopen

        seen = set()

        @pytest.mark.parametrize("number", range(3))
        @pytest.mark.container("busybox:stable", name="db", ports=[80], scope="session",
                               command=["sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"])
        @pytest.mark.container("busybox:stable", name="api", command=["sleep", "1000"], depends_on=["db"])
        def test_stack(containers, number):
            db, api = containers["db"], containers["api"]
            assert api.exec(["wget", "-q", "-O", "-", "http://db/"]).stdout == "hello\\n"
            assert db.exec(["nslookup", "api"]).exit_code == 0
            assert len(db.networks) == 2
            db.refresh()
            assert urlopen(db.url(80)).read() == b"hello\\n"
            seen.add((db.id, db.port(80)))
            assert len(seen) == 1
        """
    )
    outcome.ended(passed=3)
    assert len(outcome.containers) == 4


def test_a_marker_container_and_a_fixture_of_one_test_reach_each_other(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("busybox:stable", name="api", command=["sleep", "1000"])
        def test_both(container, store):
            assert container.exec(["nslookup", "store"]).exit_code == 0
            assert store.exec(["nslookup", "api"]).exit_code == 0

        def test_store_has_left_the_other_network(store):
            assert len(store.networks) == 1
            assert store.exec(["nslookup", "-timeout=1", "-retry=1", "api"]).exit_code != 0
        """,
        conftest="""
        from pytest_dockerkit import container_fixture

        store = container_fixture("busybox:stable", command=["sleep", "1000"], scope="session")
        """,
    )
    outcome.ended(passed=2)


@pytest.mark.container("busybox:stable", name="inside", command=SERVE, ports=[80], network="internal")
@pytest.mark.container("busybox:stable", name="outside", command=SERVE, ports=[80])
def test_an_internal_network_has_no_way_out_and_the_host_still_gets_in(
    containers: dict[str, RunningContainer],
) -> None:
    inside, outside = containers["inside"], containers["outside"]
    assert inside.network.internal
    assert not outside.network.internal
    assert inside.exec(["timeout", "3", "wget", "-q", "-O", "-", f"http://{outside.ip}/"]).exit_code != 0
    assert urlopen(inside.url(80)).read() == b"hello\n"
    assert inside.address(80) == (inside.ip, 80)


@pytest.mark.container("busybox:stable", command=SERVE, ports=[80], network="bridge")
def test_dockers_own_bridge(container: RunningContainer) -> None:
    assert container.network.name == "bridge"
    assert urlopen(container.url(80)).read() == b"hello\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_host_network_serves_on_the_hosts_own_ports(dockerkit: Kit) -> None:
    number = free_port()
    command = ["httpd", "-f", "-p", f"127.0.0.1:{number}", "-h", "/bin"]
    spec = ContainerSpec(image="busybox:stable", network="host", command=command, wait=probes.port(number))
    with dockerkit.run(spec) as container:
        assert container.address(number) == ("127.0.0.1", number)
        assert urlopen(container.url(number, "busybox")).status == 200


@pytest.mark.container("busybox:stable", command=SLEEP, network="none")
def test_without_a_network_there_is_the_loopback_alone(container: RunningContainer) -> None:
    assert container.exec(["ls", "/sys/class/net"]).stdout.split() == ["lo"]
    assert container.ip == ""


def test_a_spec_of_its_own_with_a_subnet(dockerkit: Kit) -> None:
    """Two containers that one test gives an equal spec share the network."""
    third = uuid.uuid4().int % 250
    network = NetworkSpec(subnet=f"10.231.{third}.0/24", gateway=f"10.231.{third}.1", labels={"mine": "yes"})
    spec = ContainerSpec(image="busybox:stable", command=SLEEP, network=network)
    with dockerkit.run(spec, name="one") as one, dockerkit.run(spec, name="two") as two:
        assert one.network.name == two.network.name
        assert one.network.subnet == f"10.231.{third}.0/24"
        assert one.ip.startswith(f"10.231.{third}.")
        assert one.network.inspect()["Labels"]["mine"] == "yes"
        assert finds(one, "two")


def test_a_network_of_the_kit_connects_and_disconnects(dockerkit: Kit) -> None:
    with dockerkit.network(internal=True) as network:
        assert network.internal
        with dockerkit.run("busybox:stable", command=SLEEP, network=network, name="in") as inside:
            assert inside.network is network
            with dockerkit.run("busybox:stable", command=SLEEP, network="bridge", name="out") as outside:
                assert misses(inside, "guest")
                network.connect(outside, aliases=["guest"])
                assert finds(inside, "guest")
                assert network in outside.networks
                network.disconnect(outside)
                assert misses(inside, "guest")
                assert network not in outside.networks
    assert network.inspect() == {}


def test_several_networks_of_one_container(dockerkit: Kit) -> None:
    with dockerkit.network() as front, dockerkit.network(internal=True) as back:
        spec = ContainerSpec(image="busybox:stable", command=SLEEP, network=[front, back], name="both")
        with dockerkit.run(spec) as both:
            assert both.networks == (front, back)
            assert set(both.inspect()["NetworkSettings"]["Networks"]) == {front.name, back.name}
            with dockerkit.run("busybox:stable", command=SLEEP, network=back, name="behind") as behind:
                assert finds(behind, "both")


@pytest.fixture
def kept_network(docker_client: docker.DockerClient) -> Iterator[str]:
    made = docker_client.networks.create(f"kept-{uuid.uuid4().hex[:8]}")
    yield str(made.name)
    made.remove()


def test_an_external_network_is_used_and_never_removed(
    dockerkit: Kit, docker_client: docker.DockerClient, kept_network: str
) -> None:
    with dockerkit.run("busybox:stable", command=SLEEP, network=external(kept_network)) as container:
        assert container.network.name == kept_network
        container.network.remove()
    assert docker_client.networks.list(names=[kept_network])


def test_an_external_network_that_does_not_exist_is_told(dockerkit: Kit) -> None:
    with pytest.raises(SpecError) as caught:
        dockerkit.run("busybox:stable", command=SLEEP, network=external("no-such-network"))
    assert str(caught.value) == (
        "the network 'no-such-network' does not exist on the engine\n"
        "  saw:  external('no-such-network')\n"
        "  mend: docker network create no-such-network, or let the plugin make one: network_fixture()"
    )


def test_what_the_engine_cannot_do_is_told_with_its_answer(dockerkit: Kit) -> None:
    with pytest.raises(EngineError) as caught:
        # Of a driver that it does not know, it would look for a plugin for 15 s.
        dockerkit.network(options={"com.docker.network.bridge.enable_icc": "perhaps"})
    assert "perhaps" in caught.value.saw
    assert caught.value.what.startswith("the engine could not create the network dockerkit-")


@pytest.mark.container("busybox:stable", command=SLEEP, ports=[80], wait=probes.running())
def test_published_ports_are_bound_to_the_loopback(container: RunningContainer) -> None:
    bindings = container.inspect()["NetworkSettings"]["Ports"]["80/tcp"]
    assert [each["HostIp"] for each in bindings] == ["127.0.0.1"]
    assert container.address(80) == ("127.0.0.1", int(bindings[0]["HostPort"]))
    with pytest.raises(PortNotPublishedError) as caught:
        container.port(81)
    assert str(caught.value) == (
        "container 'container' does not publish port 81/tcp\n"
        "  saw:  published: 80/tcp; status running\n"
        "  mend: ports=[81]"
    )


def test_a_port_of_the_hosts_own_and_of_all_addresses(dockerkit: Kit) -> None:
    number = free_port()
    spec = ContainerSpec(
        image="busybox:stable",
        command=SLEEP,
        ports=[f"{number}:80", "0.0.0.0::81", "53/udp"],
        wait=probes.running(),
    )
    with dockerkit.run(spec) as container:
        assert container.address(80) == ("127.0.0.1", number)
        assert container.host == "127.0.0.1"
        assert container.inspect()["NetworkSettings"]["Ports"]["81/tcp"][0]["HostIp"] == "0.0.0.0"
        assert container.address(81)[0] == "127.0.0.1"
        assert container.port("53/udp") > 0


@pytest.mark.container("busybox:stable", command=SERVE, name="a", ports=[80])
@pytest.mark.container("busybox:stable", command=SLEEP, name="b")
def test_a_container_is_cut_off_for_a_block(containers: dict[str, RunningContainer]) -> None:
    a, b = containers["a"], containers["b"]
    with a.disconnect():
        assert misses(b, "a")
    assert fetches(b, "a")
    assert a.network is b.network


def test_a_network_that_is_used_again_has_nobody_of_before_in_it(suite: Suite) -> None:
    """Networks go from test to test, and nobody stays in one: neither its containers nor those that had joined it."""
    outcome = suite.run(
        """
        import pytest

        SLEEPS = dict(command=["sleep", "1000"])

        @pytest.mark.container("busybox:stable", name="db", scope="session", **SLEEPS)
        @pytest.mark.container("busybox:stable", name="api", **SLEEPS)
        @pytest.mark.parametrize("number", range(3))
        def test_with_two(containers, number):
            assert containers["api"].exec(["nslookup", "db"]).exit_code == 0

        @pytest.mark.container("busybox:stable", name="api", **SLEEPS)
        @pytest.mark.parametrize("number", range(6))
        def test_with_one(container, number, docker_client):
            found = docker_client.api.inspect_network(container.network.id)["Containers"]
            assert [*found] == [container.id]
            assert container.exec(["nslookup", "-timeout=1", "-retry=1", "db"]).exit_code != 0
        """,
    )
    outcome.ended(passed=9)
    networks = [name for each in outcome.containers for name in each["NetworkSettings"]["Networks"]]
    # One for the session, and of those of nine tests fewer than nine.
    assert len({*networks}) < 9


def test_a_foreign_container_in_our_network_does_not_keep_it(suite: Suite) -> None:
    """Somebody's own container is cut off, and lives on."""
    name = f"foreign-{uuid.uuid4().hex[:8]}"
    try:
        suite.run(
            f"""
            import pytest

            @pytest.mark.container("busybox:stable", command=["sleep", "1000"])
            def test_one(container, docker_client):
                docker_client.containers.run(
                    "busybox:stable", ["sleep", "1000"], name="{name}", network=container.network.name, detach=True)
            """
        ).ended(passed=1)
        running = subprocess.run(
            ["docker", "inspect", "-f", "{{.State.Status}}", name], capture_output=True, check=True
        )
        assert running.stdout == b"running\n"
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=True)


def test_the_kits_network_is_left_with_its_last_container(dockerkit: Kit) -> None:
    with dockerkit.run("busybox:stable", command=SLEEP) as one:
        with dockerkit.run("busybox:stable", command=SLEEP) as two:
            assert two.network is one.network
            assert finds(one, "busybox-2")
        assert one.network.inspect() != {}
        with dockerkit.run("busybox:stable", command=SLEEP) as three:
            assert three.network is one.network
            network = one.network
    # It is there for the next, or is removed.
    assert not network.inspect().get("Containers")
