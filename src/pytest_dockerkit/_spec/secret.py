"""A value that has no text form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NoReturn, Self

from pytest_dockerkit._spec import checks
from pytest_dockerkit.errors import SpecError, without_our_frames

#: Where a container finds its secrets. Source: Docker's documentation, "Manage sensitive data with Docker secrets".
SECRETS_DIRECTORY = "/run/secrets"

#: The largest secret, in bytes, of containers and of builds: what is larger would not go into production either.
#: Source: moby/swarmkit, api/validation/secrets.go, MaxSecretSize; moby/buildkit, session/secrets/secretsprovider.
MAX_SECRET_BYTES = 500 * 1024

_EXAMPLE = 'Secret("registry-token", os.environ["TOKEN"])'


class _Variable(str):
    """The name of a variable of the environment, which holds a value."""

    __slots__ = ()


class Secret:
    """A value to be kept: it is shown nowhere, and only `reveal()` gives it out.

    Args:
        name: what it is called where it is mentioned.
        value: what is kept, as text or bytes.
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str | bytes) -> None:
        self.name = checks.text("name", name, _EXAMPLE)
        if not isinstance(value, str | bytes):
            # The value itself is not repeated here: it may be one all the same.
            raise checks.wrong_type("value", type(value), _EXAMPLE)
        self._value = value

    @classmethod
    @without_our_frames
    def from_env(cls, variable: str) -> Self:
        """Make one whose value is what a variable of the environment holds when it is needed, not before.

        Args:
            variable: the variable's name; it is the secret's name too.

        Raises:
            SpecError: that is no name of a variable.
        """
        name = checks.text("variable", variable, 'Secret.from_env("DB_PASSWORD")')
        checks.environment_name("variable", name)
        return cls(name, _Variable(name))

    def reveal(self) -> str | bytes:
        """Give the value out.

        Raises:
            SpecError: it is to come from a variable of the environment that is not set.
        """
        if not isinstance(self._value, _Variable):
            return self._value
        try:
            return os.environ[self._value]
        except KeyError:
            raise SpecError(
                f"the environment variable {self._value} is not set, which holds a secret",
                saw=f"Secret.from_env({str(self._value)!r})",
                mend=f"export {self._value}, or give the secret as a Path or as Secret({self.name!r}, …)",
            ) from None

    @property
    def _is_known(self) -> bool:
        return not isinstance(self._value, _Variable)

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self.name != other.name or self._is_known != other._is_known:
            # What a variable holds may be another value at the next moment.
            return False
        import hmac

        return hmac.compare_digest(as_bytes(self._value), as_bytes(other._value))

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


def check_given(what: str, secret: Secret) -> None:
    """Refuse a secret that is too large, where that is known already; a variable is not looked at.

    Args:
        what: see `check_size`.
        secret: which.

    Raises:
        SpecError: it is.
    """
    if secret._is_known:  # noqa: SLF001  - what a variable holds is nobody else's business
        check_size(what, secret)


def check_size(what: str, secret: Secret, larger: str = "a larger file goes in by files= or volumes=") -> Secret:
    """Take a secret that is not too large.

    Args:
        what: how an error calls it, such as "build secret 'npm'".
        secret: which.
        larger: where a larger one belongs.

    Raises:
        SpecError: it is.
    """
    if (size := len(as_bytes(secret.reveal()))) > MAX_SECRET_BYTES:
        raise SpecError(
            f"the {what} is too large",
            saw=f"{size} bytes",
            mend=f"at most {MAX_SECRET_BYTES}; {larger}",
        )
    return secret


def as_bytes(value: str | bytes) -> bytes:
    """Give a value as it stands in a file; what a variable holds that is no UTF-8 comes out as it was.

    Raises:
        SpecError: it is a text that cannot be written.
    """
    try:
        return value.encode(errors="surrogateescape") if isinstance(value, str) else value
    except UnicodeEncodeError as failure:
        # Only what is wrong with it: the failure has the whole text.
        raise SpecError(
            "a secret is a text that cannot be written as UTF-8", saw=failure.reason, mend="give it as bytes"
        ) from None
