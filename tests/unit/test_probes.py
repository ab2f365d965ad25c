"""Probes: what they are made from; what they see is tested against real containers."""

from __future__ import annotations

import re
import ssl
from typing import Any

import pytest

from pytest_dockerkit import Look, Probe, probes
from pytest_dockerkit.probes import as_look
from tests.unit.refusals import refusal


class Fake:
    """A probe of a user's own, that sees what it is told."""

    def __init__(self, outcome: Look | bool) -> None:
        self.outcome = outcome

    def look(self, container: Any) -> Look | bool:  # noqa: ARG002  - what a probe is given
        return self.outcome


READY, WAITING = Fake(Look(ready=True, seen="fine")), Fake(Look(ready=False, seen="not yet"))

EVERY = [
    probes.healthy(),
    probes.running(),
    probes.exited(),
    probes.exited(None),
    probes.exited(3),
    probes.port(80),
    probes.port("80/tcp"),
    probes.http(),
    probes.http(
        "/health?a=%20b", port="80/tcp", status=[200, 204], headers={"A": "b"}, tls=ssl.create_default_context()
    ),
    probes.log(r"ready \d+", times=2),
    probes.command("redis-cli ping"),
    probes.all_of(probes.running(), READY),
    probes.any_of(probes.running()),
    READY,
]


@pytest.mark.parametrize("probe", EVERY, ids=lambda each: type(each).__name__)
def test_each_is_a_probe(probe: Probe) -> None:
    assert isinstance(probe, Probe)


def test_equal_probes_are_one() -> None:
    assert probes.http("/x", status=[200, 204]) == probes.http("/x", status=(200, 204))
    assert probes.command("a b") == probes.command(["a", "b"])
    assert len({probes.port(80), probes.port(80), probes.log("x"), probes.log("x", 2)}) == 3
    assert len({probes.http(headers={"A": "1"}), probes.http(headers={"A": "1"}), probes.http()}) == 2


@pytest.mark.parametrize("number", ["53/udp", "9/sctp"])
def test_only_tcp_ports_can_be_probed(number: str) -> None:
    text = f"only TCP ports can be probed\n  saw:  {number!r}\n  mend: probes.log(…) or probes.command(…)"
    assert refusal(lambda: probes.port(number)) == text
    assert refusal(lambda: probes.http(port=number)) == text


@pytest.mark.parametrize("number", [None, True, "", 80.0, [80]])
def test_a_port_is_a_port(number: Any) -> None:
    assert refusal(lambda: probes.port(number)).startswith("ports= has a value that is not a port\n")
    assert refusal(lambda: probes.port(0)).startswith("ports= has a port out of range\n")


@pytest.mark.parametrize("path", ["", "health", "http://x/health", None, 5, b"/"])
def test_an_http_path_begins_with_a_slash(path: Any) -> None:
    assert refusal(lambda: probes.http(path)) == (
        f"an HTTP path begins with '/'\n  saw:  {path!r}\n  mend: probes.http(\"/health\", port=3080)"
    )


@pytest.mark.parametrize("path", ["/a b", "/ü", "/a\r\nHost: evil", "/\0"])
def test_an_http_path_is_what_goes_over_the_wire(path: str) -> None:
    assert refusal(lambda: probes.http(path)) == (
        f"an HTTP path is ASCII without spaces\n  saw:  {path!r}\n  mend: urllib.parse.quote() writes it so"
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("200", "status= is of the wrong type\n  saw:  status='200' (str)\n  mend: status=200, or status=(200, 204)"),
        (
            None,
            "status= is of the wrong type\n  saw:  status=None (NoneType)\n  mend: status=200, or status=(200, 204)",
        ),
        ([], "status= is of the wrong type\n  saw:  status=[] (list)\n  mend: status=200, or status=(200, 204)"),
        (["200"], "status= is of the wrong type\n  saw:  status='200' (str)\n  mend: status=100"),
        (True, "status= is of the wrong type\n  saw:  status=True (bool)\n  mend: status=100"),
        (0, "status= is too small\n  saw:  status=0\n  mend: a whole number from 100 on"),
    ],
)
def test_a_status_is_a_number(status: Any, text: str) -> None:
    assert refusal(lambda: probes.http(status=status)) == text


