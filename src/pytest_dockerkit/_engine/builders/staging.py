"""A context as a directory, for as long as a command reads it."""

from __future__ import annotations

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
    if os.utime in os.supports_follow_symlinks:
        for each in members:
            os.utime(directory / each.name, (each.mtime, each.mtime), follow_symlinks=False)


def _remove(directory: Path) -> None:
    """Remove a directory with all that is in it, also below directories that may not be written to."""
    for path in (directory, *directory.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(stat.S_IRWXU)
    shutil.rmtree(directory)
