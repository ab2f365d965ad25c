"""What containers stand in: the networks and volumes of a run, made once for a group of a scope."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._names import BUILT_IN, KEPT_LABEL, object_name
from pytest_dockerkit._runtime.idle_networks import IdleNetworks
from pytest_dockerkit._runtime.networks import Network, Volume
from pytest_dockerkit._runtime.scope import RUN
from pytest_dockerkit._runtime.subnets import Subnets
from pytest_dockerkit._spec.mounts import VolumeSpec
from pytest_dockerkit._spec.network import INTERNAL, ISOLATED, NetworkSpec
from pytest_dockerkit._spec.refs import External, FixtureRef
from pytest_dockerkit._spec.subnets import takes_subnet
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.scope import ScopeInstance
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.starting import Wanted
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.network import NetworkRequest


#: Sorts before the id of any run.
_FIRST = "000000000000"


class Surroundings:
    """Makes and finds networks and volumes for one process of a run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        #: What containers share is made once, though tests and what runs ahead of them ask from several threads.
        self._making: defaultdict[tuple[object, ...], threading.RLock] = defaultdict(threading.RLock)
        self._networks: dict[tuple[object, ...], Network] = {}
        self._volumes: dict[tuple[object, ...], Volume] = {}
        self.idle = IdleNetworks(session)
        #: The addresses of networks that were given some of our own, by name.
        self._subnets: dict[str, str] = {}
        self._known_pools: Subnets | None = None

    def network(self, spec: NetworkSpec, scope: ScopeInstance, alias: str = "net") -> Network:
        """Make a network; at the end of the scope it is removed."""
        labels = self._session.labels_in(scope)
        name = self._network_name(alias, labels)
        made: list[Network] = []

        def end() -> None:
            self._session.removals.at_scope_end("network", name)
            for network in made:
                network.is_gone()

        scope.at_end(end)
        made.append(self._create(name, spec, labels))
        return made[0]

    def passing(self, spec: NetworkSpec) -> Network:
        """Make a network for a while: whoever asks removes it."""
        labels = self._session.labels
        return self._create(self._network_name("passing", labels), spec, labels)

    def _network_name(self, alias: str, labels: Mapping[str, str]) -> str:
        # Docker takes the gateway, and with it the published ports, from the network whose name sorts first: a
        # container that joins a later one keeps its ports. Source: moby, libnetwork, endpoint.Less.
        # Those that are kept stand before all of every run.
        run_id = _FIRST if KEPT_LABEL in labels else self._session.run_id
        return object_name(run_id, f"{time.time_ns() // 1_000_000:x}-{alias}")

    def _create(self, name: str, spec: NetworkSpec, labels: Mapping[str, str]) -> Network:
        def create(subnet: str | None) -> None:
            wanted = spec if subnet is None else replace(spec, subnet=subnet)
            self._session.engine.networks.create(name, wanted, labels)
            if subnet is not None:
                self._subnets[name] = subnet

        if spec.driver == "overlay":
            # Here: few runs have any.
            from pytest_dockerkit._runtime.joining import join_swarm

            join_swarm(self._session, "overlay networks need a swarm, and this engine is in none")
        self._session.ledger.making("network", name)
        if takes_subnet(spec):
            self._pools.make(create)
        else:
            create(None)
        return self.handle(name, lambda: self._remove(name))

    @property
    def _pools(self) -> Subnets:
        session = self._session
        local = session.engine.facts.local
        with self._lock:
            if self._known_pools is None:
                seed = f"{session.run_id}-{session.process}"
                self._known_pools = Subnets(session.settings, local=local, seed=seed)
            return self._known_pools

    def is_gone(self, network: str) -> None:
        """Note that a network was removed: its addresses are free for others."""
        if (subnet := self._subnets.pop(network, None)) is not None:
            self._pools.give_back(subnet)

    def _remove(self, name: str) -> None:
        self._session.removals.settle(containers=True)
        self._session.remove("network", name)

    def volume(self, spec: VolumeSpec, scope: ScopeInstance, alias: str = "volume") -> Volume:
        """Make a volume; at the end of the scope it is removed."""
        name = object_name(self._session.run_id, alias)

        def remove() -> None:
            self._session.removals.settle(containers=True)
            self._session.remove("volume", name)

        scope.at_end(lambda: self._session.removals.at_scope_end("volume", name))
        self._session.ledger.making("volume", name)
        self._session.engine.volumes.create(name, spec, self._session.labels_in(scope))
        return Volume(self._session.engine, name, remove)

    def network_for(
        self, request: NetworkRequest, wanted: Wanted, after: Iterable[str] = (), *, ahead: bool = False
    ) -> Network:
        """Give the network that a spec names; one that it describes is made once for a group of a scope.

        Args:
            request: the network.
            wanted: the container that is to be in it.
            after: the names of networks of others that are to join it.
            ahead: whether nobody waits for it yet.

        Raises:
            SpecError: it does not exist, or is of another kind.
        """
        shared = self._session.shared
        if isinstance(request, Network):
            return request if shared is None or wanted.scope.scope == RUN else shared.networks.view(request)
        if isinstance(request, External) or request in BUILT_IN:
            return self.handle(request.name if isinstance(request, External) else str(request), None)
        if request not in (ISOLATED, INTERNAL) and not isinstance(request, NetworkSpec):
            raise SpecError(
                "a network of another kind was given", saw=repr(request), mend="a NetworkSpec or a fixture"
            )
        if shared is not None and wanted.scope.scope == RUN:
            return shared.networks.network_for(request, wanted)
        key = (wanted.scope.key, wanted.group, request)
        with self._one_at_a_time(key):
            if key not in self._networks:
                # Forgotten before it is removed, since what is registered last is done first.
                if isinstance(request, NetworkSpec):
                    network = self.network(request, wanted.scope)
                else:
                    network = self._isolated(
                        NetworkSpec(internal=request == INTERNAL), wanted.scope, after, ahead=ahead
                    )
                wanted.scope.at_end(lambda: self._is_over(key, self._networks))
                self._networks[key] = network
            return self._networks[key]

    def known(self, request: str, wanted: Wanted) -> Network | None:
        """Give the network that was made for a group of a scope; None if there is none yet."""
        return self._networks.get((wanted.scope.key, wanted.group, request))

    def _isolated(self, spec: NetworkSpec, scope: ScopeInstance, after: Iterable[str], *, ahead: bool) -> Network:
        """Give a network that nobody is in; at the end of the scope it is free for others."""
        labels = self._session.labels
        network = self.idle.take(spec, after, wait=ahead) or self._create(
            self._network_name("net", labels), spec, labels
        )
        scope.at_end(lambda: self.idle.give_back(spec, network))
        return network

    def _one_at_a_time(self, key: tuple[object, ...]) -> threading.RLock:
        with self._lock:
            return self._making[key]

    def _is_over(self, key: tuple[object, ...], made: dict[tuple[object, ...], Any]) -> None:
        made.pop(key, None)
        with self._lock:
            self._making.pop(key, None)

    def handle(self, name: str, remove: Callable[[], None] | None) -> Network:
        """Give the handle of a network that is there.

        Raises:
            SpecError: it does not exist.
        """
        facts = self._session.engine.networks.inspect(name)
        if facts is None:
            raise SpecError(
                f"the network {name!r} does not exist on the engine",
                saw=f"external({name!r})",
                mend=f"docker network create {name}, or let the plugin make one: network_fixture()",
            )
        return Network(self._session.engine, facts, remove)

    def volumes_for(self, spec: ContainerSpec, scope: ScopeInstance, group: object) -> dict[str, str]:
        """Give the real names of the volumes that a spec names; those that are not there are made.

        Raises:
            SpecError: one that the user keeps does not exist.
        """
        names: dict[str, str] = {}
        for mount in spec.mounts:
            if isinstance(mount.source, FixtureRef):
                raise SpecError("a fixture was given where a volume belongs", saw=repr(mount), mend="its value")
            if isinstance(mount.source, External) and self._session.engine.volumes.inspect(mount.source.name) is None:
                raise SpecError(
                    f"the volume {mount.source.name!r} does not exist on the engine",
                    saw=f"external({mount.source.name!r})",
                    mend=f"docker volume create {mount.source.name}, or let the plugin make one: volume_fixture()",
                )
            if isinstance(mount.source, str) and self._session.ledger.is_open("volume", mount.source):
                # The name of one that this run has made.
                names[mount.source] = mount.source
            elif isinstance(mount.source, str):
                names[mount.source] = self._named_volume(mount.source, scope, group)
        return names

    def _named_volume(self, name: str, scope: ScopeInstance, group: object) -> str:
        if scope.scope == RUN and self._session.shared is not None:
            shared = self._session.shared
            return shared.volume(shared.key("volume", group, name), VolumeSpec(), name).name
        key = (scope.key, group, name)
        with self._one_at_a_time(key):
            if key not in self._volumes:
                volume = self.volume(VolumeSpec(), scope, name)
                scope.at_end(lambda: self._is_over(key, self._volumes))
                self._volumes[key] = volume
            return self._volumes[key].name


def strangers(
    peers: Iterable[RunningContainer], wanted: Wanted, surroundings: Surroundings
) -> list[RunningContainer]:
    """Give those of a test's containers that `introduce` would have let a wanted one know, and that it does not."""
    if ISOLATED not in wanted.spec.networks:
        return []
    network = surroundings.known(ISOLATED, wanted)
    return [each for each in peers if ISOLATED in each.spec.networks and network not in each.networks]


def introduce(peers: Iterable[RunningContainer], spec: ContainerSpec, networks: Sequence[Network]) -> None:
    """Let the containers of one test reach each other by name, though their scopes have networks apart.

    Those that live on isolated networks of wider scopes join the new one's. Networks that a user has chosen,
    and Docker's own, stay as they are.
    """
    if ISOLATED not in spec.networks:
        return
    network = networks[spec.networks.index(ISOLATED)]
    for peer in peers:
        if ISOLATED in peer.spec.networks and network not in peer.networks and not peer.removed:
            network.connect(peer)
