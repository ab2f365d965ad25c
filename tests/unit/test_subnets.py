"""Subnets: pools, the order in which their subnets are tried, and what is in their way."""

from __future__ import annotations

import ipaddress
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Literal

import pytest

from pytest_dockerkit import NetworkSpec
from pytest_dockerkit._engine.subnet_taken import no_subnet_left, subnet_taken
from pytest_dockerkit._runtime.settings import DEFAULT_SUBNETS, Settings, read_subnets
from pytest_dockerkit._runtime.subnets import MAX_REFUSALS, Subnets
from pytest_dockerkit._spec.subnets import (
    Block,
    Course,
    Obstacles,
    Pool,
    parse_pools,
    parse_routes,
    takes_subnet,
)
from pytest_dockerkit.errors import ConflictError, EngineError
from tests.unit.refusals import refusal

if TYPE_CHECKING:
    from pathlib import Path

#: What engines have answered; those of Docker's bridge driver, of a gateway and of CNI are from their sources.
TAKEN = [
    "Pool overlaps with other one on this address space",
    "invalid pool request: Pool overlaps with other one on this address space",
    "cannot create network 1a2b (br-1a2b): conflicts with network 3c4d (br-3c4d): networks have overlapping IPv4",
    "failed to allocate gateway (10.0.0.1): Address already in use",
    "subnet 10.0.0.0/24 is already used on the host or by another config",
    "network 10.0.0.0/24 is being used by a network interface",
    "network 10.0.0.0/24 is already being used by a cni configuration",
]
NONE_LEFT = [
    "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
    "all predefined address pools have been fully subnetted",
    "could not find free subnet from subnet pools",
]


def block(text: str) -> Block:
    """Read a block as `ipaddress` does."""
    network = ipaddress.IPv4Network(text)
    return Block(int(network.network_address), network.prefixlen)


def some_block(numbers: random.Random) -> Block:
    """Make a block out of few enough that many of them overlap."""
    prefix = numbers.randrange(1, 33)
    return Block(numbers.randrange(16) << 28 & (0xFFFFFFFF << (32 - prefix)), prefix)


# Pools


@pytest.mark.parametrize(
    ("text", "pools"),
    [
        ("engine", []),
        ("base=10.213.0.0/16,size=24", [("10.213.0.0/16", 24)]),
        ("size=29,base=192.168.7.0/24", [("192.168.7.0/24", 29)]),
        ("base=10.0.0.0/24,size=24", [("10.0.0.0/24", 24)]),
        ("base=10.0.0.0/8,size=26\n  base=172.31.0.0/16,size=20\t", [("10.0.0.0/8", 26), ("172.31.0.0/16", 20)]),
    ],
)
def test_pools(text: str, pools: list[tuple[str, int]]) -> None:
    assert parse_pools(text) == tuple(Pool(block(base), size) for base, size in pools)
    assert read_subnets(f" {text} ") == text.strip()


_FORM = "base=10.213.0.0/16,size=24; several are separated by spaces; engine leaves the choice to the engine"
_NO_FORM = "a pool of subnets is given in another form than base=ADDRESS/PREFIX,size=PREFIX"
_NO_NETWORK = "base= of a pool of subnets is not an IPv4 network"
_NETWORK = "ADDRESS/PREFIX, such as base=10.213.0.0/16"
_NO_SIZE = "size= of a pool of subnets is not a prefix length between 1 and 29"
_SIZE = "size=24 for subnets of 256 addresses, size=29 for such of 8"
_UNUSABLE = "base= of a pool of subnets has addresses that no container can have"
_PRIVATE = "a private network, such as base=10.213.0.0/16"


