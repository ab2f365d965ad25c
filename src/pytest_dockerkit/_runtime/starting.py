"""Starting containers: from a spec that is asked for to a container that is ready."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.body import container_body
from pytest_dockerkit._names import NAME_LABEL, object_name
from pytest_dockerkit._poll import retried
from pytest_dockerkit._runtime import deaths
from pytest_dockerkit._runtime.handles import RunningContainer
from pytest_dockerkit._runtime.host_access import host_address
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.scope import ONCE, RUN
from pytest_dockerkit._runtime.surroundings import introduce
from pytest_dockerkit._runtime.transfer import put_files
from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit.errors import DockerkitError, PortTakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytest_dockerkit._runtime.container_secrets import ContainerSecrets
    from pytest_dockerkit._runtime.networks import Network
    from pytest_dockerkit._runtime.places import Places
    from pytest_dockerkit._runtime.scope import ScopeInstance
    from pytest_dockerkit._runtime.session import Session

#: How often a container is started whose ports the engine chooses, and the first pause between, in seconds.
_PORT_TRIES = 3
_PORT_PAUSE_S = 0.05


@dataclass(frozen=True)
class Wanted:
    """A container that is asked for.

    Attributes:
        spec: what is to run, anchored and without fixtures.
        scope: for how long it is kept, and the networks and volumes that it names.
        alias: what others find it by.
        group: within the scope, containers of one group share their isolated network.
        place: tells apart what is asked for in one scope by the same words: where a factory stands.
        per_worker: whether each xdist worker has one of its own.
    """

    spec: ContainerSpec
    scope: ScopeInstance
    alias: str
    group: object = ""
    place: str = ""
    per_worker: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Means:
    """How a container is started.

    Attributes:
        at_end: takes its removal, before anything is made.
        peers: containers of the same test; it reaches them, and they it, by name.
        volumes_scope: for how long its volumes are kept; None is as long as its networks.
        go_on: called between the steps; what it raises ends them.
        unseen: whether nobody waits for it yet: then user code is not run to find out whether it is ready.
    """

    at_end: Callable[[Callable[[], object]], object]
    peers: Sequence[RunningContainer] = ()
    volumes_scope: ScopeInstance | None = None
    go_on: Callable[[], object] = field(default=lambda: None)
    unseen: bool = False

    def waiting(self, places: Places) -> Callable[[], AbstractContextManager[object]]:
        """Give what is entered while another process is waited for, that makes or looks at the same thing.

        What is made ahead does not wait: the other one may wait for room that this process has, and whoever asks
        here would wait for what is made ahead, without that being known to those who count the room.
        """
        return _give_up if self.unseen else places.standing_still


class NotProvidedError(Exception):
    """A container cannot be had.

    Attributes:
        spec: what was to be carried out.
        cause: why not.
        key: of what xdist's workers share; None of what one of them has for itself.
    """

    def __init__(self, spec: ContainerSpec, cause: DockerkitError, key: str | None = None) -> None:
        super().__init__(cause.what)
        self.spec = spec
        self.cause = cause
        self.key = key


class NotAheadError(Exception):
    """A container could not be had before it was asked for, and is to be tried once more by whoever asks."""


def _give_up() -> AbstractContextManager[object]:
    raise NotAheadError


class Starter:
    """Starts containers for one process of a run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: The users and groups of each image that were looked for.
        self._users: dict[str, dict[str, list[list[str]]]] = {}

    def start(self, wanted: Wanted, spec: ContainerSpec, means: Means) -> RunningContainer:
        """Start a container and wait until it is ready; whatever is made of one that cannot be had is removed.

        Args:
            wanted: who asks, and for how long.
            spec: what is to run: that of `wanted`, or what a plugin has put in its place.
            means: how.

        Raises:
            DockerkitError: it cannot be had.
        """
        session = self._session
        surroundings = session.surroundings
        name = object_name(session.run_id, wanted.alias)
        made: list[RunningContainer] = []
        try:
            means.go_on()
            secrets = self._secrets(spec, name)
            image = session.images.get(spec.image, pull=spec.pull, platform=spec.platform)
            baked = spec.files_in_root if spec.read_only else {}
            source = self._with_files(spec, baked, image, wanted) if baked else image
            means.go_on()
            after = [network.name for peer in means.peers for network in peer.networks]
            networks = [surroundings.network_for(each, wanted, after, ahead=means.unseen) for each in spec.networks]
            volumes = surroundings.volumes_for(spec, means.volumes_scope or wanted.scope, wanted.group)
            introduce(means.peers, spec, networks)
            # Before it is made, so that no interruption falls in between; the networks were before, and end later.
            at_once = wanted.scope.scope == ONCE
            means.at_end(lambda: self._end(spec, name, made, at_once=at_once))
            means.go_on()
            session.places.take(name, spec, wait=not means.unseen, shared=wanted.scope.scope == RUN)
            labels = session.labels_in(wanted.scope)
            container_id = self._create(spec, source, name, wanted.alias, networks, volumes, labels, secrets)
            put_files(session.engine, container_id, {key: spec.files[key] for key in spec.files if key not in baked})
            if secrets is not None:
                # After the files: they may say who its user is.
                user = image.config.user if spec.user is None else str(spec.user)
                secrets.put(container_id, user, self._users.setdefault(image.id, {}))
            means.go_on()
            self._begin(container_id, spec)
            session.note("started", name)
            made.append(self.handle(spec, image, container_id, name, wanted.alias, networks, secrets))
            made[0].own_image = source.reference if baked else None
            if not means.unseen or made[0].looks_by_itself:
                made[0].await_ready(means.go_on)
        except BaseException as failure:
            # What cannot be removed now stays in the ledger, and must not hide why it is to go.
            with suppress(DockerkitError):
                if made:
                    session.keeper.hold(made[0], failed=isinstance(failure, DockerkitError) and not means.unseen)
                    made[0].remove()
                else:
                    session.remove("container", name)
            session.places.is_gone(name)
            raise
        return made[0]

    def _begin(self, container_id: str, spec: ContainerSpec) -> None:
        """Start what was made, once more where the engine has chosen a port that somebody else took meanwhile."""
        chosen = all(each.host_port is None for each in spec.published_ports)
        retried(
            lambda: self._session.engine.containers.start(container_id),
            passes=lambda failure: chosen and isinstance(failure, PortTakenError),
            tries=_PORT_TRIES,
            first_s=_PORT_PAUSE_S,
        )

    def _end(self, spec: ContainerSpec, name: str, made: Sequence[RunningContainer], *, at_once: bool) -> None:
        """Remove a container at the end of its scope, behind what comes next where that cannot notice.

        Args:
            spec: what it is.
            name: its name.
            made: it, if it was made.
            at_once: whether it is to be gone at the end of the call that has made it.
        """
        if not made:
            self._session.remove("container", name)
        elif self._session.keeper.holds("container", name):
            made[0].remove()
        elif not made[0].removed:
            self._session.places.leaves(name)
            # Who has joined its network would find it there for a while.
            has_guests = any(network.has_guests for network in made[0].networks)
            if not at_once and self._session.removals.may_wait(spec, has_guests=has_guests):
                own = [network.name for network in made[0].networks if network.is_ours]
                made[0].leave(lambda: self._session.removals.later("container", name, own))
            else:
                made[0].remove()

    def bury(self, container: RunningContainer) -> None:
        """Remove a container that has died, before another comes in its place; all workers are told how it died."""
        death = container.known_death
        if death is not None:
            told = deaths.sentence(container, death)
            self._session.note("died", container.name, told=f"{told}; the tests after it got another")
        if not container.removed:
            for tell in container.on_buried:
                tell()
            # At once: its name, its ports and its room are for the next one.
            container.remove()

    @contextmanager
    def created(self, spec: ContainerSpec, image: Image, alias: str) -> Iterator[str]:
        """Give a container that was made and not started; it is removed at the end of the block."""
        name = object_name(self._session.run_id, alias)
        try:
            networks = [self._session.surroundings.handle("none", None)]
            yield self._create(spec, image, name, alias, networks, {}, self._session.labels)
        except BaseException:
            with suppress(DockerkitError):
                self._session.remove("container", name)
            raise
        self._session.remove("container", name)

    def _create(
        self,
        spec: ContainerSpec,
        image: Image,
        name: str,
        alias: str,
        networks: Sequence[Network],
        volumes: Mapping[str, str],
        labels: Mapping[str, str],
        secrets: ContainerSecrets | None = None,
    ) -> str:
        engine = self._session.engine
        names = list(dict.fromkeys([alias, *spec.aliases]))
        body = container_body(
            spec,
            image_id=image.id,
            labels={**labels, NAME_LABEL: alias},
            network=networks[0].name,
            aliases=names if networks[0].has_names else [],
            volumes=volumes,
            start_interval=engine.facts.start_interval,
            host_address=host_address(spec, networks, engine) if spec.host_access else None,
        )
        if secrets is not None:
            secrets.mount(body, labels)
        self._session.ledger.making("container", name)
        container_id = engine.containers.create(name, body, spec.platform)
        for network in networks[1:]:
            engine.networks.connect(network.name, container_id, names if network.has_names else [])
        for network in networks:
            if network.names is not None:
                engine.networks.connect(network.names.name, container_id, names)
        return container_id

    def handle(
        self,
        spec: ContainerSpec,
        image: Image,
        container_id: str,
        name: str,
        alias: str,
        networks: Iterable[Network],
        secrets: ContainerSecrets | None = None,
    ) -> RunningContainer:
        """Give the handle of a container that has been started.

        Raises:
            ContainerRemovedError: it is gone.
        """
        container = RunningContainer(
            self._session.engine,
            spec,
            image,
            container_id=container_id,
            name=name,
            alias=alias,
            networks=list(networks),
            remove=lambda: self._session.remove("container", name),
        )
        container.make_network = self._session.surroundings.passing
        if spec.secrets:
            from pytest_dockerkit._runtime.cover import Cover

            container.cover = Cover(spec, None if secrets is None else secrets.values)
        return container

    def _secrets(self, spec: ContainerSpec, name: str) -> ContainerSecrets | None:
        """Read the secrets of a container, before anything is made for it; None without any."""
        if not spec.secrets:
            return None
        # Here and above: few containers have any.
        from pytest_dockerkit._runtime.container_secrets import ContainerSecrets

        return ContainerSecrets(self._session, name, spec)

    def _with_files(
        self, spec: ContainerSpec, content: Mapping[str, str | bytes | Path], image: Image, wanted: Wanted
    ) -> Image:
        """Make an image with the files in it: into a read-only root the engine copies none."""
        session = self._session
        name = object_name(session.run_id, f"{wanted.alias}-files").lower()
        # The command stays in the image that is made, so that it has to be the right one.
        plain = ContainerSpec(image=image, command=spec.command, entrypoint=spec.entrypoint, network="none")
        with self.created(plain, image, f"{wanted.alias}-files") as container:
            put_files(session.engine, container, content)
            wanted.scope.at_end(lambda: session.removals.at_scope_end("image", name))
            session.ledger.making("image", name)
            session.engine.images.commit(container, name, session.labels)
        return Image(session, session.engine.images.find(name) or {}, name, cached=False)
