"""Counting a pattern in a text that comes in pieces and may have no end; pure."""

from __future__ import annotations

import codecs
import re

#: How long a match may be, in characters. A text up to four times that is looked through as a whole; of a longer one
#: only so much is kept, so that a log of any size takes some hundred kilobytes.
REACH = 64 * 1024

#: How much is kept before the place where the next match may begin, for `^`, `\b` and looks behind, in characters.
_BEFORE = 1024


class Matches:
    """How often a regular expression is in a text, as far as it has come: as `re.findall` with MULTILINE counts."""

    def __init__(self, pattern: str, reach: int = REACH) -> None:
        self._pattern = re.compile(pattern, re.MULTILINE)
        self._reach = reach
        # Letters may come in two pieces.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._new: list[str] = []
        self._held = 0
        self._text = ""
        #: Where in the text the next match may begin.
        self._start = 0
        #: How many matches were found before that place: nothing that comes changes them.
        self._settled = 0
        self._count = 0

    def feed(self, piece: bytes) -> None:
        """Take in what has come."""
        if text := self._decoder.decode(piece):
            self._new.append(text)
            self._held += len(text)
        if self._held > 4 * self._reach:
            self._settle()

    @property
    def count(self) -> int:
        """How often it was found until now."""
        if self._new:
            self._gather()
            self._count = self._settled + sum(1 for _ in self._pattern.finditer(self._text, self._start))
        return self._count

    def _gather(self) -> None:
        self._text = "".join([self._text, *self._new])
        self._new.clear()

    def _settle(self) -> None:
        """Forget what no match reaches back to."""
        self._gather()
        cut = len(self._text) - self._reach
        open_from = cut
        for match in self._pattern.finditer(self._text, self._start):
            begin, end = match.span()
            # One that ends near the end of the text may become longer; one that never ends is taken as it is.
            if end > cut and begin > cut - self._reach:
                open_from = min(cut, begin)
                break
            self._settled += 1
            self._start = end + (begin == end)
        self._start = max(self._start, open_from)
        forgotten = max(0, self._start - _BEFORE)
        self._text, self._start = self._text[forgotten:], self._start - forgotten
        self._held = len(self._text)
        self._count = self._settled + sum(1 for _ in self._pattern.finditer(self._text, self._start))
