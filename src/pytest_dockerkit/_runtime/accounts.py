"""The users and groups of a container, by its own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_dockerkit._runtime import files

if TYPE_CHECKING:
    from pytest_dockerkit._engine.daemon import Daemon

#: The fields of the lines of a passwd or group file.
Lines = list[list[str]]


class Accounts(Protocol):
    """The users and groups of a container."""

    @property
    def users(self) -> Lines:
        """Name, password, number, group's number, … of each user."""

    @property
    def groups(self) -> Lines:
        """Name, password, number, members of each group."""


class AccountsOf:
    """The users and groups of a container; they are looked for when they are needed.

    An engine starts a process for each archive that it gives, which takes more than all else here: 60 ms and more.
    """

    def __init__(self, engine: Daemon, container_id: str, known: dict[str, Lines]) -> None:
        self._containers = engine.containers
        self._id = container_id
        self._known = known

    @property
    def users(self) -> Lines:
        return self._lines("/etc/passwd")

    @property
    def groups(self) -> Lines:
        return self._lines("/etc/group")

    def _lines(self, path: str) -> Lines:
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]

    def _read(self, path: str) -> Lines:
        with self._containers.get(self._id, self._containers.real_path(self._id, path)) as pieces:
            content = None if pieces is None else files.first_file(pieces, path).content
        return accounts(content or b"")


def accounts(content: bytes) -> Lines:
    """Read a passwd or group file; lines that are none are left out."""
    lines = [line.strip().split(":") for line in content.decode(errors="replace").splitlines()]
    return [line for line in lines if len(line) > 2 and line[2].isdecimal()]


def owner(user: str, known: Accounts) -> tuple[int, int]:
    """Give the numbers of the user and the group that run a container, as engines find them.

    What nobody knows is root here; the engine refuses to start such a container, and says why.

    Args:
        user: `user` or `user:group`, by names or numbers; empty is root.
        known: who is known there.
    """
    # As in runc, libcontainer/user, GetExecUser: what is written in digits is a number; the first entry counts. The
    # group of a user by number is not looked for: it has no rights to a file of mode 0400.
    name, _, group = user.partition(":")
    uid, gid = int(name) if name.isdecimal() else 0, 0
    if name not in ("", "root") and not name.isdecimal() and (entry := _find(known.users, name)):
        uid = int(entry[2])
        gid = int(entry[3]) if len(entry) > 3 and entry[3].isdecimal() else 0
    if group.isdecimal():
        gid = int(group)
    elif group and (entry := _find(known.groups, group)):
        gid = int(entry[2])
    return uid, gid


def _find(entries: Lines, name: str) -> list[str] | None:
    return next((each for each in entries if each[0] == name), None)
