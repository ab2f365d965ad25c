"""Build contexts: which files go to the engine, the fingerprint of them, and the archive."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from pytest_dockerkit._engine.walk import Member, walk
from pytest_dockerkit._spec.counts import what_counts
from pytest_dockerkit._spec.ignore import IgnoreRules
from pytest_dockerkit._spec.replacing import with_images
from pytest_dockerkit._spec.uses import Uses, context_uses
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_dockerkit._engine.hashes import FileHashes
    from pytest_dockerkit._spec.image import ImageSpec
    from pytest_dockerkit._spec.settled import BaseFacts

#: Raised when what a fingerprint is made of changes, so that images of older releases are not taken.
FINGERPRINT_FORMAT = 2

#: An archive above this size goes to a file while it is sent, in bytes.
_IN_MEMORY_BYTES = 32 * 1024 * 1024


class BuildContext(NamedTuple):
    """The files of a build: those that the target uses, and no others.

    Attributes:
        root: the context directory, or None for an empty one.
        members: the files, links and directories, in order.
        dockerfile: the Dockerfile's text.
        dockerfile_name: its path in the archive.
        added: whether it is no member, and was put into the archive for the builder alone.
        shown: whether an instruction may copy it all the same, as `COPY . .` would.
        written: the Dockerfile's text as the user has it, before other images were put into it.
    """

    root: Path | None
    members: tuple[Member, ...]
    dockerfile: str
    dockerfile_name: str
    added: bool
    shown: bool = False
    written: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The members' paths."""
        return tuple(member.path for member in self.members)


class ContextMovedError(Exception):
    """A file has gone, or has become another kind of thing, between two looks at it; says which."""


def read_context(
    spec: ImageSpec,
    bases: Mapping[str, BaseFacts] | None = None,
    replaced: Mapping[str, str] | None = None,
    text: str | None = None,
) -> BuildContext:
    """Find the files that belong to a build.

    Args:
        spec: what is to be built; it must be anchored.
        bases: what is known of the images that it stands on, by the reference that the Dockerfile has for them.
        replaced: the images to put in place of such references.
        text: what was read of the Dockerfile before; None reads it.

    Raises:
        ContextMovedError: something has gone meanwhile.
        SpecError: a file cannot be read.
    """
    text = spec.text() if text is None else text
    args = {key: str(value) for key, value in spec.build_args.items()}
    uses = context_uses(text, spec.target, args, bases or {})
    root = spec.context
    members: tuple[Member, ...] = ()
    if root is not None:
        uses, members = _used(root, _ignore_rules(spec, root), uses)
    sent = with_images(text, replaced, args) if replaced else text
    name = _inside(spec)
    if name is not None and sent == text and any(each.path == name for each in members):
        return BuildContext(root, members, sent, name, added=False, written=text)
    if name is None or uses.takes(name):
        # Under its own name there may be another file, or none, that the build is to see.
        name = f".dockerkit.{hashlib.sha256(sent.encode()).hexdigest()[:12]}.Dockerfile"
    return BuildContext(root, members, sent, name, added=True, shown=uses.takes(name), written=text)


