"""Networks get small subnets of our own: more of them fit, and none is in anybody's way."""

from __future__ import annotations

import ipaddress
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import NetworkSpec
from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit._runtime.subnets import Subnets
from pytest_dockerkit._spec.subnets import Course, parse_pools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.plugin.conftest import Suite

#: The default pools of Docker have room for 31 networks, and its own bridge is one of them.
MORE_THAN_DOCKERS = 40


class Maker:
    """Makes networks on the real engine, internal ones since these are removed in half the time."""

    def __init__(self) -> None:
        self.daemon = Daemon()
        self.names: list[str] = []
        self.asked: list[str | None] = []

    def create(self, subnet: str | None) -> str:
        """Make one, and give its name."""
        name = f"pytest-dockerkit-test-{uuid.uuid4().hex}"
        self.asked.append(subnet)
        self.names.append(name)
        self.daemon.networks.create(name, NetworkSpec(internal=True, subnet=subnet), {})
        return name

    def subnet(self, name: str) -> str:
        """Say what the engine has given it."""
        facts = self.daemon.networks.inspect(name)
        assert facts is not None
        return str(facts["IPAM"]["Config"][0]["Subnet"])

    def close(self) -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(self.daemon.networks.remove, self.names))
        self.daemon.close()


@pytest.fixture
def maker() -> Iterator[Maker]:
    """What makes networks; all are removed at the end."""
    made = Maker()
    try:
        yield made
    finally:
        made.close()


def pool(prefix: int, size: int) -> str:
    """Choose a pool that no other test has, nor another run of this one."""
    first, number = ipaddress.IPv4Address("10.64.0.0"), random.SystemRandom().randrange(1 << (prefix - 10))
    return f"base={first + (number << (32 - prefix))}/{prefix},size={size}"


def subnets(setting: str, *, local: bool = True) -> Subnets:
    """Give the subnets of one process; all begin at the same place."""
    return Subnets(Settings(subnets=setting), local=local, seed="run-main")


def test_more_networks_at_once_than_docker_has_pools_for(maker: Maker) -> None:
    """Two runs that propose the same, one of them blind, each in several threads: all get what nobody else has."""
    setting = pool(20, 26)
    runs = [subnets(setting), subnets(setting, local=False)]
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda number: runs[number % 2].make(maker.create), range(MORE_THAN_DOCKERS)))
    made = [ipaddress.IPv4Network(maker.subnet(name)) for name in names]
    base = ipaddress.IPv4Network(setting.partition(",")[0].removeprefix("base="))
    assert len(set(made)) == MORE_THAN_DOCKERS
    assert all(each.prefixlen == 26 and each.subnet_of(base) for each in made)
    assert None not in maker.asked


def test_when_all_are_in_use_the_engine_chooses(maker: Maker) -> None:
    """Until one comes free again."""
    setting = pool(27, 29)
    here = subnets(setting)
    names = [here.make(maker.create) for _ in range(5)]
    ours = [str(parse_pools(setting)[0][index]) for index in range(4)]
    assert sorted(map(maker.subnet, names[:4])) == sorted(ours)
    assert maker.asked[4:] == [None]
    assert maker.subnet(names[4]) not in ours
    freed = maker.subnet(names[2])
    maker.daemon.networks.remove(names[2])
    here.give_back(freed)
    assert maker.subnet(here.make(maker.create)) == freed


@pytest.mark.parametrize("local", [True, False])
def test_a_network_that_is_there_is_in_the_way(maker: Maker, local: bool) -> None:
    """Its route is seen where the engine is local; elsewhere the engine says so. It may be larger than a subnet."""
    setting = pool(24, 28)
    first = Course(parse_pools(setting)[0], "run-main")[0]
    around = ipaddress.IPv4Network(str(first)).supernet(new_prefix=26)
    maker.create(str(around))
    name = subnets(setting, local=local).make(maker.create)
    refused = maker.asked[1:-1]
    assert not ipaddress.IPv4Network(maker.subnet(name)).overlaps(around)
    # Podman makes a bridge, and with it a route, when the first container comes.
    assert (refused == []) == (local and not maker.daemon.facts.podman)
    assert all(ipaddress.IPv4Network(each).overlaps(around) for each in refused if each)


@pytest.mark.parametrize("how", ["option", "ini", "environment"])
def test_a_wrong_pool_is_told_before_anything_runs(suite: Suite, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    setting = "base=10.213.0.0/16,size=30"
    suite.write({"test_inner.py": "def test_it(): pass\n"})
    if how == "ini":
        suite.write({"pytest.ini": f"[pytest]\ndockerkit_subnets = {setting}\n"})
    elif how == "environment":
        monkeypatch.setenv("DOCKERKIT_SUBNETS", setting)
    told = suite.run_files(*([f"--dockerkit-subnets={setting}"] if how == "option" else []))
    assert told.result.ret == pytest.ExitCode.USAGE_ERROR
    told.says(
        """
        ERROR: size= of a pool of subnets is not a prefix length between 1 and 29
          saw:  dockerkit_subnets: 'base=10.213.0.0/16,size=30'
          mend: size=24 for subnets of 256 addresses, size=29 for such of 8
        """
    )
