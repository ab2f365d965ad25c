"""The shared image cache: an image is built or pulled once, whoever asks for it first.

The engine is the cache. What a build would give is known by the fingerprint of all that goes into it; an
image of that name is that build's result. Beside it there is only a lock file for each fingerprint.
"""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, assert_never

from filelock import FileLock, Timeout

from pytest_dockerkit._engine.base import BuildRequest
from pytest_dockerkit._engine.context import BuildContext, fingerprint, read_context
from pytest_dockerkit._names import FINGERPRINT_LABEL, slug
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._spec.image import ImageSpec
from pytest_dockerkit._spec.refs import FixtureRef, ImageHandle
from pytest_dockerkit.errors import CapabilityError, EngineError, ImageNotFoundError, LockError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.image import ImageRequest

#: The name that built images get; the fingerprint is the tag.
REPOSITORY = "pytest-dockerkit"

#: How long another process may build or pull one image, in seconds.
LOCK_TIMEOUT_S = 1800


class ImageStore:
    """Finds, pulls and builds images for one process of a run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[object, str | None], Image] = {}

    def get(self, request: ImageRequest, *, pull: str | None = None, platform: str | None = None) -> Image:
        """Give an image, made if need be.

        Args:
            request: a reference, an anchored spec, or an image.
            pull: when it is pulled; None takes the run's setting.
            platform: for a reference, the platform to pull.

        Raises:
            ImageNotFoundError: it cannot be pulled.
            BuildError: it cannot be built.
        """
        if isinstance(request, Image):
            return request
        key = (request, platform)
        if key not in self._known:
            self._known[key] = self._make(request, pull, platform)
        return self._known[key]

    def _make(self, request: ImageRequest, pull: str | None, platform: str | None) -> Image:
        if isinstance(request, str):
            return self._pulled(request, pull or self._session.settings.pull, platform)
        if isinstance(request, ImageSpec):
            return self._built(request)
        if isinstance(request, ImageHandle | FixtureRef):
            raise SpecError(
                "an image of another kind was given",
                saw=repr(request),
                mend="an image that this plugin has made",
            )
        assert_never(request)

    def _pulled(self, reference: str, policy: str, platform: str | None) -> Image:
        images = self._session.engine.images
        facts = images.find(reference)
        if facts is not None and policy != "always":
            return Image(self._session, facts, reference, cached=True)
        if policy == "never":
            raise ImageNotFoundError(
                f"the image {reference} is not on the engine, and pulling is switched off",
                saw="pull='never'",
                mend=f"docker pull {reference}, or pull='missing' (--dockerkit-pull=missing)",
            )
        with self._lock(f"pull-{slug(reference)}"):
            # Whoever held the lock may have pulled it while we waited; "always" means once for each process.
            facts = images.find(reference) if policy == "missing" else None
            if facts is None:
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
            if images.find(reference) is not None:
                failure.what = f"the image {reference} is on the engine, but cannot be pulled anew"
                failure.mend = f"pull='missing' takes the one that is there; else {failure.mend}"
            raise

    def _built(self, spec: ImageSpec) -> Image:
        _refuse_what_cannot_be_done(spec)
        context = read_context(spec)
        digest = fingerprint(spec, context, self._base_ids(spec))
        name = f"{REPOSITORY}:{digest[:32]}"
        image = None if self._session.must_rebuild(digest) else self._find(name, spec)
        if image is None:
            with self._lock(digest[:32]):
                image = None if self._session.must_rebuild(digest) else self._find(name, spec)
                if image is None:
                    image = self._build(spec, context, digest, name)
        for tag in spec.tags:
            self._session.engine.images.tag(image.id, tag)
        if spec.tags:
            # Looked at again, for its new names.
            facts = self._session.engine.images.find(name) or {}
            image = Image(self._session, facts, name, cached=image.cached, title=image.title)
        if image.cached:
            self._session.note("cached", name)
        return image

    def _find(self, name: str, spec: ImageSpec) -> Image | None:
        facts = self._session.engine.images.find(name)
        return None if facts is None else Image(self._session, facts, name, cached=True, title=_title(spec))

    def _build(self, spec: ImageSpec, context: BuildContext, digest: str, name: str) -> Image:
        engine = self._session.engine
        engine.builder.build(
            BuildRequest(
                title=_title(spec),
                context=context,
                target=spec.target,
                args={key: str(value) for key, value in spec.build_args.items()},
                labels={**spec.labels, FINGERPRINT_LABEL: digest},
                tags=[name],
                platform=spec.platform,
                cache_from=spec.cache_from,
                by_hand=_by_hand(spec),
            )
        )
        self._session.note("built", name)
        self._session.was_rebuilt(digest)
        facts = engine.images.find(name)
        if facts is None:
            raise EngineError(
                f"building {_title(spec)} gave no image",
                saw=f"the engine reports success, but has no {name}",
                mend="look at the engine's log; it may be out of disk space",
            )
        return Image(self._session, facts, name, cached=False, title=_title(spec))

    def _base_ids(self, spec: ImageSpec) -> dict[str, str]:
        """Find, and pull if need be, the images that a build stands on: a new base is a new image."""
        policy = spec.pull or self._session.settings.pull
        return {
            reference: self.get(reference, pull=policy, platform=spec.platform).id
            for reference in spec.stages().base_images(spec.target)
            # What a variable of BuildKit's own leaves open is for the builder to find.
            if reference and "$" not in reference
        }

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        path: Path = self._session.settings.directory("locks") / f"{name}.lock"
        try:
            # The file stays: unlinking a held lock splits those who wait across two files.
            with FileLock(path, timeout=LOCK_TIMEOUT_S):
                yield
        except Timeout:
            raise LockError(
                f"another process has been making the image for {LOCK_TIMEOUT_S} s",
                saw=f"lock {path}",
                mend="find who holds it (`fuser` on the file), and end it",
            ) from None


def _refuse_what_cannot_be_done(spec: ImageSpec) -> None:
    given = {"build_secrets": spec.build_secrets, "ssh": spec.ssh, "cache_to": spec.cache_to}
    for name, value in given.items():
        if value:
            raise CapabilityError(
                f"{name}= cannot be used over the Engine API, which is all that this version builds with",
                saw=f"{name}= for {_title(spec)}",
                mend="build that image by hand, and name it with image=",
            )


def _title(spec: ImageSpec) -> str:
    place = "dockerfile_text" if spec.context is None else spec.context.name or str(spec.context)
    return place + (f" (target {spec.target})" if spec.target else "")


def _by_hand(spec: ImageSpec) -> str:
    argv = ["docker", "build"]
    argv += ["--target", spec.target] if spec.target else []
    for key in spec.build_args:
        argv += ["--build-arg", f"{key}={spec.build_args[key]}"]
    argv += ["--platform", spec.platform] if spec.platform else []
    argv += ["-f", "-" if spec.dockerfile_text is not None else str(spec.dockerfile)]
    return shlex.join([*argv, str(spec.context or ".")])
