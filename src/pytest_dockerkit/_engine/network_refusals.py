"""What engines say when they cannot make a network, or start a container in one, and what mends it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._spec.network import ON_A_WIRE
from pytest_dockerkit.errors import CapabilityError, ConflictError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_dockerkit._spec.network import NetworkSpec


class _Reason(NamedTuple):
    """Why an engine cannot make a network.

    Attributes:
        said: how engines say so; seen: Docker 20.10.24.
        kind: our error.
        what: what it means; the spec's values may be in it.
        mend: what the user can do.
    """

    said: str
    kind: type[EngineError]
    what: str
    mend: str


_REASONS = (
    # Source: moby, libnetwork/drivers/macvlan/macvlan_setup.go, createVlanLink.
    _Reason(
        r"invalid subinterface vlan name|failed to find master interface|interface \S+ not found",
        CapabilityError,
        "the engine's machine has no interface {parent} for a {driver} network",
        "name one that `ip link` shows there: parent='eth0', or 'eth0.10' for a VLAN that the engine makes on eth0",
    ),
    _Reason(
        r"is already using parent interface",
        ConflictError,
        "the interface {parent} is the parent of another {driver} network already",
        "share that one (a network_fixture of a wider scope, or external(…)), or name a VLAN: parent='{parent}.10'",
    ),
    _Reason(
        r"not a swarm manager|not part of a swarm",
        CapabilityError,
        "{driver} networks need a swarm, and this engine is in none",
        "docker swarm init, or another driver",
    ),
    _Reason(
        r'plugin "?[^" ]+"? not found|could not find plugin|could not resolve driver',
        CapabilityError,
        "the engine has no network driver {driver}",
        "docker plugin install it, or one of its own: bridge, macvlan, ipvlan, overlay",
    ),
)

#: What comes of a driver of which the kernel lacks a part.
_NOT_IN_KERNEL = r"operation not supported|not supported by (?:the )?kernel|protocol not supported"

#: How engines say that a container cannot be put into a network for want of something in the kernel. Source: moby,
#: libnetwork/drivers/ipvlan/ipvlan_setup.go and macvlan_setup.go.
_PORT_REFUSED = r"failed to create the (?P<driver>\w+) port: (?:operation not supported|protocol not supported)"


@contextmanager
def told_by(explain: Callable[[EngineError], EngineError]) -> Iterator[None]:
    """Let a refusal out of the block in other words, where there are any."""
    try:
        yield
    except EngineError as failure:
        if (meant := explain(failure)) is not failure:
            raise meant from None
        raise


def explained(failure: EngineError, spec: NetworkSpec) -> EngineError:
    """Give what an engine has refused for a network in words that say what is missing; else the refusal itself."""
    values = {"driver": spec.driver, "parent": repr(spec.parent) if spec.parent else "(none is named)"}
    for reason in _REASONS:
        if re.search(reason.said, failure.saw):
            mend = reason.mend.format(parent=spec.parent or "eth0")
            return reason.kind(reason.what.format(**values), saw=failure.saw, mend=mend)
    if spec.driver != "bridge" and re.search(_NOT_IN_KERNEL, failure.saw):
        # Without a parent, these drivers make an interface of the kind "dummy".
        alone = spec.driver in ON_A_WIRE and spec.parent is None
        needs = f"{spec.driver} networks" + (" without a parent (dummy interfaces)" if alone else "")
        mend = "name a parent= of the engine's machine" if alone else "load it there (modprobe), or another driver"
        return CapabilityError(f"the kernel of the engine's machine has no {needs}", saw=failure.saw, mend=mend)
    return failure


def not_in_kernel(failure: EngineError) -> EngineError:
    """The same for a container that could not be started."""
    if missing := re.search(_PORT_REFUSED, failure.saw):
        return CapabilityError(
            f"the kernel of the engine's machine has no {missing['driver']} networks",
            saw=failure.saw,
            mend=f"load it there (modprobe {missing['driver']}), or another driver",
        )
    return failure
