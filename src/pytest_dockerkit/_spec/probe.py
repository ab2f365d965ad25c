"""What a probe is, and is made of; the probes themselves are in `pytest_dockerkit.probes`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.ports import port_key
from pytest_dockerkit._spec.secret import masked_repr
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._poll import Look


@runtime_checkable
class Probe(Protocol):
    """Anything that can look at a container once and say whether it is ready."""

    def look(self, container: Any) -> Look | bool:  # a RunningContainer, which is layers above
        """Look at the container once, without waiting.

        Returns:
            A `Look` with what was seen, or just whether it is ready.

        Raises:
            DockerkitError: it can never become ready; ends the wait at once.
        """


class OfFields:
    """Equal, hashed and shown by its fields, as a dataclass is that makes its own methods.

    Those are compiled for each class where it is defined: with nine of them a tenth of all that we import.
    """

    def _content(self) -> tuple[object, ...]:
        dataclass: Any = self
        return tuple(getattr(self, each.name) for each in fields(dataclass))

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def __repr__(self) -> str:
        return masked_repr(self)


def several_probes(name: str, probes: tuple[object, ...]) -> tuple[Probe, ...]:
    """Take the probes that another stands for.

    Raises:
        SpecError: there are none, or one is no probe.
    """
    taken = tuple(each for each in probes if isinstance(each, Probe) and not isinstance(each, type))
    if not probes or len(taken) < len(probes):
        raise SpecError(
            f"{name}() takes one probe or more",
            saw=repr(probes),
            mend=f"probes.{name}(probes.port(80), probes.log(…))",
        )
    return taken


def check_tcp(number: object) -> None:
    """Hold a port against what can be connected to.

    Raises:
        SpecError: it is no TCP port.
    """
    if not port_key(number).endswith("/tcp"):
        raise SpecError("only TCP ports can be probed", saw=repr(number), mend="probes.log(…) or probes.command(…)")


def check_pattern(pattern: object) -> None:
    """Hold a pattern against what can be looked for.

    Raises:
        SpecError: it is no regular expression.
    """
    try:
        if not isinstance(pattern, str):
            raise checks.wrong_type("pattern", pattern, 'a text, such as r"ready to accept connections"')
        re.compile(pattern)
    except re.error as failure:
        raise SpecError(
            "it is no regular expression", saw=f"{pattern!r}: {failure}", mend="see the re module"
        ) from None
