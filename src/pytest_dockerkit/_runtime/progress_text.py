"""How it is written what is being built or pulled: on one line each."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from pytest_dockerkit._units import show_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_dockerkit._engine.base import Progress
    from pytest_dockerkit._runtime.progress import State

#: What is done, and what was done then.
_PAST = {"building": "built", "pulling": "pulled", "copying": "copied", "pushing": "pushed"}

#: How much of a step is to be seen before there is room for bytes, in characters: `[build 3/7]`.
_STEP = 12

#: A step that says itself of how many it is, such as `[api 2/5] RUN make`.
_COUNTED = re.compile(r"\[[^]]*\d+/\d+\]")


def telling(states: Sequence[State]) -> list[State]:
    """Leave out what has ended, and waiting that says nothing new: twice the same, or for what is seen to go on."""
    going = [state for state in states if not state.ended]
    told = {state.title for state in going if not state.waits}
    left = []
    # Who has waited longest speaks for all.
    for state in sorted(going, key=lambda state: -state.seconds):
        if not state.waits or state.title not in told:
            left.append(state)
            told.add(state.title)
    return left


def line_of(state: State, width: int, cut: str = "…") -> str:
    """Write a task on one line: `building api (target web): [build 3/7] RUN make   14 s`.

    Args:
        state: the task.
        width: how many cells there are; what is too long is cut, but never the time; twelve at least.
        cut: stands for what was cut away.
    """
    progress = state.progress
    name = _plain(f"{state.what} {state.title}")
    step = _step(progress)
    left = f"{name}: {step}" if step else name
    right = f"   {clock_of(state.seconds)}"
    if progress.done_bytes is not None:
        both = f"   {_bytes(progress.done_bytes, progress.total_bytes)}{right}"
        # In a narrow terminal what is done matters more than how much of it.
        right = both if len(name) + min(len(step), _STEP) + len(both) <= width else right
    return _fit(left, width - len(right), cut) + right


def ending_of(state: State) -> str:
    """Write how a task has ended: `built api (target web)   14 s`; empty if that says nothing."""
    if state.waits:
        return ""
    done = f"{_PAST[state.what]} {state.title}" if state.what in _PAST else f"{state.what} {state.title}: done"
    what = done if state.ended == "done" else f"{state.what} {state.title}: failed"
    return f"{_plain(what)}   {clock_of(state.seconds)}"


def clock_of(seconds: float) -> str:
    """Write how long something takes: `14 s`, `2 min 05 s`, `1 h 02 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def _step(progress: Progress) -> str:
    step = _plain(progress.step)
    # BuildKit counts within a stage, and says so in the step's own name.
    if progress.number is None or _COUNTED.match(step):
        return step
    number = f"{progress.number}/{progress.total}" if progress.total else f"{progress.number}"
    return f"[{number}] {step}".rstrip()


def _bytes(done: int, total: int | None) -> str:
    if not total:
        return show_bytes(done)
    shown, of = show_bytes(min(done, total)), show_bytes(total)
    # One unit is enough where they are alike: "12 of 82 MB".
    return f"{shown.rsplit(' ', 1)[0] if shown[-2:] == of[-2:] else shown} of {of}"


def _plain(text: str) -> str:
    """Take out of a text what moves a cursor: an instruction may have several lines, and a name anything."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fit(text: str, width: int, cut: str) -> str:
    if sum(map(_cells, text)) <= width:
        return text
    fitting, left = "", width - len(cut)
    for character in text:
        left -= _cells(character)
        if left < 0:
            break
        fitting += character
    return (fitting.rstrip() + cut)[: max(width, 0)]
