"""What all xdist workers of a run share: containers of the session, and the networks and volumes that they stand on.

Whichever worker asks first makes it; the others take it by its record. No worker removes it: the controller does,
once the workers are gone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from pytest_dockerkit._names import is_object_name, secrets_volume
from pytest_dockerkit._runtime.deaths import read_death, written_death
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.keeping import Keeping
from pytest_dockerkit._runtime.kept_errors import revived, written
from pytest_dockerkit._runtime.kept_records import gone, names, used
from pytest_dockerkit._runtime.known import KnownContainer
from pytest_dockerkit._runtime.networks import Volume
from pytest_dockerkit._runtime.records import Records
from pytest_dockerkit._runtime.scope import RUN, ScopeInstance
from pytest_dockerkit._runtime.shared_networks import SharedNetworks
from pytest_dockerkit._spec.identity import NoIdentityError, container_identity, identity
from pytest_dockerkit.errors import ContainerRemovedError, DockerkitError, EngineUnavailableError, LockError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.records import Record
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.starting import Means, Wanted
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.mounts import VolumeSpec

_ENDED = ("exited", "dead", "removing")


class Shared:
    """What one worker shares with the others.

    Args:
        session: the worker's.
        secret: makes the digests of secrets useless to all who do not have it; alike in all workers.
        kept: where what is kept for the next run is recorded; None where all is of this run.
    """

    def __init__(self, session: Session, secret: bytes, kept: Path | None = None) -> None:
        self._session = session
        self.kept = kept
        self._secret = secret
        self._keys: WeakKeyDictionary[RunningContainer, str] = WeakKeyDictionary()
        self._records = Records(lambda: self._directory)
        self._keeping = None if kept is None else Keeping(session, self._records, kept, self.key)
        self.networks = SharedNetworks(session, self._records, self.key, self._keeping)

    @cached_property
    def _directory(self) -> Path:
        return self.kept or self._session.settings.directory("runs", self._session.run_id, "shared")

    # Containers

    def key_of(self, wanted: Wanted, spec: ContainerSpec) -> str | None:
        """Give what a container is known by in all workers; None for one that each of them has for itself.

        Args:
            wanted: what is wanted.
            spec: what is to run: that of `wanted`, or what a plugin has put in its place.
        """
        if wanted.per_worker or wanted.scope.scope != "session":
            return None
        if self._keeping is None:
            # What plugins put in its place is the same in all workers.
            spec = wanted.spec
        elif spec.read_only and spec.files_in_root:
            # It stands on an image that is the run's.
            return None
        try:
            # Not the group: equal specs of one scope and name are one container.
            known = container_identity(spec, key=self._secret)
            return self.key("container", wanted.alias, wanted.place, known)
        except (NoIdentityError, DockerkitError, OSError):
            return None

    def key(self, *parts: object) -> str:
        """Give the digest of what something is known by.

        Raises:
            NoIdentityError: a part has none.
        """
        return identity(parts, key=self._secret)[:32]

    def container(self, key: str, wanted: Wanted, spec: ContainerSpec, means: Means) -> RunningContainer:
        """Give a container that all workers share, ready unless nobody waits for it yet.

        Args:
            key: of what is wanted.
            wanted: what is wanted.
            spec: what is to run: that of `wanted`, or what a plugin has put in its place.
            means: how it is started, if it is this worker that does it.

        Raises:
            DockerkitError: it cannot be had; whoever asked first has been told the same.
        """
        container = self._records.once(
            key,
            adopt=lambda record: self._adopted(key, record, wanted, spec, means),
            make=lambda: self._made(key, wanted, spec, means),
            go_on=means.go_on,
            waiting=means.waiting(self._session.places),
        )
        self.networks.introduce(means.peers, container)
        if not container.awaited and not means.unseen:
            container.await_ready(means.go_on)
        return container

    def _made(self, key: str, wanted: Wanted, spec: ContainerSpec, means: Means) -> RunningContainer:
        if self._keeping is not None:
            self._keeping.make_way(key, wanted, spec)
        scope = ScopeInstance(RUN, key, _never)
        # Also where it is made ahead: what it stands on may be in another network, and it may want it as it begins.
        below = [each for each in spec.depends_on if isinstance(each, KnownContainer) and each not in means.peers]
        peers = [*means.peers, *cast("list[RunningContainer]", below)]
        means = replace(means, at_end=_never, volumes_scope=None, peers=peers)
        try:
            container = self._session.starter.start(replace(wanted, scope=scope), spec, means)
        except (EngineUnavailableError, LockError):
            # Each worker finds that out for itself.
            raise
        except DockerkitError as failure:
            if means.unseen and self._session.keeper.is_wanted:
                raise
            self._records.write(key, {"failed": written(failure), "run": self._session.run_id})
            raise
        try:
            kept = {} if self._keeping is None else self._keeping.record(container, wanted)
            self._records.write(key, {**_record(container), "run": self._session.run_id, **kept})
        except BaseException:
            with suppress(DockerkitError):
                container.remove()
            raise
        if self._keeping is not None:
            self._keeping.is_recorded("container", container.name)
            if kept["own_volume"] is not None:
                self._keeping.is_recorded("volume", kept["own_volume"])
        return self._known(key, container)

    def _adopted(
        self, key: str, record: Record, wanted: Wanted, spec: ContainerSpec, means: Means
    ) -> RunningContainer | None:
        """Give the handle of one that another worker has made; None if it is gone or has ended.

        Raises:
            DockerkitError: it could not be had.
        """
        if self._keeping is not None and record["run"] != self._session.run_id:
            if "failed" in record:
                return None
            handle = partial(self._running, key, wanted=wanted, spec=spec)
            return self._keeping.take(key, wanted, spec, means, handle)
        if "failed" in record:
            raise revived(record["failed"])
        return self._running(key, record, wanted, spec)

    def _running(self, key: str, record: Record, wanted: Wanted, spec: ContainerSpec) -> RunningContainer | None:
        if self._records.is_marked(gone(record["name"])):
            return None
        image = Image(self._session, record["facts"], record["reference"], cached=True, title=record["title"])
        self._session.ledger.adopt("container", record["name"])
        if spec.secrets:
            self._session.ledger.adopt("volume", secrets_volume(record["name"]))
        try:
            networks = [
                self.networks.of(name, request, wanted)
                for name, request in zip(record["networks"], spec.networks, strict=False)
            ]
            container = self._session.starter.handle(
                spec, image, record["id"], record["name"], wanted.alias, networks
            )
        except ContainerRemovedError:
            return None
        if container.seen["State"]["Status"] in _ENDED and not getattr(spec.wait, "allows_exit", False):
            return None
        for mount in container.seen.get("Mounts") or ():
            if is_object_name(mount.get("Name", ""), self._session.run_id):
                # Where it stays for a person to look at, so do they.
                self._session.ledger.adopt("volume", mount["Name"])
        container.awaited = record["awaited"]
        if record["healthy"]:
            container.was_healthy()
        return self._known(key, container)

    def _known(self, key: str, container: RunningContainer) -> RunningContainer:
        mark = gone(container.name)
        container.removed_elsewhere = lambda: self._records.is_marked(mark)
        container.on_removed.append(lambda: self._records.mark(mark))
        asked, died = f"asked-{container.name}", f"died-{container.name}"
        container.asked_elsewhere = lambda: self._records.is_marked(asked)
        container.on_asked.append(lambda yes: self._records.mark(asked) if yes else self._records.unmark(asked))
        container.death_elsewhere = lambda: read_death(self._records.marked(died))
        container.on_buried.append(lambda: self._records.mark(died, written_death(container.known_death)))
        self._keys[container] = key
        return container

    def tell_once(self, key: str | None, tell: Callable[[], object]) -> None:
        """Tell plugins of a container or of a failure, in one worker alone, while the others wait.

        Args:
            key: of what is shared; what is not is told in any case.
            tell: tells them.
        """
        if key is None:
            tell()
            return
        if self._is_told(self._records.read(key)):
            return
        with self._records.lock(key):
            record = self._records.read(key)
            if not self._is_told(record):
                tell()
                if record is not None:
                    self._records.write(key, {**record, "told": True})

    def _is_told(self, record: Record | None) -> bool:
        return record is not None and bool(record.get("told")) and record["run"] == self._session.run_id

    def acquaint(self, containers: Sequence[RunningContainer]) -> None:
        """Let the containers of one test reach each other by name; some were there before it asked for them."""
        shared = [each for each in containers if not each.removed and self.known_key(each) is not None]
        for place, container in enumerate(shared):
            self.networks.introduce(shared[:place], container)

    def known_key(self, container: RunningContainer) -> str | None:
        """Give the key of a container; None if it is not shared."""
        return self._keys.get(container)

    # Volumes

    def volume(self, key: str, spec: VolumeSpec, alias: str) -> Volume:
        """Give a volume that all workers share."""

        def make() -> Volume:
            if self._keeping is not None:
                self._keeping.sweep()
            volume = self._session.surroundings.volume(spec, ScopeInstance(RUN, RUN, _never), alias)
            self._records.write(key, {"kind": "volume", "name": volume.name, "used_at": time.time()})
            if self._keeping is not None:
                self._keeping.is_recorded("volume", volume.name)
            return volume

        volume = self._records.once(key, adopt=self._volume, make=make)
        self._records.mark(used(key))
        return volume

    def _volume(self, record: Record) -> Volume | None:
        name = record["name"]
        if self._session.engine.volumes.inspect(name) is None:
            return None
        self._session.ledger.adopt("volume", name)
        return Volume(self._session.engine, name, lambda: self._session.remove("volume", name))


def names_recorded(directory: Path) -> set[str]:
    """Give the names of what the workers of a run share; reads what is in `directory` alone."""
    return names(Records(lambda: directory)) if directory.is_dir() else set()


def _record(container: RunningContainer) -> Record:
    return {
        "id": container.id,
        "name": container.name,
        "facts": container.image.facts,
        "reference": container.image.reference,
        "title": container.image.title,
        "networks": [each.name for each in container.networks],
        "healthy": container.health_passed,
        "awaited": container.awaited,
        "told": False,
    }


def _never(_: object) -> None:
    """Take what is to be done at the end of a scope that the controller ends."""
