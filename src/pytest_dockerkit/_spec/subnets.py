"""Subnets for networks: the pools that they are taken from, in which order, and what is in their way.

Addresses are numbers here, not `ipaddress`: the machine's routes are read anew for each network, and there may be
hundreds of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Literal

    from pytest_dockerkit._spec.network import NetworkSpec

#: The word for no pools.
ENGINE = "engine"
#: The smallest subnet has 8 addresses: its own, the gateway's, the broadcast's, and those of five containers.
MAX_SIZE = 29

_FORM = "base=10.213.0.0/16,size=24; several are separated by spaces; engine leaves the choice to the engine"
_BITS = 32
#: A default route has prefix 0; VPN clients put two of prefix 1 in its place, which together say the same.
_DEFAULT_ROUTE = 1


class Block(NamedTuple):
    """The IPv4 addresses that have their first `prefix` bits in common."""

    address: int
    prefix: int

    def __str__(self) -> str:
        octets = self.address.to_bytes(4, "big")
        return f"{'.'.join(map(str, octets))}/{self.prefix}"

    def overlaps(self, other: Block) -> bool:
        """Tell whether any address is in both."""
        shift = _BITS - min(self.prefix, other.prefix)
        return self.address >> shift == other.address >> shift

    def holds(self, other: Block) -> bool:
        """Tell whether all of the other's addresses are in this one."""
        return self.prefix <= other.prefix and self.overlaps(other)


#: What no network of containers can have: this host, loopback, multicast and what is reserved.
#: Source: IANA IPv4 Special-Purpose Address Registry; RFC 5771; RFC 1112.
_UNUSABLE = (Block(0, 8), Block(127 << 24, 8), Block(224 << 24, 3))


@dataclass(frozen=True)
class Pool:
    """A block that is divided into subnets.

    Attributes:
        base: the block.
        size: the prefix of the subnets.
    """

    base: Block
    size: int

    def __len__(self) -> int:
        return 1 << (self.size - self.base.prefix)

    def __str__(self) -> str:
        return f"base={self.base},size={self.size}"

    def __getitem__(self, index: int) -> Block:
        return Block(self.base.address | index << (_BITS - self.size), self.size)


class Course:
    """The order in which one process tries the subnets of a pool: from somewhere on, through all of them.

    Those of two processes differ in where they begin and in how far they go with each step, so that they meet
    rarely and part again.
    """

    def __init__(self, pool: Pool, seed: str) -> None:
        self.pool = pool
        self.seed = seed

    @cached_property
    def _start_and_stride(self) -> tuple[int, int]:
        numbers = hashlib.sha256(self.seed.encode()).digest()
        # An odd stride comes by each of 2ⁿ places before it comes by one again.
        return int.from_bytes(numbers[:8], "big"), int.from_bytes(numbers[8:16], "big") | 1

    def __getitem__(self, step: int) -> Block:
        start, stride = self._start_and_stride
        return self.pool[(start + step * stride) % len(self.pool)]


class Obstacles:
    """Blocks that are in use, to be asked about subnets of one size."""

    def __init__(self, blocks: Iterable[Block], size: int) -> None:
        self._shift = _BITS - size
        self._within: set[int] = set()
        self._around: list[Block] = []
        for block in blocks:
            if block.prefix >= size:
                self._within.add(block.address >> self._shift)
            else:
                self._around.append(block)

    def cover(self, pool: Pool) -> bool:
        """Tell whether one block has the whole pool."""
        return any(block.holds(pool.base) for block in self._around)

    def overlap(self, subnet: Block) -> bool:
        """Tell whether any address of the subnet is in use."""
        return subnet.address >> self._shift in self._within or any(map(subnet.overlaps, self._around))


def takes_subnet(spec: NetworkSpec) -> bool:
    """Tell whether a network is to be given a subnet: it has none, and is of the kind that has IPv4 alone."""
    return spec.subnet is None and spec.driver == "bridge" and not spec.ipv6


