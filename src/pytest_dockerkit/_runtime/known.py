"""What a container's handle knows of it."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from pytest_dockerkit._runtime.health import HealthWatch
from pytest_dockerkit._spec.refs import ContainerHandle
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import ContainerError, ContainerRemovedError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from docker.models.containers import Container

    from pytest_dockerkit._engine.daemon import Daemon
    from pytest_dockerkit._runtime.deaths import Death
    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.log_watch import LogWatches
    from pytest_dockerkit._runtime.networks import Network
    from pytest_dockerkit._runtime.results import Limits, Sight
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.network import NetworkSpec

_S = TypeVar("_S", bound="KnownContainer")
_P = ParamSpec("_P")
_R = TypeVar("_R")


def by_alias(
    method: Callable[Concatenate[_S, _P], _R],
) -> Callable[Concatenate[_S, _P], _R]:
    """Call a container that is gone by its alias; the engine knows it by its id."""

    @wraps(method)
    def call(container: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        __tracebackhide__ = True
        try:
            return method(container, *args, **kwargs)
        except ContainerRemovedError as gone:
            raise container.gone(gone) from None
        except EngineError as failure:
            failure.what = failure.what.replace(container.id, repr(container.alias))
            raise

    return call


def _make_none(spec: NetworkSpec) -> Network:
    raise NotImplementedError(repr(spec))


class KnownContainer(ContainerHandle):
    """What is known of a container, and asked of the engine."""

    def __init__(
        self,
        engine: Daemon,
        spec: ContainerSpec,
        image: Image,
        *,
        container_id: str,
        name: str,
        alias: str,
        networks: Sequence[Network],
        remove: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._remove = remove
        self._networks = list(networks)
        self._watch = HealthWatch(engine, container_id)
        self._removed = False
        #: Tells whether another process has removed it.
        self.removed_elsewhere: Callable[[], bool] = bool
        #: Whether it has been waited for until it was ready.
        self.awaited = False
        #: Whether it is one test's alone, so that all that it has said is of that test, also what it said before.
        self.of_one_test = False
        #: Whether it was sent a signal through this handle: then that is why it has ended.
        self.stopped_by_us = False
        #: Whether a test has seen through this handle that it has ended.
        self.end_seen = False
        #: Whether the test that has asked it to end has failed, and so was kept from starting it again.
        self.left_stopped = False
        #: How it ended, as soon as that was noticed, where nobody had asked it to.
        self.known_death: Death | None = None
        #: Tell whether another process has asked it to end, and how another has seen it end.
        self.asked_elsewhere: Callable[[], bool] = bool
        self.death_elsewhere: Callable[[], Death | None] = lambda: None
        #: Called when it was asked to end, and when it runs again.
        self.on_asked: list[Callable[[bool], object]] = []
        #: Called before it is removed since it has died.
        self.on_buried: list[Callable[[], object]] = []
        #: What it was when its `with` block ended with an exception.
        self.last_sight: Sight | None = None
        #: When the wait for it is over, by the monotonic clock.
        self.deadline: float | None = None
        #: Its logs that are read for the wait.
        self.log_watches: LogWatches | None = None
        #: What it raises ends the wait.
        self.go_on: Callable[[], object] | None = None
        #: Called when it was removed, whoever did that through this handle.
        self.on_removed: list[Callable[[], object]] = []
        #: Covers its secrets in a text that is about to be shown.
        self.cover: Callable[[str], str] = str
        #: The name of an image that was made for it alone.
        self.own_image: str | None = None
        #: Keeps it from being removed until it is known whether it is to stay.
        self.hold: Callable[..., object] = lambda *_, **__: None
        #: Makes a network that whoever asks removes.
        self.make_network: Callable[[NetworkSpec], Network] = _make_none
        #: The containers that were given to it as what it depends on.
        self.stands_on: list[RunningContainer] = []
        self._log_since: float | None = None
        self.spec = spec
        self.image = image
        self.id = container_id
        self.name = name
        self.alias = alias
        self.seen: dict[str, Any] = {}
        self.refresh()

    # What it is

    @property
    def removed(self) -> bool:
        """Whether it was removed, by a `with` or `remove()`; one that xdist's workers share, by any of them."""
        return self._removed or self.removed_elsewhere()

    @property
    def was_asked_to_end(self) -> bool:
        """Whether a test has asked it to end, in whichever process."""
        return self.stopped_by_us or self.asked_elsewhere()

    def ask_to_end(self, *, asked: bool = True) -> None:
        """Note that it is asked to end; or that it runs, whatever was asked before."""
        told = self.stopped_by_us
        self.stopped_by_us, self.end_seen = asked, False
        if told != asked:
            for tell in self.on_asked:
                tell(asked)

    @property
    def network(self) -> Network:
        """The first of its networks.

        Raises:
            ContainerError: it is cut off from all of them.
        """
        if not self._networks:
            raise ContainerError(
                f"container {self.alias!r} is in no network",
                saw="it was disconnected from all of them",
                mend="network.connect(container), or look at it after the disconnect() block",
            )
        return self._networks[0]

    @property
    def networks(self) -> tuple[Network, ...]:
        """All of its networks."""
        return tuple(self._networks)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, the plugin's own among them."""
        return dict(self.seen["Config"]["Labels"])

    @property
    def status(self) -> str:
        """What it does now: created, running, paused, restarting, removing, exited or dead."""
        return str(self.inspect()["State"]["Status"])

    @property
    def health(self) -> str | None:
        """Its health now: starting, healthy or unhealthy; None without a health check.

        `healthy` also from the moment on when its own health command has passed while the plugin waited
        for it, though Docker may not have looked yet.
        """
        said = (self.state().get("Health") or {}).get("Status") or None
        return "healthy" if said == "starting" and self._watch.passed else said

    @property
    def limits(self) -> Limits:
        """The caps that the engine holds it to."""
        # 3 ms with all that can be measured, and few tests do.
        from pytest_dockerkit._runtime.results import Limits

        config = self.seen["HostConfig"]
        ulimits = {each["Name"]: (each["Soft"], each["Hard"]) for each in config.get("Ulimits") or ()}
        return Limits(
            cpus=config["NanoCpus"] / 1e9 if config.get("NanoCpus") else None,
            memory_bytes=config.get("Memory") or None,
            memory_swap_bytes=config.get("MemorySwap") or None,
            pids=config.get("PidsLimit") or None,
            shm_bytes=config.get("ShmSize") or None,
            ulimits=FrozenMapping(ulimits),
        )

    @property
    @by_alias
    def docker(self) -> Container:
        """docker-py's own object for it, for what has no method here."""
        # Nobody sees what is asked of it there.
        self.end_seen = True
        return self._engine.docker_container(self.id)

    def inspect(self) -> dict[str, Any]:
        """Give all that the engine knows of it now."""
        seen = self.refresh()
        # A test that looks knows.
        self.end_seen |= seen["State"]["Status"] == "exited"
        return seen

    @by_alias
    def refresh(self) -> dict[str, Any]:
        """Ask the engine anew, and keep what it says for what is derived from it."""
        self.seen = self._engine.containers.inspect(self.id)
        return self.seen

    def state(self) -> dict[str, Any]:
        """Give the `State` of its description as the engine has it now."""
        state: dict[str, Any] = self.refresh()["State"]
        return state

    @property
    def health_passed(self) -> bool:
        """Whether its health command has passed while it was waited for."""
        return self._watch.passed

    def was_healthy(self) -> None:
        """Note that its health command has passed while another process waited for it."""
        self._watch.passed = True

    def gone(self, failure: ContainerRemovedError) -> ContainerRemovedError:
        """Make the error that it was removed out of the engine's answer."""
        return ContainerRemovedError(
            f"container {self.alias!r} was removed", saw=failure.saw, mend=failure.mend, details=failure.details
        )

    def joined(self, network: Network) -> None:
        """Note that it was connected to a network."""
        if network not in self._networks:
            self._networks.append(network)
        self.refresh()

    def left(self, network: Network) -> None:
        """Note that it was disconnected from a network."""
        self.forget(network)
        self.refresh()

    def forget(self, network: Network) -> None:
        """Note that a network of it is gone."""
        if network in self._networks:
            self._networks.remove(network)
