"""What is kept for the next run: containers of the session, with the networks and volumes that they stand on.

A project has a directory for it in the state directory: a record of each thing, and a lock that one run at a time
holds. What is in the directory is read and written in `kept_records`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pytest_dockerkit._runtime import kept_records
from pytest_dockerkit._runtime.locks import acquired
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.settings import Settings

#: The number is that of the records' form: another version of the plugin may read none that it does not know.
_DIRECTORY = "kept-1"
_ELSEWHERE = (
    "another run of this project has what is kept for the next one: this run has made its own, and kept nothing"
)
#: What a project's directory says of the project.
_ABOUT = "about"


class Kept:
    """What one project keeps, while this run may use it.

    Attributes:
        directory: where it is recorded. Its name is what all that is kept is labelled with.
        secret: makes the digests of secrets useless to all who do not have it; the same in every run.
    """

    def __init__(self, directory: Path, lock: FileLock) -> None:
        self.directory = directory
        self.secret = _secret(directory)
        self._lock = lock

    @classmethod
    def take(cls, settings: Settings) -> Kept | None:
        """Take what the project keeps on the engine; None while another run has it.

        Raises:
            LockError: there can be no lock.
            DockerkitError: there can be no directory for it.
        """
        engine = _engine(settings)
        directory = settings.directory(_DIRECTORY, _name(settings, engine))
        lock = _lock_of(directory)
        if not acquired(lock, "what is kept for the next run"):
            return None
        about = {"project": str(settings.project), "engine": engine, "lifetime_s": settings.reuse_lifetime_s}
        _write(directory / _ABOUT, json.dumps(about).encode())
        # A run that was killed has left what only its own end would have put in order.
        kept_records.settle(directory, None)
        return cls(directory, lock)

    def release(self) -> None:
        """Let other runs have it."""
        self._lock.release()


def take(settings: Settings) -> tuple[Kept | None, str | None]:
    """Take what the project keeps, where that can be.

    Returns:
        it, or None; and a sentence that says why not.
    """
    try:
        kept = Kept.take(settings)
    except DockerkitError as failure:
        # The tests can do without.
        return None, f"nothing was kept for the next run: {failure.what}: {failure.saw}"
    return kept, _ELSEWHERE if kept is None else None


def expire(session: Session) -> set[str]:
    """Put into a run's ledger what projects have kept for too long, so that it is removed with the rest.

    What other runs use now, or what is on another engine, stays.

    Returns:
        the names of that.
    """
    settings = session.settings
    mine = None if session.shared is None else session.shared.kept
    engine = None
    gone: set[str] = set()
    for directory in directories(settings):
        if not kept_records.things(directory):
            continue
        engine = engine or _engine(settings)
        if directory == mine:
            gone |= _expire(session, directory, engine)
        else:
            with unused(directory) as is_unused:
                gone |= _expire(session, directory, engine) if is_unused else set()
    return gone


def _expire(session: Session, directory: Path, engine: str) -> set[str]:
    said = about(directory)
    if said.get("engine") != engine:
        return set()
    until = time.time() - float(said.get("lifetime_s", session.settings.reuse_lifetime_s))
    known = kept_records.things(directory)
    outdated = kept_records.outdated([*known, *kept_records.looked_at(session.settings.state_dir)], until)
    for thing in outdated:
        session.ledger.making(thing.kind, thing.name)
    names = {thing.name for thing in outdated}
    kept_records.forget(directory, names)
    return names


@contextmanager
def unused(directory: Path) -> Iterator[bool]:
    """Hold what a project keeps for the block, so that no run takes it.

    Yields:
        whether it is held: False where a run uses it. What nobody knows any more is used by nobody.
    """
    if not directory.is_dir():
        yield True
        return
    lock = _lock_of(directory)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError, NotImplementedError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def directories(settings: Settings) -> list[Path]:
    """Give the directories of all projects that have ever kept something."""
    try:
        return sorted(each for each in (settings.state_dir / _DIRECTORY).iterdir() if each.is_dir())
    except OSError:
        return []


def directory_of(settings: Settings, name: str) -> Path | None:
    """Give the directory of what is labelled with a name; it need not be there. None for what others have kept."""
    return settings.state_dir / _DIRECTORY / name if name.startswith(f"{_owner(settings)}-") else None


def about(directory: Path) -> dict[str, Any]:
    """Give what is known of a project that keeps something: project, engine, lifetime_s; empty if nothing is."""
    try:
        said = json.loads((directory / _ABOUT).read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _engine(settings: Settings) -> str:
    from pytest_dockerkit._engine.connect import called

    return called(settings.host, settings.context)


def _name(settings: Settings, engine: str) -> str:
    return f"{_owner(settings)}-{_digest(str(settings.project), engine)}"


def _owner(settings: Settings) -> str:
    """Tell apart who keeps something on an engine: others may use it as well, from other machines too."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME")
    return _digest(platform.node(), user, str(settings.state_dir.absolute()))


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _lock_of(directory: Path) -> FileLock:
    # Held by a process, whichever of its threads has taken it.
    return FileLock(directory / kept_records.IN_USE, thread_local=False)


def _secret(directory: Path) -> bytes:
    path = directory / "secret"
    try:
        known = path.read_bytes()
    except FileNotFoundError:
        known = b""
    if not known:
        # Also where a full disk has left an empty one.
        known = secrets.token_bytes(32)
        _write(path, known)
    return known


def _write(path: Path, content: bytes) -> None:
    """Write a file for this user alone, in whole or not at all."""
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
