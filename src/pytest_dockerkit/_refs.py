"""Fixtures that are named before they are set up: where they are written, and what stands for their values."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._spec.mounts import Mount
from pytest_dockerkit._spec.refs import FixtureRef
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Definition: type = type(pytest.fixture(lambda: None))


class Place:
    """Where a factory or a marker stands: what relative paths start from, and where fixtures have their names."""

    def __init__(self, file: Path, *names: Mapping[str, Any], line: int = 1) -> None:
        self.directory = file.parent
        self.file = file
        self.line = line
        self._names = names

    @classmethod
    def of_caller(cls) -> Place:
        """Give the place that the factory was called from which calls this."""
        # This function, the factory, and what keeps our frames out of its errors.
        frame = sys._getframe(3)  # noqa: SLF001  - there is no other way to know it
        # A class body's names are its frame's locals; they are complete once its module is imported.
        return cls(Path(frame.f_code.co_filename), frame.f_locals, frame.f_globals, line=frame.f_lineno)

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Place:
        """Give the place of a function."""
        code = function.__code__
        return cls(Path(code.co_filename), function.__globals__, line=code.co_firstlineno)

    @property
    def text(self) -> str:
        """The file and the line."""
        return f"{self.file}:{self.line}"

    @property
    def module(self) -> str:
        """The module's name, where names are known at all."""
        return str(self._names[-1].get("__name__", "")) if self._names else ""

    def fixtures(self) -> Iterator[str]:
        """Give the names of the fixtures that the file has."""
        for names in self._names:
            yield from (name for name, value in names.items() if isinstance(value, _Definition))

    def name_of(self, definition: Any) -> str:
        """Find the name that a fixture has in pytest."""
        if definition._fixture_function_marker.name:  # noqa: SLF001  - pytest keeps it nowhere else
            return str(definition._fixture_function_marker.name)  # noqa: SLF001
        for names in self._names:
            for name, value in names.items():
                if value is definition:
                    return name
        raise SpecError(
            "a fixture was given that has no name where it is used",
            saw=f"{definition.__name__}_fixture(…), given to another in {self.file}",
            mend="import it into the module, or assign it to a name there",
        )


def refs_in(value: Any) -> Iterator[FixtureRef]:
    """Give the stand-ins for fixtures in a value."""
    if isinstance(value, FixtureRef):
        yield value
    elif isinstance(value, Mount):
        yield from refs_in(value.source)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from refs_in(key)
            yield from refs_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from refs_in(each)


def with_refs(value: Any, name_of: Callable[[Any], str]) -> Any:
    """Put stand-ins in the place of fixtures, in lists and mappings too.

    Args:
        value: what was given.
        name_of: finds the name that a fixture has in pytest.
    """
    if isinstance(value, _Definition):
        return FixtureRef(value, lambda: name_of(value))
    if isinstance(value, list | tuple):
        return [with_refs(each, name_of) for each in value]
    if isinstance(value, dict):
        return {with_refs(key, name_of): with_refs(each, name_of) for key, each in value.items()}
    return value


def filled(value: Any, needed: Callable[[str], Any]) -> Any:
    """Put the values of fixtures in the place of their stand-ins."""
    if isinstance(value, FixtureRef):
        return needed(value.find_name())
    if isinstance(value, Mount):
        return dataclasses.replace(value, source=filled(value.source, needed))
    if isinstance(value, Mapping):
        return {filled(key, needed): filled(each, needed) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [filled(each, needed) for each in value]
    return value


def instance_of(item: pytest.Item, fixture: str | None) -> str:
    """Tell apart what a fixture gives for the params of its own, and of those that it stands on.

    Returns:
        the same in all xdist workers; empty where there are no params.
    """
    indices: Mapping[str, int] = getattr(getattr(item, "callspec", None), "indices", {})
    if not indices:
        return ""
    manager = item.session._fixturemanager  # noqa: SLF001  - pytest tells it nowhere else
    found: dict[str, None] = {}
    waiting = [fixture or ""]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            for definition in manager.getfixturedefs(name, item) or ():
                waiting += definition.argnames
    return "".join(f"[{name}={indices[name]}]" for name in sorted(found) if name in indices)
