"""Ignore files, `.dockerignore` and `<Dockerfile>.dockerignore`: which paths of a context a build does not get.

The rules are those that BuildKit and its client have today, quirks included. Source: moby/patternmatcher,
patternmatcher.go and ignorefile/ignorefile.go, and tonistiigi/fsutil, filter.go.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._spec.go_regex import BadPatternError
from pytest_dockerkit._spec.ignore_pattern import Pattern, any_of, read_pattern
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: What Go's `strings.TrimSpace` takes off; Python's `strip` takes four control characters more.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

#: A byte that is not UTF-8. On their way from BuildKit to the client the patterns are JSON, which has none of them.
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")

#: What a header may not have; newer engines refuse tabs too. Source: golang.org/x/net/http/httpguts,
#: ValidHeaderFieldValue.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

#: How much of a line an error shows, in characters.
_SHOWN = 100

#: The longest line, in bytes. Source: Go, bufio.MaxScanTokenSize; the newline counts.
_MAX_LINE_BYTES = 64 * 1024 - 1


class Rule(NamedTuple):
    """One line of an ignore file.

    Attributes:
        negated: whether it began with `!`, and takes paths back in.
        pattern: what it matches.
    """

    negated: bool
    pattern: Pattern


@dataclass(frozen=True)
class IgnoreRules:
    """The rules of an ignore file, in their order; without any, nothing is excluded.

    Equal rules exclude the same.
    """

    rules: tuple[Rule, ...] = ()

    @classmethod
    def read(cls, text: str, where: str) -> IgnoreRules:
        """Read the text of an ignore file.

        Args:
            text: all of it, its line ends as they stand in the file, and bytes that are not UTF-8 as surrogates
                (`errors="surrogateescape"`).
            where: which file it is, for errors.

        Raises:
            SpecError: a pattern, or a line, that Docker refuses.
        """
        return cls(tuple(_rules(text, where)))

    def excludes(self, path: str) -> bool:
        """Tell whether a build does not get a path, which is relative to the context and has forward slashes.

        A directory that is excluded comes along nevertheless when a path below it is not.
        """
        inside = self.top
        for parent in accumulate(path.split("/")[:-1], "{}/{}".format):
            _, below = inside.enter(parent)
            if below is None:
                return True
            inside = below
        return inside.excludes(path)

    @cached_property
    def top(self) -> Inside:
        """The rules for what is in the context directory itself."""
        return Inside(self, (False,) * len(self.rules))

    @cached_property
    def matches_any(self) -> Callable[[str], bool]:
        """Tells whether one of the rules matches a path, be it negated."""
        return any_of(rule.pattern for rule in self.rules)

    @cached_property
    def matches_each(self) -> tuple[Callable[[str], bool], ...]:
        """Tell for each rule whether it matches a path."""
        return tuple(any_of((rule.pattern,)) for rule in self.rules)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The rules, those that follow each other and say the same put together."""
        groups: list[Group] = []
        at = 0
        for negated, same in groupby(self.rules, lambda rule: rule.negated):
            patterns = tuple(rule.pattern for rule in same)
            groups.append(Group(negated, any_of(patterns), patterns, slice(at, at + len(patterns))))
            at += len(patterns)
        return tuple(groups)

    @cached_property
    def taken_back(self) -> tuple[str, ...] | None:
        """Where the rules with a `!` reach, each path with a slash behind it; None where only a look can tell."""
        stems = [rule.pattern.text.removesuffix("/**").removesuffix("/*") for rule in self.rules if rule.negated]
        if any(set(stem) & set("*[]?^\\") for stem in stems):
            return None
        return tuple(f"{stem}/" for stem in stems)


class Group(NamedTuple):
    """Rules that follow each other, and are all negated or all not.

    Attributes:
        negated: whether they take paths back in.
        matches: tells whether one of them matches a path.
        patterns: theirs.
        where: their places among all rules.
    """

    negated: bool
    matches: Callable[[str], bool]
    patterns: tuple[Pattern, ...]
    where: slice


