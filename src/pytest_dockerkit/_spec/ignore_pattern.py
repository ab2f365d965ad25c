r"""One pattern of an ignore file: which paths it matches, to the letter of what Docker does with it.

Docker checks a pattern with Go's `filepath.Match`, then makes a regular expression of Go's from it, which knows
nothing of the pattern's own classes and escapes: `[a*]`, `x\d` or `[[:alpha:]]` mean what comes out of that, and
not what `filepath.Match` or Python's `fnmatch` would find. Source: moby/patternmatcher, patternmatcher.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pytest_dockerkit._spec.go_regex import ANY_DIRECTORIES, BadPatternError, translated

#: A character of a class, and one or two of them as an item. Source: Go, path/filepath/match.go, getEsc.
_CHARACTER = r"(?:\\.|[^\\\]-])"
_ITEM = rf"{_CHARACTER}(?:-{_CHARACTER})?+"
#: What matches one character, a star not being one.
_ATOM = re.compile(rf"\\.|\[\^?+(?:{_ITEM})++\]|[^\\[*]", re.DOTALL)
_ATOMS = re.compile(rf"\**+((?:{_ATOM.pattern})*+)", re.DOTALL)


class Pattern(NamedTuple):
    """What a pattern matches: a path that fulfils any of these.

    Attributes:
        text: the pattern, cleaned and without a `!`.
        exact: these paths.
        prefix: those that begin so, if it is given.
        suffix: those that end so, if it is given.
        regex: those that this Python expression matches from the beginning, if it is given.
    """

    text: str
    exact: tuple[str, ...] = ()
    prefix: str | None = None
    suffix: str | None = None
    regex: str | None = None


def read_pattern(text: str) -> Pattern:
    """Read a pattern that is cleaned, and not empty.

    Raises:
        BadPatternError: Docker refuses it.
    """
    _check(text)
    expression, kind = _expression(text)
    if kind == "exact":
        return Pattern(text, exact=(text,))
    if kind == "prefix":
        return Pattern(text, prefix=text[:-2])
    if kind == "suffix":
        rest = text[2:]
        return Pattern(text, exact=(rest[1:],) if rest.startswith("/") else (), suffix=rest)
    return Pattern(text, regex=translated(expression))


def any_of(patterns: Iterable[Pattern]) -> Callable[[str], bool]:
    """Make one function that tells whether one of the patterns matches a path."""
    patterns = tuple(patterns)
    exact = frozenset(path for each in patterns for path in each.exact)
    prefixes = tuple(each.prefix for each in patterns if each.prefix is not None)
    suffixes = tuple(each.suffix for each in patterns if each.suffix is not None)
    regexes = [f"(?:{each.regex})" for each in patterns if each.regex is not None]
    if not regexes:
        return lambda path: path in exact or path.startswith(prefixes) or path.endswith(suffixes)
    # ASCII: Go's word boundaries know no other letters.
    regex = re.compile("|".join(regexes), re.ASCII).match
    return lambda path: (
        path in exact or path.startswith(prefixes) or path.endswith(suffixes) or regex(path) is not None
    )


def _check(text: str) -> None:
    """Refuse what `filepath.Match(text, ".")` refuses.

    It reads a pattern from star to star, and on only while what it has read matches: a mistake further behind is
    not seen.
    """
    first = _read_atoms(text, 0)
    atoms = _ATOM.findall(first[1])
    if len(atoms) == 1 and _is_dot(atoms[0]):
        _read_atoms(text, first.end())


def _read_atoms(text: str, start: int) -> re.Match[str]:
    found = _ATOMS.match(text, start)
    assert found is not None  # noqa: S101  - it matches the empty text too
    if text.startswith("[", found.end()):
        raise BadPatternError(
            "has a '[' that begins no class, which is not empty, ends, and has '-' only between two characters"
        )
    if text.startswith("\\", found.end()):
        raise BadPatternError("ends with a backslash")
    return found


def _is_dot(atom: str) -> bool:
    """Tell whether an atom matches a dot."""
    if not atom.startswith("["):
        return atom in ("?", ".", "\\.")
    negated = atom.startswith("[^")
    items = re.findall(rf"({_CHARACTER})(?:-({_CHARACTER}))?+", atom[1 + negated : -1], re.DOTALL)
    return negated != any(low[-1] <= "." <= (high or low)[-1] for low, high in items)


def _expression(text: str) -> tuple[str, str]:
    """Make Go's expression, and tell of what kind the pattern is: exact, prefix, suffix or regex."""
    # Go's scanner drops this character where it comes first, and Docker's texts pass through that scanner.
    rest = text.removeprefix("\ufeff")
    made, kind, at = ["^"], "exact", 0
    while at < len(rest):
        letter, at = rest[at], at + 1
        if rest.startswith("**", at - 1):
            at += 1 + rest.startswith("/", at + 1)
            first = len(made) == 1
            if at < len(rest):
                # Twice the same is the same, and slow.
                made += [ANY_DIRECTORIES] if made[-1] != ANY_DIRECTORIES else []
                kind = "regex"
            elif kind == "exact":
                kind = "prefix"
            else:
                made.append(".*")
                kind = "regex"
            kind = "suffix" if first else kind
        elif letter in "*?[]":
            made.append({"*": "[^/]*", "?": "[^/]"}.get(letter, letter))
            kind = "regex"
        elif letter == "\\" and at < len(rest):
            made.append(f"\\{rest[at]}")
            at += 1
            kind = "regex"
        else:
            # Docker means to escape '{', '}' and '|' too, and does not: its table has no place for them.
            made.append(f"\\{letter}" if letter in ".+()$" else letter)
    return "".join(made) + "$", kind
