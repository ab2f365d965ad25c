"""Each of Docker's network drivers, and what is told where the engine, the kernel or the machine lacks something."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from pytest_dockerkit import NetworkSpec
from pytest_dockerkit.errors import CapabilityError, ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_dockerkit import Kit
    from tests.plugin.conftest import Suite

IMAGE = "busybox:stable"
LACKS = "the engine's machine has no interface 'nosuch0' for a macvlan network"
SERVES = ["httpd", "-f", "-p", "8080", "-h", "/etc"]


def ip(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *args], capture_output=True, text=True, check=False)


@pytest.fixture
def wire(subnet: str) -> Iterator[tuple[str, str]]:
    """An interface of this machine that may be a parent; at the other end of its wire this machine has an address."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only the superuser makes interfaces, with iproute2")
    number = uuid.uuid4().hex[:8]
    parent, end = f"dkp{number}", f"dke{number}"
    made = ip("link", "add", parent, "type", "veth", "peer", "name", end)
    if made.returncode != 0:
        pytest.skip(f"this machine makes no veth: {made.stderr.strip()}")
    try:
        address = subnet.replace(".0/24", ".1")
        for args in (
            ("addr", "add", f"{address}/24", "dev", end),
            ("link", "set", end, "up"),
            ("link", "set", parent, "up"),
        ):
            done = ip(*args)
            assert done.returncode == 0, done.stderr
        yield parent, address
    finally:
        ip("link", "del", end)


@pytest.fixture
def subnet() -> str:
    """One that no other test has at the same time, as far as chance can tell."""
    number = uuid.uuid4().int
    return f"10.{215 + number % 8}.{number // 8 % 256}.0/24"


def test_macvlan_and_ipvlan_are_on_the_wire_of_their_parent(
    dockerkit: Kit, wire: tuple[str, str], subnet: str
) -> None:
    """A port there is that of the container itself; readiness is asked of its own kernel."""
    parent, outside = wire
    lacks: list[str] = []
    for driver in ("macvlan", "ipvlan"):
        with contextlib.ExitStack() as stack:
            try:
                spec = NetworkSpec(driver=driver, parent=parent, subnet=subnet, gateway=outside)
                network = stack.enter_context(dockerkit.network(spec))
                web = stack.enter_context(dockerkit.run(IMAGE, command=SERVES, network=network, ports=[8080]))
            except CapabilityError as failure:
                lacks.append(failure.what)
                continue
            assert network.driver == driver
            assert network.subnet == subnet
            assert web.address(8080) == (web.ip, 8080)
            # From the other end of the wire, as from another machine.
            assert urlopen(web.url(8080, "/passwd")).read().startswith(b"root:")
            assert web.exec(["ip", "route"]).stdout.startswith(f"default via {outside} ")
            with web.partitioned():
                assert web.networks == ()
            assert web.address(8080) == (web.ip, 8080)
            if driver == "macvlan":
                with pytest.raises(ConflictError) as caught:
                    dockerkit.network(driver="macvlan", parent=parent)
                wanted = f"the interface '{parent}' is the parent of another macvlan network already"
                assert caught.value.what == wanted
    assert all("the kernel of the engine's machine has no " in each for each in lacks)


def test_a_parent_that_is_not_there_is_told(dockerkit: Kit) -> None:
    with pytest.raises(CapabilityError) as caught:
        dockerkit.network(driver="macvlan", parent="nosuch0")
    assert caught.value.what == LACKS


def test_it_skips_where_that_is_wanted(suite: Suite) -> None:
    source = """
        import pytest
        from pytest_dockerkit import NetworkSpec, network_fixture

        lan = network_fixture(driver="macvlan", parent="nosuch0")

        LAN = NetworkSpec(driver="macvlan", parent="nosuch0")

        @pytest.mark.container("busybox:stable", command="sleep 1000", network=LAN)
        def test_marked(container): pass

        def test_fixture(lan): pass

        def test_kit(dockerkit): dockerkit.network(driver="macvlan", parent="nosuch0")

        def test_other(): assert 0
        """
    outcome = suite.run(source, "-rs", "--dockerkit-missing-capability=skip").ended(skipped=3, failed=1)
    assert f"SKIPPED [1] test_inner.py:9: {LACKS}" in outcome.text
    outcome = suite.run(source).ended(failed=2, errors=2)
    assert outcome.text.count("  saw:  invalid subinterface vlan name nosuch0") == 3
