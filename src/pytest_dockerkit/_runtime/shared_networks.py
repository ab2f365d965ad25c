"""The networks that xdist's workers share, and how what is one worker's alone stands in them."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._runtime.kept_records import used
from pytest_dockerkit._runtime.networks import Network
from pytest_dockerkit._runtime.scope import RUN, ScopeInstance
from pytest_dockerkit._spec.network import INTERNAL, ISOLATED, NetworkSpec
from pytest_dockerkit.errors import ContainerRemovedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.keeping import Keeping
    from pytest_dockerkit._runtime.records import Record, Records
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.starting import Wanted
    from pytest_dockerkit._spec.network import NetworkRequest


#: What a fixture's place ends with, where there are params: see `instance_of`.
_INSTANCE = re.compile(r"(\[[^\[\]=]+=\d+\])+$")


class SharedNetworks:
    """The shared networks, as one worker knows them.

    Args:
        session: the worker's.
        records: what is recorded of them.
        key: gives the digest of what something is known by.
        keeping: takes what runs before have kept; None where nothing is kept.
    """

    def __init__(
        self, session: Session, records: Records, key: Callable[..., str], keeping: Keeping | None = None
    ) -> None:
        self._session = session
        self._keeping = keeping
        self._records = records
        self._key = key
        self._lock = threading.Lock()
        #: One handle in a process for each network: containers know by it whether they are in the same.
        self._known: dict[str, SharedNetwork] = {}
        self._views: dict[str, NetworkView] = {}

    def network(self, key: str, spec: NetworkSpec, alias: str, place: str = "") -> Network:
        """Give a network that all workers share.

        Args:
            key: what it is known by.
            spec: what is wanted.
            alias: a word that its name on the engine has in it.
            place: where the fixture stands that it is for.
        """

        def make() -> SharedNetwork:
            if self._keeping is not None:
                self._keeping.make_way_for_network(key, place, spec.subnet)
            about = {"kind": "network", "place": place, "subnet": spec.subnet, "used_at": time.time()}
            return self._made(spec, alias, lambda made: self._records.write(key, {**made, **about}))

        network = self._records.once(key, adopt=lambda record: self._adopted(record["name"]), make=make)
        self._records.mark(used(key))
        network.spec = spec
        return network

    def network_for(self, request: NetworkRequest, wanted: Wanted) -> Network:
        """Give the network of a group of containers that are shared.

        Names within it are unambiguous: of two containers of one name, as a fixture with params gives them, the
        second has another.
        """
        if isinstance(request, NetworkSpec):
            return self.network(self._key("network", wanted.group, request), request, "net")
        # What stands on one param of a fixture stands beside it, and not beside that of another.
        instance = _INSTANCE.search(wanted.place)
        key = self._key("networks", wanted.group, request, instance and instance[0])
        names = [wanted.alias, *wanted.spec.aliases]
        with self._records.lock(key):
            rooms = (self._records.read(key) or {"rooms": []})["rooms"]
            for room in rooms:
                if all(room["names"].get(name, wanted.scope.key) == wanted.scope.key for name in names):
                    network = self._adopted(room["name"])
                    break
            else:
                network, room = None, {"names": {}}
                rooms.append(room)
            if network is None:
                network = self._made(NetworkSpec(internal=request == INTERNAL), "net", room.update)
            room["names"] |= dict.fromkeys(names, wanted.scope.key)
            self._records.write(key, {"rooms": rooms})
        return network

    def of(self, name: str, request: NetworkRequest, wanted: Wanted) -> Network:
        """Give the network that a container of another worker's stands in.

        Args:
            name: the network's.
            request: how the container's spec asks for it.
            wanted: the container.

        Raises:
            ContainerRemovedError: it is gone, and the container with it.
        """
        if isinstance(request, Network):
            return request
        if request in (ISOLATED, INTERNAL) or isinstance(request, NetworkSpec):
            if (network := self._adopted(name)) is None:
                raise ContainerRemovedError(f"the network of container {wanted.alias!r} was removed")
            return network
        return self._session.surroundings.network_for(request, wanted)

    def view(self, network: Network) -> Network:
        """Give a shared network as a container stands in it that is one worker's alone.

        Each worker may have a container of the same name there, and none is to find another worker's.
        """
        if not isinstance(network, SharedNetwork) or network.spec is None or not _can_be_twice(network.spec):
            return network
        with self._lock:
            if network.name not in self._views:
                # Its name sorts behind, so that the ports stay with the network that all share.
                scope = ScopeInstance("session", "session views", _never)
                own = self._session.surroundings.network(network.spec, scope, "names")
                self._views[network.name] = NetworkView.of(network, own)
            return self._views[network.name]

    def introduce(self, peers: Iterable[RunningContainer], container: RunningContainer) -> None:
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

    def _made(self, spec: NetworkSpec, alias: str, record: Callable[[Record], object]) -> SharedNetwork:
        made = self._session.surroundings.network(spec, ScopeInstance(RUN, RUN, _never), alias)
        record({"name": made.name})
        if self._keeping is not None:
            self._keeping.is_recorded("network", made.name)
        with self._lock:
            return self._known.setdefault(made.name, SharedNetwork.of(made, self._records))

    def _adopted(self, name: str) -> SharedNetwork | None:
        with self._lock:
            if name in self._known:
                return self._known[name]
        facts = self._session.engine.networks.inspect(name)
        if facts is None:
            return None
        self._session.ledger.adopt("network", name)
        made = Network(self._session.engine, facts, lambda: self._session.remove("network", name))
        with self._lock:
            return self._known.setdefault(name, SharedNetwork.of(made, self._records))


class SharedNetwork(Network):
    """A network that containers of several workers may join at the same time.

    Attributes:
        records: holds the lock for that.
        spec: what was asked for, where that was a fixture or a spec.
    """

    records: Records
    spec: NetworkSpec | None = None

    @classmethod
    def of(cls, network: Network, records: Records) -> SharedNetwork:
        """Give a handle for workers in place of one for one process."""
        made = cls(network._engine, network._facts, network._remove)  # noqa: SLF001  - its own kind
        made.records = records
        return made

    def connect(
        self, container: RunningContainer, aliases: Sequence[str] = (), *, address: str | None = None
    ) -> None:
        """Connect a container, unless another worker has."""
        with self.records.lock("introductions"):
            if self.name in container.refresh()["NetworkSettings"]["Networks"]:
                container.joined(self)
            else:
                super().connect(container, aliases, address=address)


class NetworkView(Network):
    """A shared network as a worker's own containers stand in it: their names are in a network beside it."""

    @classmethod
    def of(cls, network: Network, names: Network) -> NetworkView:
        """Make it of the two."""
        made = cls(network._engine, network._facts, network._remove)  # noqa: SLF001  - its own kind
        made.names = names
        return made

    @property
    def has_names(self) -> bool:
        """Not in the one that all share."""
        return False

    def connect(
        self, container: RunningContainer, aliases: Sequence[str] = (), *, address: str | None = None
    ) -> None:
        """Connect a container to both."""
        super().connect(container, aliases, address=address)
        if self.names is not None:
            names = list(dict.fromkeys([container.alias, *container.spec.aliases, *aliases]))
            self._engine.networks.connect(self.names.name, container.id, names)
            container.refresh()

    def disconnect(self, container: RunningContainer) -> None:
        """Disconnect a container from both."""
        if self.names is not None:
            self._engine.networks.disconnect(self.names.name, container.id)
        super().disconnect(container)


def _isolated(container: RunningContainer) -> Network | None:
    """Give the isolated network of a container; None if it has none, or was cut off from it."""
    networks: dict[str, Any] = dict(zip(map(str, container.spec.networks), container.networks, strict=False))
    return networks.get(ISOLATED)


def _can_be_twice(spec: NetworkSpec) -> bool:
    """Tell whether there can be another network like it on the same machine."""
    fixed = spec.subnet is not None or spec.gateway is not None or spec.parent is not None
    return spec.driver == "bridge" and not fixed and "com.docker.network.bridge.name" not in spec.options


def _never(_: object) -> None:
    """Take what is to be done at the end of what the controller ends."""
