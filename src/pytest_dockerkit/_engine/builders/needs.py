"""What a request needs that not every builder has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.images import is_for
from pytest_dockerkit._spec.cache import attributes
from pytest_dockerkit._spec.dockerfile import PLATFORM_ARG, declared, without_unneeded_stages
from pytest_dockerkit._spec.instructions import WITH_HEREDOC, Instruction, read
from pytest_dockerkit._spec.run_mounts import mount_fields

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import EngineFacts
    from pytest_dockerkit._engine.build_request import BuildRequest

#: What is lacking where an archive would show the build a Dockerfile that is no part of the context.
ADDED_DOCKERFILE = "a Dockerfile from outside of the context, while an instruction takes all of the context"

#: The flags that BuildKit alone knows; one that is in neither list is a mistake, which any builder tells.
#: Source: moby/buildkit, frontend/dockerfile/instructions/parse.go; moby, builder/dockerfile/dispatchers.go.
_BUILDKIT_FLAGS = {
    "RUN": ("mount", "network", "security", "device"),
    "COPY": ("chmod", "link", "parents", "exclude"),
    "ADD": ("chmod", "link", "checksum", "keep-git-dir", "unpack", "exclude"),
}

_VARIABLE = re.compile(r"\$\{?(\w+)")

#: The mounts whose content comes from the client.
_OF_SESSION = ("secret", "ssh")

#: The oldest API whose own reader of Dockerfiles knows heredocs (Dockerfile syntax 1.4): that of Docker 23.0.
_HEREDOCS_SINCE = (1, 42)

#: The build arg by which BuildKit puts the cache into the image.
#: Source: moby/buildkit, frontend/dockerfile/docs/reference.md; docs.docker.com, inline cache.
_INLINE_CACHE = "BUILDKIT_INLINE_CACHE"


def needed_text(request: BuildRequest) -> str:
    """Give the Dockerfile without the stages that the target does not reach; lines keep their numbers."""
    return without_unneeded_stages(request.context.dockerfile, request.target, request.args)


def beyond_classic(text: str, args: Mapping[str, str]) -> str | None:
    """Name the first thing in a Dockerfile that the classic builder does not have."""
    for each in read(text).instructions:
        beyond = _BUILDKIT_FLAGS.get(each.keyword, ())
        if flag := next((flag for flag in each.flags if flag.name in beyond), None):
            return f"{each.keyword} --{flag.name}"
        if each.keyword in WITH_HEREDOC and each.heredocs:
            return "heredocs"
        # To the classic builder they are variables without a value.
        unset = (name for name in _names(each) if PLATFORM_ARG.fullmatch(name) and name not in args)
        if name := next(unset, None):
            return f"ARG {name}"
    return None


def _names(instruction: Instruction) -> Sequence[str]:
    """Give the variables that an instruction declares, or chooses an image by."""
    if instruction.keyword == "ARG":
        return [name for name, _ in declared(instruction)]
    return _VARIABLE.findall(instruction.text) if instruction.keyword == "FROM" else ()


def lacks_heredocs(text: str, facts: EngineFacts) -> bool:
    """Tell whether there are heredocs, and neither the engine nor a `# syntax=` line brings a reader of them."""
    if facts.api >= _HEREDOCS_SINCE or frontend(text) is not None:
        return False
    return any(each.keyword in WITH_HEREDOC and each.heredocs for each in read(text).instructions)


def mount_of_session(text: str) -> str | None:
    """Name the first mount whose content comes from the client while it builds."""
    mounts = (mount for each in read(text).instructions if each.keyword == "RUN" for mount in each.flag("mount"))
    kinds = (field.value for mount in mounts for field in mount_fields(mount) if field.key == "type")
    return next((f"RUN --mount=type={kind}" for kind in kinds if kind in _OF_SESSION), None)


def frontend(text: str) -> str | None:
    """Give the image that reads the Dockerfile, as a `# syntax=` line names it; None without one."""
    said = dict(read(text).directives).get("syntax")
    # Words after the image are for itself.
    return said.split()[0] if said else None


def scratch_elsewhere(request: BuildRequest, facts: EngineFacts) -> bool:
    """Tell whether an image for another kind of machine than the engine's is made from nothing."""
    if request.platform is None or is_for({"Os": facts.os, "Architecture": facts.arch}, request.platform):
        return False
    return any(
        each.keyword == "FROM" and each.words[:1] == ["scratch"] for each in read(needed_text(request)).instructions
    )


def shows_its_dockerfile(request: BuildRequest) -> bool:
    """Tell whether an instruction may see a Dockerfile that was put into the archive for the builder alone."""
    return request.context.added and request.context.shown


def beyond_a_command(request: BuildRequest) -> str | None:
    """Name what cannot be written as `--label=key=value`: keys that would be cut, or are refused."""
    given = {"labels=": request.labels, "build_args=": request.args}
    odd = (name for name, values in given.items() if any(re.search(r"[\s=]", key) for key in values))
    return next((f"{name} with a key that has blanks or '=' in it" for name in odd), None)


def cache_beyond_references(request: BuildRequest) -> str | None:
    """Name what of the caches is neither a reference to take layers from nor an inline cache."""
    for each in request.cache_from:
        if attributes(each)["type"] != "registry":
            return f"cache_from=type={attributes(each)['type']}"
    for each in request.cache_to:
        if attributes(each)["type"] != "inline":
            return f"cache_to=type={attributes(each)['type']}"
    return None


def cache_references(entries: Sequence[str]) -> Iterator[str]:
    """Give the images that entries of `cache_from=` name."""
    return (said["ref"] for said in map(attributes, entries) if said["type"] == "registry")


def with_inline_cache(request: BuildRequest) -> Mapping[str, str]:
    """Give the build args, with the one that stands for `cache_to=["type=inline"]`."""
    if any(attributes(each)["type"] == "inline" for each in request.cache_to):
        return {**request.args, _INLINE_CACHE: "1"}
    return request.args
