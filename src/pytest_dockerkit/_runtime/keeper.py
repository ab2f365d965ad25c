"""Decides what of a process's containers stays for a person to look at, and sees to it that it does."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_dockerkit._names import KEPT_LABEL, secrets_volume
from pytest_dockerkit._runtime import keepsakes
from pytest_dockerkit._runtime.keepsakes import Keepsake
from pytest_dockerkit._runtime.ledger import Entry
from pytest_dockerkit._runtime.undoing import ORDER
from pytest_dockerkit._spec.self_contained import self_contained
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.networks import Network
    from pytest_dockerkit._runtime.session import Session

#: How long a container has to stop that stays, and that tests to come must not meet, in seconds.
_STOP_S = 1.0

#: Noted of a container that a failed test has used, and that the next run takes again.
STAYS = "stays"


class Keeper:
    """Keeps containers for a person to look at, and the networks and volumes that they need.

    What is held is not removed, whoever asks for it, until it is known how its test ends. Then it stays, or what was
    asked for is done.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        #: What is held, with the container that needs it; and what of that was to be removed meanwhile.
        self._held: dict[Entry, RunningContainer] = {}
        self._unwanted: dict[Entry, None] = {}
        #: Held until the end of the test that runs.
        self._undecided: list[RunningContainer] = []

    @property
    def is_wanted(self) -> bool:
        """Whether anything may stay."""
        return self._session.settings.keep != "never"

    def hold(self, container: RunningContainer, *, failed: bool) -> None:
        """Hold a container that is about to be removed, where it is to stay if its test fails.

        Args:
            container: which.
            failed: whether something has gone wrong with it.
        """
        if (self.is_wanted and failed) or self._session.settings.keep == "always":
            self._undecided.append(container)
            self._hold(container)

    def decide(self, test: str, containers: Iterable[RunningContainer], *, failed: bool) -> None:
        """Let what a test has used stay, or not, now that it is known how the test ends.

        Args:
            test: which.
            containers: those that it has to do with.
            failed: whether it has failed.
        """
        undecided, self._undecided = self._undecided, []
        if failed or self._session.settings.keep == "always":
            there = [each for each in containers if not each.removed]
            for container in dict.fromkeys((*there, *undecided)):
                self._keep(container, test)
            return
        entries = {entry for each in undecided for entry in _needed(self._session, each)}
        for entry in entries & self._held.keys():
            if not self._session.ledger.is_kept(entry.kind, entry.name):
                del self._held[entry]
        for kind in ORDER:
            for entry in [each for each in self._unwanted if each.kind == kind and each not in self._held]:
                del self._unwanted[entry]
                self._session.remove(entry.kind, entry.name)

    def keep_crashed(self, container: RunningContainer) -> None:
        """Let a shared container stay that has crashed before a test: one of another worker's may fail of it.

        To be called before it makes room for the next one. That the other test expects it is not known yet.
        """
        death, shared = container.known_death, self._session.shared
        if not self.is_wanted or shared is None or shared.known_key(container) is None or container.removed:
            return
        if death is not None and death.is_crash and death.before:
            self._keep(container, death.test)

    def holds(self, kind: str, name: str) -> bool:
        """Tell whether something is not to be removed, since it stays, or may."""
        return Entry(kind, name) in self._held

    def leave(self, kind: str, name: str) -> None:
        """Note that what is held is to be removed, as far as its scope goes: tests to come must not meet it."""
        entry = Entry(kind, name)
        if entry in self._unwanted:
            return
        self._unwanted[entry] = None
        if kind == "container" and self._would_be_met(self._held[entry]):
            with suppress(DockerkitError):
                self._session.engine.containers.stop(self._held[entry].id, _STOP_S)
        if kind == "container":
            self._session.places.is_gone(name)

    def expire(self) -> None:
        """Put into the run's ledger what has stayed for too long, so that it is removed with the rest."""
        state_dir = self._session.settings.state_dir
        if not keepsakes.kept_things(state_dir):
            return
        old = keepsakes.outdated(state_dir, self.engine)
        for thing in old:
            self._session.ledger.making(thing.kind, thing.name)
        keepsakes.forget(state_dir, {thing.name for thing in old})

    def _would_be_met(self, container: RunningContainer) -> bool:
        session = self._session
        if session.places.has(container.name) or has_own_port(container):
            # Its room is for others, and its port for the next run.
            return True
        # Where there are other workers, their tests go on.
        over = session.removals.ending and session.shared is None
        return not over and not self_contained(replace(container.spec, depends_on=()))

    def _hold(self, container: RunningContainer) -> list[Entry]:
        entries = _needed(self._session, container)
        for entry in entries:
            self._held.setdefault(entry, container)
        return entries

    def _keep(self, container: RunningContainer, test: str) -> None:
        session = self._session
        called = {"alias": container.alias, "image": container.image.title}
        stays_for_next_run = KEPT_LABEL in container.labels
        if stays_for_next_run and not container.removed and not _is_lost(container):
            session.ledger.note(STAYS, container.name, test=test, **called)
            return
        directory = session.settings.directory(*keepsakes.PLACE)
        stay = _for_next_run(session)
        for kind, name in self._hold(container):
            if session.ledger.is_kept(kind, name):
                continue
            shown = called if kind == "container" else {}
            thing = Keepsake(
                kind,
                name,
                self.engine,
                session.run_id,
                test,
                shown.get("alias", ""),
                shown.get("image", ""),
                time.time(),
                [each for each in _stood_on(container) if each in stay] if kind == "container" else [],
            )
            # First: it must not be known to nobody.
            keepsakes.record(directory, thing)
            stops = has_own_port(container) if kind == "container" else None
            session.ledger.keep(kind, name, test=test, stops=stops, **shown)
        if stays_for_next_run and not container.removed:
            # No run is to take it again, nor to remove it since it cannot.
            for tell in container.on_buried:
                tell()
            container.remove()

    @cached_property
    def engine(self) -> str:
        """What the engine is called in the records."""
        from pytest_dockerkit._engine.connect import called

        return called(self._session.settings.host, self._session.settings.context)


