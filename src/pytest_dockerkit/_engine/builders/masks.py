"""Secrets are covered in all that a builder says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_dockerkit._spec.secret import Secret

COVER = "***"

#: Shorter lines of a secret of several lines are no secret by themselves, such as the braces of JSON, in characters.
_SHORTEST_LINE = 3


class Mask:
    """Covers secrets: their values, and each of their lines."""

    def __init__(self, secrets: Mapping[str, Secret]) -> None:
        found: set[bytes] = set()
        for secret in secrets.values():
            value = secret.reveal()
            whole = (value.encode() if isinstance(value, str) else value).strip()
            lines = [line.strip() for line in whole.splitlines()]
            found |= {whole, *(line for line in lines if len(line) >= _SHORTEST_LINE)}
        # The longest first: a line may be a part of another.
        self._hidden = sorted(found - {b""}, key=len, reverse=True)

    def __call__(self, said: bytes) -> str:
        """Give what was said as text, without the secrets."""
        for each in self._hidden:
            said = said.replace(each, COVER.encode())
        return said.decode(errors="replace")

    def text(self, said: str) -> str:
        """Give a text without the secrets."""
        return self(said.encode(errors="surrogateescape")) if self._hidden else said
