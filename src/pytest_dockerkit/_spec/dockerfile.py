"""What a Dockerfile says about its stages: their names, what they stand on, what they take from each other.

The engine is the one that reads Dockerfiles for good. This reads only as much as is needed to know before
a build whether the target exists, and which images the result depends on.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pytest_dockerkit._names import did_you_mean
from pytest_dockerkit._spec.instructions import Instruction, heredoc, read
from pytest_dockerkit._spec.run_mounts import mount_fields
from pytest_dockerkit._spec.words import UNKNOWN, BadWordError, Lookup, expand, name_words
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError

#: What BuildKit alone knows: the platforms that it builds on and for, and how the target is called.
PLATFORM_ARG = re.compile(r"(?:TARGET|BUILD)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)|TARGETSTAGE")
#: What `ADD` takes from elsewhere, or may, where the beginning is a variable.
#: Source: moby/buildkit, frontend/dockerfile/dockerfile2llb, dispatchCopy; util/gitutil, ParseGitRef.
_REMOTE = re.compile(r"(?:https?|ftp|git|ssh)://|[\w.-]+@[\w.-]+:|github\.com/|\$")
#: A stage's number. Source: Go, strconv.Atoi; no Dockerfile has stages for more digits.
_NUMBER = re.compile(r"\+?0*([0-9]{1,9})")


@dataclass(frozen=True)
class Stage:
    """One `FROM` and what follows it.

    Attributes:
        index: its place in the file, from 0.
        name: the name after `AS`, or None.
        base: the image or the stage that it stands on, with the variables put in.
        takes_from: the images or stages that it copies or mounts from.
        line: the line of its `FROM`, from 1.
        platform: what its `FROM` says, or None.
        adds_remote: whether it may add what lies at a URL or in a repository.
        start: its `FROM`.
        body: what follows it.
    """

    index: int
    name: str | None
    base: str
    takes_from: tuple[str, ...]
    line: int
    platform: str | None
    adds_remote: bool
    start: Instruction
    body: tuple[Instruction, ...]

    @property
    def triggers(self) -> tuple[Instruction, ...]:
        """What is done in each stage that stands on this one: its `ONBUILD` instructions."""
        return tuple(each.triggered for each in self.body if each.triggered is not None)


class Dockerfile(NamedTuple):
    """The stages of a Dockerfile, in its order.

    Attributes:
        stages: the stages.
        head: what stands before the first.
        known: the values of the `ARG`s before the first.
    """

    stages: tuple[Stage, ...]
    head: tuple[Instruction, ...] = ()
    known: Mapping[str, str] = FrozenMapping()

    def stage(self, target: str) -> Stage | None:
        """Find a stage by its name, in any case, or by its number."""
        return self.find(target, len(self.stages))

    def find(self, name: str, before: int) -> Stage | None:
        """Find a stage by its name or number, among those before a place in the file."""
        # A name that is given twice means the last stage of that name.
        for stage in reversed(self.stages[:before]):
            if stage.name is not None and stage.name.lower() == name.lower():
                return stage
        number = _NUMBER.fullmatch(name)
        return self.stages[int(number[1])] if number and int(number[1]) < before else None

    def earlier(self, name: str, stage: Stage) -> Stage | None:
        """Find the stage that a name means in another; a stage sees only those before it."""
        return self.find(name, stage.index)

    def needed(self, target: str | None) -> tuple[Stage, ...]:
        """Give the stages that the target reaches; the last one is the target when none is named."""
        last = self.stages[-1:] if target is None else filter(None, [self.stage(target)])
        reached: dict[int, Stage] = {}
        waiting = list(last)
        while waiting:
            stage = waiting.pop()
            if stage.index in reached:
                continue
            reached[stage.index] = stage
            names = (stage.base, *stage.takes_from)
            if any("$" in name for name in names):
                # A variable of BuildKit's own, as in `FROM build-$TARGETARCH`, may mean any of them.
                waiting += self.stages[: stage.index]
            waiting += [found for name in names if (found := self.earlier(name, stage)) is not None]
        return tuple(reached[index] for index in sorted(reached))

    def base_images(self, target: str | None) -> tuple[str, ...]:
        """Give the images from outside that the target depends on, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.bases(target)))

    def bases(self, target: str | None) -> tuple[tuple[str, str | None], ...]:
        """Give the images from outside that the target depends on, each with the platform that is said with it."""
        images: dict[tuple[str, str | None], None] = {}
        for stage in self.needed(target):
            for name, platform in ((stage.base, stage.platform), *((name, None) for name in stage.takes_from)):
                if self.earlier(name, stage) is None and name != "scratch":
                    images[name, platform] = None
        return tuple(images)

    def adds_remote(self, target: str | None) -> bool:
        """Tell whether the target may depend on what an `ADD` takes from a URL or a repository."""
        return any(stage.adds_remote for stage in self.needed(target))

    def check_target(self, target: str | None, where: str) -> None:
        """Refuse a target that is no stage, or is given by its number, which no builder takes for a target.

        Raises:
            SpecError: there is no such stage; says which there are.
        """
        found = None if target is None else self.stage(target)
        if target is None or (found is not None and not _NUMBER.fullmatch(target)):
            return
        names = [stage.name for stage in self.stages if stage.name]
        mend = did_you_mean(target, names) if names else "name a stage with FROM … AS, or drop target="
        if found is not None:
            mend = f"target={found.name!r}" if found.name else f"name it: FROM {found.base} AS …"
        raise SpecError(
            f"target {target!r} is no stage of {where}",
            saw="stages: " + (", ".join(names) if names else "none has a name"),
            mend=mend,
        )


