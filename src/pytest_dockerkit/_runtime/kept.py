"""What is kept for the next run: containers of the session, with the networks and volumes that they stand on.

A project has a directory for it in the state directory: a record of each thing, and a lock that one run at a time
holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pytest_dockerkit._runtime.records import Records
from pytest_dockerkit.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_dockerkit._runtime.records import Record
    from pytest_dockerkit._runtime.settings import Settings

_DIRECTORY = "kept"
#: What says which engine is meant, where no option does.
_ENGINE = ("DOCKER_HOST", "DOCKER_CONTEXT")


class Kept:
    """What one project keeps, while this run may use it.

    Attributes:
        directory: where it is recorded.
        secret: makes the digests of secrets useless to all who do not have it; the same in every run.
    """

    def __init__(self, directory: Path, lock: FileLock) -> None:
        self.directory = directory
        self.secret = _secret(directory)
        self._lock = lock

    @classmethod
    def take(cls, settings: Settings) -> Kept | None:
        """Take what the project keeps; None while another run has it.

        Raises:
            LockError: there can be no lock.
        """
        directory = settings.directory(_DIRECTORY, _digest(settings))
        lock = _lock_of(directory)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        except (OSError, NotImplementedError) as failure:
            raise LockError(
                "the lock of what is kept for the next run cannot be taken",
                saw=f"lock {lock.lock_file}: {failure}",
                mend="name a directory in XDG_CACHE_HOME that can be written to, on a file system with locks",
            ) from None
        (directory / "project").write_text(str(settings.project), encoding="utf-8")
        return cls(directory, lock)

    def release(self) -> None:
        """Let other runs have it."""
        self._lock.release()


def names_kept(directory: Path) -> set[str]:
    """Give the names of all that a project keeps; reads what is in its directory alone."""
    from pytest_dockerkit._runtime.shared import names_recorded

    return names_recorded(directory)


@contextmanager
def unused(settings: Settings, name: str) -> Iterator[bool]:
    """Hold what a project keeps for the block, so that no run takes it.

    Args:
        settings: say where it is recorded.
        name: what it is labelled with.

    Yields:
        whether it is held: False where a run uses it. What nobody knows any more is held by nobody.
    """
    directory = settings.state_dir / _DIRECTORY / name
    if not directory.is_dir():
        yield True
        return
    lock = _lock_of(directory)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def last_used_s(settings: Settings, name: str) -> Mapping[str, float]:
    """Give when each container that a project keeps was last given to a test, in seconds since the epoch, by name."""
    return {each["name"]: each["used_at"] for each in _containers(settings.state_dir / _DIRECTORY / name).values()}


def project_of(settings: Settings, name: str) -> str | None:
    """Give the directory of the project that keeps something; None where that is not known any more."""
    with suppress(OSError):
        return (settings.state_dir / _DIRECTORY / name / "project").read_text(encoding="utf-8")
    return None


def forget(settings: Settings, name: str, container: str) -> None:
    """Forget a container that was removed."""
    directory = settings.state_dir / _DIRECTORY / name
    for key, record in _containers(directory).items():
        if record["name"] == container:
            (directory / f"{key}.json").unlink(missing_ok=True)


def projects(settings: Settings) -> list[str]:
    """Give what the projects that keep something label it with."""
    with suppress(OSError):
        return sorted(each.name for each in (settings.state_dir / _DIRECTORY).iterdir() if each.is_dir())
    return []


def _containers(directory: Path) -> dict[str, Record]:
    if not directory.is_dir():
        return {}
    records = Records(lambda: directory)
    found = {path.stem: records.read(path.stem) for path in directory.glob("*.json")}
    return {key: each for key, each in found.items() if each is not None and "used_at" in each}


def _digest(settings: Settings) -> str:
    said = [str(settings.project), settings.host, settings.context, *map(os.environ.get, _ENGINE)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _lock_of(directory: Path) -> FileLock:
    # Held by a process, whichever of its threads has taken it.
    return FileLock(directory / "in-use.lock", thread_local=False)


def _secret(directory: Path) -> bytes:
    path = directory / "secret"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes()
