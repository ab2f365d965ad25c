"""The carts, kept in Redis."""

from __future__ import annotations

import socket
from typing import IO, Any
from urllib.parse import urlsplit

TIMEOUT_S = 2.0


class StoreError(Exception):
    """The store did not answer, or refused."""


class Store:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "redis" or not parts.hostname:
            raise ValueError(f"STORE_URL is not like redis://host:6379: {url!r}")
        self._address = (parts.hostname, parts.port or 6379)

    def ping(self) -> None:
        self._call("PING")

    def add(self, user: str, sku: str) -> None:
        self._call("HINCRBY", f"cart:{user}", sku, "1")

    def cart(self, user: str) -> dict[str, int]:
        """How many of each product the user wants."""
        reply = self._call("HGETALL", f"cart:{user}")
        return {sku: int(quantity) for sku, quantity in zip(reply[::2], reply[1::2], strict=True)}

    def _call(self, *words: str) -> Any:
        request = b"*%d\r\n" % len(words)
        for word in map(str.encode, words):
            request += b"$%d\r\n%b\r\n" % (len(word), word)
        try:
            with socket.create_connection(self._address, TIMEOUT_S) as connection:
                connection.sendall(request)
                with connection.makefile("rb") as stream:
                    return _read_reply(stream)
        except OSError as failure:
            host, port = self._address
            raise StoreError(f"{host}:{port}: {failure}") from failure


def _read_reply(stream: IO[bytes]) -> Any:
    """One value of the Redis protocol, https://redis.io/docs/latest/develop/reference/protocol-spec/."""
    line = stream.readline()
    kind, rest = line[:1], line[1:].decode().rstrip()
    match kind:
        case b"+":
            return rest
        case b":":
            return int(rest)
        case b"$":
            size = int(rest)
            return None if size < 0 else stream.read(size + 2)[:-2].decode()
        case b"*":
            return [_read_reply(stream) for _ in range(int(rest))]
        case _:
            raise StoreError(rest or "the store hung up")
