"""A run in one process: carries specs out, remembers what it made, and undoes it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from pytest_dockerkit._engine.body import container_body
from pytest_dockerkit._engine.builders import build_with
from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._names import NAME_LABEL, RUN_LABEL, object_name
from pytest_dockerkit._runtime import ledger, once
from pytest_dockerkit._runtime.handles import RunningContainer
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.ledger import Ledger
from pytest_dockerkit._runtime.progress import Tasks
from pytest_dockerkit._runtime.store import ImageStore
from pytest_dockerkit._runtime.surroundings import Surroundings, introduce
from pytest_dockerkit._runtime.transfer import put_files
from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit.errors import DockerkitError, EngineUnavailableError, SpecError, TeardownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_dockerkit._engine.base import Builder, BuildRequest
    from pytest_dockerkit._runtime.networks import Network
    from pytest_dockerkit._runtime.results import RunResult
    from pytest_dockerkit._runtime.scope import ScopeInstance
    from pytest_dockerkit._runtime.settings import Settings


class Listener(Protocol):
    """Whoever is told of what goes on; the plugin's hooks are."""

    def builder(self, builder: Builder) -> Builder | None:
        """Give what builds images in place of this one; None leaves it."""

    def wanted(self, spec: ContainerSpec) -> ContainerSpec:
        """Give the spec to carry out in place of this one."""

    def ready(self, container: RunningContainer) -> None:
        """A container is ready."""

    def failed(self, spec: ContainerSpec, error: DockerkitError) -> None:
        """A container did not become ready, and was removed."""


