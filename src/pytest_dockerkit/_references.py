"""Which images a suite names: those of its markers and of its fixture factories, found without a test being run."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import _markers
from pytest_dockerkit._factories import made
from pytest_dockerkit._spec.declared import find
from pytest_dockerkit._spec.image import ImageSpec
from pytest_dockerkit._spec.reference import is_id, parse
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_dockerkit._spec.declared import Declared


class References:
    """The references that a suite names, each with who names it first; a plugin of the run that collects the suite.

    Attributes:
        problems: what could not be read.
    """

    def __init__(self, declared: Declared) -> None:
        self.problems: list[str] = []
        self._declared = declared
        self._items: list[pytest.Item] = []
        self._found: dict[str, str] = {}
        self._tags: set[str] = set()
        for name, image in declared.items():
            self._add(image, f"the declared image {name!r}")

    @property
    def found(self) -> dict[str, str]:
        """Who names a reference, by the reference in Docker's short form; not those that are built."""
        return {name: who for name, who in self._found.items() if name not in self._tags}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note a test, also one that is left out afterwards: another run may have it."""
        self._items.append(item)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected."""
        if report.failed:
            self.problems.append(f"{report.nodeid or 'the tests'} cannot be collected\n{report.longreprtext}")

    def pytest_collection_finish(self) -> None:
        """Read the markers and the factories, now that all plugins have added theirs."""
        for item in self._items:
            with self._telling():
                for request in _markers.requests_of(item):
                    self._add(request.spec.image, item.nodeid)
        for factory in made():
            with self._telling():
                for image in factory.images():
                    self._add(image, f"{factory.place.file}:{factory.place.line}")

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except SpecError as failure:
            self.problems.append(str(failure))

    def _add(self, image: object, who: str) -> None:
        if isinstance(image, ImageSpec):
            self._tags.update(parse(tag).short for tag in image.tags)
            # What a variable leaves open is for the builder to find.
            names = [name for name in image.stages().base_images(image.target) if name and "$" not in name]
        else:
            names = [image] if isinstance(image, str) and not is_id(image) else []
        for name in names:
            if find(self._declared, name) is None and parse(name).digest is None:
                self._found.setdefault(parse(name).short, who)


def collect(references: References, arguments: Iterable[str]) -> tuple[int, str]:
    """Let pytest collect a suite.

    Args:
        references: takes what it names.
        arguments: those of pytest: paths, and where its ini file is.

    Returns:
        pytest's exit code, and what it has printed.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        words = ["--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
        code = pytest.main(words, plugins=[references])
    return int(code), printed.getvalue()
