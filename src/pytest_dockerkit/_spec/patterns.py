"""Paths of a build context that a source means: `COPY a/*.txt`, as Go's filepath.Match reads it.

A pattern here is relative, and has the parts of a path. A part that is `**` stands for any number of parts;
only `COPY --parents` has it.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator, Sequence

#: A character, one that is escaped, or a class; a class is whatever stands between the brackets.
#: Source: Go, path/filepath, Match: a class is not empty, and `-` and `]` stand for themselves only when escaped.
_ONE = r"(?:\\.|[^\]\\-])"
_CLASS = rf"\[\^?+(?:{_ONE}(?:-{_ONE})?)+\]"
_GLOB = re.compile(rf"\*+|\?|{_CLASS}|\\.|[^\\\[]", re.DOTALL)
_RANGE = re.compile(rf"({_ONE})(?:-({_ONE}))?", re.DOTALL)
_WILD = re.compile(r"(?:\\.|[^*?\[\\])*[*?\[]", re.DOTALL)
_SPECIAL = re.compile(r"[*?\[\\]")


class PatternError(ValueError):
    """A pattern that Go's filepath.Match refuses."""


def literal(path: str) -> str:
    """Write a path as a pattern that means it alone."""
    return _SPECIAL.sub(r"\\\g<0>", path)


def of_path(source: str) -> tuple[str, ...] | None:
    """Give the pattern of a source that means one path, whatever characters are in it; None is the whole context."""
    parts = clean(source)
    return (literal("/".join(parts)),) if parts else None


def of_source(source: str, *, parents: bool = False) -> tuple[str, ...] | None:
    """Give the patterns of a source of `COPY` or `ADD`; None is the whole context.

    Args:
        source: as it stands there, with the variables put in.
        parents: whether it is one of `COPY --parents`.
    """
    parts = _parts_with_parents(source) if parents else ["*" if _stars(part) else part for part in clean(source)]
    if not parts:
        return None
    try:
        return tuple(_readings(parts))
    except PatternError:
        return None


def clean(path: str) -> list[str]:
    """Give the parts of a path within the context, which `..` cannot leave."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def regex(pattern: str) -> str:
    """Write a pattern as a regular expression.

    Raises:
        PatternError: it is none.
    """
    parts = pattern.split("/")
    return "".join(
        # At the end it stands for what lies below, which belongs to every match anyway.
        r"(?:[^/]+/)*" if part == "**" else _part_regex(part) + ("/" if at + 1 < len(parts) else "")
        for at, part in enumerate(parts)
    )


def leading(pattern: str) -> str:
    """Write a regular expression for what a pattern matches, and for the directories above it."""
    return _leading(_loose_parts(pattern))


def remainders(pattern: str, path: str) -> set[tuple[str, ...]]:
    """Give what is left of a pattern when a path has matched its beginning; empty if it does not."""
    return set(_remainders(_loose_parts(pattern), path.split("/")))


def joined(parts: Sequence[str]) -> str | None:
    """Put a pattern together from its parts; None is the whole context."""
    return "/".join(_without_end(parts)) or None


def first_directory(pattern: str) -> str | None:
    """Give the directory that a pattern with wildcards is looked for in; None for the context's own."""
    parts = pattern.split("/")
    known = next((at for at, part in enumerate(parts) if _WILD.match(part)), 0)
    return re.sub(r"\\(.)", r"\1", "/".join(parts[:known]), flags=re.DOTALL) if known else None


def _readings(parts: Sequence[str]) -> Iterator[str]:
    """Give the patterns that builders may read a source as.

    A path that has no wildcard is taken as it is, with its backslashes. BuildKit does so with the parts before
    the first wildcard too, where the classic builder takes a backslash as an escape.
    """
    known = next((at for at, part in enumerate(parts) if _WILD.match(part)), len(parts))
    taken_as_it_is = "/".join([*map(literal, parts[:known]), *parts[known:]])
    regex(taken_as_it_is)
    yield taken_as_it_is
    if any("\\" in part for part in parts[:known]):
        with contextlib.suppress(PatternError):
            regex("/".join(parts))
            yield "/".join(parts)


