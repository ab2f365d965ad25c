"""Archives as engines give them, written down in a line each."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

Member = tuple[str, bytes, str | bytes]


def tar(*members: Member) -> bytes:
    """Make an archive of names, types, and contents or the targets of links."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755 if kind == tarfile.DIRTYPE else 0o640
            info.uid, info.gid = 7, 8
            data = content if isinstance(content, bytes) else b""
            info.linkname = content if isinstance(content, str) else ""
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return file.getvalue()


def pieces(archive: bytes, size: int = 700) -> Iterator[bytes]:
    """Give it as an engine does, in pieces that end anywhere; some are empty."""
    for start in range(0, len(archive), size):
        yield archive[start : start + size]
        yield b""


def folder(name: str) -> Member:
    return name, tarfile.DIRTYPE, b""


def file(name: str, content: bytes = b"x") -> Member:
    return name, tarfile.REGTYPE, content


def link(name: str, target: str) -> Member:
    return name, tarfile.SYMTYPE, target


def second_name(name: str, target: str) -> Member:
    return name, tarfile.LNKTYPE, target


def unpacked(packed: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
        return {each.name: each for each in opened}


def tree(root: Path) -> dict[str, bytes | str]:
    """Show what lies in a directory: contents, the targets of links, and "" for directories."""
    found: dict[str, bytes | str] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        found[name] = str(path.readlink()) if path.is_symlink() else "" if path.is_dir() else path.read_bytes()
    return found
