"""The ledger: a line before anything is made, and one when it is gone.

One file for each process of a run, so that no two write to one. A line is written before the engine is
asked, so that a crash at any instruction leaves a name to undo.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

#: The kinds of things that are undone.
KINDS = ("container", "network", "volume", "image", "service", "secret", "config", "swarm")
#: What is said of them. A further word may be a newer version's, which has run before, or runs at the same time.
_WORDS = ("make", "gone", "keep")


class Entry(NamedTuple):
    """Something that was made, or was about to be."""

    kind: str
    name: str


class Ledger:
    """One process's part of a run's ledger."""

    def __init__(self, path: Path, about_to_make: Callable[[], object] = lambda: None) -> None:
        """Begin; nothing is written yet.

        Args:
            path: its file.
            about_to_make: called before it is written that something is about to be made; may prevent that.
        """
        self.path = path
        self._about_to_make = about_to_make
        self._open: set[Entry] = set()
        self._kept: set[Entry] = set()
        self._is_torn = False

    def is_open(self, kind: str, name: str) -> bool:
        """Tell whether this process has made it, or was about to, and has not removed it."""
        return Entry(kind, name) in self._open

    def count(self, kind: str) -> int:
        """Count what this process has made of a kind, and not removed."""
        return sum(entry.kind == kind for entry in self._open)

    def making(self, kind: str, name: str) -> None:
        """Write that something is about to be made."""
        self._about_to_make()
        self._open.add(Entry(kind, name))
        self._write({"do": "make", "kind": kind, "name": name})

    def adopt(self, kind: str, name: str) -> None:
        """Take what another process has made and written: whoever removes it first writes that it is gone."""
        self._open.add(Entry(kind, name))

    def gone(self, kind: str, name: str) -> None:
        """Write that it is gone; where that cannot be written, it is looked for once more at the end."""
        self._open.discard(Entry(kind, name))
        with suppress(DockerkitError):
            self._write({"do": "gone", "kind": kind, "name": name})

    def keep(self, kind: str, name: str, **facts: str | float | None) -> None:
        """Write that it stays, though the run ends: whoever undoes the run leaves it alone.

        Args:
            kind: what it is.
            name: its name.
            **facts: more about it; those that are None are left out.
        """
        self._kept.add(Entry(kind, name))
        known = {key: value for key, value in facts.items() if value is not None}
        self._write({"do": "keep", "kind": kind, "name": name, **known})

    def is_kept(self, kind: str, name: str) -> bool:
        """Tell whether this process has written that it stays."""
        return Entry(kind, name) in self._kept

    def note(self, what: str, name: str, **facts: str | float | None) -> None:
        """Write what is worth telling at the end: an image that was built, pulled or taken from the cache.

        Args:
            what: what has become of it.
            name: what it is known by; what is noted twice is told once.
            **facts: more about it; those that are None are left out.
        """
        known = {key: value for key, value in facts.items() if value is not None}
        self._write({"do": "note", "what": what, "name": name, **known})

    def _write(self, line: dict[str, Any]) -> None:
        # A part of the last line may be there, as where the disk was full: what follows must not be lost with it.
        begin = "\n" if self._is_torn else ""
        self._is_torn = True
        try:
            # Opened for each line: a fork, or a process that ends at once, loses nothing that was buffered.
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{begin}{json.dumps(line)}\n")
        except OSError as failure:
            raise DockerkitError(
                "the run's ledger cannot be written, and without it nothing is made",
                saw=str(failure),
                mend="free some space there; or name another directory in XDG_CACHE_HOME",
            ) from None
        self._is_torn = False


def read(directory: Path, process: str = "*") -> Iterator[dict[str, Any]]:
    """Give the lines of all of a run's ledgers, or of one; what was torn by a crash or a full disk is left out."""
    for path in sorted(directory.glob(f"{process}.jsonl")):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and isinstance(line.get("do"), str):
                yield line


def is_known(line: dict[str, Any]) -> bool:
    """Tell whether this version understands a line."""
    if line["do"] == "note":
        return True
    return line["do"] in _WORDS and line.get("kind") in KINDS and isinstance(line.get("name"), str)


def open_entries(lines: Iterable[dict[str, Any]]) -> list[Entry]:
    """Give what was made, is not gone, and does not stay, newest first.

    What one process has made another may have removed, and its file may have been read before.
    """
    last: dict[Entry, int] = {}
    made: Counter[Entry] = Counter()
    kept: set[Entry] = set()
    for place, line in enumerate(lines):
        if line["do"] == "note" or not is_known(line):
            continue
        entry = Entry(line["kind"], line["name"])
        if line["do"] == "make":
            last[entry] = place
            made[entry] += 1
        elif line["do"] == "keep":
            kept.add(entry)
        else:
            made[entry] -= 1
    return sorted((each for each in last if made[each] > 0 and each not in kept), key=last.__getitem__, reverse=True)
