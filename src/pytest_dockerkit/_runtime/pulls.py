"""Images by reference: found on the engine, or pulled."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_dockerkit._engine.images import is_for, platform_of
from pytest_dockerkit._names import FINGERPRINT_LABEL, nearest, slug
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.kept_errors import keep_error, raise_kept
from pytest_dockerkit._runtime.locks import image_lock
from pytest_dockerkit._runtime.progress import note_image
from pytest_dockerkit._spec.reference import HUB, is_id, parse
from pytest_dockerkit.errors import ImageNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_dockerkit._engine.base import Progress
    from pytest_dockerkit._engine.images import Images
    from pytest_dockerkit._runtime.registries import Refusals, Registries
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.lockfile import LockFile

T = TypeVar("T")
Facts = dict[str, Any]

#: Of images for another platform than that of the image which has the name that they were asked for by.
_PLATFORMS = "pytest-dockerkit-platform"


class Pulls:
    """Finds and pulls images for one process of a run.

    Attributes:
        registries: where they are pulled from.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        #: What was given last, by reference, pull policy and platform.
        self._given: dict[tuple[str, str, str | None], Image] = {}
        #: What "always" has pulled, by reference and platform.
        self._fresh: set[tuple[str, str | None]] = set()

    @cached_property
    def registries(self) -> Registries:
        """Where they are pulled from."""
        # Here and below: what speaks to registries takes 5 ms to import, and most images are on the engine.
        from pytest_dockerkit._runtime.registries import Registries

        return Registries(self._session)

    def get(self, reference: str, policy: str, platform: str | None) -> Image:
        """Give the image that a reference stands for at this moment; the same object while that is the same image.

        The engine is asked each time, as a tag may be moved by anybody while tests run. The registry is asked once in
        each process with the policy always, and with the others where the engine does not have the image.

        One that has a digest, of its own or in the lock file, is taken by it: its `reference` is then
        `name@sha256:…`, and no tag is moved.

        Args:
            reference: as it is written.
            policy: when it is pulled: missing, always, never or locked. Where the run's setting is locked, a digest
                is needed whatever the policy.
            platform: the platform to pull, or None for the engine's own.

        Raises:
            ImageNotFoundError: it cannot be pulled, or has to be in the lock file and is not.
            SpecError: the lock file makes no sense.
        """
        is_fresh = policy == "always" and (reference, platform) in self._fresh
        image = self._got(reference, "missing" if is_fresh else policy, platform)
        if policy == "always":
            self._fresh.add((reference, platform))
        for each in ("always", policy):
            known = self._given.get((reference, each, platform))
            if known is not None and (known.id, known.reference) == (image.id, image.reference):
                return known
        self._given[reference, policy, platform] = image
        return image

    def _got(self, reference: str, policy: str, platform: str | None) -> Image:
        if is_id(reference):
            return self._by_id(reference)
        digest = parse(reference).digest
        if digest is None and "locked" in (policy, self._session.settings.pull):
            digest = self._locked(reference)
            # Without a digest it was built here.
            policy = "never" if digest is None else policy
        if digest is None:
            return self._by_tag(reference, policy, platform)
        return self._by_digest(reference, digest, policy, platform)

    @property
    def _images(self) -> Images:
        return self._session.engine.images

    def _by_id(self, image_id: str) -> Image:
        facts = self._images.find(image_id)
        if facts is None:
            raise ImageNotFoundError(
                f"the image {image_id} is not on the engine",
                saw="an id, by which nothing can be pulled",
                mend="name it as its registry does: name:tag, or name@sha256:… with its digest there",
            )
        return self._present(facts, image_id, image_id)

    # By a tag

    def _by_tag(self, reference: str, policy: str, platform: str | None) -> Image:
        there = self._images.find(reference)
        if policy != "always" and (found := self._taken(there, reference, platform)) is not None:
            return found
        if policy == "never":
            raise self._switched_off(reference, there, platform)
        with self._pulling(reference, reference) as tell:
            began = time.monotonic()
            # Whoever held the lock may have pulled it while we waited; "always" means once for each process.
            there = self._images.find(reference)
            if policy != "always" and (found := self._taken(there, reference, platform)) is not None:
                return found
            if policy == "missing" and there is None and (found := self._copied(reference, platform)) is not None:
                return found
            name = self._ask(reference, platform, lambda: self._pull(there, reference, platform, tell))
            return self._pulled(name, reference, platform, began)

    def _copied(self, reference: str, platform: str | None) -> Image | None:
        """Copy it from another engine of the run, so that all tests have the same."""
        if not self._session.settings.pool:
            return None
        return self._session.images.elsewhere.copied(parse(reference).short, reference, platform)

    def _taken(self, there: Facts | None, reference: str, platform: str | None) -> Image | None:
        """Take the image that is there, if it is for that platform; or the one beside it that is."""
        if there is None or _is_for(there, platform):
            return None if there is None else self._present(there, reference, reference)
        beside = _beside(reference, platform)
        facts = self._images.find(beside)
        return None if facts is None else self._present(facts, beside, reference)

    def _pull(
        self, there: Facts | None, reference: str, platform: str | None, tell: Callable[[Progress], None]
    ) -> str:
        """Pull it, and give the name that it has now: its own may be kept by an image for another platform."""
        if there is None or _is_for(there, platform):
            self.registries.pull(reference, platform, tell)
            return reference
        beside = _beside(reference, platform)
        if not self._pull_beside(beside, reference, platform, tell):
            self._pull_with_the_name(there["Id"], beside, reference, platform, tell)
        return beside

    def _pull_beside(
        self, beside: str, reference: str, platform: str | None, tell: Callable[[Progress], None]
    ) -> bool:
        """Pull it by its digest, so that no tag is moved; tells whether that went."""
        from pytest_dockerkit._runtime.registries import Refusals

        try:
            digest = self.registries.digest(reference)
            name = self.registries.pull_digest(reference, digest, platform, tell)
        except Refusals as refusals:
            if not refusals.tag_may_do:
                raise
            return False
        facts = self._images.find(name)
        # An engine may have several platforms by one digest, and show another of them.
        if facts is None or not _is_for(facts, platform):
            return False
        self._images.tag(facts["Id"], beside)
        return True

    def _pull_with_the_name(
        self, there: str, beside: str, reference: str, platform: str | None, tell: Callable[[Progress], None]
    ) -> None:
        """Pull it by its tag, and give the name back to the image that had it, whatever happens."""
        try:
            self.registries.pull(reference, platform, tell)
            facts = self._images.find(reference)
            if facts is not None:
                self._images.tag(facts["Id"], beside)
        finally:
            self._images.tag(there, reference)

    # By a digest

    def _by_digest(self, reference: str, digest: str, policy: str, platform: str | None) -> Image:
        exact = parse(reference)._replace(digest=digest).short
        if (found := self._with_digest(reference, digest, platform)) is not None:
            return found
        if policy == "never":
            raise self._switched_off(exact, self._images.find(exact), platform)
        with self._pulling(exact, reference) as tell:
            began = time.monotonic()
            if (found := self._with_digest(reference, digest, platform)) is not None:
                return found
            name = self._ask(exact, platform, lambda: self.registries.pull_digest(reference, digest, platform, tell))
            return self._pulled(name, reference, platform, began)

    def _with_digest(self, reference: str, digest: str, platform: str | None) -> Image | None:
        """Find an image by its digest, under the name of the registry or of a mirror that it came from."""
        for place in reversed(self.registries.places(reference)):
            name = place.reference.at(digest)
            facts = self._images.find(name)
            if facts is not None and _is_for(facts, platform):
                return self._present(facts, name, reference)
        return None

    def _locked(self, reference: str) -> str | None:
        """Give the digest that a reference is held to; None for an image that the plugin has built here."""
        path = self._session.settings.lock_file
        there = path is not None and path.exists()
        digest = self._lock_file.digest_of(parse(reference)) if there else None
        if digest is not None or self._is_built(reference):
            return digest
        saw = f"{path}, which has {len(self._lock_file.digests)} images" if there else f"{path} does not exist"
        raise ImageNotFoundError(
            f"the image {reference} is not in the lock file",
            saw=saw,
            mend=self._did_you_mean(reference, "dockerkit lock, which writes down the digests of all images"),
        )

    @cached_property
    def _lock_file(self) -> LockFile:
        from pytest_dockerkit._spec import lockfile

        path = self._session.settings.lock_file
        assert path is not None  # noqa: S101  - asked for only where there is one
        return lockfile.read(path)

    def _is_built(self, reference: str) -> bool:
        """Tell whether the plugin has built it on this engine: what went into it is known, and no registry has it."""
        facts = self._images.find(reference) or {}
        labels = (facts.get("Config") or {}).get("Labels") or {}
        # Containerd's image store gives a digest to what was never at a registry too.
        is_local = parse(reference).registry == HUB or not facts.get("RepoDigests")
        return FINGERPRINT_LABEL in labels and is_local

    # What both do

    @contextmanager
    def _pulling(self, wanted: str, title: str) -> Iterator[Callable[[Progress], None]]:
        """Be the only process that pulls it, and show how far that has come."""
        progress = self._session.progress
        with ExitStack() as until_pulled:
            with progress.task("waiting for another process to pull", title):
                until_pulled.enter_context(image_lock(self._session.settings, f"pull-{slug(parse(wanted).short)}"))
            yield until_pulled.enter_context(progress.task("pulling", title)).tell

    def _present(self, facts: Facts, name: str, title: str) -> Image:
        return Image(self._session, facts, name, cached=True, title=title)

    def _pulled(self, name: str, title: str, platform: str | None, began: float) -> Image:
        facts = self._images.find(name)
        if facts is None:
            raise ImageNotFoundError(
                f"the image {title} was pulled, but the engine does not have it",
                saw=f"platform={platform!r}",
                mend="look at `docker images`; something else may be removing images",
            )
        image = Image(self._session, facts, name, cached=False, title=title)
        note_image(self._session, "pulled", image, time.monotonic() - began)
        return image

    def _ask(self, wanted: str, platform: str | None, ask: Callable[[], T]) -> T:
        from pytest_dockerkit._runtime.registries import Refusals

        given_up = self._session.directory / f"not-pulled-{_hash(wanted, platform)}"
        raise_kept(given_up, ImageNotFoundError)
        try:
            return ask()
        except Refusals as refusals:
            failure = self._not_pulled(wanted, platform, refusals)
            if refusals.tries > 1:
                # Each test that wants it would try as often, and wait as long.
                keep_error(given_up, failure)
            raise failure from None

    def _not_pulled(self, wanted: str, platform: str | None, refusals: Refusals) -> ImageNotFoundError:
        from pytest_dockerkit._engine.registry import Kind

        there = self._images.find(wanted)
        if there is None:
            # What these answers say of it may mean that it is nowhere.
            elsewhere = refusals.last.kind in (Kind.MISSING, Kind.UNREACHABLE, Kind.OTHER)
            failure = refusals.error(f"the image {wanted} is not on the engine and cannot be pulled")
            other = "; or load or build it first" if elsewhere else ""
            failure.mend = self._did_you_mean(wanted, failure.mend + other)
        elif _is_for(there, platform):
            failure = refusals.error(f"the image {wanted} is on the engine, but cannot be pulled anew")
            failure.mend = f"pull='missing' takes the one that is there; else {failure.mend}"
        else:
            has = platform_of(there)
            failure = refusals.error(
                f"the image {wanted} is on the engine for {has} alone, and cannot be pulled for {platform}"
            )
            failure.mend = f"another platform, or none, takes the one that is there; else {failure.mend}"
        return failure

    def _switched_off(self, wanted: str, there: Facts | None, platform: str | None) -> ImageNotFoundError:
        at = f"--platform {platform} " if there is not None else ""
        where = "not on the engine" if there is None else f"on the engine for {platform_of(there)} alone"
        return ImageNotFoundError(
            f"the image {wanted} is {where}, and pulling is switched off",
            saw="pull='never'" + (f" with platform={platform!r}" if there is not None else ""),
            mend=self._did_you_mean(
                wanted, f"docker pull {at}{wanted}, or pull='missing' (--dockerkit-pull=missing)"
            ),
        )

    def _did_you_mean(self, wanted: str, mend: str) -> str:
        """Name the image of the project that was probably meant."""
        reference = parse(wanted)
        best = nearest(reference.short_name, self._session.settings.images) if reference.registry == HUB else None
        return f"did you mean {best!r}? else {mend}" if best else mend


def _is_for(facts: Facts, platform: str | None) -> bool:
    return platform is None or is_for(facts, platform)


def _beside(reference: str, platform: str | None) -> str:
    """Name an image for a platform, beside the one for another that has its name."""
    return f"{_PLATFORMS}:{slug(f'{reference} {platform}')}-{_hash(parse(reference).short, platform)}"


def _hash(*parts: str | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
