"""What the command line prints while it builds, with `--progress=plain`.

Each line begins with the number of the step that it is about:

    #5 [api 2/3] RUN make          it begins, or its turn to be told of comes again
    #5 sha256:0a12…                its digest (command lines before 23)
    #5 0.164 some output           seconds, and what it has printed
    #5 CACHED, DONE 0.2s, ERROR: … how it ended
    #5 ...                         another step is told of next

At the end stand the output of the step that failed, once more, since 23 its lines in the Dockerfile, and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.buildkit import KEPT_OUTPUT, is_cause, progress_of

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import Progress

#: How many lines of what stands at the end may be the reason.
_KEPT_LINES = 10

_NUMBERED = re.compile(r"#(\d+) ?(.*)", re.DOTALL)
_OUTPUT = re.compile(r"\d+\.\d+(?: (.*))?", re.DOTALL)
_RULE = re.compile(r"-{6,}")
#: What stands above an excerpt of the Dockerfile, and the line above that.
#: Source: moby/buildkit, solver/errdefs/source.go; the output of the step is between shorter rules.
_EXCERPT = "-" * 20
_LINE = re.compile(r".*:(\d+)")


class Plain:
    """What has been read of a build so far.

    Args:
        tell: hears of each step that begins.
        mask: covers what nobody may see, before anything is kept or cut.

    Attributes:
        began: whether any step was told of.
        last_step: the name of the step that began last; empty if none has.
        line: the line of the Dockerfile that the command line has named at the end; None if it has not.
    """

    def __init__(self, tell: Callable[[Progress], None], mask: Callable[[str], str]) -> None:
        self._tell = tell
        self._mask = mask
        self._names: dict[str, str] = {}
        self._output: dict[str, str] = {}
        self._errors: dict[str, str] = {}
        self._tail: list[str] = []
        self.began = False
        self.last_step = ""
        self.line: int | None = None

    def hear(self, line: str) -> None:
        """Take in one line, without its end."""
        if numbered := _NUMBERED.fullmatch(line):
            self._hear_step(numbered[1], numbered[2])
        else:
            self._hear_end(line)

    def _hear_step(self, number: str, said: str) -> None:
        self.began = True
        if number not in self._names:
            self._names[number] = self.last_step = self._mask(said)
            self._tell(progress_of(self.last_step))
        elif number in self._errors:
            # A line that has no end is shown once more, below the error.
            return
        elif output := _OUTPUT.fullmatch(said):
            kept = self._output.get(number, "") + self._mask(output[1] or "") + "\n"
            self._output[number] = kept[-KEPT_OUTPUT:]
        elif said.startswith("ERROR: ") and is_cause(self._names[number], said):
            self._errors[number] = self._mask(said.removeprefix("ERROR: "))

    def _hear_end(self, line: str) -> None:
        if not _RULE.fullmatch(line.strip()):
            self._tail.append(self._mask(line))
            return
        if line.strip() == _EXCERPT and self._tail and (named := _LINE.fullmatch(self._tail[-1])):
            self.line = int(named[1])
        # What was shown up to here is known, or an excerpt of the Dockerfile: the reason comes last.
        self._tail = []

    @property
    def failed_step(self) -> str:
        """The name of the step that failed; empty if none did."""
        return self._names[next(iter(self._errors))] if self._errors else ""

    @property
    def failed_output(self) -> str:
        """What the step that failed has printed."""
        return self._output.get(next(iter(self._errors)), "") if self._errors else ""

    @property
    def reason(self) -> str:
        """Why the build failed: what was said of the step, else what stood at the end."""
        return next(iter(self._errors.values())) if self._errors else "\n".join(self._tail[-_KEPT_LINES:])
