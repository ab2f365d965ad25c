"""Containers and networks that are made before the tests that want them, in threads beside these."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.client import import_docker
from pytest_dockerkit._runtime.crew import Crew
from pytest_dockerkit._runtime.scope import ScopeInstance, end_all
from pytest_dockerkit._runtime.starting import Means, NotProvidedError
from pytest_dockerkit._runtime.surroundings import strangers
from pytest_dockerkit._spec.identity import NoIdentityError, container_identity
from pytest_dockerkit._spec.image import ImageSpec
from pytest_dockerkit._spec.refs import ImageHandle
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.starting import Wanted
    from pytest_dockerkit._spec.image import ImageRequest

#: How many containers are started at once. On two cores, eight that are started at once are there in 55 % of the time
#: that one after the other takes, four in 65 %.
WIDTH = 8
#: What an errand is found by: scope and who asks.
Slot = tuple[object, ...]


class StoppedError(Exception):
    """The run ends, and what was made for it is not wanted any more."""


@dataclass(eq=False)
class Errand:
    """Something that is made before it is asked for.

    Attributes:
        slot: what it is found by.
        outcome: what was made.
        endings: what removes it; those of its networks and volumes are the scope's.
        identity: of the spec that was carried out; None for what has none, such as a network.
        begun: whether the engine may have been asked to make it; before, it can be given up at once.
        given_up: whether nobody wants it any more.
    """

    slot: Slot
    outcome: Future[Any]
    endings: list[Callable[[], object]] = field(default_factory=list)
    identity: str | None = None
    begun: bool = False
    given_up: bool = False


class Ahead:
    """What is made in the background, in one process of a run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._containers = Crew("container", WIDTH)
        self._builds = Crew("image", os.cpu_count() or 1)
        self._errands: defaultdict[Slot, list[Errand]] = defaultdict(list)
        #: What ends with a scope: the networks and volumes of errands that stand in it.
        self._endings: dict[str, list[Callable[[], object]]] = {}
        self._images: dict[tuple[object, ...], Errand] = {}

    # Making

    def container(self, slot: Slot, wanted: Callable[[Callable[[str, str], ScopeInstance]], Wanted]) -> Errand:
        """Begin to make a container.

        Args:
            slot: what it is asked for by: `slot_of` what is wanted.
            wanted: says what is wanted, once what it stands on is there; it gives the scope that it is given, by
                pytest's word and its key.
        """

        def make(errand: Errand) -> RunningContainer:
            asked = wanted(self._scope)
            errand.identity = container_identity(asked.spec)
            if not isinstance(asked.spec.image, ImageHandle):
                # A build or pull takes long, and nothing of it has to be removed.
                self._session.images.get(asked.spec.image, pull=asked.spec.pull, platform=asked.spec.platform)
            self._mark_begun(errand)
            means = Means(errand.endings.append, go_on=self._go_on, unseen=True)
            return self._session.provide(asked, means)

        return self._begin(slot, make)

    def thing(self, slot: Slot, make: Callable[[ScopeInstance], Any]) -> Errand:
        """Begin to make a network or a volume, in the scope that `make` is given."""

        def make_it(errand: Errand) -> Any:
            self._mark_begun(errand)
            return make(ScopeInstance("ahead", f"ahead {slot}", errand.endings.append))

        return self._begin(slot, make_it)

    def image(self, request: ImageRequest, pull: str | None = None, platform: str | None = None) -> Errand:
        """Begin to build or pull an image, once; what fails is told to whoever asks for it."""
        key = (request, pull, platform)
        if key not in self._images:
            if isinstance(request, ImageSpec):
                # Builds may want it, in threads beside the tests.
                import_docker()

            def get() -> Image:
                self._go_on()
                return self._session.images.get(request, pull=pull, platform=platform)

            self._images[key] = Errand(key, self._builds.submit(get))
        return self._images[key]

    def _begin(self, slot: Slot, make: Callable[[Errand], Any]) -> Errand:
        errand = Errand(slot, Future())

        def carry_out() -> Any:
            self._go_on()
            return make(errand)

        errand.outcome = self._containers.submit(carry_out)
        with self._lock:
            self._errands[slot].append(errand)
        return errand

    def _mark_begun(self, errand: Errand) -> None:
        with self._lock:
            if errand.given_up or self._stopping.is_set():
                raise StoppedError
            errand.begun = True

    def has(self, slot: Slot) -> bool:
        """Tell whether something is being made, or is there, that nobody has taken."""
        return bool(self._errands.get(slot))

    # Taking

    def take(self, wanted: Wanted, means: Means) -> RunningContainer | None:
        """Give the container that was made for a request; None if there is none.

        Raises:
            NotProvidedError: it could not be had.
        """
        slot = slot_of(wanted)
        if not self._errands.get(slot) or self._session.is_forked:
            return None
        try:
            identity = container_identity(wanted.spec)
        except (NoIdentityError, DockerkitError, OSError):
            return None
        for errand in tuple(self._errands.get(slot, ())):
            if (found := self._outcome(errand)) is None or errand.identity != identity:
                continue
            # Of whom it was to know when it was started, and did not.
            if strangers(means.peers, wanted, self._session.surroundings) or not self._is_current(wanted, found):
                self._drop(errand)
                continue
            self._hand_over(errand, wanted.scope, means.at_end)
            if isinstance(found, NotProvidedError):
                raise found
            container: RunningContainer = found
            if not container.awaited:
                container.await_ready(means.go_on)
            return container
        return None

    def take_thing(self, slot: Slot, at_end: Callable[[Callable[[], object]], object]) -> Any:
        """Give the network or volume that was made; None if there is none."""
        for errand in () if self._session.is_forked else tuple(self._errands.get(slot, ())):
            made = self._outcome(errand)
            if made is not None:
                self._forget(errand)
                at_end(partial(end_all, errand.endings))
                return made
        return None

    @staticmethod
    def result(errand: Errand) -> Any:
        """Wait for what another errand stands on.

        Raises:
            Exception: it could not be had; whoever asks for it is told.
        """
        return errand.outcome.result()

    def _outcome(self, errand: Errand) -> Any:
        """Wait for an errand: for what it has made, or for why that cannot be had.

        Returns:
            that; None if it was not carried out, and is to be done by whoever asks.
        """
        # One that still waits for a thread is done sooner by who needs it now.
        if not errand.outcome.cancel():
            failure = errand.outcome.exception()
            if failure is None:
                return errand.outcome.result()
            if isinstance(failure, NotProvidedError):
                return failure
        # Any other failure is met again by whoever asks.
        self._drop(errand)
        return None

    def _is_current(self, wanted: Wanted, found: RunningContainer | NotProvidedError) -> bool:
        """Tell whether it runs, and an image that is built is still that of the files as they are now."""
        if isinstance(found, NotProvidedError):
            return True
        if found.removed or not found.is_alive():
            # It may have ended since it was ready, as some do by themselves after a while.
            return False
        if not isinstance(wanted.spec.image, ImageSpec):
            return True
        image = self._session.images.get(wanted.spec.image, pull=wanted.spec.pull, platform=wanted.spec.platform)
        return image.id == found.image.id

    def _hand_over(
        self, errand: Errand, scope: ScopeInstance, at_end: Callable[[Callable[[], object]], object]
    ) -> None:
        """Let what an errand has made end with who has asked for it."""
        with self._lock:
            endings = self._endings.pop(scope.key, None)
        if endings is not None:
            scope.at_end(lambda: end_all(endings))
        at_end(lambda: end_all(errand.endings))
        # Last, so that no interruption leaves it to nobody.
        self._forget(errand)

    # Ending

    def drop(self, key: str) -> None:
        """Remove what was made for a scope that is over, and that nobody has taken."""
        for slot in [slot for slot in tuple(self._errands) if slot[0] == key]:
            for errand in tuple(self._errands.get(slot, ())):
                self._drop(errand)
        with self._lock:
            endings = self._endings.pop(key, [])
        _end(endings)

    def drop_all(self) -> None:
        """Remove all that nobody has taken yet."""
        for slot in tuple(self._errands):
            for errand in tuple(self._errands.get(slot, ())):
                self._drop(errand)

    def _drop(self, errand: Errand) -> None:
        self._forget(errand)
        with self._lock:
            errand.given_up = True
        if not errand.outcome.cancel() and errand.begun:
            wait([errand.outcome])
        _end(errand.endings)

    def stop(self) -> None:
        """End what is being made, and remove what nobody has taken."""
        if self._session.is_forked:
            return
        with self._lock:
            self._stopping.set()
        for image in self._images.values():
            image.outcome.cancel()
        for errands in tuple(self._errands.values()):
            for errand in tuple(errands):
                self._drop(errand)
        with self._lock:
            scopes, self._endings = self._endings, {}
        for endings in scopes.values():
            _end(endings)
        self._containers.close()
        self._builds.close()

    def _forget(self, errand: Errand) -> None:
        with self._lock:
            errands = self._errands.get(errand.slot, [])
            if errand in errands:
                errands.remove(errand)
            if not errands:
                self._errands.pop(errand.slot, None)

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise StoppedError

    def _scope(self, word: str, key: str) -> ScopeInstance:
        with self._lock:
            endings = self._endings.setdefault(key, [])
        return ScopeInstance(word, key, endings.append)


def _end(endings: list[Callable[[], object]]) -> None:
    """Remove what nobody has taken; what cannot be removed is tried again at the end of the run, by the ledger."""
    try:
        end_all(endings)
    except* DockerkitError:
        pass


def slot_of(wanted: Wanted) -> Slot:
    """Give what an errand for a request is found by."""
    return (wanted.scope.key, wanted.alias, wanted.group, wanted.place)
