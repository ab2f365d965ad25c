"""The marker's arguments, as a request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit._spec.image import ImageSpec
from pytest_dockerkit._spec.keywords import make_spec, refuse_unknown, spec_fields
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: pytest's scopes, from the widest to the narrowest.
SCOPES = ("session", "package", "module", "class", "function")

#: The name of a container whose marker gives none.
DEFAULT_NAME = "container"

#: The keywords that say what to build; those that containers have as well go to both.
BUILD_KEYWORDS = (
    "build",
    "dockerfile",
    "dockerfile_text",
    "target",
    "build_args",
    "build_secrets",
    "cache_from",
    "cache_to",
    "ssh",
    "tags",
)
_BOTH = ("platform", "pull")


@dataclass(frozen=True)
class ContainerRequest:
    """A container that a marker asks for.

    Attributes:
        name: its name in `containers`, and its alias.
        spec: what is to run.
        scope: for how long, in pytest's words.
        per_worker: whether each xdist worker has one of its own, also where the scope is the session.
    """

    name: str
    spec: ContainerSpec
    scope: str
    per_worker: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the containers that must be ready before it starts."""
        return tuple(each for each in self.spec.depends_on if isinstance(each, str))


def read_marker(args: Sequence[Any], kwargs: Mapping[str, Any], base: Path) -> ContainerRequest:
    """Read what a marker was given.

    Args:
        args: its positional arguments.
        kwargs: its keywords.
        base: where relative paths start.

    Raises:
        SpecError: a keyword, a type or a value is wrong.
    """
    given = dict(kwargs)
    scope = checks.one_of("scope", given.pop("scope", "function"), SCOPES)
    per_worker = checks.flag("per_worker", given.pop("per_worker", False))
    refuse_unknown(given, (*spec_fields(), *BUILD_KEYWORDS, "scope", "per_worker"))
    if len(args) > 1:
        raise SpecError(
            "the container marker takes one image",
            saw=", ".join(map(repr, args)),
            mend="one marker for each container",
        )
    if args:
        if "image" in given:
            raise SpecError(
                "the image is given twice",
                saw=f"{args[0]!r} and image={given['image']!r}",
                mend="give one of them",
            )
        given["image"] = args[0]
    spec = container_from(given).anchored(base)
    return ContainerRequest(spec.name or DEFAULT_NAME, spec, scope, per_worker)


def container_from(given: Mapping[str, Any]) -> ContainerSpec:
    """Make a container's spec from keywords of both kinds: what to build, and how to run it.

    Raises:
        SpecError: a keyword, a type or a value is wrong.
    """
    fields = {key: value for key, value in given.items() if key not in BUILD_KEYWORDS}
    refuse_unknown(fields, (*spec_fields(), *BUILD_KEYWORDS))
    build = {key: value for key, value in given.items() if key in BUILD_KEYWORDS}
    image = fields.get("image")
    if build:
        if image is not None:
            named = repr(image) if isinstance(image, str) else f"of type {type(image).__name__}"
            raise SpecError(
                "an image to be used and one to be built are both given",
                saw=f"image {named} and {', '.join(checks.shown(key, value) for key, value in build.items())}",
                mend="give one of them",
            )
        shared = {key: fields[key] for key in _BOTH if key in fields}
        fields["image"] = ImageSpec(**build, **shared)
    elif isinstance(image, ContainerSpec):
        del fields["image"]
        return replace(image, **fields)
    return make_spec(fields)
