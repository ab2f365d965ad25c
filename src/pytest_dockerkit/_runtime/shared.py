"""What all xdist workers of a run share: containers of the session, and the networks and volumes that they stand on.

Whichever worker asks first makes it; the others take it by its record. No worker removes it: the controller does, once
the workers are gone.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.kept_errors import revived, written
from pytest_dockerkit._runtime.networks import Network, Volume
from pytest_dockerkit._runtime.records import Records
from pytest_dockerkit._runtime.scope import RUN, ScopeInstance
from pytest_dockerkit._spec.identity import NoIdentityError, container_identity, identity
from pytest_dockerkit._spec.network import INTERNAL, ISOLATED, NetworkSpec
from pytest_dockerkit.errors import ContainerRemovedError, DockerkitError, EngineUnavailableError, LockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.records import Record
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.starting import Means, Wanted
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.mounts import VolumeSpec
    from pytest_dockerkit._spec.network import NetworkRequest

_ENDED = ("exited", "dead", "removing")


class Shared:
    """What one worker shares with the others.

    Args:
        session: the worker's.
        secret: makes the digests of secrets useless to all who do not have it; alike in all workers.
    """

    def __init__(self, session: Session, secret: bytes) -> None:
        self._session = session
        self._secret = secret
        self._lock = threading.Lock()
        #: One handle in a process for each network: containers know by it whether they are in the same.
        self._networks: dict[str, Network] = {}
        self._keys: WeakKeyDictionary[RunningContainer, str] = WeakKeyDictionary()
        self._records = Records(lambda: self._directory, nullcontext)

    @cached_property
    def _directory(self) -> Path:
        return self._session.settings.directory("runs", self._session.run_id, "shared")

    # Containers

    def key_of(self, wanted: Wanted) -> str | None:
        """Give what a container is known by in all workers; None for one that each of them has for itself."""
        if wanted.per_worker or wanted.scope.scope != "session":
            return None
        try:
            # Not the group: equal specs of one scope and name are one container.
            known = container_identity(wanted.spec, key=self._secret)
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
            adopt=lambda record: self._adopted(key, record, wanted, spec),
            make=lambda: self._made(key, wanted, spec, means),
            go_on=means.go_on,
        )
        self._introduce(means.peers, container)
        if not container.awaited and not means.unseen:
            container.await_ready(means.go_on)
        return container

    def _made(self, key: str, wanted: Wanted, spec: ContainerSpec, means: Means) -> RunningContainer:
        scope = ScopeInstance(RUN, key, _never)
        means = replace(means, at_end=_never, volumes_scope=None)
        try:
            container = self._session.starter.start(replace(wanted, scope=scope), spec, means)
        except (EngineUnavailableError, LockError):
            # Each worker finds that out for itself.
            raise
        except DockerkitError as failure:
            self._records.write(key, {"failed": written(failure), "told": False})
            raise
        try:
            self._records.write(key, _record(container))
        except BaseException:
            container.remove()
            raise
        return self._known(key, container)

    def _adopted(self, key: str, record: Record, wanted: Wanted, spec: ContainerSpec) -> RunningContainer | None:
        """Give the handle of one that another worker has made; None if it is gone or has ended.

        Raises:
            DockerkitError: it could not be had.
        """
        if "failed" in record:
            raise revived(record["failed"])
        if self._records.is_marked(_gone(record["name"])):
            return None
        image = Image(self._session, record["facts"], record["reference"], cached=True, title=record["title"])
        self._session.ledger.adopt("container", record["name"])
        try:
            networks = [
                self._network_of(name, request, wanted)
                for name, request in zip(record["networks"], spec.networks, strict=False)
            ]
            container = self._session.starter.handle(
                spec, image, record["id"], record["name"], wanted.alias, networks
            )
        except ContainerRemovedError:
            return None
        if container.seen["State"]["Status"] in _ENDED and not getattr(spec.wait, "allows_exit", False):
            return None
        container.awaited = record["awaited"]
        if record["healthy"]:
            container.was_healthy()
        return self._known(key, container)

    def _known(self, key: str, container: RunningContainer) -> RunningContainer:
        mark = _gone(container.name)
        container.removed_elsewhere = lambda: self._records.is_marked(mark)
        container.on_removed.append(lambda: self._records.mark(mark))
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
        if _is_told(self._records.read(key)):
            return
        with self._records.lock(key):
            record = self._records.read(key)
            if not _is_told(record):
                tell()
                if record is not None:
                    self._records.write(key, {**record, "told": True})

    def known_key(self, container: RunningContainer) -> str | None:
        """Give the key of a container; None if it is not shared."""
        return self._keys.get(container)

    # Networks

    def network(self, key: str, spec: NetworkSpec, alias: str) -> Network:
        """Give a network that all workers share."""
        return self._records.once(
            key,
            adopt=lambda record: self._network(record["name"]),
            make=lambda: self._new_network(spec, alias, partial(self._records.write, key)),
        )

    def network_for(self, request: NetworkRequest, wanted: Wanted) -> Network:
        """Give the network of a group of containers that are shared.

        Names within it are unambiguous: of two containers of one name, as a fixture with params gives them, the second
        has another.
        """
        if isinstance(request, NetworkSpec):
            return self.network(self.key("network", wanted.group, request), request, "net")
        key = self.key("networks", wanted.group, request)
        names = [wanted.alias, *wanted.spec.aliases]
        with self._records.lock(key):
            rooms = (self._records.read(key) or {"rooms": []})["rooms"]
            for room in rooms:
                if all(room["names"].get(name, wanted.scope.key) == wanted.scope.key for name in names):
                    network = self._network(room["name"])
                    break
            else:
                network, room = None, {"names": {}}
                rooms.append(room)
            if network is None:
                network = self._new_network(NetworkSpec(internal=request == INTERNAL), "net", room.update)
            room["names"] |= dict.fromkeys(names, wanted.scope.key)
            self._records.write(key, {"rooms": rooms})
        return network

    def _new_network(self, spec: NetworkSpec, alias: str, record: Callable[[Record], object]) -> Network:
        made = self._session.surroundings.network(spec, ScopeInstance(RUN, RUN, _never), alias)
        record({"name": made.name})
        with self._lock:
            return self._networks.setdefault(made.name, _SharedNetwork.of(made, self._records))

    def _network_of(self, name: str, request: object, wanted: Wanted) -> Network:
        """Give the network that a container of another worker's stands in."""
        if request in (ISOLATED, INTERNAL) or isinstance(request, NetworkSpec):
            if (network := self._network(name)) is None:
                raise ContainerRemovedError(f"the network of container {wanted.alias!r} was removed")
            return network
        return self._session.surroundings.network_for(request, wanted)  # type: ignore[arg-type]

    def _network(self, name: str) -> Network | None:
        with self._lock:
            if name in self._networks:
                return self._networks[name]
        facts = self._session.engine.networks.inspect(name)
        if facts is None:
            return None
        self._session.ledger.adopt("network", name)
        made = _SharedNetwork(self._session.engine, facts, lambda: self._session.remove("network", name))
        made.records = self._records
        with self._lock:
            return self._networks.setdefault(name, made)

    def _introduce(self, peers: Iterable[RunningContainer], container: RunningContainer) -> None:
        """Let a container and those of the same test reach each other by name.

        Of two networks the one whose name sorts behind takes the other's container as a guest, which keeps its ports.
        """
        mine = _isolated(container)
        for peer in peers:
            theirs = _isolated(peer)
            if mine is None or theirs is None or mine.id == theirs.id or peer.removed:
                continue
            if mine in peer.networks or theirs in container.networks:
                continue
            host, guest = (mine, peer) if mine.name > theirs.name else (theirs, container)
            if host.name in guest.refresh()["NetworkSettings"]["Networks"]:
                guest.joined(host)
            else:
                host.connect(guest)

    # Volumes

    def volume(self, key: str, spec: VolumeSpec, alias: str) -> Volume:
        """Give a volume that all workers share."""

        def make() -> Volume:
            volume = self._session.surroundings.volume(spec, ScopeInstance(RUN, RUN, _never), alias)
            self._records.write(key, {"name": volume.name})
            return volume

        return self._records.once(key, adopt=self._volume, make=make)

    def _volume(self, record: Record) -> Volume | None:
        name = record["name"]
        if self._session.engine.volumes.inspect(name) is None:
            return None
        self._session.ledger.adopt("volume", name)
        return Volume(self._session.engine, name, lambda: self._session.remove("volume", name))


