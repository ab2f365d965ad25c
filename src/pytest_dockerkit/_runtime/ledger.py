"""The ledger: a line before anything is made, and one when it is gone.

One file for each process of a run, so that no two write to one. A line is written before the engine is
asked, so that a crash at any instruction leaves a name to undo.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: The kinds of things that are undone.
KINDS = ("container", "network", "volume", "image")


class Entry(NamedTuple):
    """Something that was made, or was about to be."""

    kind: str
    name: str


class Ledger:
    """One process's part of a run's ledger."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: set[Entry] = set()

    def is_open(self, kind: str, name: str) -> bool:
        """Tell whether this process has made it, or was about to, and has not removed it."""
        return Entry(kind, name) in self._open

    def count(self, kind: str) -> int:
        """Count what this process has made of a kind, and not removed."""
        return sum(entry.kind == kind for entry in self._open)

    def making(self, kind: str, name: str) -> None:
        """Write that something is about to be made."""
        self._open.add(Entry(kind, name))
        self._write({"do": "make", "kind": kind, "name": name})

    def adopt(self, kind: str, name: str) -> None:
        """Take what another process has made and written: whoever removes it first writes that it is gone."""
        self._open.add(Entry(kind, name))

    def gone(self, kind: str, name: str) -> None:
        """Write that it is gone."""
        self._open.discard(Entry(kind, name))
        self._write({"do": "gone", "kind": kind, "name": name})

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
        # Opened for each line: a fork, or a process that ends at once, loses nothing that was buffered.
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read(directory: Path, process: str = "*") -> Iterator[dict[str, Any]]:
    """Give the lines of all of a run's ledgers, or of one; a last line that was torn by a crash is left out."""
    for path in sorted(directory.glob(f"{process}.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue


def open_entries(lines: Iterable[dict[str, Any]]) -> list[Entry]:
    """Give what was made and is not gone, newest first.

    What one process has made another may have removed, and its file may have been read before.
    """
    last: dict[Entry, int] = {}
    made: Counter[Entry] = Counter()
    for place, line in enumerate(lines):
        if line["do"] == "note":
            continue
        entry = Entry(line["kind"], line["name"])
        if line["do"] == "make":
            last[entry] = place
            made[entry] += 1
        else:
            made[entry] -= 1
    return sorted((each for each in last if made[each] > 0), key=last.__getitem__, reverse=True)
