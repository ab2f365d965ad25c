"""A walk over a build context: which files, directories and links of it a build gets."""

from __future__ import annotations

import os
import stat
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._spec.ignore import IgnoreRules, Inside

#: What an archive can have; sockets, pipes and devices are left out.
_SENT = {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}


class Member(NamedTuple):
    """A file, directory or link of a context.

    Attributes:
        path: relative to the context, with forward slashes.
        status: its own, not that of what a link leads to.
    """

    path: str
    status: os.stat_result


class Wanted(Protocol):
    """Which paths of a context a build uses."""

    def takes(self, path: str) -> bool:
        """Tell whether a path is used, be it by itself, or because it lies below a source."""

    def names(self, path: str) -> bool:
        """Tell whether a path itself matches a source; all that is below it is used then."""

    def leads_to(self, path: str) -> bool:
        """Tell whether a path below this one may match a source. To lie below one is not enough."""


class Walked(NamedTuple):
    """What was found.

    Attributes:
        members: what a build gets, in the order of their paths.
        through_link: whether a link stands where a source goes through or ends: what it leads to is used then too,
            wherever that is.
    """

    members: tuple[Member, ...]
    through_link: bool


def walk(root: Path, rules: IgnoreRules, wanted: Wanted | None) -> Walked:
    """Find what belongs to a build.

    A directory that is excluded, or that only leads to what is used, belongs to it when something in it does. What
    vanishes meanwhile does not.

    Args:
        root: the context directory.
        rules: of its ignore file.
        wanted: which paths the build uses; all, if there is none.

    Raises:
        SpecError: the context, or a directory of it that is used, cannot be read.
    """
    return _Walk(root, rules, wanted).go()


class _Directory(NamedTuple):
    """A directory that has to be looked into.

    Attributes:
        path: relative, with a slash behind it; empty for the context itself.
        inside: the rules for what is in it.
        taken: whether all in it is used.
        needed: whether it belongs to the build, whatever is in it.
    """

    path: str
    inside: Inside
    taken: bool
    needed: bool


class _Walk:
    def __init__(self, root: Path, rules: IgnoreRules, wanted: Wanted | None) -> None:
        self._root = os.path.join(root, "")  # noqa: PTH118  - a path object for each directory takes too long
        self._wanted = wanted
        self._found: list[Member] = []
        # Directories that belong to the build only if something in them does.
        self._passed: dict[str, Member] = {}
        self._vanished: set[str] = set()
        self._through_link = False
        self._ahead = [_Directory("", rules.top, wanted is None, needed=True)]

    def go(self) -> Walked:
        while self._ahead:
            directory = self._ahead.pop()
            before = len(self._found)
            self._look_into(directory)
            if len(self._found) > before:
                self._keep_passed(directory.path)
        found = [each for each in self._found if each.path not in self._vanished] if self._vanished else self._found
        return Walked(tuple(sorted(found, key=itemgetter(0))), self._through_link)

    def _look_into(self, directory: _Directory) -> None:
        # All that is done for each file of a context is in this loop.
        prefix, excludes, everything = directory.path, directory.inside.excludes, self._wanted is None
        for entry in self._entries(directory):
            # The kind is known without asking the system.
            if entry.is_dir(follow_symlinks=False):
                self._directory(directory, entry)
                continue
            path = prefix + entry.name
            if excludes(path) or not (everything or self._uses(directory, entry, path)):
                continue
            status = self._status(entry, needed=True)
            if status is not None and stat.S_IFMT(status.st_mode) in _SENT:
                self._found.append(Member(path, status))

    def _entries(self, directory: _Directory) -> list[os.DirEntry[str]]:
        path = (self._root + directory.path).rstrip("/") or "/"
        try:
            with os.scandir(path) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError) as failure:
            if not directory.path:
                raise _unreadable(path, failure) from None
            self._vanished.add(directory.path[:-1])
        except OSError as failure:
            # Docker passes over such a directory if it is excluded or matches no source, and we must not be stricter.
            if directory.needed or not isinstance(failure, PermissionError):
                raise _unreadable(path, failure) from None
        return []

    def _directory(self, parent: _Directory, entry: os.DirEntry[str]) -> None:
        path = parent.path + entry.name
        excluded, inside = parent.inside.enter(path)
        if inside is None:
            return
        wanted = self._wanted
        taken = parent.taken or wanted is None or wanted.names(path)
        if not taken and wanted is not None and not wanted.leads_to(path):
            return
        needed = not excluded and (taken or wanted is None or wanted.takes(path))
        status = self._status(entry, needed=needed)
        if status is None:
            return
        if needed:
            self._found.append(Member(path, status))
        else:
            self._passed[path] = Member(path, status)
        self._ahead.append(_Directory(f"{path}/", inside, taken, needed))

    def _uses(self, directory: _Directory, entry: os.DirEntry[str], path: str) -> bool:
        """Tell whether a file or link is used, and see whether a source stumbles over the link."""
        wanted = self._wanted
        assert wanted is not None  # noqa: S101  - without one everything is used
        if entry.is_symlink() and (wanted.names(path) or wanted.leads_to(path)):
            self._through_link = True
        return directory.taken or wanted.takes(path)

    def _status(self, entry: os.DirEntry[str], *, needed: bool) -> os.stat_result | None:
        try:
            return entry.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as failure:
            if needed:
                raise _unreadable(entry.path, failure) from None
            return None

    def _keep_passed(self, path: str) -> None:
        """Keep the directories that lead to a path, which ends with a slash."""
        path = path[:-1]
        while (passed := self._passed.pop(path, None)) is not None:
            self._found.append(passed)
            path = path.rpartition("/")[0]


def _unreadable(path: str, failure: OSError) -> SpecError:
    return SpecError(
        "the build context cannot be read",
        saw=f"{path}: {failure.strerror}",
        mend="make it readable for this user, or name it in .dockerignore",
    )
