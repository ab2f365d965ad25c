"""What a project's directory says of what is kept, while no test runs: what is there, what goes, what is forgotten.

Each container, network and volume has a record in a file of its own; `shared` and `shared_networks` write them while
the tests run. A mark is an empty file.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._runtime import keepsakes
from pytest_dockerkit._runtime.records import Records

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from pytest_dockerkit._runtime.records import Record

#: The lock that a run holds as long as it may use what is kept.
IN_USE = "in-use.lock"


class Thing(NamedTuple):
    """Something that is kept.

    Attributes:
        kind: container, network or volume.
        name: its name on the engine.
        used_at: when it was last used, in seconds since the epoch; 0 for what stays only as long as it is needed.
        needs: the names of the networks and volumes that a container stands on.
        alias: what a container is found by.
        image: what a container's image is called.
    """

    kind: str
    name: str
    used_at: float
    needs: frozenset[str] = frozenset()
    alias: str = ""
    image: str = ""


def things(directory: Path) -> list[Thing]:
    """Give all that is recorded."""
    return [thing for _, record in _items(directory) for thing in _things_of(record)]


def names(records: Records) -> set[str]:
    """Give the names of all that is recorded."""
    known = list(records.all())
    own = {record["own_volume"] for record in known if record.get("own_volume")}
    return own | {each["name"] for record in known for each in [record, *record.get("rooms", ())] if "name" in each}


def outdated(known: Iterable[Thing], until: float) -> list[Thing]:
    """Give what was last used before a time, and what nothing needs that was used since.

    Args:
        known: what is there.
        until: that time, in seconds since the epoch.
    """
    known = list(known)
    stays = [each for each in known if each.kind == "container" and each.used_at >= until]
    needed = {name for each in stays for name in each.needs}
    return [each for each in known if each.used_at < until and each.name not in needed]


def looked_at(state_dir: Path, until: float = 0.0) -> list[Thing]:
    """Give the containers that stay for a person to look at, and what they stand on of what is kept for the next run.

    Args:
        state_dir: where it is recorded.
        until: those that have come to stay by then are left out, in seconds since the epoch.
    """
    stay = [each for each in keepsakes.kept_things(state_dir) if each.kept_at > until]
    # They are in use as long as they are there.
    return [Thing(each.kind, each.name, time.time(), frozenset(each.needs)) for each in stay]


def last_used(known: Iterable[Thing]) -> dict[str, float]:
    """Give when each thing was last used, by its name: a network also when a container was that stands in it."""
    known = list(known)
    used = {each.name: each.used_at for each in known}
    for each in known:
        for name in each.needs & used.keys():
            used[name] = max(used[name], each.used_at)
    return used


def forget(directory: Path, names: Collection[str]) -> None:
    """Forget what has these names."""
    records = Records(lambda: directory)
    for key, record in _items(directory):
        if "rooms" in record:
            rooms = [room for room in record["rooms"] if room["name"] not in names]
            if not rooms:
                records.delete(key)
            elif len(rooms) < len(record["rooms"]):
                records.write(key, {**record, "rooms": rooms})
        elif record.get("name") in names:
            records.delete(key)
    vacate(records, None)


def settle(directory: Path, run_id: str | None) -> set[str]:
    """Put the records in order once a run has ended.

    What it used was used last now; what could not be made, or was removed, is forgotten.

    Args:
        directory: the project's.
        run_id: the run's; None for one that was killed.

    Returns:
        the names of the run's containers that are kept.
    """
    records = Records(lambda: directory)
    now = time.time()
    containers: set[str] = set()
    for key, record in _items(directory):
        if "failed" in record or records.is_marked(gone(record.get("name", ""))):
            records.delete(key)
        elif "alias" in record and record["run"] == run_id:
            records.write(key, {**record, "used_at": now})
            containers.add(record["name"])
        elif records.is_marked(used(key)) and "rooms" not in record:
            records.write(key, {**record, "used_at": now})
    vacate(records, None)
    for path in directory.iterdir():
        # Marks, locks of keys, what was half written: whoever could want one has ended.
        if path.suffix not in ("", ".json") and path.name != IN_USE:
            path.unlink(missing_ok=True)
    return containers


def vacate(records: Records, keys: Collection[str] | None) -> None:
    """Free the names that containers which are gone had in the networks that others still stand in.

    Args:
        records: where it is recorded.
        keys: of those containers; None is all that are not recorded, once none is being made any more.
    """
    items = list(records.items())
    there = {key for key, record in items if "alias" in record}
    for key, record in items:
        if "rooms" not in record:
            continue
        with records.lock(key):
            rooms = (records.read(key) or record)["rooms"]
            freed = [
                {**room, "names": {name: who for name, who in room["names"].items() if _stays(who, keys, there)}}
                for room in rooms
            ]
            if freed != rooms:
                records.write(key, {**record, "rooms": freed})


def gone(name: str) -> str:
    """Give the mark of a container that was removed."""
    return f"gone-{name}"


def used(key: str) -> str:
    """Give the mark of a network or volume that the run has used."""
    return f"used-{key}"


def _items(directory: Path) -> Iterator[tuple[str, Record]]:
    if directory.is_dir():
        yield from list(Records(lambda: directory).items())


def _things_of(record: Record) -> Iterator[Thing]:
    if "rooms" in record:
        yield from (Thing("network", room["name"], 0.0) for room in record["rooms"] if "name" in room)
    elif "alias" in record:
        needs = frozenset([*record["networks"], *record["volumes"]])
        yield Thing("container", record["name"], record["used_at"], needs, record["alias"], record["title"])
        if record.get("own_volume"):
            yield Thing("volume", record["own_volume"], 0.0)
    elif "name" in record:
        yield Thing(record["kind"], record["name"], record.get("used_at", 0.0))


def _stays(who: str, gone_keys: Collection[str] | None, there: Collection[str]) -> bool:
    """Tell whether a container still has its name."""
    return who in there if gone_keys is None else who not in gone_keys