class _SharedNetwork(Network):
    """A network that containers of several workers may join at the same time."""

    records: Records

    @classmethod
    def of(cls, network: Network, records: Records) -> Network:
        """Give a handle for workers in place of one for one process."""
        made = cls(network._engine, network._facts, network._remove)  # noqa: SLF001  - its own kind
        made.records = records
        return made

    def connect(self, container: RunningContainer, aliases: Sequence[str] = ()) -> None:
        """Connect a container, unless another worker has."""
        with self.records.lock("introductions"):
            if self.name in container.refresh()["NetworkSettings"]["Networks"]:
                container.joined(self)
            else:
                super().connect(container, aliases)


def names_recorded(directory: Path) -> set[str]:
    """Give the names of what the workers of a run share; reads what is in `directory` alone."""
    if not directory.is_dir():
        return set()
    found: set[str] = set()
    for record in Records(lambda: directory, nullcontext).all():
        found.update(each["name"] for each in [record, *record.get("rooms", ())] if "name" in each)
    return found


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


def _isolated(container: RunningContainer) -> Network | None:
    """Give the isolated network of a container; None if it has none, or was cut off from it."""
    networks: dict[str, Any] = dict(zip(map(str, container.spec.networks), container.networks, strict=False))
    return networks.get(ISOLATED)


def _is_told(record: Record | None) -> bool:
    return record is not None and bool(record.get("told"))


def _gone(name: str) -> str:
    return f"gone-{name}"


def _never(_: object) -> None:
    """Take what is to be done at the end of a scope that the controller ends."""
