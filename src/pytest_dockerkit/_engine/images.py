"""Verbs on images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.base import Progress, tell_nobody
from pytest_dockerkit._engine.removing import remove_image
from pytest_dockerkit._engine.translate import NotOnEngineError, translated
from pytest_dockerkit._engine.wire import ask, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_dockerkit._engine.client import Client
    from pytest_dockerkit._engine.wire import Wire

#: The kinds of systems that images are for, and other words for architectures.
#: Source: containerd/platforms, database.go.
_SYSTEMS = ("linux", "windows", "darwin", "freebsd")
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm"}


class Images:
    """Verbs on images."""

    def __init__(self, wire: Wire, client: Client) -> None:
        self._wire = wire
        self._client = client

    def find(self, reference: str) -> dict[str, Any] | None:
        """Inspect an image; None if the engine does not have it."""
        try:
            with translated(f"inspect the image {reference}"):
                found: dict[str, Any] = ask(self._wire, "GET", path_of("images", reference, "json"))
                return found
        except NotOnEngineError:
            return None

    def history(self, image_id: str) -> list[dict[str, Any]]:
        """Give the steps that made an image, newest first."""
        with translated(f"read the history of {image_id}"):
            steps: list[dict[str, Any]] = ask(self._wire, "GET", path_of("images", image_id, "history"))
            return steps

    def pull(
        self, reference: str, platform: str | None = None, tell: Callable[[Progress], None] = tell_nobody
    ) -> None:
        """Pull an image, by a tag or a digest.

        Args:
            reference: what to pull.
            platform: for which platform; None is the engine's own.
            tell: hears how far its layers have come.

        Raises:
            RefusedError: the registry does not give it.
        """
        # Here and below: what an image needs that is on the engine is imported without it.
        from pytest_dockerkit._engine.registry import asking, follow

        repository, tag = _split(reference)
        with asking(f"pull {reference}"):
            follow(self._client.api.pull(repository, tag=tag, platform=platform, stream=True, decode=True), tell)

    def push(self, name: str, tell: Callable[[Progress], None] = tell_nobody) -> None:
        """Push an image by a name that it has.

        Raises:
            RefusedError: the registry does not take it.
        """
        from pytest_dockerkit._engine.registry import asking, follow

        repository, tag = _split(name)
        with asking(f"push {name}"):
            follow(self._client.api.push(repository, tag=tag, stream=True, decode=True), tell)

    def registry_digest(self, reference: str) -> str:
        """Ask the registry for the digest that a reference stands for there: of the index, where there is one.

        Raises:
            RefusedError: the registry does not have it.
        """
        from pytest_dockerkit._engine.registry import asking

        with asking(f"ask for the digest of {reference}"):
            found = self._client.api.inspect_distribution(reference)  # type: ignore[no-untyped-call]
            return str(found["Descriptor"]["digest"])

    def tag(self, image_id: str, name: str) -> None:
        """Give an image one more name."""
        repository, tag = _split(name)
        with translated(f"tag {image_id} as {name}"):
            ask(self._wire, "POST", path_of("images", image_id, "tag"), query={"repo": repository, "tag": tag})

    def copy(self, reference: str, to: Images, tell: Callable[[Progress], None] = tell_nobody) -> None:
        """Give an image to another engine, under its name; nothing of it is kept on this machine.

        Raises:
            EngineError: one of the two engines fails.
        """
        from pytest_dockerkit._engine.registry import follow

        with translated(f"copy {reference} from another engine"):
            saved = self._client.api.get_image(reference)
            follow(to._client.api.load_image(_told(saved, tell)), tell_nobody)  # type: ignore[no-untyped-call]

    def commit(self, container: str, name: str, labels: dict[str, str]) -> None:
        """Make an image of a container's file system and settings."""
        changes = [f"LABEL {json.dumps(key)}={json.dumps(value)}" for key, value in labels.items()]
        with translated(f"commit {container}"):
            self._client.api.commit(container, repository=name, tag="latest", changes=changes)

    def remove(self, reference: str) -> None:
        """Remove an image's name, and the image if that was its last; one that is gone is no failure."""
        remove_image(self._wire, reference)


def _told(pieces: Iterable[bytes], tell: Callable[[Progress], None]) -> Iterator[bytes]:
    """Pass on an image that is on its way, and tell how much of it has come."""
    done = 0
    for piece in pieces:
        done += len(piece)
        tell(Progress("", done_bytes=done))
        yield piece


def platform_of(facts: Mapping[str, Any]) -> str:
    """Write the platform of an image as Docker does: `linux/arm64`, `linux/arm/v7`."""
    return "/".join(str(facts[key]) for key in ("Os", "Architecture", "Variant") if facts.get(key))


def is_for(facts: Mapping[str, Any], platform: str) -> bool:
    """Tell whether an image is for a platform; a part that one of the two leaves out is no difference."""
    parts = platform.lower().split("/")
    if len(parts) == 1 and parts[0] not in _SYSTEMS:
        # As in `--platform=arm64`.
        parts.insert(0, "")
    said = [str(facts.get(key) or "").lower() for key in ("Os", "Architecture", "Variant")]
    return all(
        not ours or not theirs or _ALIASES.get(ours, ours) == _ALIASES.get(theirs, theirs)
        for ours, theirs in zip(parts, said, strict=False)
    )


def _split(reference: str) -> tuple[str, str | None]:
    """Split off the tag or digest; without one it is `latest`, where the API would pull every tag."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")
