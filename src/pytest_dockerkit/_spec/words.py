"""Words of a Dockerfile, taken apart as BuildKit's shell does: quotes, escapes and variables.

Source: moby/buildkit, frontend/dockerfile/shell/lex.go, for what a quote keeps and what a variable gives;
frontend/dockerfile/parser/line_parsers.go, for where a word ends.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import NamedTuple

#: What Go takes for white space (unicode.IsSpace). Python's own notion has four control characters more.
SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
#: What stands between the words of most instructions.
BLANKS = re.compile(r"[\t\v\f\r ]+")

#: A variable's name; a shell's own parameters have names of one character.
_NAME = re.compile(r"[0-9]+|[@*#?\-$!]|\w+")
#: What may follow a name within braces; and what may where variables are only read over, as in a shell's own text.
_RULE = re.compile(r":?[-+?]|[}#%/]")
_ANY_RULE = re.compile(r":[^#%]|[-+?}#%/]", re.DOTALL)
#: A heredoc's word may stand apart from its arrows.
_ARROWS = re.compile(r"<<[\t\r ]*")


class Unknown(enum.Enum):
    """Stands for a value that only the builder knows."""

    UNKNOWN = enum.auto()


UNKNOWN = Unknown.UNKNOWN

#: Gives a variable's value; None where it is known to have none.
Lookup = Callable[[str], str | Unknown | None]


class BadWordError(ValueError):
    """A word that no builder takes: a quote or a brace is not closed, a variable has to be set."""


class Expanded(NamedTuple):
    """A word without its quotes, and with its variables put in.

    Attributes:
        text: the word; a variable that is not known stands in it as it was written.
        settled: whether all of it is known.
    """

    text: str
    settled: bool


def expand(word: str, lookup: Lookup, escape: str = "\\") -> Expanded:
    """Take the quotes away and put the variables in.

    Args:
        word: as it was written.
        lookup: gives the variables' values.
        escape: the character that takes another's meaning away.

    Raises:
        BadWordError: no builder takes it.
    """
    reader = _Reader(word, lookup, escape)
    text = reader.until(None)
    return Expanded(text, reader.settled)


def shell_words(line: str, *, raw: bool) -> list[str]:
    """Split a line as a shell does; it has no words if a quote in it is not closed.

    Args:
        line: what to split.
        raw: whether quotes and escapes stay.
    """
    reader = _Reader(line, lambda _: UNKNOWN, "\\", raw=raw)
    try:
        reader.until(None)
    except BadWordError:
        return []
    return reader.words()


def name_words(rest: str, escape: str = "\\") -> list[str]:
    """Split what follows `ENV` or `ARG`; each word keeps its quotes."""
    words: list[str] = []
    word, quote, begun, at = "", "", False, 0
    while at < len(rest):
        taken = rest[at]
        if taken in SPACES and not quote:
            words += [word] if begun else []
            word, begun = "", False
        elif taken == escape and quote != "'":
            # At the end of all it stands for nothing.
            taken = rest[at : at + 2] if at + 1 < len(rest) else ""
            word, begun, at = word + taken, begun or bool(taken), at + 1
        else:
            word, begun = word + taken, True
            if taken == quote:
                quote = ""
            elif taken in "\"'" and not quote:
                quote = taken
        at += 1
    return [*words, word] if begun else words


class _Reader:
    """Reads a word, or a line of words, from its beginning to its end."""

    def __init__(self, text: str, lookup: Lookup, escape: str, *, raw: bool = False) -> None:
        self._text = text
        self._at = 0
        self._lookup = lookup
        self._escape = escape
        self._raw = raw
        self._words: list[str] = []
        self._word = ""
        self.settled = True

    def words(self) -> list[str]:
        """Give the words that have been read."""
        return [*self._words, self._word] if self._word else self._words

    def until(self, stop: str | None) -> str:
        """Read on to a character that is neither quoted nor escaped, or to the end."""
        found = ""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == stop:
                self._at += 1
                return found
            taken, splits = self._next(character)
            found += taken
            if stop is None:
                self._collect(taken, splits=splits)
        if stop is not None:
            raise BadWordError(f"{stop} is missing in {self._text}")
        return found

    def _next(self, character: str) -> tuple[str, bool]:
        """Take what comes next, and tell whether white space in it ends a word."""
        if character == "$":
            return self._variable(), True
        if character == "'":
            return self._single(), False
        if character == '"':
            return self._double(), False
        if character == self._escape:
            pair = self._take(2)
            return pair if self._raw else pair[1:], False
        if arrows := _ARROWS.match(self._text, self._at):
            return self._take(len(arrows[0])), False
        return self._take(1), True

    def _take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        return taken

    def _collect(self, taken: str, *, splits: bool) -> None:
        for character in taken:
            if not splits or character not in SPACES:
                self._word += character
            elif self._word:
                self._words.append(self._word)
                self._word = ""

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise BadWordError(f"' is missing in {self._text}")
        taken = self._take(end + 1 - self._at)
        return taken if self._raw else taken[1:-1]

    def _double(self) -> str:
        found = self._take(1)
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == '"':
                found += self._take(1)
                return found if self._raw else found[1:-1]
            if character == "$":
                found += self._variable()
            elif character == self._escape:
                found += self._escaped_in_quotes()
            else:
                found += self._take(1)
        raise BadWordError(f'" is missing in {self._text}')

    def _escaped_in_quotes(self) -> str:
        pair = self._text[self._at : self._at + 2]
        if len(pair) == 2 and pair[1] not in ('"', "$", self._escape):
            return self._take(1)
        self._take(2)
        return pair if self._raw else pair[1:]

    def _variable(self) -> str:
        start = self._at
        self._take(1)
        if not self._text.startswith("{", self._at):
            name = self._name()
            return self._value(name, start) if name else "$"
        self._take(1)
        if self._text[self._at : self._at + 1] in ("", "{", "}", ":"):
            raise BadWordError(f"bad substitution in {self._text}")
        name = self._name()
        rule = (_ANY_RULE if self._raw else _RULE).match(self._text, self._at)
        if rule is None:
            raise BadWordError(f"bad substitution in {self._text}")
        self._take(len(rule[0]))
        if rule[0] == "}":
            return self._value(name, start)
        if rule[0] in ("#", "%", "/"):
            return self._newer_form(rule[0], start)
        return self._with_rule(name, rule[0], start)

    def _name(self) -> str:
        name = _NAME.match(self._text, self._at)
        return self._take(len(name[0])) if name else ""

    def _value(self, name: str, start: int) -> str:
        value = self._lookup(name)
        return self._as_written(start) if isinstance(value, Unknown) else value or ""

    def _as_written(self, start: int) -> str:
        self.settled = False
        return self._text[start : self._at]

    def _with_rule(self, name: str, rule: str, start: int) -> str:
        """Read `${name:-other}` and its like; what is not taken of it need not be settled."""
        settled = self.settled
        other = self.until("}")
        settled_with_other, self.settled = self.settled, settled
        value = self._lookup(name)
        if isinstance(value, Unknown):
            return self._as_written(start)
        is_set = bool(value) if rule.startswith(":") else value is not None
        if rule[-1] == "?" and not is_set:
            raise BadWordError(f"{name}: {other or 'is not set'}")
        if rule[-1] == "+" and not is_set:
            return ""
        if rule[-1] == "?" or (rule[-1] == "-" and is_set):
            return value or ""
        self.settled = settled_with_other
        return other

    def _newer_form(self, rule: str, start: int) -> str:
        """Read over `${name#pattern}` and its like, which older builders refuse."""
        if rule == "/":
            self._at += self._text.startswith("/", self._at)
            self.until("/")
        self.until("}")
        return self._as_written(start)
