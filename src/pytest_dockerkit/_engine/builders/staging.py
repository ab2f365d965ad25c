"""A context as a directory, for as long as a command reads it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_dockerkit._engine.context import BuildContext

#: Without an ignore file of the Dockerfile's own, that of the context would count once more.
_IGNORES_NOTHING = "# What belongs to the context was decided before.\n"

_YEAR_NS = 365 * 24 * 3600 * 10**9


class Staged(NamedTuple):
    """Where a context and its Dockerfile lie, apart from each other.

    Attributes:
        context: the directory with the files.
        dockerfile: the Dockerfile, outside of it.
    """

    context: Path
    dockerfile: Path


@contextmanager
def staged(context: BuildContext, packed: IO[bytes]) -> Iterator[Staged]:
    """Unpack a context into a directory that nobody else may enter, and remove it at the end of the block.

    Args:
        context: what was packed.
        packed: its archive, open at its beginning.
    """
    private = Path(tempfile.mkdtemp(prefix="dockerkit-context-"))
    try:
        files = Staged(private / "context", private / "Dockerfile")
        files.context.mkdir()
        with tarfile.open(fileobj=packed) as archive:
            _unpack(archive, files.context, without=context.dockerfile_name)
        files.dockerfile.write_text(context.dockerfile, encoding="utf-8", newline="")
        Path(f"{files.dockerfile}.dockerignore").write_text(_IGNORES_NOTHING, encoding="utf-8")
        yield files
    finally:
        _remove(private)


def _unpack(archive: tarfile.TarFile, directory: Path, *, without: str) -> None:
    # It is our own archive: links may lead anywhere, as they do in the context.
    archive.extraction_filter = lambda member, _: member
    members = [each for each in archive if each.name != without]
    # Of a directory that may not be written to, the mode is set once its files are there.
    archive.extractall(directory, members)  # noqa: S202  - as above
    for each in members:
        path = directory / each.name
        if each.isreg():
            _stamp(path, each)
        elif os.utime in os.supports_follow_symlinks:
            os.utime(path, (each.mtime, each.mtime), follow_symlinks=False)


def _stamp(path: Path, member: tarfile.TarInfo) -> None:
    """Give a file a time that follows from its content.

    BuildKit keeps what it was sent of a directory, and is sent only what differs from that in size, mode or time; and
    another context may have been sent before under the same name. Source: tonistiigi/fsutil, diff.go, sameFile.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    nanoseconds = int(member.mtime) * 10**9 + int.from_bytes(digest[:8]) % _YEAR_NS
    os.utime(path, ns=(nanoseconds, nanoseconds))


def _remove(directory: Path) -> None:
    """Remove a directory with all that is in it, also below directories that may not be written to."""
    for parent, names, _ in os.walk(directory):
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(stat.S_IRWXU)
    shutil.rmtree(directory)
