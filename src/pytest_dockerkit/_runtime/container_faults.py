"""Faults that a test brings upon a container for a block, to see how others bear them; all end with the block."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._runtime.known import KnownContainer, by_alias
from pytest_dockerkit._runtime.networks import named
from pytest_dockerkit._spec.network import NetworkSpec
from pytest_dockerkit.errors import ContainerError, ContainerRemovedError, SpecError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.networks import Network


class ContainerFaults(KnownContainer):
    """What befalls a container for a block."""

    @by_alias
    def pause(self) -> None:
        """Freeze all of its processes."""
        self._engine.containers.pause(self.id)

    @by_alias
    def unpause(self) -> None:
        """Let its processes go on."""
        self._engine.containers.unpause(self.id)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze all of its processes for the block."""
        self.pause()
        try:
            yield
        finally:
            self.unpause()

    @contextmanager
    def disconnect(self, network: Network | None = None) -> Iterator[None]:
        """Cut it off from a network (the first of its own) for the block, then connect it as it was.

        It has its names there again, and its address unless somebody else has that now. A published port that the
        engine has chosen may be another one.

        Raises:
            ContainerError: it is not in that network.
        """
        wanted = self.network if network is None else network
        place = next((place for place, each in enumerate(self._networks) if each.id == wanted.id), None)
        if place is None:
            raise ContainerError(
                f"container {self.alias!r} is not in the network {wanted.name!r}",
                saw=f"its networks: {named(self._networks)}",
                mend="disconnect() without a network takes the first of its own",
            )
        cut = self._networks[place]
        aliases = _names_in(self.refresh(), cut)
        endpoint = self.seen["NetworkSettings"]["Networks"].get(cut.name) or {}
        cut.disconnect(self._itself)
        try:
            yield
        finally:
            if not self.removed:
                cut.connect(self._itself, aliases, address=endpoint.get("IPAddress") or None)
                self._networks.remove(cut)
                self._networks.insert(place, cut)

    @contextmanager
    def partitioned(self, from_: RunningContainer | Sequence[RunningContainer] | None = None) -> Iterator[None]:
        """Keep it apart from others for the block, then let it be as it was.

        From all: it is cut off from all of its networks. From some containers only: those stay in the networks that
        they share with it, and it meets all others of these in a network beside. Its address is another one for the
        block then, and connections that were open break; names are those that they were.

        Args:
            from_: a container, or several; None for all.

        Raises:
            ContainerError: it is in no network that it can be cut off from, or shares none with one of them.
        """
        # Docker lets nobody leave the host's network, and in "none" there is nobody else.
        if stuck := next((each.name for each in self._networks if each.name in ("host", "none")), None):
            raise ContainerError(
                f"container {self.alias!r} cannot be cut off",
                saw=f"network={stuck!r}",
                mend="give it a network that it can leave: network='isolated', or a network fixture",
            )
        if from_ is None:
            with ExitStack() as stack:
                # The last one first, so that each is put back where it was.
                # `network` says that there is none, if so.
                for network in reversed(self.networks or (self.network,)):
                    stack.enter_context(self.disconnect(network))
                yield
            return
        others = (from_,) if isinstance(from_, KnownContainer) else tuple(from_)
        for other in others:
            self._refuse_apart(other)
        shared = [each for each in self.networks if any(_is_in(other, each) for other in others)]
        with ExitStack() as stack:
            for network in reversed(shared):
                stack.enter_context(self._moved_beside(network, {each.id for each in others}))
            yield

    def _refuse_apart(self, other: RunningContainer) -> None:
        """Refuse to be kept apart from one that it cannot meet."""
        if other.id == self.id:
            raise SpecError(
                f"container {self.alias!r} cannot be kept apart from itself",
                saw=f"from_={other!r}",
                mend="name another container",
            )
        if not any(_is_in(other, each) for each in self.networks):
            raise ContainerError(
                f"containers {self.alias!r} and {other.alias!r} share no network",
                saw=f"{self.alias}: {named(self.networks)}; {other.alias}: {named(other.networks)}",
                mend="they are apart already; or give both one network fixture",
            )

    @contextmanager
    def _moved_beside(self, network: Network, without: Collection[str]) -> Iterator[None]:
        """Take it out of a network for the block, and let it meet there whoever is not to be without it."""
        members = [each for each in network.others_in(network.inspect()) if each not in {self.id, *without}]
        names = _names_in(self.refresh(), network)
        beside = self.make_network(NetworkSpec(internal=network.internal)) if members else None
        try:
            with self.disconnect(network):
                if beside is not None:
                    beside.connect(self._itself, names)
                    for member in members:
                        self._bring(member, network, beside)
                yield
        finally:
            # Before it is back where it was, it would reach nobody; after that, one too many.
            if beside is not None:
                beside.remove()

    def _bring(self, member: str, network: Network, beside: Network) -> None:
        """Let a container of a network be in another one too, under the names that it has there."""
        try:
            seen = self._engine.containers.inspect(member)
        except ContainerRemovedError:
            return
        self._engine.networks.connect(beside.name, member, _names_in(seen, network))

    @property
    def _itself(self) -> RunningContainer:
        itself: RunningContainer = self  # type: ignore[assignment]  # there are no others
        return itself


def _names_in(seen: dict[str, Any], network: Network) -> list[str]:
    """Give the names that a container was given in a network, or in the one beside it that has them."""
    places = [network.name] if network.names is None else [network.name, network.names.name]
    endpoints = [seen["NetworkSettings"]["Networks"].get(each) or {} for each in places]
    names = (name for endpoint in endpoints for name in endpoint.get("Aliases") or ())
    # Engines before 26 name the container's own short id among them.
    return [each for each in dict.fromkeys(names) if not seen["Id"].startswith(each)]


def _is_in(container: KnownContainer, network: Network) -> bool:
    return any(each.id == network.id for each in container.networks)
