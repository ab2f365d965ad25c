"""Taking what runs before have kept, and making way for what is to be in its place."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from ipaddress import ip_network
from typing import TYPE_CHECKING

from pytest_dockerkit._names import KEPT_LABEL, RUN_LABEL, secrets_volume
from pytest_dockerkit._runtime import keepsakes, kept_records
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.records import Record, Records
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.starting import Means, Wanted
    from pytest_dockerkit._spec.container import ContainerSpec

#: For how long a container that was kept is waited for until it is ready, in seconds: it was, and has nothing to
#: begin with. To make it anew takes less than what a timeout for a slow start allows.
WELL_S = 5.0

#: Which params a fixture has, at the end of where it stands.
_PARAMS = re.compile(r"(\[[^\[\]]+=\d+\])+$")


class Keeping:
    """What a process of a run does with what runs before have kept.

    Args:
        session: the process's.
        records: what is recorded of what is kept.
        directory: where.
        key: gives the digest of what something is known by: specs may have passwords in them.
    """

    def __init__(self, session: Session, records: Records, directory: Path, key: Callable[..., str]) -> None:
        self._session = session
        self._key = key
        self._records = records
        self._label = directory.name
        self._lock = threading.Lock()
        self._has_swept = False

    def take(
        self,
        key: str,
        wanted: Wanted,
        spec: ContainerSpec,
        means: Means,
        handle: Callable[[Record], RunningContainer | None],
    ) -> RunningContainer | None:
        """Give the handle of a container that a run before has kept, if it is what is wanted and still well.

        One that is not is removed.

        Args:
            key: its key.
            wanted: what is wanted.
            spec: what is to run.
            means: how long it may be waited for.
            handle: gives the handle of what is recorded; None if it is gone or has ended.

        Raises:
            DockerkitError: its image cannot be had, or what is in its place cannot be removed.
        """
        image = self._session.images.get(spec.image, pull=spec.pull, platform=spec.platform)
        waiting = means.waiting(self._session.places)
        with self._records.lock(key, means.go_on, waiting):
            record = self._records.read(key)
            if record is None or "failed" in record:
                return None
            if record["run"] == self._session.run_id:
                # Another process of this run has looked at it meanwhile.
                return handle(record)
            if self._is_wanted(record, wanted, image.id) and (container := handle({**record, "awaited": False})):
                self._session.places.take(container.name, spec, wait=not means.unseen, shared=True)
                if _is_well(container, record, means):
                    used = {"run": self._session.run_id, "used_at": time.time(), "told": False, "awaited": True}
                    self._records.write(key, {**record, **used})
                    self._session.note("reused", container.name)
                    return container
            self._evict(key, record)
        return None

    def _is_wanted(self, record: Record, wanted: Wanted, image_id: str) -> bool:
        fresh = time.time() - record["used_at"] < self._session.settings.reuse_lifetime_s
        if not fresh or record["facts"]["Id"] != image_id:
            return False
        # What stands on another that is new has not begun with it.
        now = self._stands_on(wanted)
        return all({*ids} <= {*now.get(name, ())} for name, ids in record["stands_on"].items())

    def make_way(self, key: str, wanted: Wanted, spec: ContainerSpec) -> None:
        """Remove what runs before have kept and what a new container cannot be beside, before it is made.

        That is what was in its place before, with another spec or image; what others find by the same name in the
        same network; and what holds the same port of the host.
        """
        self.sweep()
        ports = _host_ports(spec)
        names = {wanted.alias, *spec.aliases}
        group = self._key("group", wanted.group)
        for other, record in list(self._records.items()):
            if "alias" not in record or record["run"] == self._session.run_id:
                continue
            same_place = (record["alias"], record["place"]) == (wanted.alias, wanted.place)
            # A fixture's params may have the same name: each has a network of its own.
            same_fixture = _fixture_of(record["place"]) == _fixture_of(wanted.place)
            same_names = not same_fixture and record["group"] == group and names & {*record["names"]}
            if not (same_place or same_names or ports & {*record["host_ports"]}):
                continue
            if other == key:
                self._evict(other, record)
                continue
            with self._records.lock_if_free(other) as free:
                # Else it is being taken at this moment.
                current = self._records.read(other) if free else None
                if current is not None and current.get("run") != self._session.run_id:
                    self._evict(other, current)

    def sweep(self) -> None:
        """Remove what a run has made that was killed before it could record it; once in each process."""
        with self._lock:
            if self._has_swept:
                return
            self._has_swept = True
            found = self._session.engine.labelled(KEPT_LABEL, self._label)
            # After the question: what has been recorded since is there.
            known = kept_records.names(self._records)
            # What has crashed is there to be looked at, and goes in its time.
            known |= {each.name for each in keepsakes.kept_things(self._session.settings.state_dir)}
            for each in found:
                if each.name not in known and each.labels.get(RUN_LABEL) != self._session.run_id:
                    with suppress(DockerkitError):
                        self._session.engine.remove(each.kind, each.name)

    def make_way_for_network(self, key: str, place: str, subnet: str | None) -> None:
        """Remove the network that was in a place before, with another spec, and those that have its addresses.

        What stands in them finds itself cut off, and is made anew when its turn comes.
        """
        self.sweep()
        for other, record in list(self._records.items()):
            if other == key or record.get("kind") != "network" or self._records.is_marked(kept_records.used(other)):
                continue
            if (place and record["place"] == place) or _overlap(record["subnet"], subnet):
                self._session.ledger.adopt("network", record["name"])
                self._session.remove("network", record["name"])
                self._records.delete(other)

    def record(self, container: RunningContainer, wanted: Wanted) -> Record:
        """Write down what the next run has to know of a container that was made."""
        mounts = container.seen.get("Mounts") or ()
        return {
            "alias": wanted.alias,
            "place": wanted.place,
            "group": self._key("group", wanted.group),
            "names": [wanted.alias, *container.spec.aliases],
            "host_ports": sorted(_host_ports(container.spec)),
            "stands_on": self._stands_on(wanted),
            "own_volume": secrets_volume(container.name) if container.spec.secrets else None,
            "volumes": [each["Name"] for each in mounts if each.get("Type") == "volume" and each.get("Name")],
            "run": self._session.run_id,
            "used_at": time.time(),
        }

    def adopt(self, record: Record) -> None:
        """Take a container that was kept, with what was made for it alone, so that it can be removed."""
        self._session.ledger.adopt("container", record["name"])
        if (volume := record.get("own_volume")) is not None:
            self._session.ledger.adopt("volume", volume)

    def is_recorded(self, kind: str, name: str) -> None:
        """Note that something is recorded: from now on it is the project's, and no longer the run's to undo."""
        self._session.ledger.gone(kind, name)
        self._session.ledger.adopt(kind, name)

    def _stands_on(self, wanted: Wanted) -> dict[str, list[str]]:
        """Give the ids of the containers of this run that a container depends on by their names."""
        needs = [each for each in wanted.spec.depends_on if isinstance(each, str)]
        if not needs:
            return {}
        found: dict[str, list[str]] = {each: [] for each in needs}
        for record in self._records.all():
            if "alias" in record and record["run"] == self._session.run_id:
                for name in needs:
                    if name == record["alias"] or _fixture_of(record["place"]).endswith(f"::{name}"):
                        found[name].append(record["id"])
        return found

    def _evict(self, key: str, record: Record) -> None:
        self.adopt(record)
        self._session.remove("container", record["name"])
        self._records.delete(key)
        kept_records.vacate(self._records, {key})


def _is_well(container: RunningContainer, record: Record, means: Means) -> bool:
    """Tell whether a container that was kept is as it was when it was new: it runs where it ran, and is ready."""
    try:
        state = container.seen["State"]["Status"]
        there = container.seen["NetworkSettings"]["Networks"]
        if state not in ("running", "exited") or not {*record["networks"]} <= {*there}:
            return False
        container.await_ready(means.go_on, timeout_s=min(WELL_S, container.spec.timeout_s))
    except DockerkitError:
        return False
    return True


def _fixture_of(place: str) -> str:
    return _PARAMS.sub("", place)


def _overlap(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return False
    first, second = ip_network(one, strict=False), ip_network(other, strict=False)
    return first.version == second.version and first.overlaps(second)


def _host_ports(spec: ContainerSpec) -> set[str]:
    return {f"{each.host_port}/{each.protocol}" for each in spec.published_ports if each.host_port is not None}
