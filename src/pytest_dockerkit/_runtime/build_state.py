"""All that goes into an image, at one moment."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._runtime.kept_errors import keep_error, raise_kept
from pytest_dockerkit.errors import BuildError, SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.context import BuildContext, ContextMovedError
    from pytest_dockerkit._spec.image import ImageSpec
    from pytest_dockerkit._spec.settled import BaseFacts

#: The name that built images get; the fingerprint is the tag.
REPOSITORY = "pytest-dockerkit"


class Bases(NamedTuple):
    """The images that a build stands on.

    Attributes:
        ids: their ids, by the reference with its platform.
        facts: what of them matters for what a build uses, by the reference.
        replaced: what they are called on the engine, by the reference with its platform; empty where that is what
            the Dockerfile says.
        unsure: whether the build may stand on what is not known before: a variable leaves an image open, or an
            `ONBUILD` of one takes something from elsewhere.
    """

    ids: Mapping[str, str]
    facts: Mapping[str, BaseFacts]
    replaced: Mapping[str, str]
    unsure: bool


class State(NamedTuple):
    """All that goes into an image, at one moment.

    Attributes:
        spec: what is wanted.
        context: its files.
        digest: the fingerprint of it all.
        unsure: whether it may depend on what is in no fingerprint, as what `ADD` takes from a URL: then the builder
            is asked, which knows whether that has changed.
    """

    spec: ImageSpec
    context: BuildContext
    digest: str
    unsure: bool

    def is_that_of(self, other: State) -> bool:
        """Tell whether nothing has changed between the two, not even there and back again."""
        return self.digest == other.digest and self._touched() == other._touched()

    def _touched(self) -> list[tuple[str, int, int, int]]:
        return [
            (path, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
            for path, status in self.context.members
            if not stat.S_ISDIR(status.st_mode)
        ]

    @property
    def tag(self) -> str:
        """The part of the fingerprint that names the image and its lock."""
        return self.digest[:32]

    @property
    def name(self) -> str:
        """The name that the image gets."""
        return f"{REPOSITORY}:{self.tag}"


def never_at_rest(spec: ImageSpec, moved: ContextMovedError) -> SpecError:
    """Make the error that a context cannot be read since files vanish."""
    return SpecError(
        "files of the build context vanish while they are read",
        saw=f"{moved} in {spec.context}",
        mend="name in the ignore file what is written there while tests run, such as **/__pycache__",
    )


@contextmanager
def kept_failure(path: Path) -> Iterator[None]:
    """Raise the error of a build that has failed in this run, in whichever process; else keep that of the block.

    Args:
        path: where it is kept, in the run's directory.

    Raises:
        BuildError: as it was told first.
    """
    raise_kept(path, BuildError)
    try:
        yield
    except BuildError as failure:
        keep_error(path, failure)
        raise
