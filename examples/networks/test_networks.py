"""Docker's networks, one after the other."""

from __future__ import annotations

import os
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread
from urllib.request import urlopen

import pytest

from pytest_dockerkit import NetworkSpec, assert_reachable, assert_unreachable, external

#: Two runs on one machine get in each other's way nowhere.
NUMBER = os.getpid() % 256
PORT = 20_000 + os.getpid() % 10_000

SERVER = {"image": "busybox:stable", "command": "httpd -f -p 8080 -h /etc"}
CLIENT = {"image": "busybox:stable", "command": "sleep 600"}


@pytest.mark.container(**SERVER, name="server", ports=[8080])
@pytest.mark.container(**CLIENT, name="client")
def test_isolated_containers_of_a_test_find_each_other(containers):
    client, server = containers["client"], containers["server"]
    assert client.exec("wget -qO- http://server:8080/passwd").stdout.startswith("root:")
    assert server.address(8080)[0] == "127.0.0.1"
    assert urlopen(server.url(8080, "/passwd")).status == 200


@pytest.mark.container(**SERVER, name="server", ports=[8080], network="internal")
@pytest.mark.container(**CLIENT, name="client", network="internal", host_access=True)
def test_internal_has_no_way_out(containers):
    client, server = containers["client"], containers["server"]
    assert_reachable(client, server)
    # The machine itself is in the network, in both directions.
    assert urlopen(server.url(8080, "/passwd")).status == 200
    with HTTPServer((client.network.gateway, 0), SimpleHTTPRequestHandler) as ours:
        Thread(target=ours.handle_request, daemon=True).start()
        assert_reachable(client, "host.docker.internal", ours.server_port)


def test_several_networks_make_a_front_and_a_back(dockerkit):
    with dockerkit.network() as front, dockerkit.network(internal=True) as back:
        outside = dockerkit.run(**CLIENT, name="outside", network=front)
        proxy = dockerkit.run(**SERVER, name="proxy", network=[front, back])
        database = dockerkit.run(**SERVER, name="database", network=back)
        assert_reachable(outside, proxy, 8080)
        assert_reachable(proxy, database, 8080)
        assert_unreachable(outside, database, 8080)


def test_subnet_is_of_your_choice(dockerkit):
    spec = NetworkSpec(
        subnet=f"10.211.{NUMBER}.0/24",
        gateway=f"10.211.{NUMBER}.254",
        options={"com.docker.network.driver.mtu": "1400"},
    )
    with dockerkit.network(spec) as network, dockerkit.run(**CLIENT, network=network) as client:
        assert client.ip.startswith(f"10.211.{NUMBER}.")
        assert f"default via 10.211.{NUMBER}.254" in client.exec("ip route").stdout
        assert client.exec("cat /sys/class/net/eth0/mtu").stdout == "1400\n"


def test_ipv6_is_asked_for(dockerkit):
    with dockerkit.network(ipv6=True, subnet=f"fd5c:1d0c:{NUMBER}::/64") as network:
        server = dockerkit.run(**SERVER, network=network)
        client = dockerkit.run(**CLIENT, network=network)
        address = server.inspect()["NetworkSettings"]["Networks"][network.name]["GlobalIPv6Address"]
        assert address.startswith(f"fd5c:1d0c:{NUMBER}::")
        assert_reachable(client, address, 8080)


@pytest.mark.container(**SERVER, network="bridge", ports=[8080])
def test_bridge_has_addresses_and_no_names(container):
    assert not container.network.has_names
    assert urlopen(container.url(8080, "/passwd")).status == 200


@pytest.mark.container(image="busybox:stable", command=f"httpd -f -p 127.0.0.1:{PORT} -h /etc", network="host")
def test_host_is_the_network_of_the_machine(container):
    assert container.url(PORT, "/passwd") == f"http://127.0.0.1:{PORT}/passwd"


@pytest.mark.container(**CLIENT, network="none")
def test_none_is_nobody_but_itself(container):
    assert container.exec("ls /sys/class/net").stdout.split() == ["lo"]
    assert container.ip == ""


def test_macvlan_is_a_machine_of_its_own(dockerkit):
    spec = NetworkSpec(driver="macvlan", parent=os.environ.get("PARENT"), subnet=f"10.212.{NUMBER}.0/24")
    with dockerkit.network(spec) as lan:
        server = dockerkit.run(**SERVER, network=lan, ports=[8080])
        client = dockerkit.run(**CLIENT, network=lan)
        # Where others on that wire reach it; its own host does not.
        assert server.address(8080) == (server.ip, 8080)
        assert_reachable(client, server)


def test_overlay_is_over_the_nodes_of_a_swarm(dockerkit):
    with dockerkit.network(driver="overlay", attachable=True) as mesh:
        server = dockerkit.run(**SERVER, network=mesh)
        client = dockerkit.run(**CLIENT, network=mesh)
        assert_reachable(client, server, 8080)


def test_external_is_there_already_and_stays(dockerkit, docker_client):
    there = docker_client.networks.create(f"theirs-{os.getpid()}")
    try:
        with dockerkit.run(**SERVER, name="theirs", network=external(there.name)) as server:
            assert server.network.name == there.name
            assert "theirs" in server.inspect()["NetworkSettings"]["Networks"][there.name]["Aliases"]
        assert docker_client.networks.get(there.id)
    finally:
        there.remove()
