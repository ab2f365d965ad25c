"""A value that has no text form."""

from __future__ import annotations

import hmac
from typing import NoReturn

from pytest_dockerkit._spec import checks


class Secret:
    """A value to be kept: it is shown nowhere, and only `reveal()` gives it out.

    Args:
        name: what it is called where it is mentioned.
        value: what is kept, as text or bytes.
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str | bytes) -> None:
        self.name = checks.text("name", name, 'Secret("registry-token", os.environ["TOKEN"])')
        if not isinstance(value, str | bytes):
            # The value itself is not repeated here: it may be one all the same.
            raise checks.wrong_type("value", type(value), 'Secret("registry-token", os.environ["TOKEN"])')
        self._value = value

    def reveal(self) -> str | bytes:
        """Give the value out."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self.name == other.name and hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> NoReturn:
        msg = f"{self!r} cannot be pickled: it would leave this process"
        raise TypeError(msg)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
