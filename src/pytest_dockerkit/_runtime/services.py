"""Services of a swarm: made for a scope, converged before they are given, and gone with all that is theirs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.service_body import Stored, service_body
from pytest_dockerkit._names import NAME_LABEL, RUN_LABEL, object_name
from pytest_dockerkit._runtime.running_service import RunningService
from pytest_dockerkit._spec.network import NetworkSpec
from pytest_dockerkit._spec.refs import External, NetworkHandle
from pytest_dockerkit._spec.secret import Secret
from pytest_dockerkit.errors import CapabilityError, DockerkitError, EngineError, SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.scope import ScopeInstance
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.service import ServiceSpec

#: Where a swarm of one engine alone is, which nobody else joins.
_ALONE = "127.0.0.1"


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
        self.join()
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

    def join(self, what: str = "services need a swarm, and this engine is in none") -> None:
        """See that the engine manages a swarm; one is made where that is allowed, and left at the end of the run.

        Args:
            what: what is told if there is none.

        Raises:
            CapabilityError: it is in none, or no manager of its own.
        """
        swarm = self._session.engine.swarm
        state, manages = swarm.state()
        if state == "active" and manages:
            return
        if state == "active":
            raise CapabilityError(
                "services are made by managers of a swarm, and this engine is a worker",
                saw="docker info: Swarm: active, Is Manager: false",
                mend="name a manager: --dockerkit-host",
            )
        if state != "inactive" or self._session.settings.swarm != "init":
            raise CapabilityError(
                what,
                saw=f"docker info: Swarm: {state}",
                mend="docker swarm init; or dockerkit_swarm = init, to make one for the run and to leave it again",
            )
        # It is left when the run ends, with all that is in the ledger then: other workers may use it until then.
        self._session.ledger.making("swarm", self._session.run_id)
        try:
            swarm.init(_ALONE, {RUN_LABEL: self._session.run_id})
        except EngineError:
            # Another worker has, between the two calls.
            if swarm.state() != ("active", True):
                raise

    def _keep(self, kind: str, alias: str, target: str, given: object, made: list[tuple[str, str]]) -> Stored:
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


def _content(given: object) -> bytes:
    value = given.reveal() if isinstance(given, Secret) else given
    if isinstance(value, Path):
        return value.read_bytes()
    return value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]