@pytest.mark.parametrize(
    ("text", "saw", "what", "mend"),
    [
        ("10.213.0.0/16", None, _NO_FORM, _FORM),
        ("base=10.213.0.0/16", None, _NO_FORM, _FORM),
        ("base=10.213.0.0/16, size=24", "base=10.213.0.0/16,", _NO_FORM, _FORM),
        ("base=10.213.0.0/16,size=24,size=25", None, _NO_FORM, _FORM),
        ("base=10.213.0.0/16,size=24,gateway=1", None, _NO_FORM, _FORM),
        ("engine base=10.213.0.0/16,size=24", "engine", _NO_FORM, _FORM),
        ("base=10.213.0.0,size=24", None, _NO_NETWORK, _NETWORK),
        ("base=10.213.0.0/33,size=24", None, _NO_NETWORK, _NETWORK),
        ("base=10.213.0/16,size=24", None, _NO_NETWORK, _NETWORK),
        ("base=10.213.0.256/16,size=24", None, _NO_NETWORK, _NETWORK),
        ("base=10.0213.0.0/16,size=24", None, _NO_NETWORK, _NETWORK),
        ("base=10.²1.0.0/16,size=24", None, _NO_NETWORK, _NETWORK),
        ("base=example.com/16,size=24", None, _NO_NETWORK, _NETWORK),
        (
            "base=fd00::/8,size=24",
            None,
            "base= of a pool of subnets is an IPv6 network",
            "an IPv4 network, such as 10.213.0.0/16; what has ipv6=True gets its addresses from the engine",
        ),
        (
            "base=10.213.7.1/16,size=24",
            None,
            "base= of a pool of subnets has bits behind its prefix of 16",
            "base=10.213.0.0/16",
        ),
        ("base=127.0.0.0/16,size=24", None, _UNUSABLE, _PRIVATE),
        ("base=224.0.0.0/4,size=24", None, _UNUSABLE, _PRIVATE),
        ("base=0.0.0.0/1,size=24", None, _UNUSABLE, _PRIVATE),
        ("base=10.213.0.0/16,size=30", None, _NO_SIZE, _SIZE),
        ("base=10.213.0.0/16,size=-1", None, _NO_SIZE, _SIZE),
        ("base=10.213.0.0/16,size=", None, _NO_SIZE, _SIZE),
        (
            "base=10.213.0.0/16,size=15",
            None,
            "the subnets of a pool are larger than the pool",
            "name a larger base or a larger size: base=10.213.0.0/16,size=24 has 256 subnets",
        ),
        (
            "base=10.213.0.0/16,size=24 base=10.213.128.0/17,size=28",
            None,
            "two pools of subnets overlap",
            "name other addresses for one of them",
        ),
    ],
)
def test_pools_that_make_no_sense(text: str, saw: str | None, what: str, mend: str) -> None:
    assert refusal(lambda: read_subnets(text)) == (
        f"{what}\n  saw:  dockerkit_subnets: {(saw or text)!r}\n  mend: {mend}"
    )


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_who_sets_nothing_has_the_default(text: str | None) -> None:
    """It has 256 subnets, in each of which 64 containers have room beside the gateway."""
    assert read_subnets(text) == DEFAULT_SUBNETS == Settings().subnets
    (pool,) = parse_pools(DEFAULT_SUBNETS)
    assert len(pool) == 256
    assert ipaddress.IPv4Network(str(pool[0])).num_addresses >= 64 + 3


def test_the_default_is_not_parsed() -> None:
    """Every run reads its settings, and few of them need a network."""
    program = (
        "import sys; from pytest_dockerkit._runtime.settings import read_subnets; read_subnets(None); "
        "print([each for each in sys.modules if each.endswith('.subnets')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("spec", "takes"),
    [
        (NetworkSpec(), True),
        (NetworkSpec(internal=True, options={"com.docker.network.driver.mtu": "1400"}), True),
        (NetworkSpec(subnet="10.99.0.0/24"), False),
        (NetworkSpec(ipv6=True), False),
        (NetworkSpec(driver="macvlan", parent="eth0"), False),
        (NetworkSpec(driver="overlay", attachable=True), False),
    ],
)
def test_which_networks_are_given_one(spec: NetworkSpec, takes: bool) -> None:
    assert takes_subnet(spec) is takes


# Which, and in which order


def test_the_subnets_of_a_pool_are_those_of_ipaddress() -> None:
    for base, size in (("10.213.0.0/16", 24), ("192.168.7.128/25", 29), ("10.1.2.0/24", 24)):
        pool = Pool(block(base), size)
        wanted = ipaddress.IPv4Network(base).subnets(new_prefix=size)
        assert [str(pool[index]) for index in range(len(pool))] == list(map(str, wanted))


@pytest.mark.parametrize("size", [16, 17, 20, 24])
def test_a_course_goes_through_all_of_them(size: int) -> None:
    pool = Pool(block("10.213.0.0/16"), size)
    course = Course(pool, "run-gw0")
    assert {course[step] for step in range(len(pool))} == {pool[index] for index in range(len(pool))}
    assert course[len(pool)] == course[0]


