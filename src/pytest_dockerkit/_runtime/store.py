"""The shared image cache: an image is built or pulled once, whoever asks for it first."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.pulls import Pulls
from pytest_dockerkit._spec.image import ImageSpec
from pytest_dockerkit._spec.refs import FixtureRef, ImageHandle
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.builds import Builds
    from pytest_dockerkit._runtime.elsewhere import Elsewhere
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.declared import Declared, DeclaredImage
    from pytest_dockerkit._spec.image import ImageRequest


class ImageStore:
    """Finds, pulls and builds images for one process of a run.

    Attributes:
        pulls: those that are named by a reference.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.pulls = Pulls(session)
        self._builds: Builds | None = None
        self._elsewhere: Elsewhere | None = None
        #: Held while that is made: what a process has built is known in one place.
        self._making = threading.Lock()
        self._locks: defaultdict[ImageSpec, threading.RLock] = defaultdict(threading.RLock)

    @property
    def builds(self) -> Builds:
        """Those that are made of a Dockerfile."""
        with self._making:
            if self._builds is None:
                # Reading Dockerfiles and contexts takes 20 ms to import, and many runs build nothing.
                from pytest_dockerkit._runtime.builds import Builds

                self._builds = Builds(self._session, self)
            return self._builds

    @property
    def elsewhere(self) -> Elsewhere:
        """Those that are elsewhere."""
        with self._making:
            if self._elsewhere is None:
                # Most images are on the engine.
                from pytest_dockerkit._runtime.elsewhere import Elsewhere

                self._elsewhere = Elsewhere(self._session)
            return self._elsewhere

    def close(self) -> None:
        """Close the connections to other engines."""
        if self._elsewhere is not None:
            self._elsewhere.close()

    def get(self, request: ImageRequest, *, pull: str | None = None, platform: str | None = None) -> Image:
        """Give an image, made if need be.

        Args:
            request: a reference, an anchored spec, the name of an image that the project declares, or an image.
            pull: when it is pulled; None takes the run's setting.
            platform: for a reference, the platform to pull.

        Raises:
            ImageNotFoundError: it cannot be pulled.
            BuildError: it cannot be built.
        """
        if isinstance(request, Image):
            return request
        if isinstance(request, str):
            images = self._session.settings.images
            declared = _declared(images, request)
            if isinstance(declared, ImageSpec):
                return self._built(_for(declared, platform))
            if declared is not None:
                request = declared.reference
            return self.pulls.get(request, pull or self._session.settings.pull, platform)
        if isinstance(request, ImageSpec):
            return self._built(_for(request, platform))
        if isinstance(request, ImageHandle | FixtureRef):
            raise SpecError(
                "an image of another kind was given",
                saw=repr(request),
                mend="an image that this plugin has made",
            )
        assert_never(request)

    def _built(self, spec: ImageSpec) -> Image:
        """Give the image of a spec; the test that wants it waits for what is made ahead of it."""
        with self._making:
            one_at_a_time = self._locks[spec]
        with one_at_a_time:
            return self.builds.get(spec)


def _declared(images: Declared, reference: str) -> DeclaredImage | None:
    if not images:
        # Many projects declare none, and reading TOML takes 5 ms to import.
        return None
    from pytest_dockerkit._spec.declared import find

    name = find(images, reference)
    return None if name is None else images[name]


def _for(spec: ImageSpec, platform: str | None) -> ImageSpec:
    """Build an image for the platform that it is wanted for.

    Raises:
        SpecError: it is to be built for another.
    """
    if platform is None or spec.platform == platform:
        return spec
    if spec.platform is None:
        return replace(spec, platform=platform)
    raise SpecError(
        "an image is built for one platform and wanted for another",
        saw=f"platform={spec.platform!r} of the image, platform={platform!r} of the container",
        mend="say it once, or the same in both places",
    )