def parse_routes(table: str, byteorder: Literal["little", "big"]) -> tuple[Block, ...]:
    """Read Linux's `/proc/net/route`: its IPv4 routes but for the default route.

    Args:
        table: what is in the file.
        byteorder: the machine's, in which the addresses in it are written.
    """

    def number(digits: str) -> int:
        return int.from_bytes(int(digits, 16).to_bytes(4, byteorder), "big")

    routes: dict[Block, None] = {}
    for line in table.splitlines()[1:]:
        words = line.split()
        block = Block(number(words[1]), number(words[7]).bit_count())
        if block.prefix > _DEFAULT_ROUTE:
            routes[block] = None
    return tuple(routes)


def parse_pools(text: str) -> tuple[Pool, ...]:
    """Read the setting of the subnets: `base=10.213.0.0/16,size=24`, several separated by spaces; `engine` is none.

    The form is that of Docker's own `--default-address-pool`.

    Raises:
        SpecError: a part is malformed, or two pools overlap.
    """
    words = text.split()
    if words == [ENGINE]:
        return ()
    pools = tuple(_pool(word) for word in words)
    for one, other in combinations(pools, 2):
        if one.base.overlaps(other.base):
            raise _wrong("two pools of subnets overlap", f"{one} {other}", "name other addresses for one of them")
    return pools


def _pool(word: str) -> Pool:
    fields = [each.partition("=") for each in word.split(",")]
    named = {name: value for name, _, value in fields}
    if named.keys() != {"base", "size"} or len(fields) > len(named):
        raise _wrong("a pool of subnets is given in another form than base=ADDRESS/PREFIX,size=PREFIX", word, _FORM)
    base = _base(word, named["base"])
    size = _small(named["size"], range(1, MAX_SIZE + 1))
    if size is None:
        why = f"size= of a pool of subnets is not a prefix length between 1 and {MAX_SIZE}"
        raise _wrong(why, word, f"size=24 for subnets of 256 addresses, size={MAX_SIZE} for such of 8")
    if size < base.prefix:
        mend = "name a larger base or a larger size: base=10.213.0.0/16,size=24 has 256 subnets"
        raise _wrong("the subnets of a pool are larger than the pool", word, mend)
    return Pool(base, size)


def _base(word: str, text: str) -> Block:
    written, _, behind = text.partition("/")
    if ":" in written:
        mend = "an IPv4 network, such as 10.213.0.0/16; what has ipv6=True gets its addresses from the engine"
        raise _wrong("base= of a pool of subnets is an IPv6 network", word, mend)
    octets = [_small(each, range(256)) for each in written.split(".")]
    prefix = _small(behind, range(1, _BITS + 1))
    if len(octets) != 4 or None in octets or prefix is None:
        why = "base= of a pool of subnets is not an IPv4 network"
        raise _wrong(why, word, "ADDRESS/PREFIX, such as base=10.213.0.0/16")
    address = int.from_bytes(bytes(each or 0 for each in octets), "big")
    block = Block(address >> (_BITS - prefix) << (_BITS - prefix), prefix)
    if block.address != address:
        raise _wrong(f"base= of a pool of subnets has bits behind its prefix of {prefix}", word, f"base={block}")
    if any(map(block.overlaps, _UNUSABLE)):
        why = "base= of a pool of subnets has addresses that no container can have"
        raise _wrong(why, word, "a private network, such as base=10.213.0.0/16")
    return block


def _small(digits: str, allowed: Collection[int]) -> int | None:
    """Read a number as it is written in addresses: none has a leading zero, which other programs read as octal."""
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= 3
    return int(digits) if is_number and str(int(digits)) == digits and int(digits) in allowed else None


def _wrong(what: str, saw: str, mend: str) -> SpecError:
    return SpecError(what, saw=f"dockerkit_subnets: {saw!r}", mend=mend)
