"""Archives out of containers, unpacked so that nothing is written outside of the place that was asked for.

Whoever runs in a container decides what is in the archive. tarfile's own `data` filter is not in every Python that
the plugin runs on, and has been passed by chains of links and by long paths (CVE-2025-4138, -4330, -4517). Here no
link of an archive is ever followed, so there is no path to be reckoned with.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import shutil
import stat
import tarfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._runtime.files import as_file
from pytest_dockerkit.errors import ContainerFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

Parts = tuple[str, ...]

#: What cannot be in a name on Windows, where some of it leads elsewhere.
_NOT_ON_WINDOWS = '\\/:*?"<>|'

#: How a disk says that it takes no more; such an error names no file.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

_MEND = "partial=True leaves out what cannot be copied; or copy the paths that are wanted one by one"


class _UnsafeError(Exception):
    """A member of an archive cannot be unpacked as it is."""


class _Link(NamedTuple):
    """A symbolic link that is in the archive, with what it says."""

    target: str


def unpack(
    pieces: Iterable[bytes], target: Path, name: str, *, origins: Iterable[str] = (), partial: bool = False
) -> Path:
    """Unpack the archive of one path, so that the path becomes `target`, or lies in it if that is a directory.

    Files and links that are in its place are replaced, and directories are filled. A link stays a link if it leads to
    something below the path; one that is absolute is made relative. No file gets rights that would be dangerous:
    set-uid, set-gid, or that others may write.

    Args:
        pieces: the archive, as the engine gives it.
        target: where to.
        name: what the path is called.
        origins: where it was in the container, absolute: links to there lead into it.
        partial: leave out what cannot be unpacked, and unpack the rest.

    Raises:
        ContainerFileError: the archive holds what would be written elsewhere or what is no file, directory or link;
            it ends too early; or this machine cannot write it.
    """
    final = target / name if target.is_dir() else target
    left_out = ""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=as_file(pieces), mode="r|") as tar:
            place = _Place(tar, final, origins)
            for member in tar:
                try:
                    place.take(member)
                except _UnsafeError as why:
                    left_out = f"{member.name!r} {why}"
                    if not partial:
                        raise _refused(name, left_out, _MEND) from None
        if left_out and place.is_empty:
            raise _refused(name, left_out, "copy what is a file or a directory")
    except (tarfile.TarError, ValueError, OverflowError) as failure:
        raise _refused(name, f"its archive is damaged: {failure}", "try again; see the engine's log") from None
    except OSError as failure:
        if failure.filename is None and failure.errno not in _DISK:
            # Ours, or the engine's: then the connection has failed.
            raise
        saw = f"{failure.filename or final}: {failure.strerror or failure}"
        raise _refused(name, saw, f"see that this machine can write to {final.parent}") from None
    return final


class _Place:
    """Where one archive is unpacked to."""

    def __init__(self, tar: tarfile.TarFile, final: Path, origins: Iterable[str]) -> None:
        self._tar = tar
        self._final = final
        self._origins = [PurePosixPath(posixpath.normpath(each)) for each in origins]
        #: What was made of each member.
        self._made: dict[Parts, Path | _Link] = {}
        #: What is known to be a directory, and stays one, since nothing replaces it.
        self._directories: set[Parts] = set()
        #: The files and directories that are there, each by where it is on the disk.
        self._known: dict[tuple[int, int], Parts] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was made."""
        return not self._made

    def take(self, member: tarfile.TarInfo) -> None:
        """Make what a member of the archive describes.

        Raises:
            _UnsafeError: it cannot be made as it is.
        """
        parts = _below(member.name)
        if member.isdir():
            self._directory(parts)
        elif member.isreg():
            self._file(parts, member)
        elif member.issym():
            self._link(parts, member.linkname)
        elif member.islnk():
            self._further_name(parts, _below(member.linkname))
        else:
            raise _UnsafeError("is a device or a pipe")

    def _directory(self, parts: Parts) -> None:
        if parts in self._directories:
            return
        if parts:
            self._directory(parts[:-1])
        path, found = self._path(parts), self._found(parts)
        if found is None:
            path.mkdir()
        elif not stat.S_ISDIR(found.st_mode):
            what = "a link" if stat.S_ISLNK(found.st_mode) else "no directory"
            raise _UnsafeError(f"would be written through {path}, which is {what}")
        self._directories.add(parts)
        self._note(parts, path)

    def _file(self, parts: Parts, member: tarfile.TarInfo) -> None:
        path = self._make_way(parts)
        content = self._tar.extractfile(member)
        # Nobody else is to read it before it has its mode; what is there is not followed.
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(number, "wb") as file:
            if content is not None:
                shutil.copyfileobj(content, file)
        path.chmod(_mode(member.mode))
        with suppress(OSError, OverflowError, ValueError):
            # It may be a time that this machine does not have.
            os.utime(path, (member.mtime, member.mtime))
        self._note(parts, path)

    def _link(self, parts: Parts, target: str) -> None:
        safe = self._safe(parts, target)
        path = self._make_way(parts)
        path.symlink_to(safe)
        self._made[parts] = _Link(target)

    def _further_name(self, parts: Parts, first: Parts) -> None:
        known = self._made.get(first)
        if isinstance(known, _Link):
            self._link(parts, known.target)
            return
        if known is None or not stat.S_ISREG(known.lstat().st_mode):
            raise _UnsafeError(f"is a further name of {'/'.join(first)!r}, which is no file of the archive")
        if first == parts:
            return
        path = self._make_way(parts)
        try:
            os.link(known, path, follow_symlinks=False)
        except (OSError, NotImplementedError):
            # Not every file system has them.
            shutil.copy2(known, path, follow_symlinks=False)
        self._made[parts] = path

    def _make_way(self, parts: Parts) -> Path:
        """Give the path of what is no directory, with nothing there, and its directory there."""
        if parts:
            self._directory(parts[:-1])
        path, found = self._path(parts), self._found(parts)
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise _UnsafeError(f"would replace the directory {path}")
        if found is not None:
            # Never written into: it may be a link, or have further names elsewhere.
            path.unlink()
        return path

    def _found(self, parts: Parts) -> os.stat_result | None:
        """Say what is at a path, links not followed; None if nothing is.

        Raises:
            _UnsafeError: it was made by this archive, under a name that this disk does not tell apart.
        """
        try:
            found = self._path(parts).lstat()
        except FileNotFoundError:
            return None
        other = self._known.get((found.st_dev, found.st_ino))
        if other is not None and parts not in self._made:
            raise _UnsafeError(f"would replace {'/'.join(other)!r}: on this disk their names are the same")
        return found

    def _note(self, parts: Parts, path: Path) -> None:
        made = path.lstat()
        self._made[parts] = path
        self._known[made.st_dev, made.st_ino] = parts

    def _path(self, parts: Parts) -> Path:
        return self._final.joinpath(*parts)

    def _safe(self, parts: Parts, target: str) -> str:
        """Give what a link is to say, so that it leads to something below the path, whatever other links say.

        The directory that it lies in is a real one. After that only names follow, and no '..' that would lead out of
        wherever a link has led.
        """
        leads_out = f"is a link that leads out of what is copied, to {target!r}"
        above = PurePosixPath(*parts[:-1])
        # Two slashes at its beginning would be kept.
        wanted = PurePosixPath(posixpath.normpath(re.sub("^/+", "/", target)))
        if not parts:
            raise _UnsafeError(leads_out)
        if wanted.is_absolute():
            inside = next((wanted.relative_to(each) for each in self._origins if wanted.is_relative_to(each)), None)
        else:
            inside = PurePosixPath(posixpath.normpath(above / wanted))
        if inside is None or ".." in inside.parts:
            raise _UnsafeError(leads_out)
        _check_names(inside.parts)
        return posixpath.relpath(inside, above)


def _below(name: str) -> Parts:
    """Give the parts of a member's name below the path that was asked for, which is the first of them."""
    parts = PurePosixPath(name).parts[1:]
    if ".." in parts or name.startswith("../"):
        raise _UnsafeError("has '..' in its name")
    _check_names(parts)
    return parts


def _check_names(parts: Parts) -> None:
    if any("\0" in each for each in parts):
        raise _UnsafeError("has a NUL in its name")
    if os.name == "nt" and any(not {*each}.isdisjoint(_NOT_ON_WINDOWS) for each in parts):  # pragma: no cover
        raise _UnsafeError("has a name that this machine cannot write")


def _mode(mode: int) -> int:
    """Give the rights of a file: as it has them, without what would be dangerous, and the user keeps it."""
    return stat.S_IMODE(mode) & 0o755 | 0o600


def _refused(name: str, saw: str, mend: str) -> ContainerFileError:
    return ContainerFileError(f"{name} cannot be copied out", saw=saw, mend=mend)