def test_processes_begin_elsewhere() -> None:
    """Eight workers with 16 networks each, which are half of the pool: most of what they try is free."""
    pool = Pool(block("10.213.0.0/16"), 24)
    taken = [Course(pool, f"3f2a-gw{number}")[step] for number in range(8) for step in range(16)]
    assert len({Course(pool, f"3f2a-gw{number}")[0] for number in range(8)}) > 1
    assert len(set(taken)) > len(taken) / 2


def test_overlaps_are_those_of_ipaddress() -> None:
    numbers = random.Random(4)
    for _ in range(500):
        one, other = some_block(numbers), some_block(numbers)
        here, there = ipaddress.IPv4Network(str(one)), ipaddress.IPv4Network(str(other))
        assert one.overlaps(other) == here.overlaps(there)
        assert one.holds(other) == there.subnet_of(here)


def test_what_is_in_the_way() -> None:
    numbers = random.Random(5)
    for _ in range(100):
        blocks = [some_block(numbers) for _ in range(3)]
        subnet = some_block(numbers)
        obstacles = Obstacles(blocks, subnet.prefix)
        assert obstacles.overlap(subnet) == any(map(subnet.overlaps, blocks))


def test_a_route_that_has_the_whole_pool() -> None:
    pool = Pool(block("10.213.0.0/16"), 24)
    assert Obstacles([block("10.0.0.0/8")], 24).cover(pool)
    assert Obstacles([block("10.213.0.0/16")], 24).cover(pool)
    assert not Obstacles([block("10.213.0.0/17"), block("10.213.128.0/24"), block("11.0.0.0/8")], 24).cover(pool)


# Routes

_HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT      \n"


def table(*routes: tuple[str, str], byteorder: Literal["little", "big"] = "little") -> str:
    """Write the file as Linux does: addresses are printed as the numbers that they are in memory."""

    def number(address: str) -> str:
        return f"{int.from_bytes(ipaddress.IPv4Address(address).packed, byteorder):08X}"

    lines = [f"eth0\t{number(to)}\t00000000\t0001\t0\t0\t0\t{number(mask)}\t0\t0\t0    \n" for to, mask in routes]
    return _HEAD + "".join(lines)


