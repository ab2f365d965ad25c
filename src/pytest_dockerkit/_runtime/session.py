"""A run in one process: carries specs out, remembers what it made, and undoes it."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import nullcontext, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._names import KEPT_LABEL, OWNER_LABEL, RUN_LABEL, secrets_volume
from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.ahead import Ahead
from pytest_dockerkit._runtime.alive import Alive, is_owner_gone
from pytest_dockerkit._runtime.handover import Handover
from pytest_dockerkit._runtime.keeper import Keeper
from pytest_dockerkit._runtime.ledger import Ledger
from pytest_dockerkit._runtime.owner import owner_of
from pytest_dockerkit._runtime.places import Places
from pytest_dockerkit._runtime.progress import Tasks
from pytest_dockerkit._runtime.removals import Removals
from pytest_dockerkit._runtime.runs import describe
from pytest_dockerkit._runtime.scope import RUN
from pytest_dockerkit._runtime.starting import Means, NotAheadError, NotProvidedError, Starter
from pytest_dockerkit._runtime.store import ImageStore
from pytest_dockerkit._runtime.surroundings import Surroundings
from pytest_dockerkit._runtime.sweeper import Sweeper
from pytest_dockerkit._runtime.undoing import side_by_side
from pytest_dockerkit._runtime.watcher import NotWatchedError, Watcher
from pytest_dockerkit.errors import DockerkitError, EngineUnavailableError, TeardownError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_dockerkit._engine.base import Builder
    from pytest_dockerkit._engine.build_request import BuildRequest
    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.ledger import Entry
    from pytest_dockerkit._runtime.listener import Listener
    from pytest_dockerkit._runtime.results import RunResult
    from pytest_dockerkit._runtime.scope import ScopeInstance
    from pytest_dockerkit._runtime.settings import Settings
    from pytest_dockerkit._runtime.sharing import Sharing
    from pytest_dockerkit._runtime.starting import Wanted


class Session:
    """A run in one process.

    Attributes:
        settings: what the user has set.
        run_id: the run's id, alike in all of its processes.
        process: the name of this one among them: main, or an xdist worker's.
        images: the shared image cache.
        progress: what is being built and pulled; nobody is shown it, unless another is set.
        surroundings: the networks and volumes.
        removals: what removes them, and the containers.
        handover: what lets another process do that.
        starter: what starts containers.
        places: the room for them.
        shared: what all xdist workers share; None where there are no others.
        ahead: the containers that are made before their tests.
        keeper: what lets containers stay for a person to look at.
        sweeper: what removes, beside the tests, what dead runs have left.
        alive: what shows others that this process lives.
        watcher: the process that undoes the run when its owner is gone.
    """

    def __init__(
        self,
        settings: Settings,
        run_id: str,
        process: str,
        listener: Listener,
        sharing: Sharing | None = None,
        alive: Alive | None = None,
    ) -> None:
        """Begin; no engine is asked yet.

        Args:
            settings: what the user has set.
            run_id: the run's id.
            process: the name of this process.
            listener: who is told of what goes on.
            sharing: how what lives as long as the session is shared; None shares nothing.
            alive: what shows others that this process lives; by default it owns the run if it is the main one.
        """
        self.settings = settings
        self.run_id = run_id
        self.images = ImageStore(self)
        self.progress = Tasks()
        self.surroundings = Surroundings(self)
        self.removals = Removals(self)
        self.handover = Handover(self)
        self.starter = Starter(self)
        self.places = Places(self)
        self.shared = None if sharing is None else sharing.of(self)
        self.ahead = Ahead(self)
        self.keeper = Keeper(self)
        self.sweeper = Sweeper(self)
        self.alive = alive or Alive(lambda: self.directory, None if process == "main" else process)
        self.watcher = Watcher(lambda: self.directory, lambda: self.engine.directions)
        self.process = process
        self._listener = listener
        self._unavailable: EngineUnavailableError | None = None
        self._leaves_all = False
        self._pid = os.getpid()
        #: Held while the engine is reached and the ledger begun: there is one of each, whoever comes first.
        self._reaching = threading.RLock()

    @property
    def is_forked(self) -> bool:
        """Whether this is a child of the process that has made it: without its threads, and with locks that stay."""
        return os.getpid() != self._pid

    @cached_property
    def directory(self) -> Path:
        """The run's directory."""
        return self.settings.directory("runs", self.run_id)

    @property
    def has_made_anything(self) -> bool:
        """Whether any process of the run has a ledger."""
        return any((self.settings.state_dir / "runs" / self.run_id).glob("*.jsonl"))

    @property
    def ledger(self) -> Ledger:
        """This process's part of the run's ledger."""
        with nullcontext() if "_ledger" in self.__dict__ else self._reaching:
            return self._ledger

    @cached_property
    def _ledger(self) -> Ledger:
        # First: a run that has a ledger, and does not live, is a dead one.
        self.alive.hold()
        describe(self.directory, self.settings)
        return Ledger(self.directory / f"{self.process}.jsonl", self._about_to_make)

    def _about_to_make(self) -> None:
        """See to it that what is made now is removed whatever comes."""
        if not self.alive.is_owner and is_owner_gone(self.directory):
            raise DockerkitError(
                "the run is over, and nothing is made any more",
                saw="the process that owns it, such as the controller of xdist's workers, has ended",
                mend="run the tests again",
            )
        if self.alive.is_held:
            # Else the watcher would take it for dead. Where no engine answers, nothing is made.
            with suppress(NotWatchedError, EngineUnavailableError):
                self.watcher.begin()

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
        with nullcontext() if "_engine" in self.__dict__ else self._reaching:
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
        from pytest_dockerkit._engine.builders import build_with

        build_with(self._given_builder or self.engine.builder, request)

    @cached_property
    def _given_builder(self) -> Builder | None:
        return self._listener.builder(self.engine.builder)

    # Containers

    def run(
        self,
        wanted: Wanted,
        *,
        peers: Sequence[RunningContainer] = (),
        volumes_scope: ScopeInstance | None = None,
        at_end: Callable[[Callable[[], object]], object] | None = None,
    ) -> RunningContainer:
        """Give a container that is ready: one that was made ahead of its test, or one that is started now.

        Args:
            wanted: what is wanted, and for how long.
            peers: containers of the same test; it reaches them, and they it, by name.
            volumes_scope: for how long the volumes are kept, where that is longer.
            at_end: takes the container's removal, where it ends sooner than its networks.

        Raises:
            DockerkitError: it cannot be had; whatever was made of it is removed.
        """
        means = Means(at_end or wanted.scope.at_end, peers, volumes_scope)
        try:
            container = self.ahead.take(wanted, means) or self.provide(wanted, means)
        except NotProvidedError as failure:
            self._tell(failure.key, partial(self._listener.failed, failure.spec, failure.cause))
            raise failure.cause from None
        container.of_one_test = wanted.scope.scope == "function"
        container.hold = self.keeper.hold
        try:
            key = None if self.shared is None else self.shared.known_key(container)
            self._tell(key, partial(self._listener.ready, container))
        except BaseException:
            with suppress(DockerkitError):
                container.remove()
            raise
        self.sweeper.begin()
        return container

    def provide(self, wanted: Wanted, means: Means) -> RunningContainer:
        """Start a container, or what plugins put in its place; its listeners are not told yet.

        Raises:
            NotProvidedError: it cannot be had.
        """
        spec = self._listener.wanted(wanted.spec)
        key = None if self.shared is None else self.shared.key_of(wanted, spec)
        try:
            if self.shared is None or key is None:
                return self.starter.start(wanted, spec, means)
            return self.shared.container(key, wanted, spec, means)
        except DockerkitError as failure:
            if means.unseen and self.keeper.is_wanted:
                # Whoever asks for it is to fail with it, and then it stays.
                raise NotAheadError from failure
            raise NotProvidedError(spec, failure, key) from None

    def _tell(self, key: str | None, tell: Callable[[], object]) -> None:
        """Tell the listener; of what is shared in one process alone."""
        if self.shared is None:
            tell()
        else:
            self.shared.tell_once(key, tell)

    def run_once(self, image: Image, command: str | Sequence[str] | None, fields: Mapping[str, Any]) -> RunResult:
        """Run a container to its end, and remove it; see `Image.run`."""
        from pytest_dockerkit._runtime import once

        return once.run(self, image, command, fields)

    # What is remembered

    def labels_in(self, scope: ScopeInstance) -> dict[str, str]:
        """What everything carries that is made in a scope."""
        kept = self.shared.kept if self.shared is not None and scope.scope == RUN else None
        return self.labels if kept is None else {**self.labels, KEPT_LABEL: kept.name}

    @cached_property
    def labels(self) -> dict[str, str]:
        """What everything carries that the run makes."""
        owner = owner_of(self.settings)
        return {RUN_LABEL: self.run_id} | ({} if owner is None else {OWNER_LABEL: owner})

    def note(self, what: str, name: str, **facts: str | float | None) -> None:
        """Remember what is worth telling at the end of the run."""
        self.ledger.note(what, name, **facts)

    def remove(self, kind: str, name: str) -> None:
        """Remove one thing that the ledger has, once; after the end, where that is handed over, leave it there."""
        if self.keeper.holds(kind, name):
            self.keeper.leave(kind, name)
        elif not self._leaves_all and self.ledger.is_open(kind, name):
            self.engine.remove(kind, name)
            self.ledger.gone(kind, name)
            if kind == "network":
                self.surroundings.is_gone(name)
            elif kind == "container":
                self.places.is_gone(name)
        if kind == "container":
            # Where it has any, they go with it.
            self.remove("volume", secrets_volume(name))

    def end(self) -> None:
        """Stop what is made ahead, and wait until all is removed that is to be by now, or leave it."""
        self.removals.ending = True
        self._leaves_all = self.removals.leaving
        self.ahead.stop()
        self.surroundings.idle.remove_all()
        if not self._leaves_all:
            self.removals.settle()
        self.sweeper.end(wait=not self._leaves_all)
        self.removals.close()
        self.places.close()

    def undo_all(self) -> None:
        """Remove all that any process of the run has made and left.

        Raises:
            TeardownError: something could not be removed; all the rest was.
        """

        def remove(entry: Entry) -> None:
            self.undo(entry)
            self.ledger.gone(entry.kind, entry.name)

        failures = side_by_side(ledger.open_entries(ledger.read(self.directory)), remove)
        if failures:
            raise TeardownError(
                "something could not be removed",
                saw="\n".join(f"{each.kind} {each.name}: {why.what}: {why.saw}" for each, why in failures.items()),
                mend="the next run tries again, or `dockerkit prune`; by hand: docker rm -f, docker network rm, …",
            )

    def undo(self, entry: Entry) -> None:
        """Remove one thing that any process of the run has made, whatever the ledger of this one says."""
        self.engine.remove(entry.kind, entry.name)

    def forget(self) -> None:
        """Remove the run's directory, once nothing is left of the run.

        Raises:
            OSError: it cannot be removed.
        """
        shutil.rmtree(self.directory)

    def close(self) -> None:
        """Close the connections."""
        self.watcher.close()
        self.images.close()
        if "_engine" in self.__dict__:
            self._engine.close()
        self.alive.release()