def parse(text: str, build_args: Mapping[str, str] | None = None) -> Dockerfile:
    """Read the stages of a Dockerfile.

    Args:
        text: the Dockerfile.
        build_args: what overrides the defaults of an `ARG` before the first `FROM`.
    """
    return _parsed(text, FrozenMapping(build_args))


# Each of a suite's tests may name the same Dockerfile.
@functools.lru_cache(maxsize=256)
def _parsed(text: str, given: FrozenMapping[str, str]) -> Dockerfile:
    head: list[Instruction] = []
    parts: list[list[Instruction]] = []
    for instruction in read(text).instructions:
        if _is_stage(instruction):
            parts.append([])
        (parts[-1] if parts else head).append(instruction)
    known: dict[str, str] = {}
    for instruction in head:
        if instruction.keyword == "ARG":
            _declare(instruction, given, known, _of_the_head(known))
    found = Dockerfile((), tuple(head), FrozenMapping(known))
    for part in parts:
        found = Dockerfile((*found.stages, _stage(found, part, given)), found.head, found.known)
    return found


def _is_stage(instruction: Instruction) -> bool:
    words = instruction.words
    return instruction.keyword == "FROM" and (len(words) == 1 or (len(words) == 3 and words[1].upper() == "AS"))


def _stage(before: Dockerfile, part: list[Instruction], given: Mapping[str, str]) -> Stage:
    start, *body = part
    lookup = _of_the_head(before.known)
    base = _put_in(start.words[0], lookup, start.escape)
    platform = next((_put_in(each, lookup, start.escape) for each in start.flag("platform")), None)
    index = len(before.stages)
    under = before.find(base, index)
    triggers = under.triggers if under else ()
    takes_from, adds_remote = _taken([*triggers, *body], given, before.known)
    name = start.words[2] if len(start.words) > 1 else None
    return Stage(index, name, base, takes_from, start.line, platform, adds_remote, start, tuple(body))


def _taken(
    instructions: list[Instruction], given: Mapping[str, str], known: Mapping[str, str]
) -> tuple[tuple[str, ...], bool]:
    """Find what a stage takes from other stages and images, and whether it may take something from a URL."""
    values = dict(known)
    takes_from: list[str] = []
    adds_remote = False
    for each in instructions:
        lookup = _of_a_stage(values)
        if each.keyword == "ARG":
            _declare(each, given, values, lookup)
        elif each.keyword == "ENV":
            for word in name_words(each.rest, each.escape):
                values.pop(word.partition("=")[0], None)
        elif names := taken_from(each):
            takes_from += [_put_in(name, lookup, each.escape) for name in names]
        elif each.keyword == "ADD":
            added = [_put_in(source, lookup, each.escape) for source in sources(each)]
            adds_remote = adds_remote or any(map(_REMOTE.match, added))
    return tuple(takes_from), adds_remote


def taken_from(instruction: Instruction) -> list[str]:
    """Give the names of the stages and images that an instruction copies or mounts from, as they stand there."""
    if instruction.keyword in ("COPY", "ADD"):
        return [name for name in instruction.flag("from") if name]
    if instruction.keyword != "RUN":
        return []
    fields = [field for mount in instruction.flag("mount") for field in mount_fields(mount)]
    return [field.value for field in fields if field.key == "from" and field.value]


def sources(instruction: Instruction) -> list[str]:
    """Give the sources of a `COPY` or `ADD` that are no heredocs, as they stand there."""
    return [word for word in instruction.words[:-1] if heredoc(word) is None]


def declared(instruction: Instruction) -> Iterator[tuple[str, str | None]]:
    """Give the names that an `ARG` declares, each with its default, if it has one, as it stands there."""
    for word in name_words(instruction.rest, instruction.escape):
        name, equals, default = word.partition("=")
        yield name, default if equals else None


def _declare(instruction: Instruction, given: Mapping[str, str], values: dict[str, str], lookup: Lookup) -> None:
    for name, default in declared(instruction):
        if name in given:
            values[name] = given[name]
        elif default is not None:
            values[name] = _put_in(default, lookup, instruction.escape)


def _of_the_head(known: Mapping[str, str]) -> Lookup:
    """Look variables up where only the builder's own are not known."""
    return lambda name: known.get(name, UNKNOWN if PLATFORM_ARG.fullmatch(name) else None)


def _of_a_stage(known: Mapping[str, str]) -> Lookup:
    """Look variables up where an image may have set others; what is not known may mean anything."""
    return lambda name: known.get(name, UNKNOWN)


def _put_in(word: str, lookup: Lookup, escape: str) -> str:
    try:
        return expand(word, lookup, escape).text
    except BadWordError:
        return word


def without_unneeded_stages(text: str, target: str | None, build_args: Mapping[str, str] | None = None) -> str:
    """Blank the stages that the target does not reach; line numbers stay as they are.

    The classic builder runs every stage before the target, whether the target needs it or not. Where a stage is
    named by its number, an empty one holds the place of each that is blanked.
    """
    found = parse(text, build_args)
    needed = found.needed(target)
    names = [name for stage in needed for name in stage.takes_from]
    place = "FROM scratch" if any(map(_NUMBER.fullmatch, names)) else ""
    lines = text.split("\n")
    kept = {stage.index for stage in needed}
    ends = [stage.line - 1 for stage in found.stages[1:]] + [len(lines)]
    for stage, end in zip(found.stages, ends, strict=True):
        if stage.index not in kept:
            lines[stage.line - 1 : end] = [place] + [""] * (end - stage.line)
    return "\n".join(lines)