def fingerprint(
    spec: ImageSpec,
    context: BuildContext,
    bases: Mapping[str, str],
    facts: Mapping[str, BaseFacts],
    *,
    hashes: FileHashes | None,
    platform: str,
) -> str:
    """Give the hex digest of all that goes into an image.

    Contents, modes, links and empty directories count; times and owners do not.

    Args:
        spec: what is to be built.
        context: its files.
        bases: the id of each image that it stands on or copies from.
        facts: what else is known of them, by the reference that the Dockerfile has for them.
        hashes: the digests of the context's files; None for an empty one.
        platform: what the image is for.

    Raises:
        ContextMovedError: something has gone meanwhile.
        SpecError: a file cannot be read.
    """
    args = {key: str(value) for key, value in spec.build_args.items()}
    said = {
        "format": FINGERPRINT_FORMAT,
        "dockerfile": what_counts(context.written or context.dockerfile, spec.target, args, facts),
        "labels": dict(spec.labels),
        "platform": platform,
        "bases": dict(bases),
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for path, status in context.members:
        # Without a context manager: there may be thousands.
        try:
            digest.update(_member_digest(context, path, status, hashes))
        except OSError as failure:
            raise _not_read(path, failure) from None
    return digest.hexdigest()


def archive(context: BuildContext, *, dockerfile: str | None = None, hide_added: bool) -> IO[bytes]:
    """Pack the context as a tar archive, open at its beginning; the caller closes it.

    Args:
        context: the files.
        dockerfile: sent in place of the context's own Dockerfile.
        hide_added: name an added Dockerfile in the archive's `.dockerignore`, where the builder heeds that
            (the classic one does), so that `COPY . .` does not find it.

    Raises:
        ContextMovedError: something has gone meanwhile.
        SpecError: a file cannot be read.
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
            if member.path != context.dockerfile_name and not (hide_added and member.path == ".dockerignore"):
                with _reading(member.path):
                    _add(tar, context, member.path)
        with _reading(context.dockerfile_name):
            mode = _mode(context)
        _add_text(tar, context.dockerfile_name, text, mode)
        if hide_added:
            _add_text(tar, ".dockerignore", f"{context.dockerfile_name}\n.dockerignore\n", 0o644)
    packed.seek(0)
    return packed


def _used(root: Path, rules: IgnoreRules, uses: Uses) -> tuple[Uses, tuple[Member, ...]]:
    """Find the members that a build uses; builders follow links that lead to a source."""
    found = walk(root, rules, None if uses.patterns is None else uses)
    if found.through_link:
        everything = walk(root, rules, None).members
        links: dict[str, str] = {}
        for path, status in everything:
            if stat.S_ISLNK(status.st_mode):
                with _reading(path):
                    links[path] = os.fspath((root / path).readlink())
        uses = uses.through(links)
        found = walk(root, rules, None if uses.patterns is None else uses)
    return uses, found.members


def _inside(spec: ImageSpec) -> str | None:
    """Give the Dockerfile's path in the context; None if it lies elsewhere, or is a text."""
    if spec.context is None or spec.dockerfile_text is not None:
        return None
    inside = os.path.relpath(spec.dockerfile, spec.context).replace(os.sep, "/")
    return None if inside.startswith("../") else inside


def _ignore_rules(spec: ImageSpec, root: Path) -> IgnoreRules:
    """Read the ignore file: the Dockerfile's own if there is one, else the context's."""
    own = Path(f"{spec.dockerfile}.dockerignore") if spec.dockerfile_text is None else None
    for path in (own, root / ".dockerignore"):
        if path is not None and path.is_file():
            return IgnoreRules.read(_ignore_file(path), str(path))
    return IgnoreRules.read("", "")


def _ignore_file(path: Path) -> str:
    try:
        # As bytes: Python would take a lone carriage return for the end of a line, which Docker does not.
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as failure:
        raise SpecError(
            "the ignore file of the context cannot be read", saw=f"{path}: {failure}", mend="a readable UTF-8 file"
        ) from None


def _member_digest(context: BuildContext, path: str, status: os.stat_result, hashes: FileHashes | None) -> bytes:
    mode = status.st_mode
    said = os.fsencode(path) + b"\0%o\0" % mode
    if stat.S_ISREG(mode):
        assert hashes is not None  # noqa: S101  - there are no members without a root
        said += hashes.digest(path, status).encode()
    elif stat.S_ISLNK(mode):
        assert context.root is not None  # noqa: S101  - there are no members without a root
        said += os.fsencode((context.root / path).readlink())
    # Of a length of its own, so that no two lists of members give the same bytes.
    return b"%d\0" % len(said) + said


def _add(tar: tarfile.TarFile, context: BuildContext, member: str) -> None:
    assert context.root is not None  # noqa: S101  - there are no members without a root
    path = context.root / member
    info = tar.gettarinfo(str(path), arcname=member)
    if info is None:
        raise ContextMovedError(member)
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


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise _not_read(path, failure) from None


def _not_read(path: str, failure: OSError) -> ContextMovedError | SpecError:
    # Without a number it has become shorter while it was packed; EINVAL says that it is no link any more.
    if isinstance(failure, FileNotFoundError | NotADirectoryError) or failure.errno in (None, errno.EINVAL):
        return ContextMovedError(path)
    return SpecError(
        "a file of the build context cannot be read",
        saw=f"{path}: {failure.strerror}",
        mend="make it readable, or name it in the ignore file",
    )


def _add_text(tar: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    content = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))


def _mode(context: BuildContext) -> int:
    if context.added or context.root is None:
        return 0o644
    return stat.S_IMODE((context.root / context.dockerfile_name).stat().st_mode)