def test_the_routes_of_a_machine() -> None:
    """As one has written it."""
    text = _HEAD + (
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert list(map(str, parse_routes(text, "little"))) == ["172.17.0.0/16", "192.0.2.0/24"]


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_routes_on_any_machine(byteorder: Literal["little", "big"]) -> None:
    routes = (("10.213.4.0", "255.255.255.252"), ("10.8.0.1", "255.255.255.255"), ("10.8.0.1", "255.255.255.255"))
    found = parse_routes(table(*routes, byteorder=byteorder), byteorder)
    assert list(map(str, found)) == ["10.213.4.0/30", "10.8.0.1/32"]


def test_default_routes_do_not_count() -> None:
    """Nor do the two halves that VPN clients put in place of one: else no address would be left."""
    halves = (("0.0.0.0", "0.0.0.0"), ("0.0.0.0", "128.0.0.0"), ("128.0.0.0", "128.0.0.0"))
    assert parse_routes(table(*halves), "little") == ()
    assert parse_routes("", "little") == ()


# Proposals


def subnets(text: str, seed: str = "run-main") -> Subnets:
    """Give the subnets of one process whose engine runs elsewhere."""
    return Subnets(Settings(subnets=text), local=False, seed=seed)


def refused(said: str) -> EngineError:
    return EngineError("the engine could not create the network n", saw=said, mend="…")


def test_the_routes_of_the_machine_are_heeded_as_they_are_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker would take what it is told, be it the local network: nobody but us looks."""
    file = tmp_path / "route"
    monkeypatch.setattr("pytest_dockerkit._runtime.subnets.ROUTES", file)
    settings = Settings(subnets="base=10.213.0.0/24,size=26 base=10.214.0.0/25,size=25")
    here, elsewhere = (Subnets(settings, local=local, seed="run-main") for local in (True, False))

    def proposed(who: Subnets) -> set[str | None]:
        made = [who.make(lambda subnet: subnet) for _ in range(5)]
        for subnet in made:
            who.give_back(subnet or "")
        return set(made)

    everything = {f"10.213.0.{host}/26" for host in (0, 64, 128, 192)} | {"10.214.0.0/25"}
    assert proposed(here) == everything
    file.write_text(
        table(("0.0.0.0", "0.0.0.0"), ("10.213.0.68", "255.255.255.252"), ("10.213.0.128", "255.255.255.128"))
    )
    assert proposed(here) == {"10.213.0.0/26", "10.214.0.0/25", None}
    file.write_text(table(("10.213.0.0", "255.255.0.0")))
    assert proposed(here) == {"10.214.0.0/25", None}
    file.write_text(table(("10.0.0.0", "255.0.0.0")))
    assert proposed(here) == {None}
    assert proposed(elsewhere) == everything


@pytest.mark.parametrize("said", TAKEN)
def test_a_subnet_that_is_taken_is_passed_over(said: str) -> None:
    asked: list[str | None] = []

    def create(subnet: str | None) -> str:
        asked.append(subnet)
        if len(asked) < 3:
            raise refused(said)
        return f"made with {subnet}"

    assert subnet_taken(refused(said))
    assert not no_subnet_left(refused(said))
    assert subnets("base=10.213.0.0/16,size=24").make(create) == f"made with {asked[2]}"
    assert len(set(asked)) == 3
    assert None not in asked


def test_another_failure_ends_it_and_the_subnet_is_free() -> None:
    failure = ConflictError("the engine could not create the network n", saw="network with name n already exists")

    def create(subnet: str | None) -> str:
        asked.append(subnet)
        raise failure

    asked: list[str | None] = []
    here = subnets("base=10.213.0.0/24,size=24")
    for _ in range(2):
        with pytest.raises(ConflictError) as caught:
            here.make(create)
        assert caught.value is failure
    assert asked == ["10.213.0.0/24"] * 2


def test_what_is_in_use_is_not_proposed() -> None:
    here = subnets("base=10.213.0.0/24,size=26 base=192.168.9.0/28,size=28")
    made = [here.make(lambda subnet: subnet) for _ in range(6)]
    assert sorted(map(str, made[:4])) == ["10.213.0.0/26", "10.213.0.128/26", "10.213.0.192/26", "10.213.0.64/26"]
    assert made[4:] == ["192.168.9.0/28", None]
    here.give_back("10.213.0.64/26")
    here.give_back("10.213.0.64/26")
    here.give_back("10.1.0.0/16")
    assert here.make(lambda subnet: subnet) == "10.213.0.64/26"
    assert here.make(lambda subnet: subnet) is None


def test_a_subnet_rests_while_there_are_others() -> None:
    """What was given back comes last, since the engine may still be at removing its network."""
    here = subnets("base=10.213.0.0/24,size=26")
    made = []
    for _ in range(5):
        made.append(here.make(str))
        here.give_back(made[-1])
    assert len(set(made[:4])) == 4
    assert made[4] == made[0]


def test_refusals_are_bounded() -> None:
    asked: list[str | None] = []

    def create(subnet: str | None) -> str | None:
        asked.append(subnet)
        if subnet is not None:
            raise refused(TAKEN[0])
        return subnet

    assert subnets("base=10.0.0.0/8,size=29").make(create) is None
    assert len(asked) == MAX_REFUSALS + 1


@pytest.mark.parametrize("said", NONE_LEFT)
def test_nothing_is_left_anywhere(said: str) -> None:
    def create(subnet: str | None) -> str:
        raise refused(said if subnet is None else TAKEN[0])

    here = subnets("base=10.213.0.0/24,size=26")
    assert here.make(lambda subnet: subnet) is not None
    with pytest.raises(EngineError) as caught:
        here.make(create)
    assert str(caught.value) == (
        "the engine could not create the network n\n"
        f"  saw:  {said}\n"
        "        dockerkit_subnets (base=10.213.0.0/24,size=26) has none either: 3 refused by the engine, "
        "0 on routes of this machine, 1 in use by this process\n"
        "  mend: remove networks that are left over (`docker network prune`), or name addresses that are free: "
        "dockerkit_subnets = base=10.99.0.0/16,size=24"
    )


def test_who_leaves_it_to_the_engine_is_told_of_the_setting() -> None:
    def create(subnet: str | None) -> str:
        assert subnet is None
        raise refused(NONE_LEFT[0])

    with pytest.raises(EngineError) as caught:
        subnets("engine").make(create)
    assert caught.value.saw == NONE_LEFT[0]
    assert "dockerkit_subnets = base=" in caught.value.mend
    assert subnets("engine").make(lambda subnet: subnet) is None
