"""Which variables of a stage have a value that every builder agrees on.

Where `ENV` and `ARG` set the same name, the classic builder takes the `ENV`, and BuildKit the later of both. An `ARG`
of a stage is one of the stages that stand on it for BuildKit, and not for the classic builder. What they do not
agree on counts as unknown here.
Source: moby/buildkit, dockerfile2llb, dispatchArg and dispatchEnv; moby, daemon/builder/dockerfile, buildargs.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pytest_dockerkit._spec.dockerfile import PLATFORM_ARG, declared
from pytest_dockerkit._spec.instructions import Instruction
from pytest_dockerkit._spec.words import BLANKS, UNKNOWN, BadWordError, Unknown, expand, name_words


class BaseFacts(NamedTuple):
    """What is known of an image that a stage stands on.

    Attributes:
        env: the names that it sets in the environment.
        onbuild: whether it has instructions for the images that stand on it.
    """

    env: frozenset[str]
    onbuild: bool


class NotSettledError(Exception):
    """A word has a variable in it whose value is not known."""


class Settled:
    """The variables of one stage, as they are at one of its instructions.

    Args:
        of_image: the names that the image sets which it stands on.
        env: what was set by `ENV`; None is a value that is not known.
        head: the `ARG`s before the first stage.
        given: the build args.
    """

    def __init__(
        self,
        of_image: frozenset[str],
        env: Mapping[str, str | None],
        head: Mapping[str, str],
        given: Mapping[str, str],
    ) -> None:
        # BuildKit sets it where an image does not.
        self._of_image = of_image | {"PATH"}
        self._env = dict(env)
        self._head = head
        self._given = given
        self._args: dict[str, str | None] = {}
        self._unsure: set[str] = set()
        self._lost = False

    def below(self) -> Settled:
        """Give what a stage begins with that stands on this one, when this one has ended."""
        below = Settled(self._of_image, self._env, self._head, self._given)
        below._lost = self._lost
        return below

    def put_in(self, word: str, escape: str) -> str:
        """Put the variables into a word.

        Raises:
            NotSettledError: one of them is not known.
            BadWordError: no builder takes the word.
        """
        found = expand(word, self._value, escape)
        if not found.settled:
            raise NotSettledError(word)
        return found.text

    def read(self, instruction: Instruction) -> None:
        """Take in what an `ENV` or an `ARG` sets.

        Raises:
            BadWordError: no builder takes it.
        """
        if instruction.keyword == "ENV":
            self._read_env(instruction)
        elif instruction.keyword == "ARG":
            self._read_arg(instruction)

    def _value(self, name: str) -> str | Unknown:
        found: str | None = None
        if name in self._env:
            found = self._env[name]
        elif name not in self._of_image:
            found = self._args.get(name)
        return UNKNOWN if found is None or self._lost or name in self._unsure else found

    def _or_none(self, word: str, escape: str) -> str | None:
        try:
            return self.put_in(word, escape)
        except NotSettledError:
            return None

    def _read_env(self, instruction: Instruction) -> None:
        # All are read before one is set.
        for name, value in [
            (self._or_none(name, instruction.escape), self._or_none(value, instruction.escape))
            for name, value in pairs(instruction)
        ]:
            if name is None:
                self._lost = True
            else:
                self._env[name] = value

    def _read_arg(self, instruction: Instruction) -> None:
        for name, default in declared(instruction):
            if any(each in name for each in "$\"'\\"):
                self._lost = True
                continue
            value = self._of_arg(name, default, instruction.escape)
            # Some builders set it before they read the next one, others read all before.
            self._unsure.add(name)
            if name not in self._env:
                self._args[name] = value
            elif value is not None and value != self._env[name]:
                self._env[name] = None
        self._unsure = set()

    def _of_arg(self, name: str, default: str | None, escape: str) -> str | None:
        if PLATFORM_ARG.fullmatch(name):
            return None
        if name in self._given:
            return self._given[name]
        if default is not None:
            return self._or_none(default, escape)
        value = self._head.get(name)
        # It may have a platform's variable in it.
        return None if value is None or "$" in value else value


def pairs(instruction: Instruction) -> Iterator[tuple[str, str]]:
    """Give what an `ENV` sets: `ENV a=b c=d`, or the older `ENV a b`.

    Raises:
        BadWordError: it is neither.
    """
    words = name_words(instruction.rest, instruction.escape)
    if words and "=" not in words[0]:
        name, *value = BLANKS.split(instruction.rest, maxsplit=1)
        if not value:
            raise BadWordError(f"{name} has no value")
        yield name, value[0]
        return
    for word in words:
        name, equals, value_of = word.partition("=")
        if not equals:
            raise BadWordError(f"{word} has no =")
        yield name, value_of
