"""What engines say when they cannot make a network. The texts were seen: Docker 20.10.24."""

from __future__ import annotations

import pytest

from pytest_dockerkit import NetworkSpec
from pytest_dockerkit._engine.network_refusals import explained, not_in_kernel
from pytest_dockerkit.errors import CapabilityError, ConflictError, EngineError

MACVLAN = NetworkSpec(driver="macvlan", parent="nope0")
LONE = NetworkSpec(driver="macvlan")


@pytest.mark.parametrize(
    ("spec", "said", "kind", "what", "mend"),
    [
        (
            MACVLAN,
            "invalid subinterface vlan name nope0, example formatting is eth0.10",
            CapabilityError,
            "the engine's machine has no interface 'nope0' for a macvlan network",
            "name one that `ip link` shows there",
        ),
        (
            MACVLAN,
            "network dm-a5921ebdd1f6 is already using parent interface nope0",
            ConflictError,
            "the interface 'nope0' is the parent of another macvlan network already",
            "parent='nope0.10'",
        ),
        (
            LONE,
            "operation not supported",
            CapabilityError,
            "the kernel of the engine's machine has no macvlan networks without a parent (dummy interfaces)",
            "name a parent= of the engine's machine",
        ),
        (
            MACVLAN,
            "operation not supported",
            CapabilityError,
            "the kernel of the engine's machine has no macvlan networks",
            "modprobe",
        ),
        (
            NetworkSpec(driver="overlay"),
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect',
            CapabilityError,
            "overlay networks need a swarm, and this engine is in none",
            "docker swarm init",
        ),
        (
            NetworkSpec(driver="weave"),
            'plugin "weave" not found',
            CapabilityError,
            "the engine has no network driver weave",
            "docker plugin install",
        ),
    ],
)
def test_what_is_missing_is_said(spec: NetworkSpec, said: str, kind: type[EngineError], what: str, mend: str) -> None:
    meant = explained(EngineError("the engine could not", saw=said, mend="?"), spec)
    assert type(meant) is kind
    assert (meant.what, meant.saw) == (what, said)
    assert mend in meant.mend


def test_a_container_that_the_kernel_cannot_connect() -> None:
    said = "failed to create the ipvlan port: operation not supported"
    meant = not_in_kernel(EngineError("the engine could not", saw=said, mend="?"))
    assert isinstance(meant, CapabilityError)
    assert meant.what == "the kernel of the engine's machine has no ipvlan networks"


@pytest.mark.parametrize("said", ["Pool overlaps with other one on this address space", "operation not supported"])
def test_what_is_not_known_stays_as_it_is(said: str) -> None:
    failure = EngineError("the engine could not", saw=said, mend="?")
    assert explained(failure, NetworkSpec()) is failure
    assert not_in_kernel(failure) is failure
