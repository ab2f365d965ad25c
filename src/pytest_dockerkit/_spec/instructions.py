"""A Dockerfile's instructions: lines put together, flags, heredocs; each knows where in the text it stands.

Source: moby/buildkit, frontend/dockerfile/parser, parser.go and split_command.go. The builder is the one that
reads Dockerfiles for good, and refuses what is wrong; here everything is read as well as it can be.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn, TypedDict

from pytest_dockerkit._spec.directives import directives
from pytest_dockerkit._spec.words import BLANKS, SPACES, shell_words

#: Instructions that may carry heredocs (Dockerfile syntax 1.4).
WITH_HEREDOC = ("RUN", "COPY", "ADD")
#: Instructions whose words may be a JSON list.
_WITH_LIST = ("COPY", "ADD", "VOLUME")

#: What ends a flag; other white space does not.
_FLAG_BLANKS = "\t\n\v\f\r "
_HEREDOC = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)")


class Heredoc(NamedTuple):
    """A file that stands in the Dockerfile itself.

    Attributes:
        name: the word that ends it.
        strips_tabs: whether tabs at the beginning of its lines fall away.
        expands: whether variables are put into it.
        body: its lines, each with its end.
    """

    name: str
    strips_tabs: bool
    expands: bool
    body: str = ""


class Mark(NamedTuple):
    """Where a character of a flag stands.

    Attributes:
        start: where in the instruction's text, with its escape.
        end: where what follows it begins.
        quote: the quotes that it stands in, or none.
    """

    start: int
    end: int
    quote: str


class Flag(NamedTuple):
    """A word such as `--from=build`, without its quotes.

    Attributes:
        word: what is left of it.
        marks: where each of its characters stands.
        end: where what follows it begins.
    """

    word: str
    marks: tuple[Mark, ...]
    end: int

    @property
    def name(self) -> str:
        """What stands before the `=`."""
        return self.word.removeprefix("--").partition("=")[0]

    @property
    def value(self) -> str:
        """What stands after it."""
        return self.word.partition("=")[2]


class Piece(NamedTuple):
    """A part of an instruction's text that stands on one line of the Dockerfile.

    Attributes:
        at: where it begins in the instruction's text.
        start: where it begins in the Dockerfile.
        length: how long it is.
    """

    at: int
    start: int
    length: int


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        line: its first line, from 1.
        last_line: its last, with its heredocs.
        text: its lines put together, without comments between them.
        pieces: where its text stands.
        keyword: in capitals.
        flags: what stands before everything else in it.
        rest: what follows them.
        rest_at: where that begins in its text.
        heredocs: in their order.
        escape: the character that takes another's meaning away.
    """

    line: int
    last_line: int
    text: str
    pieces: tuple[Piece, ...]
    keyword: str
    flags: tuple[Flag, ...]
    rest: str
    rest_at: int
    heredocs: tuple[Heredoc, ...]
    escape: str

    @functools.cached_property
    def as_json(self) -> list[str] | None:
        """What follows the flags, where it is a JSON list of texts."""
        return _json_texts(self.rest)

    @property
    def words(self) -> list[str]:
        """What follows the flags, as a JSON list of texts or as words."""
        if self.keyword in _WITH_LIST and self.as_json is not None:
            return self.as_json
        return BLANKS.split(self.rest) if self.rest else []

    def flag(self, name: str) -> list[str]:
        """Give the values of a flag, as often as it stands there."""
        return [flag.value for flag in self.flags if flag.name == name]

    @functools.cached_property
    def triggered(self) -> Instruction | None:
        """What an `ONBUILD` does to the stages that stand on this one."""
        return (
            replace(self, **_taken_apart(self.text, self.rest_at, self.escape)) if self.keyword == "ONBUILD" else None
        )


class Read(NamedTuple):
    """A Dockerfile's text, taken apart.

    Attributes:
        directives: their names and values.
        instructions: in their order.
    """

    directives: tuple[tuple[str, str], ...]
    instructions: tuple[Instruction, ...]


class _Line(NamedTuple):
    """A line of the Dockerfile, and where it begins."""

    start: int
    text: str


@functools.lru_cache(maxsize=64)
def read(text: str) -> Read:
    """Take a Dockerfile's text apart."""
    lines = _lines(text)
    said = directives([line.text for line in lines])
    escape = next((value for name, value in said if name == "escape"), "\\")
    found: list[Instruction] = []
    at = 0
    while at < len(lines):
        first = at
        joined, pieces, at = _joined(lines, at, escape)
        if not pieces:
            continue
        parts = _taken_apart(joined, 0, escape)
        made = Instruction(first + 1, at, joined, pieces, heredocs=(), escape=escape, **parts)
        if heredocs := _heredocs(made):
            bodies, at = _bodies(text, lines, at, heredocs)
            made = replace(made, heredocs=bodies, last_line=at)
        found.append(made)
    return Read(said, tuple(found))


def _lines(text: str) -> list[_Line]:
    # Not splitlines(): to the builder a form feed, or Unicode's line separator, is a character like others.
    start = int(text.startswith("\N{BYTE ORDER MARK}"))
    found = []
    for line in text[start:].split("\n"):
        found.append(_Line(start, line.rstrip("\r")))
        start += len(line) + 1
    return found if found[-1].text or found[-1].start < len(text) else found[:-1]


