"""Other images in a Dockerfile's text, in the places where its own stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pytest_dockerkit._spec.dockerfile import Dockerfile, Stage, parse
from pytest_dockerkit._spec.instructions import Flag, Instruction
from pytest_dockerkit._spec.run_mounts import mount_fields


class _Place(NamedTuple):
    """Where a name stands in the text of an instruction.

    Attributes:
        start: where it begins.
        end: where what follows it begins.
        quotes: what has to stand behind another name, so that what follows it is quoted as before.
    """

    start: int
    end: int
    quotes: str = ""


class _Edit(NamedTuple):
    start: int
    end: int
    new: str


def with_images(text: str, replaced: Mapping[str, str], build_args: Mapping[str, str]) -> str:
    """Put other images in place of those from outside; all else stays as it is, line by line.

    Args:
        text: the Dockerfile.
        replaced: what to put for which reference; references are as `Dockerfile.bases` gives them, and with a
            platform that is said with one goes first: `redis:7 (linux/arm64)`. Where a stage has that name, the stage
            is meant.
        build_args: the build args.
    """
    found = parse(text, build_args)
    edits = {edit for stage in found.stages for edit in _edits(stage, found, replaced)}
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.new + text[edit.end :]
    return text


def _edits(stage: Stage, found: Dockerfile, replaced: Mapping[str, str]) -> Iterator[_Edit]:
    under = found.earlier(stage.base, stage)
    places = [(stage.start, _Place(stage.start.rest_at, stage.start.rest_at + len(stage.start.words[0])))]
    for each in (*(under.triggers if under else ()), *stage.body):
        places += [(each, place) for place in _places(each)]
    for (instruction, place), name in zip(places, (stage.base, *stage.takes_from), strict=True):
        exact = with_platform(name, stage.platform if instruction is stage.start else None)
        new = replaced.get(exact, replaced.get(name))
        if new is not None and found.earlier(name, stage) is None:
            yield from _in_lines(instruction, place, new)


def with_platform(reference: str, platform: str | None) -> str:
    """Name an image together with the platform that is said with it."""
    return f"{reference} ({platform})" if platform else reference


def _places(instruction: Instruction) -> Iterator[_Place]:
    """Give where the names stand that an instruction takes from, in the order of `taken_from`."""
    for flag in instruction.flags:
        value = flag.word.find("=") + 1
        if instruction.keyword in ("COPY", "ADD") and flag.name == "from" and flag.value:
            yield _place(flag, value, len(flag.word))
        elif instruction.keyword == "RUN" and flag.name == "mount":
            for field in mount_fields(flag.value):
                if field.key == "from" and field.value:
                    yield _place(flag, value + field.at, value + field.at + len(field.value))


def _place(flag: Flag, start: int, end: int) -> _Place:
    before = flag.marks[start - 1]
    after_at, after_quote = (
        (flag.marks[end].start, flag.marks[end].quote) if end < len(flag.marks) else (flag.end, "")
    )
    return _Place(before.end, after_at, before.quote + after_quote if before.quote != after_quote else "")


def _in_lines(instruction: Instruction, place: _Place, new: str) -> Iterator[_Edit]:
    """Put a name into the text; one that is continued on another line is put into its last line.

    Its last line cannot become an empty one by that, which would continue with the next instruction.
    """
    parts = [
        (
            max(place.start, piece.at) - piece.at + piece.start,
            min(place.end, piece.at + piece.length) - piece.at + piece.start,
        )
        for piece in instruction.pieces
        if piece.at < place.end and piece.at + piece.length > place.start
    ]
    for start, end in parts[:-1]:
        yield _Edit(start, end, "")
    yield _Edit(*parts[-1], new + place.quotes)
