"""What a Dockerfile says about its stages: their names, what they stand on, what they take from each other.

The engine is the one that reads Dockerfiles for good. This reads only as much as is needed to know before
a build whether the target exists, and which images the result depends on.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_dockerkit._names import did_you_mean
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z]+)\s*=\s*(.+?)\s*")
#: A word of a shell, with its quotes, and one that begins a heredoc.
#: Source: moby/buildkit, frontend/dockerfile/parser, heredocsFromLine: `<<<x`, `a<<b` and "<<x" are none.
_WORD = re.compile(r"(?:[^\s\"']|\"(?:\\.|[^\"\\])*\"|'[^']*')+")
_HEREDOC = re.compile(r"\d*<<(-?)([\"']?)([^<\"'\s]+)\2")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])((?:[^{}]|\{[^{}]*\})*))?\})")
#: What BuildKit alone knows: the platforms that it builds on and for.
_PLATFORM_ARG = re.compile(r"(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)")
_FROM = re.compile(r"(?:--platform=(\S+)\s+)?(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
#: What `ADD` takes from elsewhere, or may, where the beginning is a variable.
#: Source: moby/buildkit, frontend/dockerfile/dockerfile2llb, dispatchCopy; util/gitutil, ParseGitRef.
_REMOTE = re.compile(r"(?:https?|ftp|git|ssh)://|[\w.-]+@[\w.-]+:|github\.com/|\$")

#: Instructions that may carry heredocs (Dockerfile syntax 1.4).
_WITH_HEREDOC = ("RUN", "COPY", "ADD")


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
    """

    index: int
    name: str | None
    base: str
    takes_from: tuple[str, ...]
    line: int
    platform: str | None = None
    adds_remote: bool = False


