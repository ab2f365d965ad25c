"""The factory of fixtures that give services of a swarm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_dockerkit._factories import Factory, alias_of
from pytest_dockerkit._refs import filled, refs_in
from pytest_dockerkit._run import scope_of, session_of
from pytest_dockerkit._runtime.services import Services
from pytest_dockerkit._spec.service import service_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest

    from pytest_dockerkit._refs import Place
    from pytest_dockerkit._runtime.running_service import RunningService


class ServiceFactory(Factory):
    """A service; each worker of pytest-xdist has its own."""

    __name__ = "service"

    def __init__(self, place: Place, given: Mapping[str, Any]) -> None:
        super().__init__(place)
        self._given = given
        # Wrong values are told where they were written, not when the fixture is first used.
        service_from(given)

    def needs(self) -> Iterator[str]:
        yield from (each.find_name() for each in refs_in(self._given))

    def setup(self, request: pytest.FixtureRequest, needed: Mapping[str, Any]) -> RunningService:
        spec = service_from(filled(self._given, needed.__getitem__)).anchored(self.place.directory)
        scope = scope_of(request.node, request.scope)._replace(at_end=request.addfinalizer)
        return Services(session_of(request.config)).start(
            spec, scope, alias_of(spec, request.fixturename or "service")
        )
