"""What of a Dockerfile counts for a target: whatever a builder heeds, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_dockerkit._spec.directives import foreign
from pytest_dockerkit._spec.dockerfile import PLATFORM_ARG, Dockerfile, Stage, declared, parse
from pytest_dockerkit._spec.instructions import Instruction, read
from pytest_dockerkit._spec.settled import BaseFacts
from pytest_dockerkit._spec.words import BLANKS, SPACES


def what_counts(
    text: str, target: str | None, build_args: Mapping[str, str], bases: Mapping[str, BaseFacts] | None = None
) -> list[object]:
    """Give what a target's image depends on in its Dockerfile and build args, as JSON can say it.

    Comments do not count, nor stages that the target does not reach, nor build args that nothing declares.

    Args:
        text: the Dockerfile.
        target: the stage that is built, or None for the last.
        build_args: the build args.
        bases: what is known of the images from outside, by their references. Those with `ONBUILD` instructions may
            declare any build arg, and so may those that are not among them. None: no image does.
    """
    found = parse(text, build_args)
    needed = found.needed(target)
    if not needed or foreign(text, build_args):
        return [text, target, _pairs(build_args)]
    places = {stage.index: place for place, stage in enumerate(needed)}
    done = [*found.head, *(each for stage in needed for each in _done(stage, found))]
    if bases is not None and any(_may_declare(stage, found, bases) for stage in needed):
        used = _pairs(build_args)
    else:
        used = _used(build_args, done)
    return [
        [list(each) for each in read(text).directives],
        [_said(each) for each in found.head],
        [[_resolved(stage, found, places), *map(_said, (stage.start, *stage.body))] for stage in needed],
        used,
        _name(target, needed) if any("TARGETSTAGE" in each.text for each in done) else None,
    ]


def _done(stage: Stage, found: Dockerfile) -> Iterator[Instruction]:
    """Give all that is done in a stage, with what the one that it stands on has left for it."""
    under = found.earlier(stage.base, stage)
    yield stage.start
    yield from under.triggers if under else ()
    yield from stage.body


def _may_declare(stage: Stage, found: Dockerfile, bases: Mapping[str, BaseFacts]) -> bool:
    if stage.base == "scratch" or found.earlier(stage.base, stage) is not None:
        return False
    return stage.base not in bases or bases[stage.base].onbuild


def _used(build_args: Mapping[str, str], done: Sequence[Instruction]) -> list[list[str]]:
    names = {name for each in done if each.keyword == "ARG" for name, _ in declared(each)}
    # Older builders put variables into the names too.
    any_name = any("$" in name for name in names)
    return [[name, value] for name, value in _pairs(build_args) if any_name or name in names or _is_builders(name)]


def _is_builders(name: str) -> bool:
    """Tell whether a build arg speaks to the builder itself, and so need not be declared."""
    return name.startswith("BUILDKIT_") or name == "SOURCE_DATE_EPOCH" or PLATFORM_ARG.fullmatch(name) is not None


def _pairs(build_args: Mapping[str, str]) -> list[list[str]]:
    return [[name, value] for name, value in sorted(build_args.items())]


def _said(instruction: Instruction) -> list[object]:
    """Give an instruction as a builder reads it: its lines put together, its heredocs byte for byte."""
    _, *rest = BLANKS.split(instruction.text.strip(SPACES), maxsplit=1)
    return [instruction.keyword, *rest, [list(each) for each in instruction.heredocs]]


def _resolved(stage: Stage, found: Dockerfile, places: Mapping[int, int]) -> list[int | None]:
    """Give which of the stages that count each name means; None is an image from outside."""
    meant = (found.earlier(name, stage) for name in (stage.base, *stage.takes_from))
    return [None if each is None else places[each.index] for each in meant]


def _name(target: str | None, needed: Sequence[Stage]) -> str | None:
    return needed[-1].name if target is None else target
