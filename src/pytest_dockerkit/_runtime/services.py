"""Services of a swarm: made for a scope, converged before they are given, and gone with all that is theirs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.service_body import Stored, service_body
from pytest_dockerkit._names import NAME_LABEL, object_name
from pytest_dockerkit._runtime.joining import join_swarm
from pytest_dockerkit._runtime.running_service import RunningService
from pytest_dockerkit._spec.network import NetworkSpec
from pytest_dockerkit._spec.refs import External, NetworkHandle
from pytest_dockerkit._spec.secret import Secret, as_bytes
from pytest_dockerkit.errors import DockerkitError, SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.scope import ScopeInstance
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.service import ServiceSpec


class Services:
    """Makes services for one process of a run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def start(self, spec: ServiceSpec, scope: ScopeInstance, alias: str) -> RunningService:
        """Start a service, and wait until it has converged; at the end of the scope it is removed.

        Raises:
            DockerkitError: it cannot be had, or its tasks fail; all that was made for it is removed.
        """
        session = self._session
        join_swarm(session, "services need a swarm, and this engine is in none")
        image = session.images.get(spec.image, pull=spec.pull)
        made: list[tuple[str, str]] = []

        def end() -> None:
            while made:
                session.remove(*made.pop())

        scope.at_end(end)
        try:
            secrets = [self._keep("secret", alias, key, each, made) for key, each in spec.secrets.items()]
            configs = [self._keep("config", alias, key, each, made) for key, each in spec.configs.items()]
            name = object_name(session.run_id, alias)
            body = service_body(
                spec,
                name,
                image=image.reference,
                labels={**session.labels, NAME_LABEL: alias},
                networks=[self._network(each, scope) for each in spec.networks],
                alias=alias,
                secrets=secrets,
                configs=configs,
                start_interval=session.engine.facts.start_interval,
            )
            made.append(("service", name))
            session.ledger.making("service", name)
            service_id = session.engine.swarm.create(body)
            test = image.config.healthcheck if spec.health is None else spec.health.docker_test
            is_checked = test is not None and test[:1] != ("NONE",)
            service = RunningService(session.engine, spec, service_id, name, alias, is_checked=is_checked, remove=end)
            service.wait()
        except BaseException:
            # What cannot be removed now stays in the ledger, and must not hide why it is to go.
            with suppress(DockerkitError):
                end()
            raise
        return service

    def _keep(
        self,
        kind: str,
        alias: str,
        target: str,
        given: str | bytes | Path | Secret,
        made: list[tuple[str, str]],
    ) -> Stored:
        """Have the swarm keep a secret or a config, and note that for its removal."""
        name = object_name(self._session.run_id, f"{alias}-{kind}")
        made.append((kind, name))
        self._session.ledger.making(kind, name)
        id_ = self._session.engine.swarm.store(kind, name, _content(given), self._session.labels)
        return Stored(target, name, id_)

    def _network(self, request: object, scope: ScopeInstance) -> str:
        if isinstance(request, NetworkHandle):
            return str(request.name)
        if isinstance(request, External):
            return request.name
        if isinstance(request, NetworkSpec):
            return self._session.surroundings.network(request, scope).name
        raise SpecError("a fixture was given where a network belongs", saw=repr(request), mend="its value")


def _content(given: str | bytes | Path | Secret) -> bytes:
    if isinstance(given, Path):
        return given.read_bytes()
    return as_bytes(given.reveal() if isinstance(given, Secret) else given)
