"""What a test does to networks for a block, and what it asserts about them."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from pytest_dockerkit import assert_reachable, assert_unreachable, external, probes
from pytest_dockerkit.errors import ContainerError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from pytest_dockerkit import Kit, Network, RunningContainer
    from pytest_dockerkit._engine.daemon import Daemon

IMAGE = "busybox:stable"
SERVES = ["httpd", "-f", "-p", "8080", "-h", "/etc"]


@pytest.fixture
def three(dockerkit: Kit) -> Iterator[tuple[Network, dict[str, RunningContainer]]]:
    """Three nodes that serve, in one network."""
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(dockerkit.network())
        nodes = {
            name: stack.enter_context(
                dockerkit.run(
                    IMAGE,
                    name=name,
                    command=SERVES,
                    network=network,
                    aliases=[f"{name}-too"],
                    stop_timeout=0,
                    ports=[8080],
                )
            )
            for name in ("a", "b", "c")
        }
        yield network, nodes


def place(container: RunningContainer) -> tuple[object, ...]:
    """Say where it is: its networks, with its address and its names in each."""
    networks = container.inspect()["NetworkSettings"]["Networks"]
    return container.ip, [
        (name, at["IPAddress"], sorted(set(at["Aliases"] or ()))) for name, at in sorted(networks.items())
    ]


def test_one_is_kept_apart_from_one_and_meets_all_others(
    three: tuple[Network, dict[str, RunningContainer]], daemon: Daemon
) -> None:
    network, nodes = three
    a, b, c = nodes.values()
    before = [place(each) for each in nodes.values()]
    assert_reachable(a, b)
    with contextlib.suppress(ZeroDivisionError), a.partitioned(from_=b):
        assert_unreachable(a, b, 8080)
        assert_unreachable(b, a, 8080)
        assert_unreachable(b, "a-too", 8080)
        for one, other in ((a, c), (c, a), (b, c), (c, b)):
            assert_reachable(one, other)
        assert_reachable(a, "c-too", 8080)
        assert urlopen(a.url(8080, "/passwd")).status == 200
        beside = a.network
        _ = 1 / 0
    assert [place(each) for each in nodes.values()] == before
    assert a.networks == (network,)
    assert daemon.networks.inspect(beside.name) is None
    assert_reachable(b, a)


def test_one_is_kept_apart_from_several_and_from_all(three: tuple[Network, dict[str, RunningContainer]]) -> None:
    network, nodes = three
    a, b, c = nodes.values()
    before = place(a)
    with a.partitioned(from_=[b, c]):
        assert_unreachable(a, b)
        assert_unreachable(c, a)
        assert_reachable(b, c)
    with a.partitioned():
        assert a.networks == ()
        assert_unreachable(a, b)
        assert_unreachable(b, a)
        with pytest.raises(ContainerError, match="share no network"), a.partitioned(from_=b):
            pass
    assert (place(a), a.network) == (before, network)
    a.kill()
    a.wait_exit()
    a.start()
    assert place(a) == before
    assert_reachable(b, a)


def test_an_address_that_it_cannot_have_again_is_another_one(
    three: tuple[Network, dict[str, RunningContainer]], dockerkit: Kit, docker_client: docker.DockerClient
) -> None:
    """Where somebody else has it, and in networks whose addresses the engine alone deals."""
    network, nodes = three
    a, b, c = nodes.values()
    lost = a.ip
    network.disconnect(b)
    with a.disconnect():
        network.connect(b, address=lost)
    assert b.ip == lost
    assert a.ip not in ("", lost)
    assert_reachable(c, a)
    there = docker_client.networks.create(f"theirs-{uuid.uuid4().hex}")
    try:
        with dockerkit.run(IMAGE, command=["sleep", "1000"], network=external(str(there.name))) as box:
            with box.disconnect():
                assert box.networks == ()
            assert box.ip
    finally:
        there.remove()


def test_what_makes_no_sense_is_refused(dockerkit: Kit) -> None:
    with dockerkit.run(IMAGE, name="box", command=["sleep", "1000"], network="host") as box:
        with pytest.raises(ContainerError) as caught, box.partitioned():
            pass
        assert "container 'box' cannot be cut off\n  saw:  network='host'\n  mend: give it" in str(caught.value)
    with dockerkit.run(IMAGE, name="box", command=["sleep", "1000"]) as box:
        with pytest.raises(SpecError, match="cannot be kept apart from itself"), box.partitioned(from_=box):
            pass
        with pytest.raises(SpecError, match="port= is missing"):
            assert_reachable(box, "elsewhere")


def test_what_is_not_so_is_told(three: tuple[Network, dict[str, RunningContainer]]) -> None:
    network, nodes = three
    a, b, _ = nodes.values()
    with pytest.raises(AssertionError) as caught:
        assert_reachable(a, b, 9999)
    what, saw, *_, mend = str(caught.value).splitlines()
    assert what == "container 'a' does not reach 'b' at port 9999"
    assert saw.startswith("  saw:  b:9999: ")
    assert (
        mend == f"  mend: see that it listens there at 0.0.0.0; networks of a: {network.name}; of b: {network.name}"
    )
    with pytest.raises(AssertionError) as caught:
        assert_unreachable(a, b)
    assert str(caught.value).startswith("container 'a' reaches 'b' at port 8080\n  saw:  b:8080: connected\n")


def test_an_image_without_a_shell_is_told(dockerkit: Kit) -> None:
    """That nothing was reached for want of a tool must not pass for a partition."""
    with dockerkit.run(IMAGE, name="bare", command=["sleep", "1000"]) as bare:
        bare.exec(["rm", "/bin/sh"], check=True)
        with pytest.raises(ContainerError) as caught:
            assert_unreachable(bare, "localhost", 80)
        assert caught.value.what == "container 'bare' has nothing to connect with"


def test_it_connects_with_python(dockerkit: Kit) -> None:
    with (
        dockerkit.run("python:3-slim", name="py", command=["sleep", "1000"], stop_timeout=0) as py,
        dockerkit.run(IMAGE, name="web", command=SERVES, wait=probes.port(8080), ports=[8080]) as web,
    ):
        assert_reachable(py, web)
        assert_unreachable(py, web, 81)
