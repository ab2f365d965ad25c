"""Networks: what `network=` takes, and what a `NetworkSpec` may say."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

import pytest

from pytest_dockerkit import NetworkSpec, external
from pytest_dockerkit._spec.network import parse_networks
from pytest_dockerkit._spec.refs import FixtureRef, NetworkHandle
from tests.unit.refusals import refusal


@pytest.mark.parametrize("word", ["isolated", "internal", "bridge", "host", "none"])
def test_a_word_is_a_network(word: str) -> None:
    assert parse_networks(word) == parse_networks([word]) == (word,)


def test_several_kinds_go_together() -> None:
    handle, ref = NetworkHandle(), FixtureRef(None, lambda: "backend")
    several = ("isolated", "internal", "bridge", NetworkSpec(), external("kept"), handle, ref)
    assert parse_networks(several) == parse_networks(list(several)) == several


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Bridge", "did you mean 'bridge'?"),
        ("isolate", "did you mean 'isolated'?"),
        ("non", "did you mean 'none'?"),
        ("", "one of: bridge, host, internal, isolated, none."),
        ("my-net", "one of: bridge, host, internal, isolated, none."),
    ],
)
def test_an_unknown_word_is_refused_with_the_nearest(word: str, meant: str) -> None:
    assert refusal(lambda: parse_networks(word)) == (
        "network= is not a network that is known\n"
        f"  saw:  network={word!r}\n"
        f'  mend: {meant} Or external("{word}") for one that exists on the engine'
    )


@pytest.mark.parametrize("value", [None, 5, True, b"host", {"a": 1}, {"isolated"}, ["isolated"]])
def test_what_is_no_network_is_refused(value: object) -> None:
    inside = [value]
    assert refusal(lambda: parse_networks(inside)) == (
        "network= is of the wrong type\n"
        f"  saw:  network={value!r} ({type(value).__name__})\n"
        '  mend: network="isolated", a NetworkSpec or a network fixture'
    )


@pytest.mark.parametrize("word", ["host", "none"])
def test_host_and_none_stand_alone(word: str) -> None:
    assert refusal(lambda: parse_networks([word, "bridge"])) == (
        f"network={word!r} goes with no other network\n  saw:  network=[{word!r}, 'bridge']\n  mend: name it alone"
    )


def test_a_list_is_not_empty_and_names_each_once() -> None:
    assert refusal(lambda: parse_networks([])) == (
        'network= is an empty list\n  saw:  network=[]\n  mend: network="none" for no network'
    )
    assert refusal(lambda: parse_networks(["isolated", "isolated"])) == (
        "network= names one network twice\n  saw:  ['isolated', 'isolated']\n  mend: name each once"
    )


@pytest.mark.parametrize("name", ["", " ", None, 5])
def test_an_external_network_has_a_name(name: Any) -> None:
    assert refusal(lambda: external(name)) == (
        f"external= is of the wrong type\n  saw:  external={name!r} ({type(name).__name__})\n"
        '  mend: external("name-on-the-engine")'
    )


def test_a_network_is_a_frozen_value() -> None:
    number: Any = 1400
    spec = NetworkSpec(subnet="10.9.0.0/24", gateway="10.9.0.1", options={"mtu": number}, labels={"a": "b"})
    again = NetworkSpec(subnet="10.9.0.0/24", gateway="10.9.0.1", options={"mtu": "1400"}, labels={"a": "b"})
    assert spec == again
    assert hash(spec) == hash(again)
    assert dataclasses.replace(spec, internal=True) != spec
    assert NetworkSpec(subnet="fd00:9::/64", gateway="fd00:9::1", ipv6=True).ipv6
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.internal = True  # type: ignore[misc]  # that is what is tested


@pytest.mark.parametrize(("driver", "word"), [("host", "host"), ("none", "none"), ("null", "none")])
def test_the_engine_s_own_networks_are_not_made(driver: str, word: str) -> None:
    assert refusal(lambda: NetworkSpec(driver=driver)) == (
        f"there is one {driver} network only, and the engine has it\n"
        f"  saw:  NetworkSpec(driver={driver!r})\n"
        f'  mend: network="{word}"'
    )


@pytest.mark.parametrize("field", ["internal", "attachable", "ipv6"])
@pytest.mark.parametrize("value", [None, 1, 0, "yes"])
def test_a_switch_is_true_or_false(field: str, value: object) -> None:
    fields: dict[str, Any] = {field: value}
    assert refusal(lambda: NetworkSpec(**fields)) == (
        f"{field}= is of the wrong type\n  saw:  {field}={value!r} ({type(value).__name__})\n"
        f"  mend: {field}=True or {field}=False"
    )


@pytest.mark.parametrize(
    ("field", "example"),
    [("driver", "bridge"), ("parent", "eth0"), ("subnet", "10.99.0.0/24"), ("gateway", "10.99.0.1")],
)
@pytest.mark.parametrize("value", ["", 5, True, ipaddress.ip_network("10.0.0.0/24")], ids=repr)
def test_a_text_is_a_text(field: str, example: str, value: object) -> None:
    fields: dict[str, Any] = {field: value}
    assert refusal(lambda: NetworkSpec(**fields)) == (
        f"{field}= is of the wrong type\n  saw:  {field}={value!r} ({type(value).__name__})\n"
        f'  mend: {field}="{example}"'
    )


@pytest.mark.parametrize(
    ("subnet", "why"),
    [
        ("x", "'x' does not appear to be an IPv4 or IPv6 network"),
        ("10.0.0.1/24", "10.0.0.1/24 has host bits set"),
        ("10.0.0.0/33", "'10.0.0.0/33' does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_a_subnet_is_a_network_address(subnet: str, why: str) -> None:
    assert refusal(lambda: NetworkSpec(subnet=subnet)) == (
        f'subnet= is not a network address\n  saw:  subnet={subnet!r}: {why}\n  mend: subnet="10.99.0.0/24"'
    )


def test_a_subnet_says_how_large_it_is() -> None:
    assert refusal(lambda: NetworkSpec(subnet="10.9.0.0")) == (
        "subnet= has no prefix length\n  saw:  subnet='10.9.0.0'\n  mend: subnet=\"10.9.0.0/24\""
    )


@pytest.mark.parametrize(
    ("subnet", "gateway", "better"),
    [
        ("10.9.0.0/24", "10.9.1.1", "10.9.0.1"),
        ("10.9.0.0/24", "router", "10.9.0.1"),
        ("10.9.0.0/24", "fd00::1", "10.9.0.1"),
        ("fd00:9::/64", "10.9.0.1", "fd00:9::1"),
        ("10.9.0.7/32", "10.9.0.1", "10.9.0.7"),
    ],
)
def test_a_gateway_is_an_address_of_the_subnet(subnet: str, gateway: str, better: str) -> None:
    assert refusal(lambda: NetworkSpec(subnet=subnet, gateway=gateway)) == (
        "gateway= is no address of the subnet\n"
        f"  saw:  gateway={gateway!r}, subnet={subnet!r}\n"
        f'  mend: gateway="{better}"'
    )


def test_a_gateway_needs_a_subnet() -> None:
    assert refusal(lambda: NetworkSpec(gateway="10.9.0.1")) == (
        "gateway= needs a subnet=\n  saw:  gateway='10.9.0.1'\n  mend: subnet=\"10.99.0.0/24\""
    )


def test_the_plugin_s_own_labels_are_refused() -> None:
    assert refusal(lambda: NetworkSpec(labels={"pytest.dockerkit.run": "x"})) == (
        "labels= holds a label of the plugin's own\n  saw:  pytest.dockerkit.run\n  mend: choose another key"
    )
