"""A context that is larger than anybody would want, and what makes it so."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._units import show_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: From when on a context is large, in bytes and in files. To send so much takes longer than all else that a small
#: build has to do. Source: measured with Docker 20.10 on the same machine: 0.7 s for the bytes, 1.7 s for the files;
#: 1.2 and 6.3 s with a `COPY` of them; 0.1 s for a build of one small file.
LARGE_BYTES = 100_000_000
LARGE_FILES = 10_000

#: What tools leave in a project, and hardly an image needs: it is made anew in there, or stays outside.
_NEEDLESS = frozenset(
    {".git", ".hg", "node_modules", ".venv", "venv", "__pycache__", ".tox", ".nox", ".mypy_cache", ".pytest_cache"}
    | {".ruff_cache", ".cache", ".gradle", ".terraform", "htmlcov"}
)

#: What tools build, which some images take over.
_BUILT = frozenset({"target", "dist", "build", ".next"})

#: How many places are named, and the smallest share of the whole that is worth it.
_MOST = 3
_SHARE = 0.05

#: A directory is not named where one thing in it has this share of it: that is then.
_NEARLY_ALL = 0.8

#: Characters that mean something in an ignore file, or in the regular expressions that Docker makes of its lines.
#: Source: moby/patternmatcher, patternmatcher.go.
_SPECIAL = re.compile(r"[\\*?\[\]+()|{}^$]|^[!#]")


class Part(NamedTuple):
    """A place that makes a context large.

    Attributes:
        path: where it is, within the context; several places of one name are `**/name`.
        size_bytes: how much is there.
        files: in how many files.
        ignore: the line that keeps it out.
        needless: whether hardly an image needs it.
    """

    path: str
    size_bytes: int
    files: int
    ignore: str
    needless: bool


@dataclass(frozen=True)
class LargeContext:
    """A context that is large.

    Attributes:
        size_bytes: how much goes to the engine.
        files: in how many files.
        parts: what makes it so, the worst first; empty where it is spread evenly.
    """

    size_bytes: int
    files: int
    parts: tuple[Part, ...]

    def told(self, title: str, ignore_file: str = ".dockerignore") -> str:
        """Say it in a line.

        Args:
            title: what people call the context.
            ignore_file: where the lines belong.
        """
        whole = f"large context: {title} is {show_bytes(self.size_bytes)} in {self.files:,} files"
        if not self.parts:
            return f"{whole}; what no COPY needs belongs into {ignore_file}"
        parts = ", ".join(f"{part.path} {self._amount(part)}" for part in self.parts)
        needless = ", ".join(part.ignore for part in self.parts if part.needless)
        others = ", ".join(part.ignore for part in self.parts if not part.needless)
        lines = f": {needless}" if needless else ""
        if others:
            lines += f"{'; and' if lines else ','} if the image does without: {others}"
        return f"{whole}: {parts}; in {ignore_file}{lines}"

    def _amount(self, part: Part) -> str:
        amounts = [show_bytes(part.size_bytes)] if self.size_bytes > LARGE_BYTES else []
        amounts += [f"{part.files:,} files"] if self.files > LARGE_FILES else []
        return " in ".join(amounts)


def large_context(members: Iterable[tuple[str, int]]) -> LargeContext | None:
    """Tell whether a context is large, and what makes it so; None where it is not.

    Args:
        members: the path of each file that goes to the engine, relative to the context, and its size in bytes.
    """
    files = list(members)
    size_bytes = sum(size for _, size in files)
    if size_bytes <= LARGE_BYTES and len(files) <= LARGE_FILES:
        return None
    # A share is of what there is too much of.
    whole = _Place("", size_bytes if size_bytes > LARGE_BYTES else 0, len(files) if len(files) > LARGE_FILES else 0)
    known, rest = _sorted_out(files)
    places = sorted((*known, *_deepest(rest, whole)), key=lambda place: -place.share(whole))
    parts = [place.part() for place in places if place.share(whole) >= _SHARE]
    return LargeContext(size_bytes, len(files), tuple(parts[:_MOST]))


@dataclass
class _Place:
    """A file or a directory, with all that is in it."""

    path: str
    size_bytes: int = 0
    files: int = 0
    inside: dict[str, _Place] = field(default_factory=dict)

    def share(self, whole: _Place) -> float:
        return max(self.size_bytes / (whole.size_bytes or float("inf")), self.files / (whole.files or float("inf")))

    def part(self) -> Part:
        ignore = self.path if self.path.startswith("**/") else _ignoring(self.path)
        needless = posixpath.basename(self.path) in _NEEDLESS
        return Part(self.path, self.size_bytes, self.files, ignore, needless)

    def add(self, names: list[str], size_bytes: int) -> None:
        self.size_bytes += size_bytes
        self.files += 1
        if names:
            path = posixpath.join(self.path, names[0])
            self.inside.setdefault(names[0], _Place(path)).add(names[1:], size_bytes)


def _sorted_out(files: list[tuple[str, int]]) -> tuple[list[_Place], _Place]:
    """Take out what lies in directories that are well known."""
    known: dict[str, _Place] = {}
    rest = _Place("")
    for path, size in files:
        *directories, name = path.split("/")
        depth = next((at for at, each in enumerate(directories) if each in _NEEDLESS | _BUILT), None)
        if depth is None:
            rest.add([*directories, name], size)
            continue
        there = "/".join(directories[: depth + 1])
        place = known.setdefault(directories[depth], _Place(there))
        if place.path != there:
            place.path = f"**/{directories[depth]}"
        place.add([], size)
    return list(known.values()), rest


def _deepest(place: _Place, whole: _Place) -> Iterator[_Place]:
    """Give the places that matter, each as deep as it explains what is above it."""
    for each in place.inside.values():
        if each.share(whole) < _SHARE:
            continue
        worst = each
        while inside := [
            inner for inner in worst.inside.values() if inner.share(whole) >= _NEARLY_ALL * worst.share(whole)
        ]:
            worst = inside[0]
        yield worst


def _ignoring(path: str) -> str:
    """Write a path as a line of an ignore file."""
    line = _SPECIAL.sub(lambda match: "\\" + match[0], path)
    # Spaces at its ends are cut off.
    return re.sub(r"^\s|\s$", "?", line)