@pytest.mark.parametrize("headers", [["A: b"], "A: b", 5])
def test_headers_are_a_mapping(headers: Any) -> None:
    assert refusal(lambda: probes.http(headers=headers)) == (
        f"headers= is of the wrong type\n  saw:  headers={headers!r} ({type(headers).__name__})\n"
        '  mend: headers={"Host": "shop.test"}'
    )


@pytest.mark.parametrize("tls", [None, 1, "yes", "cert.pem"])
def test_tls_is_a_switch_or_a_context(tls: Any) -> None:
    assert refusal(lambda: probes.http(tls=tls)) == (
        f"tls= is of the wrong type\n  saw:  tls={tls!r} ({type(tls).__name__})\n"
        "  mend: tls=True, or tls= an ssl.SSLContext"
    )


@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?P<x"])
def test_what_is_no_regular_expression_is_refused(pattern: str) -> None:
    for ask in (lambda: probes.log(pattern), lambda: probes.http(body=pattern)):
        what, saw, mend = refusal(ask).splitlines()
        assert what == "it is no regular expression"
        assert saw.startswith(f"  saw:  {pattern!r}: ")
        assert mend == "  mend: see the re module"


@pytest.mark.parametrize("pattern", [None, b"x", 5, re.compile("x")])
def test_a_pattern_is_a_text(pattern: Any) -> None:
    assert refusal(lambda: probes.log(pattern)) == (
        f"pattern= is of the wrong type\n  saw:  pattern={pattern!r} ({type(pattern).__name__})\n"
        '  mend: a text, such as r"ready to accept connections"'
    )


def test_a_log_is_looked_through_at_least_once() -> None:
    assert refusal(lambda: probes.log("x", times=0)) == (
        "times= is too small\n  saw:  times=0\n  mend: a whole number from 1 on"
    )
    times: Any = True
    assert refusal(lambda: probes.log("x", times=times)).startswith("times= is of the wrong type\n")


@pytest.mark.parametrize("argv", ["", " ", []])
def test_a_command_is_not_empty(argv: Any) -> None:
    assert refusal(lambda: probes.command(argv)) == (
        f'the command is empty\n  saw:  {argv!r}\n  mend: probes.command(["redis-cli", "ping"])'
    )


@pytest.mark.parametrize("argv", [None, 5, ["a", 5], b"a"])
def test_a_command_is_a_command(argv: Any) -> None:
    assert refusal(lambda: probes.command(argv)).startswith("command= is of the wrong type\n")


@pytest.mark.parametrize("code", ["0", True, 0.0])
def test_an_exit_code_is_a_number(code: Any) -> None:
    assert refusal(lambda: probes.exited(code)) == (
        f"code= is of the wrong type\n  saw:  code={code!r} ({type(code).__name__})\n  mend: code=1"
    )


@pytest.mark.parametrize(
    "several", [(), ("healthy",), (READY, None), (Probe,), ([READY],)], ids=["none", "text", "None", "class", "list"]
)
@pytest.mark.parametrize("name", ["all_of", "any_of"])
def test_several_are_all_probes(name: str, several: Any) -> None:
    assert refusal(lambda: getattr(probes, name)(*several)) == (
        f"{name}() takes one probe or more\n  saw:  {several!r}\n"
        f"  mend: probes.{name}(probes.port(80), probes.log(…))"
    )


def test_all_of_waits_for_all_and_tells_what_is_missing() -> None:
    assert probes.all_of(READY, READY).look(None) == (True, "")
    assert probes.all_of(READY, WAITING, Fake(False)).look(None) == (False, "not yet; Fake: False")


def test_any_of_waits_for_one_and_tells_what_was_seen() -> None:
    assert probes.any_of(WAITING, READY).look(None) == (True, "not yet; fine")
    assert probes.any_of(WAITING, WAITING).look(None) == (False, "not yet; not yet")


def test_a_probe_may_just_say_whether_it_is_ready() -> None:
    assert as_look(True, READY) == (True, "Fake: True")
    assert as_look(False, READY) == (False, "Fake: False")
    assert as_look(Look(ready=True, seen="x"), READY) == (True, "x")


def test_one_shot_containers_may_end_wherever_a_probe_waits_for_that() -> None:
    def allows(probe: Probe) -> bool:
        return bool(getattr(probe, "allows_exit", False))

    assert allows(probes.exited())
    assert not allows(probes.running())
    assert allows(probes.all_of(probes.log("x"), probes.exited()))
    assert allows(probes.any_of(probes.exited(), probes.running()))
    assert not allows(probes.all_of(probes.log("x")))