@dataclass(frozen=True)
class Dockerfile:
    """The stages of a Dockerfile, in its order."""

    stages: tuple[Stage, ...]

    def stage(self, target: str) -> Stage | None:
        """Find a stage by its name, in any case, or by its number."""
        for stage in self.stages:
            if stage.name is not None and stage.name.lower() == target.lower():
                return stage
        return next((stage for stage in self.stages if str(stage.index) == target), None)

    def needed(self, target: str | None) -> tuple[Stage, ...]:
        """Give the stages that the target reaches; the last one is the target when none is named."""
        last = self.stages[-1] if target is None else self.stage(target)
        reached: dict[int, Stage] = {}
        waiting = [last] if last is not None else []
        while waiting:
            stage = waiting.pop()
            if stage.index in reached:
                continue
            reached[stage.index] = stage
            names = (stage.base, *stage.takes_from)
            if any("$" in name for name in names):
                # A variable of BuildKit's own, as in `FROM build-$TARGETARCH`, may mean any of them.
                waiting += self.stages[: stage.index]
            waiting += [found for name in names if (found := self._earlier(name, stage)) is not None]
        return tuple(reached[index] for index in sorted(reached))

    def base_images(self, target: str | None) -> tuple[str, ...]:
        """Give the images from outside that the target depends on, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.bases(target)))

    def bases(self, target: str | None) -> tuple[tuple[str, str | None], ...]:
        """Give the images from outside that the target depends on, each with the platform that is said with it."""
        images: dict[tuple[str, str | None], None] = {}
        for stage in self.needed(target):
            for name, platform in ((stage.base, stage.platform), *((name, None) for name in stage.takes_from)):
                if self._earlier(name, stage) is None and name != "scratch":
                    images[name, platform] = None
        return tuple(images)

    def adds_remote(self, target: str | None) -> bool:
        """Tell whether the target may depend on what an `ADD` takes from a URL or a repository."""
        return any(stage.adds_remote for stage in self.needed(target))

    def check_target(self, target: str | None, where: str) -> None:
        """Refuse a target that is no stage.

        Raises:
            SpecError: there is no such stage; says which there are.
        """
        if target is None or self.stage(target) is not None:
            return
        names = [stage.name for stage in self.stages if stage.name]
        mend = did_you_mean(target, names) if names else "name a stage with FROM … AS, or drop target="
        raise SpecError(
            f"target {target!r} is no stage of {where}",
            saw="stages: " + (", ".join(names) if names else "none has a name"),
            mend=mend,
        )

    def _earlier(self, name: str, stage: Stage) -> Stage | None:
        """Find the stage that a name means; a stage sees only those before it."""
        found = self.stage(name)
        return found if found is not None and found.index < stage.index else None


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
    known: dict[str, str] = {}
    in_stage: dict[str, str] = {}
    stages: list[Stage] = []
    for line, keyword, rest in _instructions(text):
        if keyword == "ARG" and not stages:
            known.update(_arguments(rest, given, known))
        elif keyword == "FROM" and (match := _FROM.fullmatch(rest.strip())):
            platform = _expand(match[1].strip("\"'"), known) if match[1] else None
            stages.append(Stage(len(stages), match[3], _expand(match[2], known), (), line, platform))
            in_stage = dict(known)
        elif keyword == "ARG":
            in_stage.update(_arguments(rest, given, in_stage, unsure=True))
        elif keyword == "ENV":
            for word in rest.split():
                in_stage.pop(word.partition("=")[0], None)
        elif stages and (sources := _sources(keyword, rest)):
            taken = tuple(_expand(each, in_stage, unsure=True) for each in sources)
            stages[-1] = replace(stages[-1], takes_from=stages[-1].takes_from + taken)
        elif stages and keyword == "ADD":
            added = [_expand(each, in_stage, unsure=True) for each in _copied(rest)]
            stages[-1] = replace(stages[-1], adds_remote=stages[-1].adds_remote or any(map(_REMOTE.match, added)))
    return Dockerfile(tuple(stages))


def _sources(keyword: str, rest: str) -> list[str]:
    if keyword in ("COPY", "ADD"):
        return [value for name, value in _flags(rest) if name == "from"]
    mounts = [value for name, value in _flags(rest) if keyword == "RUN" and name == "mount"]
    options = [option.partition("=") for mount in mounts for option in mount.split(",")]
    return [value.strip("\"'") for name, _, value in options if name == "from"]


def _flags(rest: str) -> Iterator[tuple[str, str]]:
    """Give the flags of an instruction, which stand before everything else in it."""
    for word in rest.split():
        if not word.startswith("--"):
            return
        name, _, value = word.removeprefix("--").partition("=")
        yield name, value.strip("\"'")


def _arguments(
    rest: str, given: Mapping[str, str], known: Mapping[str, str], *, unsure: bool = False
) -> Iterator[tuple[str, str]]:
    for word in rest.split():
        name, has_default, default = word.partition("=")
        if name in given:
            yield name, given[name]
        elif has_default:
            yield name, _expand(default.strip("\"'"), known, unsure=unsure)


def _expand(word: str, known: Mapping[str, str], *, unsure: bool = False) -> str:
    """Put the variables in.

    Args:
        word: what they stand in.
        known: their values.
        unsure: whether one that is not known may have a value all the same, as in a stage. It stays as it is, and
            so may mean anything.
    """

    def value(match: re.Match[str]) -> str:
        name, rule, other = match[1] or match[2], match[3], _expand(match[4] or "", known, unsure=unsure)
        if name not in known and (unsure or _PLATFORM_ARG.fullmatch(name)):
            return match[0]
        found = known.get(name)
        counts_as_set = bool(found) if (rule or "").startswith(":") else found is not None
        if rule and rule.endswith("-"):
            return found if counts_as_set and found is not None else other
        if rule:
            return other if counts_as_set else ""
        return found or ""

    return _VARIABLE.sub(value, word)


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Give each instruction with the number of its first line; comments and heredoc bodies are left out."""
    lines = _lines(text)
    escape = _escape_character(lines)
    number = 0
    while number < len(lines):
        first, number = number, number + 1
        line = lines[first].strip()
        if not line or line.startswith("#"):
            continue
        while _continues(line, escape) and number < len(lines):
            following = lines[number].rstrip()
            number += 1
            if following and not following.lstrip().startswith("#"):
                line = line[:-1] + following
        keyword, _, rest = re.sub(r"\s", " ", line).partition(" ")
        keyword = keyword.upper()
        if keyword in _WITH_HEREDOC:
            number = _after_heredocs(lines, number, rest)
        yield first + 1, keyword, rest


