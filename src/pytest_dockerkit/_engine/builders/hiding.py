"""A Dockerfile that the classic builder reads, and that the build does not see."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._spec.ignore import IgnoreRules

if TYPE_CHECKING:
    from pytest_dockerkit._engine.context import BuildContext

_IGNORE_FILE = ".dockerignore"


class Hidden(NamedTuple):
    """A context as the classic builder is to get it.

    Attributes:
        context: with the name under which its Dockerfile is sent.
        ignore_file: whether the archive needs an ignore file that hides it, and itself.
    """

    context: BuildContext
    ignore_file: bool


def hidden(context: BuildContext, text: str) -> Hidden | None:
    """Find a way to send a Dockerfile that no instruction sees; None if there is none.

    The builder removes the Dockerfile and the ignore file of an archive where the ignore file names them. One that
    the context has must stay as it is: the build may copy it. Then the Dockerfile gets a name that its rules exclude.
    Source: moby, builder/remotecontext/detect.go, removeDockerfile.

    Args:
        context: the files.
        text: what is sent as the Dockerfile; one that is a member of the context stays there as it is.
    """
    if text == context.dockerfile if not context.added else not context.shown:
        return Hidden(context, ignore_file=False)
    own = f".dockerkit.{hashlib.sha256(text.encode()).hexdigest()[:12]}.Dockerfile"
    if not any(each.path == _IGNORE_FILE for each in context.members):
        return Hidden(context._replace(dockerfile_name=own, added=True), ignore_file=True)
    name = next(_excluded_names(context, own), None)
    return None if name is None else Hidden(context._replace(dockerfile_name=name, added=True), ignore_file=False)


def _excluded_names(context: BuildContext, own: str) -> Iterator[str]:
    """Give names that the context's ignore file excludes, and under which there is nothing."""
    assert context.root is not None  # noqa: S101  - there are no members without a root
    text = (context.root / _IGNORE_FILE).read_bytes().decode(errors="surrogateescape")
    rules = IgnoreRules.read(text, _IGNORE_FILE)
    taken = {each.path for each in context.members}
    directories = {each.path for each in context.members if stat.S_ISDIR(each.status.st_mode)}
    for pattern in (own, *(rule.pattern.text for rule in rules.rules if not rule.negated)):
        name = pattern.removeprefix("**/").replace("*", "dockerkit").replace("?", "d")
        parent = name.rpartition("/")[0]
        if name not in taken and (not parent or parent in directories) and rules.excludes(name):
            yield name
