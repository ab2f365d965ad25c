"""Images by reference: found on the engine, or pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.images import is_for, platform_of
from pytest_dockerkit._names import slug
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.locks import image_lock
from pytest_dockerkit.errors import ImageNotFoundError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.session import Session


class Pulls:
    """Finds and pulls images for one process of a run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: By reference, pull policy and platform.
        self._references: dict[tuple[str, str, str | None], Image] = {}

    def forget(self) -> None:
        """Look references up again: a tag was moved, which may be one of them."""
        self._references = {key: each for key, each in [*self._references.items()] if key[1] == "always"}

    def get(self, reference: str, policy: str, platform: str | None) -> Image:
        """Give the image of a reference; it is looked up once, and pulled at most once, in each process.

        Args:
            reference: as it is written.
            policy: when it is pulled: missing, always, never or locked.
            platform: the platform to pull, or None for the engine's own.

        Raises:
            ImageNotFoundError: it cannot be pulled.
        """
        for each in ("always", policy):
            if (known := self._references.get((reference, each, platform))) is not None:
                return known
        image = self._references[reference, policy, platform] = self._pulled(reference, policy, platform)
        return image

    def _pulled(self, reference: str, policy: str, platform: str | None) -> Image:
        images = self._session.engine.images
        there = images.find(reference)
        facts = there if _is_for(there, platform) else None
        if facts is not None and policy != "always":
            return Image(self._session, facts, reference, cached=True)
        if policy == "never":
            at = f"--platform {platform} " if there is not None else ""
            where = "not on the engine" if there is None else f"on the engine for {platform_of(there)} alone"
            raise ImageNotFoundError(
                f"the image {reference} is {where}, and pulling is switched off",
                saw="pull='never'" + (f" with platform={platform!r}" if there is not None else ""),
                mend=f"docker pull {at}{reference}, or pull='missing' (--dockerkit-pull=missing)",
            )
        with image_lock(self._session.settings, f"pull-{slug(reference)}"):
            # Whoever held the lock may have pulled it while we waited; "always" means once for each process.
            facts = images.find(reference) if policy == "missing" else None
            if not _is_for(facts, platform):
                self._pull(reference, platform)
                self._session.note("pulled", reference)
                facts = images.find(reference)
        if facts is None:
            raise ImageNotFoundError(
                f"the image {reference} was pulled, but the engine does not have it",
                saw=f"platform={platform!r}",
                mend="look at `docker images`; something else may be removing images",
            )
        return Image(self._session, facts, reference, cached=False)

    def _pull(self, reference: str, platform: str | None) -> None:
        images = self._session.engine.images
        try:
            images.pull(reference, platform)
        except ImageNotFoundError as failure:
            facts = images.find(reference)
            if facts is not None and not _is_for(facts, platform):
                has = platform_of(facts)
                failure.what = (
                    f"the image {reference} is on the engine for {has} alone, and cannot be pulled for {platform}"
                )
                failure.mend = f"another platform, or none, takes the one that is there; else {failure.mend}"
            elif facts is not None:
                failure.what = f"the image {reference} is on the engine, but cannot be pulled anew"
                failure.mend = f"pull='missing' takes the one that is there; else {failure.mend}"
            raise


def _is_for(facts: dict[str, Any] | None, platform: str | None) -> bool:
    return facts is not None and (platform is None or is_for(facts, platform))