def has_own_port(container: RunningContainer) -> bool:
    """Tell whether a container has a port of the host that the next run may want."""
    return any(each.host_port is not None for each in container.spec.published_ports)


def _is_lost(container: RunningContainer) -> bool:
    """Tell whether no later test takes a container as it is."""
    death = container.known_death
    return container.left_stopped or (death is not None and death.is_crash)


def _needed(session: Session, container: RunningContainer) -> list[Entry]:
    """Give a container and what it cannot be started again without, as far as that goes with the run."""
    networks = [each.name for each in _networks(container) if each.is_ours]
    entries = [
        Entry("container", container.name),
        *(Entry("network", each) for each in networks),
        *(Entry("volume", each) for each in _volumes(container)),
        *(Entry("image", each) for each in [container.own_image] if each is not None),
    ]
    stay = _for_next_run(session) - {container.name, secrets_volume(container.name)}
    return [each for each in entries if session.ledger.is_open(each.kind, each.name) and each.name not in stay]


def _stood_on(container: RunningContainer) -> list[str]:
    return [*(each.name for each in _networks(container)), *_volumes(container)]


def _networks(container: RunningContainer) -> list[Network]:
    return [each for network in container.networks for each in (network, network.names) if each is not None]


def _volumes(container: RunningContainer) -> list[str]:
    return [each["Name"] for each in container.seen.get("Mounts") or () if each.get("Type") == "volume"]


def _for_next_run(session: Session) -> set[str]:
    """Give the names of what stays for the next run of the project."""
    if session.shared is None or session.shared.kept is None:
        return set()
    from pytest_dockerkit._runtime.shared import names_recorded

    return names_recorded(session.shared.kept)