def _after_heredocs(lines: list[str], number: int, rest: str) -> int:
    for heredoc in _heredocs(rest):
        while number < len(lines) and not _ends(heredoc, lines[number].removesuffix("\r")):
            number += 1
        number += 1
    return number


def _heredocs(rest: str) -> list[re.Match[str]]:
    return [match for word in _WORD.findall(rest) if (match := _HEREDOC.fullmatch(word))]


def _ends(heredoc: re.Match[str], line: str) -> bool:
    return (line.lstrip("\t") if heredoc[1] else line) == heredoc[3]


def _continues(line: str, escape: str) -> bool:
    """Tell whether the next line belongs to this one; an escape character that is itself escaped says nothing."""
    return line.endswith(escape) and not line.endswith(escape * 2)


def _lines(text: str) -> list[str]:
    # Not splitlines(): to the builder a form feed, or Unicode's line separator, is a character like others.
    return text.removeprefix("\N{BYTE ORDER MARK}").split("\n")


def _escape_character(lines: list[str]) -> str:
    """Read the `# escape=` directive, which can only stand before everything else."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape":
            return match[2]
    return "\\"


def copies(text: str, name: str) -> bool:
    """Tell whether an instruction may copy a file that lies in the context's top directory.

    Args:
        text: the Dockerfile.
        name: the file's name.
    """
    return any(
        _may_mean(source, name)
        for _, keyword, rest in _instructions(text)
        if keyword in ("COPY", "ADD") and not _sources(keyword, rest)
        for source in _copied(rest)
    )


def _copied(rest: str) -> list[str]:
    """Give the sources of a `COPY` or `ADD`, written as words or as a JSON list."""
    words = re.sub(r"^(?:--\S+\s+)*", "", rest.strip())
    try:
        return [str(each) for each in json.loads(words)][:-1] if words.startswith("[") else words.split()[:-1]
    except ValueError:
        return words.split()[:-1]


def _may_mean(source: str, name: str) -> bool:
    path = posixpath.normpath("/" + source).strip("/")
    # Variables are not put in here, and the engine's character classes are not Python's.
    return not path or "$" in path or "[" in path or fnmatch.fnmatchcase(name, path)


def needs_buildkit(text: str) -> bool:
    """Tell whether there is a heredoc, or a flag that the classic builder does not have."""
    return any(
        _heredocs(rest) or any(name not in ("chown", "from") for name, _ in _flags(rest))
        for _, keyword, rest in _instructions(text)
        if keyword in _WITH_HEREDOC
    )


def without_unneeded_stages(text: str, target: str | None, build_args: Mapping[str, str] | None = None) -> str:
    """Blank the stages that the target does not reach; line numbers stay as they are.

    The classic builder runs every stage before the target, whether the target needs it or not. Nothing is
    blanked where a stage is named by its number, since that would then mean another.
    """
    found = parse(text, build_args)
    needed = found.needed(target)
    names = [target or "", *(name for stage in needed for name in (stage.base, *stage.takes_from))]
    if any(name.isdigit() for name in names):
        return text
    lines = _lines(text)
    kept = {stage.index for stage in needed}
    ends = [stage.line - 1 for stage in found.stages[1:]] + [len(lines)]
    for stage, end in zip(found.stages, ends, strict=True):
        if stage.index not in kept:
            lines[stage.line - 1 : end] = [""] * (end - stage.line + 1)
    return "\n".join(lines)
