"""What of its context a build uses: the sources of the stages that the target reaches.

What is found here may be more than a builder takes, and never less: a file too many costs a build that was not
needed, a file too few is an image that is out of date. Where it cannot be known, it is the whole context.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_dockerkit._spec import patterns
from pytest_dockerkit._spec.directives import foreign
from pytest_dockerkit._spec.dockerfile import Dockerfile, Stage, parse, sources
from pytest_dockerkit._spec.instructions import Instruction, half_a_list
from pytest_dockerkit._spec.run_mounts import mount_fields
from pytest_dockerkit._spec.settled import BaseFacts, NotSettledError, Settled
from pytest_dockerkit._spec.words import BadWordError

__all__ = ["WHOLE", "BaseFacts", "Uses", "context_uses"]

#: What a `RUN` mounts; one that is not known may take anything.
#: Source: moby/buildkit, frontend/dockerfile/instructions, commands_runmount.go.
_MOUNT_TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")

#: The flags that instructions have; one that is not known may mean anything. Source: the same folder, parse.go.
_FLAGS = {
    "COPY": {"from", "chown", "chmod", "link", "parents", "exclude"},
    "ADD": {"from", "chown", "chmod", "link", "keep-git-dir", "checksum", "unpack", "exclude"},
    "RUN": {"mount", "network", "security", "device"},
    "HEALTHCHECK": {"interval", "timeout", "start-period", "start-interval", "retries"},
}

#: Instructions that take nothing of it.
_OTHERS = {
    "CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER",
    "ONBUILD", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip

#: What `ADD` never takes from the context. Others that look like repositories may be files to older builders.
_REMOTE = re.compile(r"(?:https?|git|ssh)://")

#: How many links are followed one after the other: links can go round in circles. Source: Linux, path_resolution(7).
_MOST_LINKS = 40
#: How many patterns there may be before they are given up for the whole context.
_MOST_PATTERNS = 1000


class _NotKnownError(Exception):
    """What is used cannot be known."""


@dataclass(frozen=True)
class Uses:
    """The paths of a context that a build uses.

    Attributes:
        patterns: relative ones, as Go's filepath.Match has them; a part that is `**` is any number of parts. None
            is the whole context.
    """

    patterns: tuple[str, ...] | None

    def takes(self, path: str) -> bool:
        """Tell whether a path is used: it matches a source, lies below one, or is the directory of `COPY dir/*.txt`.

        The directories above it are used with it, and so is what a link leads to: see `through`.
        """
        return self.patterns is None or path in self._directories or self._below.fullmatch(path) is not None

    def names(self, path: str) -> bool:
        """Tell whether the path itself matches a source. A link that does is followed."""
        return self.patterns is None or self._named.fullmatch(path) is not None

    def leads_to(self, path: str) -> bool:
        """Tell whether a path below this one may match a source. To lie below one is not enough."""
        return self.patterns is None or self._leading.fullmatch(path) is not None

    def through(self, links: Mapping[str, str]) -> Uses:
        """Give what is used of a context that has links in it.

        A builder follows links that are a source, or lead to one. Those that lie below a source it copies as
        they are.

        Args:
            links: all that the context has: their paths, and what they say.
        """
        if self.patterns is None or not links:
            return self
        # How many links each has behind it.
        found = dict.fromkeys(self.patterns, 0)
        sent: dict[str, None] = {}
        waiting = list(found)
        while waiting:
            pattern = waiting.pop()
            on_its_way = re.compile(patterns.leading(pattern), re.DOTALL).fullmatch
            for link, target in links.items():
                for more in _behind(pattern, link, target) if on_its_way(link) else ():
                    if more is None or found[pattern] == _MOST_LINKS or len(found) > _MOST_PATTERNS:
                        return WHOLE
                    # Of a link on the way, only the link itself is used.
                    sent[patterns.literal(link)] = None
                    if more not in found:
                        found[more] = found[pattern] + 1
                        waiting.append(more)
        return Uses(tuple(found | sent))

    @functools.cached_property
    def _named(self) -> re.Pattern[str]:
        return re.compile("|".join(map(patterns.regex, self.patterns or ())) or "(?!)")

    @functools.cached_property
    def _below(self) -> re.Pattern[str]:
        return re.compile(f"(?:{self._named.pattern})(?:/.*)?", re.DOTALL)

    @functools.cached_property
    def _leading(self) -> re.Pattern[str]:
        return re.compile("|".join(map(patterns.leading, self.patterns or ())) or "(?!)", re.DOTALL)

    @functools.cached_property
    def _directories(self) -> frozenset[str]:
        # Without it, `COPY dir/*.txt` fails where it would copy nothing.
        return frozenset(filter(None, map(patterns.first_directory, self.patterns or ())))


WHOLE = Uses(None)


def context_uses(
    text: str, target: str | None, build_args: Mapping[str, str], bases: Mapping[str, BaseFacts]
) -> Uses:
    """Find what of its context a build uses.

    Args:
        text: the Dockerfile.
        target: the stage that is built, or None for the last.
        build_args: the build args.
        bases: what is known of the images from outside, by the references that `Dockerfile.bases` gives. An image
            that is not among them may do anything.
    """
    found = parse(text, build_args)
    needed = found.needed(target)
    if not needed or foreign(text, build_args):
        return WHOLE
    taken: dict[str, None] = {}
    ends: dict[int, Settled] = {}
    try:
        for stage in needed:
            under = found.earlier(stage.base, stage)
            if under is not None and under.triggers:
                return WHOLE
            settled = ends[under.index].below() if under else _on_image(stage, found, build_args, bases)
            taken |= dict.fromkeys(_of_stage(stage, settled))
            ends[stage.index] = settled
    except (_NotKnownError, NotSettledError, BadWordError):
        return WHOLE
    return Uses(tuple(taken))


def _on_image(
    stage: Stage, found: Dockerfile, build_args: Mapping[str, str], bases: Mapping[str, BaseFacts]
) -> Settled:
    facts = BaseFacts(frozenset(), onbuild=False) if stage.base == "scratch" else bases.get(stage.base)
    if facts is None or facts.onbuild:
        raise _NotKnownError
    return Settled(facts.env, {}, found.known, build_args)


def _of_stage(stage: Stage, settled: Settled) -> Iterator[str]:
    for each in stage.body:
        if not {flag.name for flag in each.flags} <= _FLAGS.get(each.keyword, set()):
            raise _NotKnownError
        if each.keyword in ("COPY", "ADD"):
            yield from _copied(each, settled)
        elif each.keyword == "RUN":
            for mount in each.flag("mount"):
                yield from _mounted(mount, settled, each.escape)
        elif each.keyword in ("ENV", "ARG"):
            settled.read(each)
        elif each.keyword not in _OTHERS:
            raise _NotKnownError


def _copied(instruction: Instruction, settled: Settled) -> Iterator[str]:
    if any(instruction.flag("from")):
        return
    if len(instruction.words) < 2 or half_a_list(instruction.rest):
        raise _NotKnownError
    parents = any(value.lower() != "false" for value in instruction.flag("parents"))
    for word in sources(instruction):
        source = settled.put_in(word, instruction.escape)
        if instruction.keyword != "ADD" or not _REMOTE.match(source):
            yield from _known(patterns.of_source(source, parents=parents))


def _mounted(mount: str, settled: Settled, escape: str) -> Iterator[str]:
    if "\\" in mount or "`" in mount:
        # Which of them is an escape there depends on the builder's age.
        raise _NotKnownError
    said = {"type": "bind", "source": "", "from": ""}
    for field in mount_fields(mount):
        said[{"src": "source"}.get(field.key, field.key)] = field.value
    kind = settled.put_in(said["type"], escape).lower()
    if kind not in _MOUNT_TYPES:
        raise _NotKnownError
    if kind == "bind" and not said["from"]:
        # Older builders take the path as it stands there, without putting variables in.
        for source in dict.fromkeys((said["source"], settled.put_in(said["source"], escape))):
            yield from _known(patterns.of_path(source))


def _known(found: tuple[str, ...] | None) -> tuple[str, ...]:
    if found is None:
        raise _NotKnownError
    return found


def _behind(pattern: str, link: str, target: str) -> Iterator[str | None]:
    """Give what a pattern means behind a link that lies on its way; None is the whole context."""
    if patterns.crosses(pattern):
        # Which of the links behind this one it means cannot be told.
        yield None
    for rest in patterns.remainders(pattern, link):
        place = _place(link, target)
        yield None if place is None else patterns.joined([*map(patterns.literal, place), *rest])


def _place(link: str, target: str) -> list[str] | None:
    """Give the parts of the path that a link leads to; it cannot leave the context."""
    parts = [] if target.startswith("/") else link.split("/")[:-1]
    named = False
    for part in target.split("/"):
        if part == "..":
            if named:
                # What is named before it may be a link itself.
                return None
            del parts[-1:]
        elif part not in ("", "."):
            named = True
            parts.append(part)
    return parts
