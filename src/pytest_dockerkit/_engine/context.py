"""Build contexts: which files go to the engine, the fingerprint of them, and the archive."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from docker.utils.build import PatternMatcher

from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_dockerkit._spec.image import ImageSpec

#: Raised when what a fingerprint is made of changes, so that images of older releases are not taken.
FINGERPRINT_FORMAT = 1

#: An archive above this size goes to a file while it is sent, in bytes.
_IN_MEMORY_BYTES = 32 * 1024 * 1024

#: How old a file's times have to be for its content to be known by them, in nanoseconds. The coarsest file systems
#: count in steps of two seconds. Source: FAT; git has the same rule, as "racy git".
_SETTLED_NS = 2_000_000_000

#: The digests of contents, by path, each with the state of the file that it is of.
_digests: dict[Path, tuple[tuple[int, ...], bytes]] = {}


@dataclass(frozen=True)
class BuildContext:
    """The files of a build.

    Attributes:
        root: the context directory, or None for an empty one.
        members: the paths that `.dockerignore` leaves, relative, in order.
        dockerfile: the Dockerfile's text.
        dockerfile_name: its path in the archive.
        added: whether it is no member, and was put into the archive for the builder alone.
    """

    root: Path | None
    members: tuple[str, ...]
    dockerfile: str
    dockerfile_name: str
    added: bool


def read_context(spec: ImageSpec) -> BuildContext:
    """Find the files that belong to a build; the spec must be anchored."""
    text = spec.text()
    root = spec.context
    members = () if root is None else tuple(sorted(_members(root, _ignored(spec, root))))
    if root is not None and spec.dockerfile_text is None:
        inside = os.path.relpath(spec.dockerfile, root).replace(os.sep, "/")
        if inside in members:
            return BuildContext(root, members, text, inside, added=False)
    name = f".dockerkit.{hashlib.sha256(text.encode()).hexdigest()[:12]}.Dockerfile"
    return BuildContext(root, members, text, name, added=True)


def fingerprint(spec: ImageSpec, context: BuildContext, bases: Mapping[str, str]) -> str:
    """Give the hex digest of all that goes into an image.

    Contents, modes, links and empty directories count; times and owners do not.

    Args:
        spec: what is to be built.
        context: its files.
        bases: the id of each image that it stands on or copies from.
    """
    said = {
        "format": FINGERPRINT_FORMAT,
        "dockerfile": context.dockerfile,
        "target": spec.target,
        "args": dict(spec.build_args),
        "labels": dict(spec.labels),
        "platform": spec.platform,
        "bases": dict(bases),
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for member in context.members:
        digest.update(_member_digest(context, member))
    return digest.hexdigest()


def archive(context: BuildContext, *, dockerfile: str | None = None, hide_added: bool) -> IO[bytes]:
    """Pack the context as a tar archive, open at its beginning; the caller closes it.

    Args:
        context: the files.
        dockerfile: sent in place of the context's own Dockerfile.
        hide_added: name an added Dockerfile in the archive's `.dockerignore`, where the builder heeds that
            (the classic one does), so that `COPY . .` does not find it.
    """
    text = context.dockerfile if dockerfile is None else dockerfile
    packed: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  - the caller closes it
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        # BuildKit knows an archive by its first 1024 bytes, and a name that is long or not ASCII takes more than
        # those. Source: buildkit, frontend/dockerfile/builder/build.go, isArchive.
        first = tarfile.TarInfo("./")
        first.type, first.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(first)
        for member in context.members:
            if member != context.dockerfile_name and not (hide_added and member == ".dockerignore"):
                _add(tar, context, member)
        _add_text(tar, context.dockerfile_name, text, _mode(context))
        if hide_added:
            _add_text(tar, ".dockerignore", f"{context.dockerfile_name}\n.dockerignore\n", 0o644)
    packed.seek(0)
    return packed


def _ignored(spec: ImageSpec, root: Path) -> list[str]:
    """Read the ignore file: the Dockerfile's own if there is one, else the context's."""
    own = Path(f"{spec.dockerfile}.dockerignore") if spec.dockerfile_text is None else None
    for path in (own, root / ".dockerignore"):
        if path is not None and path.is_file():
            lines = _ignore_file(path).splitlines()
            return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return []


def _ignore_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        raise SpecError(
            "the ignore file of the context cannot be read", saw=f"{path}: {failure}", mend="a readable UTF-8 file"
        ) from None


def _members(root: Path, ignored: list[str]) -> Iterator[str]:
    # docker-py has the reference rules for the classic API, which the command line follows too.
    for member in PatternMatcher(ignored).walk(str(root)):
        mode = (root / member).lstat().st_mode
        # Sockets, pipes and devices cannot be sent; the command line skips them as well.
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            yield member.replace(os.sep, "/")


def _member_digest(context: BuildContext, member: str) -> bytes:
    assert context.root is not None  # noqa: S101  - there are no members without a root
    path = context.root / member
    status = path.lstat()
    digest = hashlib.sha256(os.fsencode(member) + b"\0%o\0" % status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        digest.update(os.fsencode(path.readlink()))
    elif stat.S_ISREG(status.st_mode):
        digest.update(_content_digest(path, status))
    return digest.digest()


def _content_digest(path: Path, status: os.stat_result) -> bytes:
    state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    known = _digests.get(path)
    if known is not None and known[0] == state:
        return known[1]
    now = time.time_ns()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    # A file that was just written may be written once more without another time.
    if now - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
        _digests[path] = state, digest
    return digest


def _add(tar: tarfile.TarFile, context: BuildContext, member: str) -> None:
    assert context.root is not None  # noqa: S101  - there are no members without a root
    path = context.root / member
    info = tar.gettarinfo(str(path), arcname=member)
    # Layers are cached by content: whose checkout it is, and when it was made, must not matter.
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    # A second name of one file would be a link to the first, which may be left out of a layer.
    if info.islnk():
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
    if info.isreg():
        with path.open("rb") as file:
            tar.addfile(info, file)
    else:
        tar.addfile(info)


def _add_text(tar: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    content = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))


def _mode(context: BuildContext) -> int:
    if context.added or context.root is None:
        return 0o644
    return stat.S_IMODE((context.root / context.dockerfile_name).stat().st_mode)
