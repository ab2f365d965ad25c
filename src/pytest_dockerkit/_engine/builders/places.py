"""Where in a Dockerfile a step stands: builders name the instruction that failed, people look for its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pytest_dockerkit._engine.buildkit import STEP
from pytest_dockerkit._spec.instructions import read

_METADATA = re.compile(r"\[internal\] load metadata for (\S+)")
_UNNAMED = re.compile(r"stage-(\d+)")
_FROM = re.compile(r"(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\w+|\{[^}]*\})")
_HEREDOC = re.compile(r"<<-?[\"']?\w")

#: The instructions that BuildKit counts as steps; `FROM` is one where it names an image.
_COUNTED = ("RUN", "COPY", "ADD", "WORKDIR")


class Place(NamedTuple):
    """Where an instruction stands.

    Attributes:
        line: its first line, from 1.
        stage: what its stage is called; empty where there is one alone, without a name.
        text: the instruction in one line.
    """

    line: int
    stage: str
    text: str


class _Instruction(NamedTuple):
    place: Place
    keyword: str
    #: The number of its stage, from 0; -1 before the first.
    stage: int
    #: Its name, in lower case.
    name: str
    #: Which of the stage's steps it is, as BuildKit counts them; 0 for one that is none.
    step: int
    #: What a `FROM` names; empty for others.
    base: str


def place_of_step(dockerfile: str, step: str) -> Place | None:
    """Find the instruction of a step that BuildKit has named.

    Args:
        dockerfile: the Dockerfile's text.
        step: the step's name, such as `[api 2/5] RUN make`.
    """
    if image := _METADATA.fullmatch(step.strip()):
        return _place_of_base(dockerfile, image[1])
    said = STEP.fullmatch(step.strip())
    if said is None:
        return None
    keyword = said["text"].partition(" ")[0].upper()
    found = [each for each in _read(dockerfile) if each.keyword == keyword]
    if stage := (said["stage"] or "").split(" ")[-1]:
        unnamed = _UNNAMED.fullmatch(stage)
        named = [each for each in found if each.name == stage.lower()]
        found = named or [each for each in found if unnamed and each.stage == int(unnamed[1])]
    # BuildKit has put the variables in, and counts in ways that differ from release to release: first by the text.
    alike = [each for each in found if _may_read(each.place.text, said["text"])] or found
    nearest = min(alike, key=lambda each: abs(each.step - int(said["number"])), default=None)
    return None if nearest is None else nearest.place


def _place_of_base(dockerfile: str, image: str) -> Place | None:
    """Find the first stage that stands on an image, whose full name BuildKit tells: `docker.io/library/redis:7`."""
    names = {image, image.removesuffix(":latest")}
    names |= {name.removeprefix(start) for name in names for start in ("docker.io/", "docker.io/library/")}
    stages = (each for each in _read(dockerfile) if each.keyword == "FROM")
    return next((each.place for each in stages if any(_may_read(each.base, name) for name in names)), None)


def place_of_number(dockerfile: str, number: int) -> Place | None:
    """Find an instruction by its number, from 1, as the classic builder counts: all of them, in the file's order."""
    found = _read(dockerfile)
    return found[number - 1].place if 0 < number <= len(found) else None


def place_of_line(dockerfile: str, line: int) -> Place | None:
    """Find the instruction that stands on a line, or the last that begins before it."""
    return max((each.place for each in _read(dockerfile) if each.place.line <= line), default=None)


def _read(dockerfile: str) -> Sequence[_Instruction]:
    found: list[_Instruction] = []
    stage, step, name, names = -1, 0, "", set[str]()
    for each in read(dockerfile).instructions:
        text, base = " ".join(each.text.split()), ""
        counted = each.keyword in _COUNTED
        if each.keyword == "FROM":
            said = _FROM.match(each.rest)
            stage, step = stage + 1, 0
            base = said["base"] if said is not None else ""
            counted = base.lower() not in {"", "scratch", *names}
            name = said["name"].lower() if said is not None and said["name"] else ""
            names.add(name)
        step += counted
        place = Place(each.line, name or (f"stage-{stage}" if stage >= 0 else ""), text)
        found.append(_Instruction(place, each.keyword, stage, name, step if counted else 0, base))
    if stage == 0 and not name:
        # There is nothing to tell it from.
        return [each._replace(place=each.place._replace(stage="")) for each in found]
    return found


def _may_read(written: str, said: str) -> bool:
    """Tell whether a builder may have named an instruction in this way: with its variables put in."""
    # What follows a heredoc's beginning is shown in another form: `RUN <<EOF (make...)`.
    begins = _HEREDOC.search(written)
    first, *others = _VARIABLE.split(written[: begins.start()] if begins else written)
    said = " ".join(said.split())
    if not said.casefold().startswith(first.casefold()):
        return False
    at = len(first)
    for part in others:
        # Each as early as possible: no way of putting values in is missed by that, but for the end.
        found = said.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return begins is not None or (said.endswith(others[-1]) if others else at == len(said))
