"""At which addresses a port is listened on."""

from __future__ import annotations

import struct
import sys

import pytest

from pytest_dockerkit._runtime.listening import addresses_in, are_loopback

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(address: bytes, port: int, state: str = "0A") -> str:
    words = struct.unpack(f"{'<' if sys.byteorder == 'little' else '>'}{len(address) // 4}I", address)
    local = "".join(f"{word:08X}" for word in words)
    return (
        f"   0: {local}:{port:04X} {'0' * len(local)}:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 1 1\n"
    )


ANY, LOOPBACK, OTHER = bytes(4), bytes([127, 0, 0, 1]), bytes([172, 17, 0, 2])
ANY6, LOOPBACK6 = bytes(16), bytes(15) + b"\1"
MAPPED = bytes(10) + b"\xff\xff" + LOOPBACK


@pytest.mark.parametrize(
    ("address", "text", "hidden"),
    [
        (ANY, "0.0.0.0", False),
        (LOOPBACK, "127.0.0.1", True),
        (OTHER, "172.17.0.2", False),
        (ANY6, "::", False),
        (LOOPBACK6, "::1", True),
        (MAPPED, "::ffff:127.0.0.1", True),
    ],
)
def test_an_address(address: bytes, text: str, hidden: bool) -> None:
    assert addresses_in(HEAD + line(address, 80), 80) == [text]
    assert are_loopback([text]) is hidden


def test_other_ports_and_connections_are_none() -> None:
    tables = HEAD + line(LOOPBACK, 8080) + line(LOOPBACK, 80, state="01") + "\n" + HEAD + line(LOOPBACK6, 8080)
    assert addresses_in(tables, 80) == []
    assert addresses_in(tables, 8080) == ["127.0.0.1", "::1"]
    assert addresses_in("cat: not found", 80) == []


def test_it_is_hidden_only_where_all_of_them_are_loopback() -> None:
    assert are_loopback(["127.0.0.1", "::1"])
    assert not are_loopback(["127.0.0.1", "172.17.0.2"])
    assert not are_loopback([])
