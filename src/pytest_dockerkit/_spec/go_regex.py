r"""Regular expressions of Go's, as patterns of ignore files become them, written as Python's.

The two differ in classes (`[[:alpha:]]`, `\pL`), in escapes (`\Q`, `\z`), in what `\s` and `\w` hold, and in what
they refuse. Source: Go, regexp/syntax/parse.go.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

#: What becomes of a `**` that is not a pattern's end.
ANY_DIRECTORIES = "(.*/)?"

#: Characters from one to another, both being among them.
_Ranges = list[tuple[int, int]]

#: What these letters stand for behind a backslash, in Go's expressions.
_LETTERS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

#: Go's classes by name, as pairs of first and last character. Source: Go, regexp/syntax/perl_groups.go.
_PERL = {"d": "09", "s": "\t\n\f\r  ", "w": "09AZ__az"}
_POSIX = {
    "alnum": "09AZaz", "alpha": "AZaz", "ascii": "\0\x7f", "blank": "\t\t  ", "cntrl": "\0\x1f\x7f\x7f",
    "digit": "09", "graph": "!~", "lower": "az", "print": " ~", "punct": "!/:@[`{~", "space": "\t\r  ",
    "upper": "AZ", "word": "09AZ__az", "xdigit": "09AFaf",
}  # fmt: skip
_NAMED = re.compile(r"\[:(.*?):\]", re.DOTALL)

#: The digits of a character by its number. Source: Go, regexp/syntax/parse.go, parseEscape.
_NUMBER = re.compile(r"x([0-9A-Fa-f]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})")

#: How often something is repeated, and how often at most. Source: Go, regexp/syntax/parse.go, parseRepeat and parse.
_REPEATS = re.compile(r"\{(0|[1-9][0-9]*)(?:,(0|[1-9][0-9]*)?)?\}")
_MAX_REPEAT = 1000

#: What Go reads where a name is not UTF-8, byte by byte, and what Python does.
_UNREADABLE = 0xFFFD
_SURROGATES = 0xDC80, 0xDCFF


class BadPatternError(ValueError):
    """A pattern that Docker refuses; the text is how it goes wrong."""


def translated(expression: str) -> str:
    """Write an expression of Go's as one of Python's, for `re.match` with `re.ASCII`.

    It has what a pattern of an ignore file can bring about: no groups, but for `(.*/)?`, and `.` only in `.*`.

    Raises:
        BadPatternError: Go refuses it.
    """
    alternatives: list[list[str]] = [[]]
    at, repeated = 0, False
    while at < len(expression):
        letter, made, again = expression[at], alternatives[-1], False
        if letter == "|":
            alternatives.append([])
            at += 1
        elif letter in "*?" or (letter == "{" and _REPEATS.match(expression, at)):
            piece, at = _repeat(expression, at)
            if repeated or not made:
                raise BadPatternError(f"has {piece!r} where Docker finds nothing that it could repeat")
            made[-1] = f"(?:{made[-1]}){piece}"
            again = True
        elif expression.startswith(ANY_DIRECTORIES, at):
            made.append("(?:.*/)?")
            at += len(ANY_DIRECTORIES)
            again = True
        else:
            pieces, at = _one(expression, at)
            made += pieces
        repeated = again
    # Only the first begins with the '^' that stands before all, and so Docker looks for the others everywhere.
    first, *others = map("".join, alternatives)
    return "|".join([first, *(f"(?s:.*?){other}" for other in others)])


def _repeat(expression: str, at: int) -> tuple[str, int]:
    if expression[at] != "{":
        return expression[at], at + 1
    found = _REPEATS.match(expression, at)
    assert found is not None  # noqa: S101  - looked for by the caller
    least, most = int(found[1]), int(found[2] or found[1])
    if not least <= most <= _MAX_REPEAT or least > _MAX_REPEAT:
        raise BadPatternError(f"has {found[0]!r}, which Docker takes for a number of repeats, and a wrong one")
    return found[0], found.end()


def _one(expression: str, at: int) -> tuple[list[str], int]:
    """Translate what matches one character or place, or a literal text; give it character by character."""
    letter, follows = expression[at], expression[at + 1 : at + 2]
    if letter == "[":
        piece, at = _class(expression, at + 1)
        return [piece], at
    if letter != "\\":
        # Of the signs of an expression only these are left by now: others of the pattern's have been escaped.
        piece = {"^": "\\A", "$": "\\Z", ".": "."}.get(letter) or _written([(ord(letter), ord(letter))])
        return [piece], at + 1
    if follows in ("A", "b", "B", "z"):
        return ["\\Z" if follows == "z" else f"\\{follows}"], at + 2
    if follows == "Q":
        literal, _, _ = expression[at + 2 :].partition("\\E")
        return [re.escape(each) for each in literal], at + 2 + len(literal) + 2
    ranges, at = _item(expression, at)
    return [_written(ranges)], at


def _class(expression: str, at: int) -> tuple[str, int]:
    """Translate the class whose `[` is behind us."""
    negated = expression.startswith("^", at)
    at = first = at + negated
    ranges: _Ranges = []
    while not expression.startswith("]", at) or at == first:
        named = _NAMED.match(expression, at)
        if named:
            name = named[1].removeprefix("^")
            if name not in _POSIX:
                raise BadPatternError(f"has {named[0]!r}, which is no class of Go's expressions")
            ranges += _group(_POSIX[name], negated=name != named[1])
            at = named.end()
            continue
        item, after = _item(expression, at)
        single = len(item) == 1 and item[0][0] == item[0][1]
        if single and expression.startswith("-", after) and expression[after + 1 : after + 2] not in ("", "]"):
            last, after = _item(expression, after + 1, alone=True)
            if last[0][0] < item[0][0]:
                raise BadPatternError(f"has the range {expression[at:after]!r}, which ends before it begins")
            item = [(item[0][0], last[0][0])]
        ranges += item
        at = after
    return _written(ranges, negated=negated), at + 1


def _item(expression: str, at: int, *, alone: bool = False) -> tuple[_Ranges, int]:
    """Read one character, or a class that a backslash and a letter name if it needs not stand alone."""
    if at >= len(expression):
        raise BadPatternError("has a class that does not end, as Docker reads it")
    escaped = expression[at] == "\\"
    letter = expression[at + escaped : at + escaped + 1]
    if not escaped:
        return [(ord(letter), ord(letter))], at + 1
    if letter.lower() in _PERL and not alone:
        return _group(_PERL[letter.lower()], negated=letter.isupper()), at + 2
    if letter in ("p", "P") and not alone:
        return _category(expression[at + 2 : at + 3], negated=letter == "P"), at + 3
    code, after = _escaped(expression, at + 1)
    return [(code, code)], after


def _escaped(expression: str, at: int) -> tuple[int, int]:
    """Read the one character that stands behind a backslash."""
    number = _NUMBER.match(expression, at)
    if number:
        return int(number[1], 16) if number[1] else int(number[2], 8), number.end()
    letter = expression[at]
    if letter in _LETTERS:
        return ord(_LETTERS[letter]), at + 1
    if letter.isascii() and not letter.isalnum():
        return ord(letter), at + 1
    raise BadPatternError(f"has '\\{letter}', and a backslash may not stand before that")


def _group(pairs: str, *, negated: bool) -> _Ranges:
    ranges = [(ord(low), ord(high)) for low, high in zip(pairs[::2], pairs[1::2], strict=True)]
    if not negated:
        return ranges
    starts = [0, *(high + 1 for _, high in ranges)]
    ends = [*(low - 1 for low, _ in ranges), sys.maxunicode]
    return [(low, high) for low, high in zip(starts, ends, strict=True) if low <= high]


@cache
def _category(letter: str, *, negated: bool) -> _Ranges:
    """Give the characters of one of Unicode's classes, those that are not assigned being in `C`."""
    if letter.upper() not in tuple("CLMNPSZ"):
        raise BadPatternError(f"has '\\{'P' if negated else 'p'}{letter}', and a backslash may not stand before that")
    ranges: _Ranges = []
    for code in range(sys.maxunicode + 1):
        if (unicodedata.category(chr(code))[0] == letter.upper()) == negated:
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = ranges[-1][0], code
        else:
            ranges.append((code, code))
    return ranges


def _written(ranges: _Ranges, *, negated: bool = False) -> str:
    if any(low <= _UNREADABLE <= high for low, high in ranges):
        ranges = [*ranges, _SURROGATES]
    if not negated and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return re.escape(chr(ranges[0][0]))
    items = "".join(f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in ranges)
    return f"[{'^' if negated else ''}{items}]"