def _stars(part: str) -> bool:
    return not part.strip("*")


def _parts_with_parents(source: str) -> list[str]:
    """Give the parts of a source of `COPY --parents`, or of a shorter one that takes more.

    Source: moby/buildkit, dockerfile2llb, dispatchCopy; moby/patternmatcher. What follows the pivot `/./` is a
    pattern as in `.dockerignore`.
    """
    head, pivot, tail = source.partition("/./")
    if not pivot:
        head, tail = "", source
    below = clean(tail)
    if tail != tail.strip() or "".join(below[:1]).startswith("!") or (pivot and ".." in source.split("/")):
        return []
    return _without_end(["*" if _stars(part) else part for part in clean(head)] + list(_deep_parts(below)))


def _deep_parts(parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        start, stars, rest = part.partition("**")
        if "[" in part or "**" in rest.lstrip("*"):
            # Its classes are those of a regular expression: what lies above is taken.
            return
        if not stars:
            yield part
        elif start:
            # `a**b` crosses directories.
            yield f"{start}*"
            return
        else:
            yield "**"
            if rest := rest.lstrip("*"):
                yield f"*{rest}"


def _without_end(parts: Sequence[str]) -> list[str]:
    """Leave out what stands for all that lies below: it is taken anyway."""
    end = len(parts)
    while end and parts[end - 1] == "**":
        end -= 1
    return list(parts[:end])


@functools.lru_cache(maxsize=4096)
def _part_regex(part: str) -> str:
    found, at = "", 0
    while at < len(part):
        glob = _GLOB.match(part, at)
        if glob is None:
            raise PatternError(part)
        found += _glob_regex(glob[0])
        at = glob.end()
    return found


def _glob_regex(glob: str) -> str:
    if glob[0] == "*":
        return "[^/]*"
    if glob == "?":
        return "[^/]"
    if len(glob) > 1 and glob[0] == "[":
        return _class_regex(glob)
    return re.escape(glob[-1])


def _class_regex(glob: str) -> str:
    """Write a class; unlike `*`, it may match a slash."""
    negated = glob[1] == "^"
    ranges = _ranges(glob)
    if not ranges:
        return r"[\s\S]" if negated else r"(?!)"
    return f"[{'^' if negated else ''}{''.join(f'{re.escape(low)}-{re.escape(high)}' for low, high in ranges)}]"


def _ranges(glob: str) -> list[tuple[str, str]]:
    found = [
        (match[1][-1], (match[2] or match[1])[-1]) for match in _RANGE.finditer(glob[2 if glob[1] == "^" else 1 : -1])
    ]
    return [(low, high) for low, high in found if low <= high]


def crosses(pattern: str) -> bool:
    """Tell whether a part of it may match more than one part of a path."""
    return any(map(_crosses, pattern.split("/")))


def _loose_parts(pattern: str) -> tuple[str, ...]:
    """Give the parts, with `**` for one that may match a slash."""
    return tuple("**" if _crosses(part) else part for part in pattern.split("/"))


def _crosses(part: str) -> bool:
    return any(map(_may_be_slash, _GLOB.findall(part)))


def _may_be_slash(glob: str) -> bool:
    if len(glob) < 2 or glob[0] != "[":
        return False
    return any(low <= "/" <= high for low, high in _ranges(glob)) != (glob[1] == "^")


def _leading(parts: Sequence[str]) -> str:
    first, *below = parts
    if first == "**":
        return ".*"
    return _part_regex(first) + (f"(?:/{_leading(below)})?" if below else "")


def _remainders(parts: tuple[str, ...], path: Sequence[str]) -> Iterator[tuple[str, ...]]:
    if not path:
        yield parts
    elif parts and parts[0] == "**":
        yield from _remainders(parts[1:], path)
        yield from _remainders(parts, path[1:])
    elif parts and re.fullmatch(_part_regex(parts[0]), path[0]):
        yield from _remainders(parts[1:], path[1:])