class Session:
    """A run in one process.

    Attributes:
        settings: what the user has set.
        run_id: the run's id, alike in all of its processes.
        process: the name of this one among them: main, or an xdist worker's.
        images: the shared image cache.
        progress: what is being built and pulled; nobody is shown it, unless another is set.
        surroundings: the networks and volumes.
    """

    def __init__(self, settings: Settings, run_id: str, process: str, listener: Listener) -> None:
        self.settings = settings
        self.run_id = run_id
        self.images = ImageStore(self)
        self.progress = Tasks()
        self.surroundings = Surroundings(self)
        self.process = process
        self._listener = listener
        self._unavailable: EngineUnavailableError | None = None
        #: Held while the engine is reached and the ledger begun: there is one of each, whoever comes first.
        self._reaching = threading.RLock()

    @cached_property
    def directory(self) -> Path:
        """The run's directory."""
        return self.settings.directory("runs", self.run_id)

    @property
    def has_made_anything(self) -> bool:
        """Whether any process of the run has a ledger."""
        return (self.settings.state_dir / "runs" / self.run_id).is_dir()

    @property
    def ledger(self) -> Ledger:
        """This process's part of the run's ledger."""
        with self._reaching:
            return self._ledger

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(self.directory / f"{self.process}.jsonl")

    @property
    def unreachable(self) -> EngineUnavailableError | None:
        """Why no engine answers; None as long as none was needed, or from when one has answered."""
        return self._unavailable

    @property
    def engine(self) -> Daemon:
        """The engine, reached when it is first needed.

        Raises:
            EngineUnavailableError: none answers. It is not asked again in this run.
        """
        with self._reaching:
            if self._unavailable is not None:
                raise self._unavailable
            return self._engine

    @cached_property
    def _engine(self) -> Daemon:
        try:
            return Daemon(self.settings.host, self.settings.context, self.settings.builder)
        except EngineUnavailableError as failure:
            self._unavailable = failure
            raise

    def build(self, request: BuildRequest) -> None:
        """Build an image, with what a plugin has provided or else the first way that can.

        Raises:
            BuildError: an instruction failed.
            CapabilityError: nothing here can build it.
            EngineError: the engine failed.
        """
        build_with(self._given_builder or self.engine.builder, request)

    @cached_property
    def _given_builder(self) -> Builder | None:
        return self._listener.builder(self.engine.builder)

    # Containers

    def run(
        self,
        spec: ContainerSpec,
        scope: ScopeInstance,
        *,
        alias: str,
        group: object = "",
        peers: Iterable[RunningContainer] = (),
        volumes_scope: ScopeInstance | None = None,
        at_end: Callable[[Callable[[], object]], object] | None = None,
    ) -> RunningContainer:
        """Start a container and wait until it is ready.

        Args:
            spec: what is wanted, anchored and without fixtures.
            scope: for how long it is kept, and the networks and volumes that it names.
            alias: what others find it by.
            group: within the scope, containers of one group share their isolated network.
            peers: containers of the same test; it reaches them, and they it, by name.
            volumes_scope: for how long the volumes are kept, where that is longer.
            at_end: takes the container's removal, where it ends sooner than its networks.

        Raises:
            DockerkitError: it cannot be had; whatever was made of it is removed.
        """
        made: list[RunningContainer] = []
        name = object_name(self.run_id, alias)

        def remove() -> None:
            if made:
                made[0].remove()
            else:
                self.remove("container", name)

        try:
            spec = self._listener.wanted(spec)
            image = self.images.get(spec.image, pull=spec.pull, platform=spec.platform)
            baked = spec.files_in_root if spec.read_only else {}
            source = self._with_files(spec, baked, image, scope, alias) if baked else image
            networks = [self.surroundings.network_for(each, scope, group) for each in spec.networks]
            volumes = self.surroundings.volumes_for(spec, volumes_scope or scope, group)
            introduce(peers, spec, networks)
            # Before it is made, so that no interruption falls in between; the networks were before, and end later.
            (at_end or scope.at_end)(remove)
            container_id = self._create(spec, source, name, alias, networks, volumes)
            put_files(self.engine, container_id, {key: spec.files[key] for key in spec.files if key not in baked})
            made.append(self._start(spec, image, container_id, name, alias, networks))
            made[0].await_ready()
            self._listener.ready(made[0])
        except BaseException as failure:
            try:
                remove()
            finally:
                if isinstance(failure, DockerkitError):
                    self._listener.failed(spec, failure)
            raise
        return made[0]

    def run_once(self, image: Image, command: str | Sequence[str] | None, fields: Mapping[str, Any]) -> RunResult:
        """Run a container to its end, and remove it; see `Image.run`."""
        return once.run(self, image, command, fields)

    @contextmanager
    def created(self, spec: ContainerSpec, image: Image, alias: str) -> Iterator[str]:
        """Give a container that was made and not started; it is removed at the end of the block."""
        name = object_name(self.run_id, alias)
        try:
            yield self._create(spec, image, name, alias, [self.surroundings.handle("none", None)], {})
        finally:
            self.remove("container", name)

    def _create(
        self,
        spec: ContainerSpec,
        image: Image,
        name: str,
        alias: str,
        networks: Sequence[Network],
        volumes: Mapping[str, str],
    ) -> str:
        if spec.secrets:
            raise SpecError(
                "secrets= is not there yet in this version",
                saw=f"secrets={list(spec.secrets)}",
                mend="files= for values that need not be kept",
            )
        names = list(dict.fromkeys([alias, *spec.aliases]))
        body = container_body(
            spec,
            image_id=image.id,
            labels={**self.labels, NAME_LABEL: alias},
            network=networks[0].name,
            aliases=names if networks[0].has_names else [],
            volumes=volumes,
            start_interval=self.engine.facts.start_interval,
        )
        self.ledger.making("container", name)
        container_id = self.engine.containers.create(name, body, spec.platform)
        for network in networks[1:]:
            self.engine.networks.connect(network.name, container_id, names if network.has_names else [])
        return container_id

    def _start(
        self,
        spec: ContainerSpec,
        image: Image,
        container_id: str,
        name: str,
        alias: str,
        networks: Sequence[Network],
    ) -> RunningContainer:
        self.engine.containers.start(container_id)
        self.note("started", name)
        return RunningContainer(
            self.engine,
            spec,
            image,
            container_id=container_id,
            name=name,
            alias=alias,
            networks=networks,
            remove=lambda: self.remove("container", name),
        )

    def _with_files(
        self,
        spec: ContainerSpec,
        content: Mapping[str, str | bytes | Path],
        image: Image,
        scope: ScopeInstance,
        alias: str,
    ) -> Image:
        """Make an image with the files in it: into a read-only root the engine copies none."""
        name = object_name(self.run_id, f"{alias}-files").lower()
        # The command stays in the image that is made, so that it has to be the right one.
        plain = ContainerSpec(image=image, command=spec.command, entrypoint=spec.entrypoint, network="none")
        with self.created(plain, image, f"{alias}-files") as container:
            put_files(self.engine, container, content)
            scope.at_end(lambda: self.remove("image", name))
            self.ledger.making("image", name)
            self.engine.images.commit(container, name, self.labels)
        return Image(self, self.engine.images.find(name) or {}, name, cached=False)

    # What is remembered

    @property
    def labels(self) -> dict[str, str]:
        """What everything carries that the run makes."""
        return {RUN_LABEL: self.run_id}

    def note(self, what: str, name: str, **facts: str | float | None) -> None:
        """Remember what is worth telling at the end of the run."""
        self.ledger.note(what, name, **facts)

    def remove(self, kind: str, name: str) -> None:
        """Remove one thing that the ledger has, once."""
        if self.ledger.is_open(kind, name):
            undo(self.engine, kind, name)
            self.ledger.gone(kind, name)

    def undo_all(self) -> None:
        """Remove all that any process of the run has made and left, newest first.

        Raises:
            TeardownError: something could not be removed; all the rest was.
        """
        failures: list[str] = []
        for entry in ledger.open_entries(ledger.read(self.directory)):
            try:
                undo(self.engine, entry.kind, entry.name)
            except DockerkitError as failure:
                failures.append(f"{entry.kind} {entry.name}: {failure.what}: {failure.saw}")
            else:
                self.ledger.gone(entry.kind, entry.name)
        if failures:
            raise TeardownError(
                "something could not be removed",
                saw="\n".join(failures),
                mend="remove by hand what is named above: docker rm -f, docker network rm, docker volume rm",
            )

    def forget(self) -> None:
        """Remove the run's directory, once nothing is left of the run.

        Raises:
            OSError: it cannot be removed.
        """
        for path in self.directory.iterdir():
            path.unlink()
        self.directory.rmdir()

    def close(self) -> None:
        """Close the connections."""
        if "_engine" in self.__dict__:
            self._engine.close()


def undo(engine: Daemon, kind: str, name: str) -> None:
    """Remove one thing; one that is gone is no failure."""
    verbs: dict[str, Callable[[str], None]] = {
        "container": engine.containers.remove,
        "network": engine.networks.remove,
        "volume": engine.volumes.remove,
        "image": engine.images.remove,
    }
    verbs[kind](name)
