"""A value that has no text form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NoReturn

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
        import hmac

        return self.name == other.name and hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> NoReturn:
        msg = f"{self!r} cannot be pickled: it would leave this process"
        raise TypeError(msg)


def masked_repr(spec: Any, *hidden: str) -> str:
    """Write a spec out as dataclasses do, but of the hidden mappings only the keys: pytest shows specs in reports."""
    shown = []
    for each in fields(spec):
        value = getattr(spec, each.name)
        masked = each.name in hidden and isinstance(value, Mapping)
        text = "{" + ", ".join(f"{key!r}: …" for key in value) + "}" if masked else repr(value)
        shown.append(f"{each.name}={text}")
    return f"{type(spec).__name__}({', '.join(shown)})"


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
