"""References of images: what their short forms stand for."""

from __future__ import annotations

import re
from typing import NamedTuple

from pytest_dockerkit.errors import SpecError

#: The registry of references that name none, and where its own images are.
#: Source: distribution/reference, normalize.go: defaultDomain, officialRepoPrefix, splitDockerDomain.
HUB = "docker.io"
_OFFICIAL = "library/"
#: What Docker takes for it as well, and what else people know it by.
_HUB_ONCE = "index.docker.io"
_HUB_TOO = (_HUB_ONCE, "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com")

# All patterns are texts: `re` compiles them where they are first used, and most runs use one of them.
_ID = r"sha256:[a-f0-9]{64}|[a-f0-9]{64}"
DIGEST = r"sha256:[a-f0-9]{64}"

#: A part of a path, and the host that it begins with.
#: Source: distribution/reference, regexp.go: pathComponent, domainAndPort.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH = rf"{_PART}(?:/{_PART})*"
#: The longest that a repository's name may be, in characters.
#: Source: distribution/reference, reference.go: NameTotalLengthMax, later RepositoryNameTotalLengthMax.
_LONGEST_NAME = 255


class Reference(NamedTuple):
    """A reference with all that it leaves out.

    Attributes:
        registry: the host, with its port if one is named.
        path: where the image is there.
        tag: its tag; None if there is none beside the digest.
        digest: its digest; None without one.
    """

    registry: str
    path: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        """What it is called without tag and digest, in full: `docker.io/library/redis`."""
        return f"{self.registry}/{self.path}"

    @property
    def short_name(self) -> str:
        """What it is called without tag and digest, as Docker shows it: `redis`."""
        return self.path.removeprefix(_OFFICIAL) if self.registry == HUB else self.name

    @property
    def short(self) -> str:
        """The reference as Docker shows it: `redis:7`."""
        return self.short_name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def at(self, digest: str) -> str:
        """Name it by a digest, which no tag moves: `redis@sha256:…`."""
        return f"{self.short_name}@{digest}"

    def mirrored(self, mirror: str) -> Reference:
        """Say where a mirror of its registry has it."""
        registry, _, prefix = mirror.partition("/")
        return self._replace(registry=registry, path=f"{prefix}/{self.path}" if prefix else self.path)


def is_id(text: str) -> bool:
    """Tell whether this is the whole id of an image, which is in no registry."""
    return re.fullmatch(_ID, text) is not None


def parse(text: str) -> Reference:
    """Read a reference as Docker does; whether it is well formed is for others to say."""
    named, _, digest = text.partition("@")
    registry, slash, path = named.partition("/")
    if not slash or not _names_a_host(registry):
        registry, path = HUB, named
    head, colon, tag = path.rpartition(":")
    # A colon before a slash is none of a tag's.
    if colon and "/" not in tag:
        path = head
    else:
        tag = ""
    registry = HUB if registry == _HUB_ONCE else registry
    if registry == HUB and "/" not in path:
        path = _OFFICIAL + path
    return Reference(registry, path, tag or (None if digest else "latest"), digest or None)


def check_registry(setting: str, text: str, example: str) -> str:
    """Take the host of a registry, with or without a port; Docker Hub has several, of which its own is given.

    Raises:
        SpecError: it is none.
    """
    if re.fullmatch(_HOST, text) and _names_a_host(text):
        return HUB if text.lower() in _HUB_TOO else text
    raise _refused(setting, text, "is not the host of a registry", _scheme_hint(text) or example)


def check_place(setting: str, text: str, example: str, *, path_needed: bool) -> str:
    """Take a registry's host with a path on it, below which there are images.

    Args:
        setting: what it was given in.
        text: what was given.
        example: what it should look like.
        path_needed: whether the host alone is too little.

    Raises:
        SpecError: it cannot be the beginning of a reference.
    """
    host, slash, path = text.partition("/")
    hint = _scheme_hint(text)
    if hint or not re.fullmatch(_HOST, host) or not _names_a_host(host):
        raise _refused(setting, text, "does not begin with the host of a registry", hint or example)
    if not slash and path_needed:
        raise _refused(setting, text, "names a registry, and no place in it", example)
    if slash and not re.fullmatch(_PATH, path):
        lower = path.lower().strip("/")
        better = f"{host}/{lower}" if re.fullmatch(_PATH, lower) else example
        raise _refused(setting, text, "cannot be the beginning of an image's name", f"lower case, no tag: {better}")
    if len(text) > _LONGEST_NAME:
        raise _refused(setting, text[:60] + "…", f"is longer than {_LONGEST_NAME} characters", example)
    return text


def _names_a_host(first: str) -> bool:
    """Tell whether the first part of a reference is a registry's host."""
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def _scheme_hint(text: str) -> str:
    scheme, found, rest = text.partition("://")
    return f"{rest}, without {scheme}://" if found else ""


def _refused(setting: str, text: str, why: str, mend: str) -> SpecError:
    return SpecError(f"{setting} {why}", saw=repr(text), mend=mend)
