"""Building: of the ways that an engine and a machine have, the first that can do what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_dockerkit._engine.builders.api import ApiBuilder
from pytest_dockerkit._engine.builders.classic import ClassicBuilder
from pytest_dockerkit._engine.builders.command import CommandBuilder, NotUsableError
from pytest_dockerkit._engine.builders.failure import TO_INSTALL
from pytest_dockerkit._engine.builders.needs import ADDED_DOCKERFILE
from pytest_dockerkit._engine.builders.post import Post
from pytest_dockerkit._poll import retried
from pytest_dockerkit.errors import BuildError, CapabilityError, EngineError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import Builder, EngineFacts
    from pytest_dockerkit._engine.build_request import BuildRequest
    from pytest_dockerkit._engine.client import Client
    from pytest_dockerkit._engine.images import Images

#: How often a build is begun that BuildKit cancels by itself, and the first pause between, in seconds.
_TRIES = 3
_FIRST_PAUSE_S = 0.1

__all__ = ["Ladder", "build_with", "ladder"]


class Rung(Protocol):
    """A builder that may not be there."""

    name: str

    @property
    def chosen(self) -> bool:
        """Whether the user has said that it is to be this one: no other takes its place if it fails."""

    @property
    def absent(self) -> str | None:
        """Why it cannot be used here; None if it can."""

    def lacks(self, request: BuildRequest) -> str | None:
        """Say what of a request it cannot serve."""

    def build(self, request: BuildRequest) -> None:
        """Build, and give the image its tags."""


def ladder(
    client: Client, images: Images, facts: EngineFacts, variables: Mapping[str, str], only: str = "auto"
) -> Ladder:
    """Make the ladder of an engine; nothing is asked or looked for yet.

    Args:
        client: docker-py's.
        images: the verbs on the engine's images.
        facts: what the engine says of itself.
        variables: those by which the docker command line finds the engine.
        only: the one rung to use, or "auto".
    """
    post = Post(client)
    rungs: list[Rung] = [
        CommandBuilder(facts, variables),
        ApiBuilder(post, images, facts),
        ClassicBuilder(post, images, facts),
    ]
    return Ladder([each for each in rungs if only in ("auto", each.name)], facts)


class Ladder:
    """Gives a request to the first rung that is there and lacks nothing of it."""

    def __init__(self, rungs: Sequence[Rung], facts: EngineFacts) -> None:
        self._rungs = rungs
        self._facts = facts
        #: What was seen of those that ended before they had begun: they are not tried again.
        self._unusable: dict[str, str] = {}

    @property
    def name(self) -> str:
        """What it is called: the one rung that was chosen, else "auto"."""
        return self._rungs[0].name if len(self._rungs) == 1 else "auto"

    @property
    def rungs(self) -> list[tuple[str, str | None]]:
        """The names of the builders in the order in which they are asked, each with why it cannot be used here."""
        return [(each.name, self._unusable.get(each.name) or each.absent) for each in self._rungs]

    def lacks(self, request: BuildRequest) -> str | None:
        """Say what of a request no rung can serve."""
        refusals = [self._refusal_of(rung, request) for rung in self._rungs]
        return None if None in refusals else _most_telling(each for each in refusals if each is not None)

    def build(self, request: BuildRequest) -> None:
        """Build with the first rung that can, and give the image its tags.

        Raises:
            BuildError: an instruction failed.
            CapabilityError: no rung can; says what is missing, and what to install.
            EngineError: the engine failed, or the command line.
        """
        refusals: dict[str, _Refusal] = {}
        for rung in self._rungs:
            refusal = self._refusal_of(rung, request)
            if refusal is None:
                try:
                    retried(partial(rung.build, request), passes=_was_cancelled, tries=_TRIES, first_s=_FIRST_PAUSE_S)
                except NotUsableError as failure:
                    if rung.chosen or len(self._rungs) == 1:
                        raise EngineError(failure.what, saw=failure.saw, mend=failure.mend) from None
                    self._unusable[rung.name] = failure.saw
                    refusal = _Refusal(absent=failure.saw)
                else:
                    return
            refusals[rung.name] = refusal
        raise self._nobody_can(request, refusals)

    def stop(self) -> None:
        """End the commands that still build, in whichever thread; whoever waits for one gets an EngineError."""
        for rung in self._rungs:
            if isinstance(rung, CommandBuilder):
                rung.stop()

    def _refusal_of(self, rung: Rung, request: BuildRequest) -> _Refusal | None:
        absent = self._unusable.get(rung.name) or rung.absent
        if absent is not None:
            return _Refusal(absent=absent)
        lacking = rung.lacks(request)
        return None if lacking is None else _Refusal(lacking=lacking)

    def _nobody_can(self, request: BuildRequest, refusals: Mapping[str, _Refusal]) -> CapabilityError:
        lacking = _most_telling(refusals.values())
        if len(refusals) == 1:
            [(name, refusal)] = refusals.items()
            why = f"lacks {refusal.lacking}" if refusal.lacking else "is not there"
            what = f"{request.title} cannot be built as --dockerkit-builder={name} says: it {why}"
        else:
            what = f"{request.title} cannot be built here: no builder serves {lacking}"
        return CapabilityError(
            what,
            saw="\n".join(f"{name}: {each.absent or f'lacks {each.lacking}'}" for name, each in refusals.items()),
            mend=self._mend(lacking),
        )

    def _mend(self, lacking: str) -> str:
        only = f"or drop --dockerkit-builder={self.name}" if len(self._rungs) == 1 else ""
        if not self._facts.buildkit:
            ways = ["use an engine with BuildKit: Docker 18.09 or newer"]
        elif lacking == "heredocs":
            ways = ["use Docker 23.0 or newer, or begin the Dockerfile with `# syntax=docker/dockerfile:1`"]
        else:
            ways = [f"install {TO_INSTALL}"]
        if lacking == ADDED_DOCKERFILE:
            ways.insert(0, "keep the Dockerfile in the context and out of its ignore file, or")
        return " ".join([*ways, only]).strip()


class _Refusal(NamedTuple):
    """Why a rung does not build: it is not there, or lacks something."""

    absent: str | None = None
    lacking: str | None = None


def _most_telling(refusals: Iterable[_Refusal]) -> str:
    """Give what the first rung that is there lacks: the one above the others."""
    return next((each.lacking for each in refusals if each.lacking is not None), "anything")


def _was_cancelled(failure: Exception) -> bool:
    """Tell whether nobody has ended a build but BuildKit itself.

    Of two builds with steps in common, one that ends may take along what the other has just joined. One that we have
    ended fails in another way when it is begun again.
    """
    return isinstance(failure, BuildError) and failure.saw.endswith("context canceled")


def build_with(builder: Builder, request: BuildRequest) -> None:
    """Build with a builder that may be a plugin's.

    Raises:
        BuildError: an instruction failed.
        CapabilityError: the builder cannot do what is asked for.
        EngineError: the engine failed.
    """
    lacking = None if isinstance(builder, Ladder) else builder.lacks(request)
    if lacking is not None:
        raise CapabilityError(
            f"{request.title} cannot be built with {builder.name}: it lacks {lacking}",
            saw=f"pytest_dockerkit_builder gave {builder!r}",
            mend="let the hook return None for the plugin's own builders, or drop what the builder lacks",
        )
    builder.build(request)
