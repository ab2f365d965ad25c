"""Archives for containers, and what archives out of them hold."""

from __future__ import annotations

import fnmatch
import io
import posixpath
import stat
import tarfile
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Self

from pytest_dockerkit.errors import ContainerFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: How much of an archive's files is kept in memory, in bytes.
_SPOOLED_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class FileInfo:
    """What is at a path of an image.

    Attributes:
        path: where.
        exists: whether anything is there; everything else is empty if not.
        mode: its permission bits, such as 0o644.
        uid: the number of its owner.
        gid: the number of its group.
        size_bytes: its size in bytes.
        link_target: what it points to, if it is a symbolic link.
        is_dir: whether it is a directory.
    """

    path: str
    exists: bool
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0
    link_target: str | None = None
    is_dir: bool = False
    content: bytes | None = field(default=None, repr=False)

    def read_bytes(self) -> bytes:
        """Give its content.

        Raises:
            ContainerFileError: it does not exist, or is no regular file.
        """
        if self.content is None:
            kind = "does not exist" if not self.exists else "is no regular file"
            raise ContainerFileError(
                f"{self.path} cannot be read",
                saw=f"it {kind}",
                mend="image.files('/some/dir/*') lists what is there",
            )
        return self.content

    def read_text(self, encoding: str = "utf-8") -> str:
        """Give its content as text.

        Raises:
            ContainerFileError: it does not exist, or is no regular file.
        """
        return self.read_bytes().decode(encoding)


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Seen:
    """What the files of an archive hold: a further name of one comes without it, and any may have such names."""

    def __init__(self) -> None:
        # On the disk, since it may be a whole image.
        self._file = tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES)  # noqa: SIM115  - closed by __exit__
        self._places: dict[str, tuple[int, int]] = {}

    def keep(self, name: str, content: bytes) -> None:
        self._places[name] = (self._file.seek(0, io.SEEK_END), len(content))
        self._file.write(content)

    def content(self, name: str) -> bytes | None:
        if name not in self._places:
            return None
        start, length = self._places[name]
        self._file.seek(start)
        return self._file.read(length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def pack(files: Mapping[str, str | bytes | Path], directories: Iterable[str] = ()) -> bytes:
    """Pack files by their absolute paths in the container, owned by root.

    Args:
        files: texts and bytes get the mode 0644, paths keep theirs; a directory goes in whole.
        directories: directories to make before them, with the mode 0755.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each in directories:
            info = tarfile.TarInfo(each.lstrip("/"))
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for target, content in files.items():
            if isinstance(content, Path):
                tar.add(content, arcname=target.lstrip("/"), filter=_rootly)
            else:
                add_bytes(tar, target.lstrip("/"), content.encode() if isinstance(content, str) else content)
    return packed.getvalue()


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    """Put one file into an archive."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.uid, info.gid = len(content), mode, uid, gid
    tar.addfile(info, io.BytesIO(content))


def parents(path: str) -> list[str]:
    """Give the directories above an absolute path, from the top, without the root."""
    return [str(each) for each in reversed(PurePosixPath(path).parents) if str(each) != "/"]


def first_file(pieces: Iterable[bytes], path: str) -> FileInfo:
    """Read what an archive of a single path holds, without reading the rest of it."""
    with tarfile.open(fileobj=as_file(pieces), mode="r|") as tar:
        member = tar.next()
        if member is None:
            return FileInfo(path, exists=False)
        return _info(tar, member, path)


def matching(pieces: Iterable[bytes], above: str, pattern: str) -> Iterator[FileInfo]:
    """Give the files of an archive whose path matches a pattern.

    Args:
        pieces: the archive of a directory.
        above: the directory that the names in the archive start from.
        pattern: the absolute path, with `*`, `?` and `[…]` within one level and `**` over any number.
    """
    with tarfile.open(fileobj=as_file(pieces), mode="r|") as tar, _Seen() as seen:
        for member in tar:
            path = posixpath.normpath(posixpath.join(above, member.name))
            info = _info(tar, member, path)
            if info.content is not None:
                seen.keep(member.name, info.content)
            elif member.islnk() and (content := seen.content(member.linkname)) is not None:
                info = replace(info, size_bytes=len(content), content=content)
            if _matches(PurePosixPath(path).parts, PurePosixPath(pattern).parts):
                yield info


def as_file(pieces: Iterable[bytes]) -> IO[bytes]:
    """Give pieces of bytes as a file that is read once, from its start to its end."""
    return io.BufferedReader(_Pieces(pieces))


def _rootly(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _info(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> FileInfo:
    file = tar.extractfile(member) if member.isreg() else None
    return FileInfo(
        path,
        exists=True,
        mode=stat.S_IMODE(member.mode),
        uid=member.uid,
        gid=member.gid,
        size_bytes=member.size,
        link_target=member.linkname if member.issym() else None,
        is_dir=member.isdir(),
        content=None if file is None else file.read(),
    )


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
