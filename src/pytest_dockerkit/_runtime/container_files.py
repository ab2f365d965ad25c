"""Files of a container, read and written without a program in it."""

from __future__ import annotations

import posixpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime.known import KnownContainer, by_alias
from pytest_dockerkit._runtime.transfer import put_files
from pytest_dockerkit._spec import checks
from pytest_dockerkit.errors import ContainerFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_dockerkit._runtime.files import FileInfo


class ContainerFiles(KnownContainer):
    """Files of a container."""

    def read_file(self, path: str) -> str:
        """Give a file's content as UTF-8 text; links are followed, no program in the image is needed.

        Raises:
            ContainerFileError: it does not exist, is no regular file, or is not UTF-8.
        """
        content = self.read_bytes(path)
        try:
            return content.decode()
        except UnicodeDecodeError as failure:
            raise ContainerFileError(
                f"{path} is no UTF-8 text", saw=str(failure), mend=f"container.read_bytes({path!r})"
            ) from None

    @by_alias
    def read_bytes(self, path: str) -> bytes:
        """Give a file's content; links are followed, no program in the image is needed.

        Raises:
            ContainerFileError: it does not exist, or is no regular file.
        """
        real = self._engine.containers.real_path(self.id, checks.container_path("path", path))
        self._refuse_tmpfs(self._through_links(real))
        found = self._file(real)
        if found.content is not None:
            return found.content
        saw = "it is no regular file"
        if not found.exists:
            saw = "it does not exist" if real == path else f"it leads to {real}, which does not exist"
        directory = posixpath.dirname(path)
        raise ContainerFileError(
            f"{path} cannot be read",
            saw=saw,
            mend=f'container.exec(["ls", "-la", {directory!r}]) shows what is there',
        )

    @by_alias
    def write_file(self, path: str, content: str | bytes) -> None:
        """Write a file, owned by root, with the mode 0644; missing directories are made.

        Raises:
            SpecError: the path is not absolute.
            EngineError: the engine refuses, as for a read-only root.
        """
        self._put({checks.container_path("path", path): content})

    @by_alias
    def copy_in(self, source: str | Path, target: str) -> None:
        """Copy a file or a directory of this machine into it, as the path `target`, or into `target/` under its name.

        Raises:
            ContainerFileError: the source does not exist.
            SpecError: the target is not absolute.
        """
        path = Path(source)
        if not path.exists():
            raise ContainerFileError(f"{path} cannot be copied in", saw="it does not exist", mend="correct the path")
        whole = checks.container_path("target", target)
        self._put({whole + path.name if whole.endswith("/") else whole: path.resolve()})

    @by_alias
    def copy_out(self, source: str, target: str | Path, *, partial: bool = False) -> Path:
        """Copy a file or a directory out of it; nothing is written outside of `target`.

        Links within a directory stay links, absolute ones are made relative. What is in the place of a file is
        replaced; a directory that is there is filled.

        Args:
            source: the path in the container; if it is a link, what that leads to is copied.
            target: where to; if that is a directory, the copy lies in it.
            partial: leave out what cannot be copied: links that lead out of the source, devices and pipes.

        Returns:
            the path of the copy.

        Raises:
            ContainerFileError: the source does not exist; it holds such a thing, and not `partial`; or this machine
                cannot write the copy.
        """
        # Before the archive is asked for: as long as it comes, the engine says nothing else of the container.
        real = self._without_links(
            self._engine.containers.real_path(self.id, checks.container_path("source", source))
        )
        self._refuse_tmpfs(real)
        with self._engine.containers.get(self.id, real) as pieces:
            if pieces is None:
                raise ContainerFileError(
                    f"{source} cannot be copied out", saw="it does not exist", mend="correct the path"
                )
            # Here and below: reading and writing archives takes 3 ms to import.
            from pytest_dockerkit._runtime.unpacking import unpack

            name = posixpath.basename(posixpath.normpath(source)) or "root"
            return unpack(pieces, Path(target), name, origins=(real, source), partial=partial)

    def _file(self, path: str) -> FileInfo:
        from pytest_dockerkit._runtime import files

        with self._engine.containers.get(self.id, path) as pieces:
            return files.FileInfo(path, exists=False) if pieces is None else files.first_file(pieces, path)

    def _through_links(self, path: str) -> str:
        """Follow the links on the way to a path, as far as that matters: to know whether it leads into a tmpfs."""
        return self._without_links(path) if self.spec.tmpfs else path

    def _without_links(self, path: str) -> str:
        real = "/"
        for part in PurePosixPath(posixpath.normpath(path)).parts[1:]:
            # The engine resolves the links above a path silently, and names where only its last part leads.
            real = self._engine.containers.real_path(self.id, posixpath.join(real, part))
        return real

    def _refuse_tmpfs(self, path: str) -> None:
        # The engine copies from and to what lies below the mount, and reports success.
        if (tmpfs := self.spec.tmpfs_above(path)) is not None:
            raise ContainerFileError(
                f"{path} lies in a tmpfs, which only the container itself can see",
                saw=f"tmpfs={tmpfs!r}",
                mend=f'container.exec(["cat", {path!r}]) to read it, exec(["tee", {path!r}], stdin=…) to write it',
            )

    def _put(self, content: Mapping[str, str | bytes | Path]) -> None:
        for target in content:
            # A link at the target itself is replaced.
            above, _, name = posixpath.normpath(target).rpartition("/")
            self._refuse_tmpfs(posixpath.join(self._through_links(above or "/"), name))
        put_files(self._engine, self.id, content)