@dataclass(frozen=True)
class Inside:
    """The rules for what is directly in one directory.

    Attributes:
        rules: all rules.
        matched: which of them matched the directory, or one above it, and so match all that is in it.
        excludes: tells whether a path in this directory is excluded.
    """

    rules: IgnoreRules
    matched: tuple[bool, ...]
    excludes: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    _otherwise: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The last rule that matches decides: those before one that matches everything here are not asked.
        otherwise = False
        deciding: list[Group] = []
        for group in self.rules.groups:
            if any(self.matched[group.where]):
                otherwise, deciding = not group.negated, []
            else:
                deciding.insert(0, group)
        object.__setattr__(self, "excludes", _decision(deciding, otherwise=otherwise))
        object.__setattr__(self, "_otherwise", otherwise)

    def enter(self, path: str) -> tuple[bool, Inside | None]:
        """Tell whether a directory in this one is excluded, and give the rules inside of it.

        There are none to give where nothing below can be taken back: it need not be entered.
        """
        below, excluded = self, self._otherwise
        if self.rules.matches_any(path):
            excluded, matched = self._matches(path)
            below = self if matched == self.matched else Inside(self.rules, matched)
        return excluded, None if excluded and not self._reaches_below(path) else below

    def _matches(self, path: str) -> tuple[bool, tuple[bool, ...]]:
        """Tell whether a directory is excluded, and which rules match it."""
        excluded, matched = False, []
        for (negated, _), matches, inherited in zip(
            self.rules.rules, self.rules.matches_each, self.matched, strict=True
        ):
            # A rule that would change nothing is not looked at, and then matches nothing further below either. It
            # is how Docker does it, and shows: of `a/*` and `!a` the first has a/b, though the second has a.
            matches_it = inherited or (negated == excluded and matches(path))
            matched.append(matches_it)
            if matches_it:
                excluded = not negated
        return excluded, tuple(matched)

    def _reaches_below(self, path: str) -> bool:
        taken_back = self.rules.taken_back
        return taken_back is None or any(stem.startswith(f"{path}/") for stem in taken_back)


def _decision(deciding: Sequence[Group], *, otherwise: bool) -> Callable[[str], bool]:
    """Make a function that lets the first of some groups decide which matches a path."""
    # Most paths match no rule, and one look has to do for them: at the rules that would change something.
    changing = [group for group in deciding if group.negated == otherwise]
    if not changing:
        return lambda _: otherwise
    changes = any_of(pattern for group in changing for pattern in group.patterns)
    if len(deciding) == 1 and not otherwise:
        return changes

    def excludes(path: str) -> bool:
        if changes(path):
            for group in deciding:
                if group.matches(path):
                    return not group.negated
        return otherwise

    return excludes


class _Line(NamedTuple):
    """A line that is a pattern.

    Attributes:
        number: which it is in the file.
        text: as it stands there, trimmed.
        pattern: what has been made of it.
    """

    number: int
    text: str
    pattern: str


def _rules(text: str, where: str) -> Iterator[Rule]:
    lines = list(_lines(text, where))
    # The client gets the patterns as headers of a call, and only if one of them is not ASCII they are encoded.
    # Source: moby/buildkit, session/filesync/filesync.go, encodeStringForHeader.
    bare = all(line.pattern.isascii() for line in lines)
    for number, text, pattern in lines:
        if bare and _CONTROL.search(pattern):
            raise SpecError(
                "an ignore file has a line that Docker refuses",
                saw=f"{where}, line {number}: {text[:_SHOWN]!r} has a control character",
                mend="lines that end with '\\n' or '\\r\\n', and no other such characters but tabs",
            )
        try:
            rule = _rule(pattern)
        except BadPatternError as failure:
            raise SpecError(
                "an ignore file has a pattern that Docker refuses",
                saw=f"{where}, line {number}: {text[:_SHOWN]!r} {failure}",
                mend="'/' between directories, and '\\[' or '\\\\' for a '[' or a backslash that is meant so",
            ) from None
        if rule is not None:
            yield rule


def _lines(text: str, where: str) -> Iterator[_Line]:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line.encode(errors="surrogateescape")) > _MAX_LINE_BYTES:
            raise SpecError(
                "an ignore file has a line that Docker refuses",
                saw=f"{where}, line {number}: longer than {_MAX_LINE_BYTES} bytes",
                mend="a pattern on each line",
            )
        # A byte order mark is taken for none only at the file's beginning, and a '#' only at a line's.
        line = _NOT_UTF_8.sub("\ufffd", line.removesuffix("\r").removeprefix("\ufeff" if number == 1 else ""))
        pattern = line.strip(_SPACE)
        if pattern and not line.startswith("#"):
            yield _Line(number, pattern, _normalized(pattern))


def _normalized(line: str) -> str:
    """Do what is done to each line of the file, which comes trimmed."""
    negated = line.startswith("!")
    path = line[1:].strip(_SPACE) if negated else line
    if path:
        path = _cleaned(path)
        path = path[1:] if len(path) > 1 and path.startswith("/") else path
    return f"!{path}" if negated else path


def _rule(pattern: str) -> Rule | None:
    """Do what is done to each pattern once more, whatever it comes from: so `/!a` is negated too."""
    pattern = pattern.strip(_SPACE)
    if not pattern:
        return None
    pattern = _cleaned(pattern)
    negated = pattern.startswith("!")
    if pattern == "!":
        raise BadPatternError("has nothing behind its '!'")
    return Rule(negated, read_pattern(pattern[negated:]))


def _cleaned(path: str) -> str:
    """Do what Go's `filepath.Clean` does; Python leaves two slashes at the beginning."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned
