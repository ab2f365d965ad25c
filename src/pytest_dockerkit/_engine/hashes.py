"""Digests of files' contents, kept between runs as long as the files have not been touched.

What is kept is one file for each context, which may be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
import time
from pathlib import Path

#: How old a file's times have to be for its content to be known by them, in nanoseconds. The coarsest file systems
#: count in steps of two seconds. Source: FAT; git has the same rule, as "racy git".
SETTLED_NS = 2_000_000_000

#: Raised when the form of what is kept changes.
_FORMAT = 2


class FileHashes:
    """The digests of the files below one directory.

    Args:
        root: the directory.
        kept: the file that they are kept in between processes; None keeps them in this process alone.
    """

    def __init__(self, root: Path, kept: Path | None) -> None:
        self._root = root
        self._kept = kept
        #: By path: the state of the file, and after it the digest. One text each: of thousands of lists the
        #: collector of Python's would make a stop of its own.
        self._known: dict[str, str] = {} if kept is None else _read(kept)
        self._changed = False
        self._saving = threading.Lock()

    def digest(self, path: str, status: os.stat_result) -> str:
        """Give the SHA-256 of a regular file's content in hex; it is read if it may have changed.

        Args:
            path: the file, relative to the root.
            status: what `lstat` has just said of it.
        """
        known = self._known.get(path)
        if known is not None and known.startswith(_state(status)):
            return known.rpartition(" ")[2]
        now = time.time_ns()
        with (self._root / path).open("rb") as file:
            before = _state(os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
        # One that was just written may be written once more without another time, and one that is being written
        # has no content yet.
        if before == _state(after) and now - max(after.st_mtime_ns, after.st_ctime_ns) > SETTLED_NS:
            self._known[path] = before + digest
            self._changed = True
        return digest

    def save(self) -> None:
        """Keep what was learned for other processes. What cannot be written is read again by the next one."""
        if self._kept is None or not self._changed:
            return
        with self._saving, contextlib.suppress(OSError):
            self._changed = False
            # Another process may have learned of other files meanwhile.
            known = _read(self._kept) | self._known
            _write(self._kept, {path: each for path, each in known.items() if os.path.lexists(self._root / path)})


def _state(status: os.stat_result) -> str:
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} "


def _read(path: Path) -> dict[str, str]:
    try:
        said = json.loads(path.read_bytes())
        known: dict[str, str] = said["files"] if said["format"] == _FORMAT else {}
        # Written by hand or not: the rest is compared with what is there.
        return known if all(isinstance(each, str) for each in known.values()) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, known: dict[str, str]) -> None:
    # Names that are no UTF-8 are escaped, as all that is not ASCII is.
    text = json.dumps({"format": _FORMAT, "files": known})
    written, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(written, "w", encoding="ascii") as file:
            file.write(text)
        # In one step: a reader finds the old one or the new one, whole.
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
