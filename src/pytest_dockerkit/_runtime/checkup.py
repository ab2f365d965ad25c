"""How it stands with the plugin's own state: its directory, what dead runs have left, the addresses for networks."""

from __future__ import annotations

import os
import shutil
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.finding import NOTE, OK, WRONG, Finding
from pytest_dockerkit._runtime.locks import acquired
from pytest_dockerkit._runtime.runs import known_runs
from pytest_dockerkit._runtime.subnets import MAX_LOOKED_AT, ROUTES
from pytest_dockerkit._spec.subnets import Block, Obstacles, parse_pools, parse_routes
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_dockerkit._runtime.settings import Settings
    from pytest_dockerkit._spec.subnets import Pool

#: How much the state directory should have left, in bytes; ledgers and locks take some thousands.
_ROOM_BYTES = 10_000_000

#: File systems of other machines, by their names in /proc/mounts, where locks and times are not to be relied on.
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "lustre")
_MOUNTS = Path("/proc/mounts")

_ANOTHER = "name another directory in XDG_CACHE_HOME"


def of_state(settings: Settings) -> Iterator[Finding]:
    """Say whether the state directory is there, for this user alone, with room and with locks."""
    path = settings.state_dir
    try:
        settings.directory("locks")
    except DockerkitError as failure:
        yield Finding("directory", f"{path}: {failure.what}: {failure.saw}", WRONG, failure.mend)
        return
    mode = path.stat().st_mode & 0o777
    if os.name != "nt" and mode & 0o077:
        yield Finding(
            "directory", f"{path}, and others may look into it (mode {mode:04o})", WRONG, f"chmod 700 {path}"
        )
    else:
        yield Finding("directory", f"{path}, mode {mode:04o}")
    yield _locks(settings)
    if (remote := _remote(path)) is not None:
        yield Finding("file system", f"{remote}, of another machine: its locks may not hold", NOTE, _ANOTHER)
    free = shutil.disk_usage(path).free
    full = free < _ROOM_BYTES
    yield Finding(
        "space", f"{free / 1e9:.1f} GB left", WRONG if full else OK, f"free some, or {_ANOTHER}" if full else ""
    )
    yield from _others(path)


def _locks(settings: Settings) -> Finding:
    from filelock import FileLock

    lock = FileLock(settings.directory("locks") / "doctor.lock")
    try:
        # Held by another doctor it works as well.
        acquired(lock, "the doctor")
    except DockerkitError as failure:
        return Finding("locks", f"{failure.what}: {failure.saw}", WRONG, failure.mend)
    lock.release()
    return Finding("locks", "work")


def _remote(path: Path) -> str | None:
    """Give what the file system of a directory is called, if it is that of another machine."""
    try:
        table = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    kinds = {
        words[1].replace("\\040", " "): words[2] for words in map(str.split, table.splitlines()) if len(words) > 2
    }
    place = path.resolve()
    kind = next((kinds[str(each)] for each in (place, *place.parents) if str(each) in kinds), "")
    return kind if kind in _REMOTE else None


def _others(path: Path) -> Iterator[Finding]:
    """Say which of the runs' directories are another user's, as after `sudo pytest`: they stay where they are."""
    if not hasattr(os, "getuid"):
        return
    runs = path / "runs"
    try:
        strange = [each for each in (runs, *runs.iterdir()) if each.stat().st_uid != os.getuid()]
    except OSError:
        return
    if strange:
        yield Finding(
            "owner",
            f"{len(strange)} directories of runs belong to another user, such as {strange[0]}",
            WRONG,
            f"sudo chown -R $USER {path}",
        )


def of_runs(settings: Settings, left: tuple[int, int] | None) -> Iterator[Finding]:
    """Say how many runs go on, and what dead ones have left.

    Args:
        settings: whose runs.
        left: how many dead runs have left something on the engine, and how many things; None where none answers.
    """
    runs = list(known_runs(settings.state_dir))
    living = sum(run.lives for run in runs)
    yield Finding("runs that go on", str(living))
    mend = "`dockerkit prune`, or the next run"
    if left is None:
        dead = sum(bool(run.entries) for run in runs if not run.lives)
        if dead:
            yield Finding("left by dead runs", f"perhaps something of {_count(dead, 'run')}", NOTE, mend)
    elif any(left):
        said = f"{_count(left[1], 'thing')} of {_count(left[0], 'run')}"
        yield Finding("left by dead runs", said, NOTE, mend)
    else:
        yield Finding("left by dead runs", "nothing")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def of_pools(settings: Settings, subnets: Iterable[str], *, local: bool) -> Iterator[Finding]:
    """Say how many subnets are left for networks.

    Args:
        settings: the pools.
        subnets: those of the engine's networks.
        local: whether the engine runs on this machine, whose routes are then heeded.
    """
    pools = parse_pools(settings.subnets)
    taken = [each for each in map(_block, subnets) if each is not None]
    if not pools:
        yield Finding("subnets", f"are left to the engine, which has {len(taken)} networks with one")
        return
    if local:
        taken += _routes()
    free = {pool: _free(pool, taken) for pool in pools}
    said = ", ".join(f"{free[pool]} of {min(len(pool), MAX_LOOKED_AT)} free in {pool}" for pool in pools)
    if any(free.values()):
        yield Finding("subnets", said)
    else:
        mend = "`dockerkit prune`, `docker network prune`; or other addresses: --dockerkit-subnets"
        yield Finding("subnets", said, WRONG, mend)


def _routes() -> tuple[Block, ...]:
    import sys

    try:
        return parse_routes(ROUTES.read_text(encoding="ascii"), sys.byteorder)
    except OSError:
        return ()


def _block(subnet: str) -> Block | None:
    try:
        network = ip_network(subnet, strict=False)
    except ValueError:
        return None
    return Block(int(network.network_address), network.prefixlen) if isinstance(network, IPv4Network) else None


def _free(pool: Pool, taken: Iterable[Block]) -> int:
    obstacles = Obstacles(taken, pool.size)
    if obstacles.cover(pool):
        return 0
    return sum(not obstacles.overlap(pool[number]) for number in range(min(len(pool), MAX_LOOKED_AT)))
