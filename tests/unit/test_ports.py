"""Ports, as they are written in `ports=`."""

from __future__ import annotations

import pytest

from pytest_dockerkit._spec.ports import PublishedPort, parse_port, port_key
from tests.unit.refusals import refusal


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (80, PublishedPort(80, "tcp", "127.0.0.1", None)),
        (1, PublishedPort(1)),
        (65535, PublishedPort(65535)),
        ("80", PublishedPort(80)),
        ("80/tcp", PublishedPort(80)),
        ("53/udp", PublishedPort(53, "udp")),
        ("9/sctp", PublishedPort(9, "sctp")),
        ("8080:80", PublishedPort(80, "tcp", "127.0.0.1", 8080)),
        (":80", PublishedPort(80)),
        ("8053:53/udp", PublishedPort(53, "udp", "127.0.0.1", 8053)),
        ("0.0.0.0:8080:80", PublishedPort(80, "tcp", "0.0.0.0", 8080)),
        ("0.0.0.0::80", PublishedPort(80, "tcp", "0.0.0.0", None)),
        ("[::1]:8080:80", PublishedPort(80, "tcp", "::1", 8080)),
        ("[::1]::80", PublishedPort(80, "tcp", "::1", None)),
    ],
)
def test_a_port_is_on_the_loopback_and_on_a_free_port_unless_it_says_otherwise(
    written: object, meant: PublishedPort
) -> None:
    assert parse_port(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        None,
        True,
        False,
        80.0,
        b"80",
        [80],
        "",
        " ",
        "http",
        "80/",
        "/tcp",
        "80/TCP",
        " 80",
        "80\n",
        "-80",
        "\uff180",
        "80-90",
        "8000-8010:80-90",
        "1.2.3.4:80",
        "localhost:8080:80",
        "::1::80",
        "[zz]:1:1",
        "1:2:3:4:5",
        "80 81",
    ],
)
def test_what_is_no_port_is_refused(written: object) -> None:
    assert refusal(lambda: parse_port(written)) == (
        "ports= has a value that is not a port\n"
        f"  saw:  {written!r} ({type(written).__name__})\n"
        '  mend: a port of the container, such as 3080 or "53/udp", or "HOST:PORT" such as "8080:80"'
    )


@pytest.mark.parametrize("written", [0, -1, 65536, 10**30, "0", "65536", "0:80", "80:0", "99999:80", "80:99999/udp"])
def test_a_port_out_of_range_is_refused(written: object) -> None:
    assert refusal(lambda: parse_port(written)) == (
        f"ports= has a port out of range\n  saw:  {written!r}\n  mend: a port from 1 to 65535"
    )


def test_an_unknown_protocol_is_refused() -> None:
    assert refusal(lambda: parse_port("80/http")) == (
        "ports= has an unknown protocol\n  saw:  '80/http'\n  mend: one of: tcp, udp, sctp"
    )


@pytest.mark.parametrize("address", ["999.1.1.1", "1.2.3.256", "[::::]"])
def test_an_address_that_cannot_be_is_refused(address: str) -> None:
    written = f"{address}:8080:80"
    bare = address.strip("[]")
    said = refusal(lambda: parse_port(written))
    assert said.splitlines()[0] == "ports= has no right address"
    assert said.splitlines()[1] == (f"  saw:  {written!r}: {bare!r} does not appear to be an IPv4 or IPv6 address")
    assert said.splitlines()[2] == '  mend: an address of this machine, as in "127.0.0.1:8080:80"'


@pytest.mark.parametrize(
    ("port", "key"), [(80, "80/tcp"), ("80", "80/tcp"), ("53/udp", "53/udp"), ("8080:80", "80/tcp")]
)
def test_a_handle_is_asked_in_the_same_words(port: object, key: str) -> None:
    assert port_key(port) == key
