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
        self._values: set[bytes] = set()
        for secret in secrets.values():
            value = secret.reveal()
            whole = (value.encode() if isinstance(value, str) else value).strip()
            self._values.add(whole)
            lines = [line.strip() for line in whole.splitlines()]
            found |= {whole, *(line for line in lines if len(line) >= _SHORTEST_LINE)}
        # The longest first: a line may be a part of another.
        self._hidden = sorted(found - {b""}, key=len, reverse=True)

    def hides(self, text: str) -> bool:
        """Tell whether a text is a secret itself."""
        return bool(text) and text.strip().encode(errors="surrogateescape") in self._values

    def __call__(self, said: str) -> str:
        """Give a text without the secrets; bytes that are not UTF-8 may stand in it as surrogates."""
        raw = said.encode(errors="surrogateescape")
        for each in self._hidden:
            raw = raw.replace(each, COVER.encode())
        return raw.decode(errors="replace")