def _joined(lines: list[_Line], at: int, escape: str) -> tuple[str, tuple[Piece, ...], int]:
    """Put an instruction together from its lines; gives no pieces for a line that is none."""
    start, line = lines[at]
    at += 1
    body, goes_on = _continued(line.lstrip(SPACES), escape)
    if body.startswith("#") or not (body or goes_on):
        return "", (), at
    joined, pieces = body, [Piece(0, start + len(line) - len(line.lstrip(SPACES)), len(body))]
    while goes_on and at < len(lines):
        start, line = lines[at]
        at += 1
        # Comments and empty lines within an instruction fall away.
        if (stripped := line.lstrip(SPACES)) and not stripped.startswith("#"):
            body, goes_on = _continued(line, escape)
            pieces.append(Piece(len(joined), start, len(body)))
            joined += body
    return joined, tuple(pieces), at


def _continued(line: str, escape: str) -> tuple[str, bool]:
    """Tell whether the next line belongs to this one; an escape that is itself escaped says nothing."""
    body = line.rstrip(" \t")
    goes_on = body.endswith(escape) and not body.endswith(escape * 2) and not line.startswith("#")
    return (body.removesuffix(escape), True) if goes_on else (line, False)


class _Parts(TypedDict):
    keyword: str
    flags: tuple[Flag, ...]
    rest: str
    rest_at: int


def _taken_apart(text: str, at: int, escape: str) -> _Parts:
    """Take an instruction apart that begins somewhere in a text, and goes on to its end."""
    at += len(text[at:]) - len(text[at:].lstrip(SPACES))
    end = len(text.rstrip(SPACES))
    blank = BLANKS.search(text, at, end)
    if blank is None:
        return {"keyword": text[at:end].upper(), "flags": (), "rest": "", "rest_at": end}
    keyword = text[at : blank.start()].upper()
    flags, at = _flags(text, blank.end(), end, escape)
    at += len(text[at:end]) - len(text[at:end].lstrip(SPACES))
    return {"keyword": keyword, "flags": flags, "rest": text[at:end], "rest_at": at}


def _flags(text: str, at: int, end: int, escape: str) -> tuple[tuple[Flag, ...], int]:
    """Read the words at the beginning that start with `--`; a `--` alone ends them."""
    found: list[Flag] = []
    while True:
        while at < end and text[at] in _FLAG_BLANKS:
            at += 1
        if not text.startswith("--", at, end):
            return tuple(found), at
        flag, at = _flag(text, at, end, escape)
        if flag.word == "--":
            return tuple(found), at
        found.append(flag)


def _flag(text: str, at: int, end: int, escape: str) -> tuple[Flag, int]:
    word, quote = "", ""
    marks: list[Mark] = []
    while at < end and (quote or text[at] not in _FLAG_BLANKS):
        start = at
        if text[at] == escape:
            at += 1
        elif text[at] == quote or (not quote and text[at] in "\"'"):
            quote = "" if quote else text[at]
            at += 1
            continue
        at += 1
        if at <= end:
            word += text[at - 1]
            marks.append(Mark(start, at, quote))
    return Flag(word, tuple(marks), min(at, end)), min(at, end)


def _heredocs(instruction: Instruction) -> tuple[Heredoc, ...]:
    """Find the heredocs that an instruction begins."""
    acting = instruction.triggered or instruction
    if acting.keyword not in WITH_HEREDOC or "<<" not in instruction.text or acting.as_json is not None:
        return ()
    found = map(heredoc, shell_words(instruction.text, raw=True))
    return tuple(each for each in found if each is not None)


def heredoc(word: str) -> Heredoc | None:
    """Read a word such as `<<EOF`; None if it begins no heredoc, as `<<<x`, `a<<b` and `"<<x"` do not."""
    match = _HEREDOC.fullmatch(word)
    names = shell_words(match[3], raw=False) if match else []
    if match is None or len(names) != 1:
        return None
    quotes = [each.count("'") + each.count('"') for each in (names[0], match[3])]
    return Heredoc(names[0], strips_tabs=bool(match[2]), expands=quotes[0] == quotes[1])


def _bodies(text: str, lines: list[_Line], at: int, heredocs: tuple[Heredoc, ...]) -> tuple[tuple[Heredoc, ...], int]:
    found: list[Heredoc] = []
    for each in heredocs:
        first = at
        while at < len(lines) and not _ends(each, lines[at].text):
            at += 1
        start, end = (lines[number].start if number < len(lines) else len(text) for number in (first, at))
        found.append(each._replace(body=text[start:end]))
        at = min(at + 1, len(lines))
    return tuple(found), at


def _ends(heredoc: Heredoc, line: str) -> bool:
    return (line.lstrip("\t") if heredoc.strips_tabs else line) == heredoc.name


def _json_texts(rest: str) -> list[str] | None:
    """Read a JSON list of texts; None if it is none."""
    if not rest.startswith("["):
        return None
    try:
        found = json.loads(rest, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if all(isinstance(each, str) for each in found) else None


def half_a_list(rest: str) -> bool:
    """Tell whether something follows a JSON list: older builders pass over it, newer ones see no list then."""
    try:
        return rest.startswith("[") and json.JSONDecoder().raw_decode(rest)[1] < len(rest)
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
