"""Images of Dockerfiles: found on the engine by their fingerprint, or built.

The engine is the cache. What a build would give is known by the fingerprint of all that goes into it; an
image of that name is that build's result. Beside it there is only a lock file for each fingerprint.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.base import BuildRequest
from pytest_dockerkit._engine.context import BuildContext, fingerprint, read_context
from pytest_dockerkit._names import FINGERPRINT_LABEL
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.locks import image_lock
from pytest_dockerkit.errors import CapabilityError, EngineError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.store import ImageStore
    from pytest_dockerkit._spec.image import ImageSpec

#: The name that built images get; the fingerprint is the tag.
REPOSITORY = "pytest-dockerkit"


class Builds:
    """Finds and builds images for one process of a run."""

    def __init__(self, session: Session, store: ImageStore) -> None:
        self._session = session
        self._store = store
        #: By the name that the plugin gave it, and what it was asked for with.
        self._builds: dict[tuple[str, ImageSpec], Image] = {}
        #: Images of contexts that changed while they were built, for this process.
        self._restless: dict[ImageSpec, Image] = {}
        #: The names of those that the builder was asked for.
        self._asked: set[str] = set()

    def get(self, spec: ImageSpec) -> Image:
        """Give the image of a spec, built if need be.

        What a build is made from may change while tests run, so that its files are looked at each time.

        Raises:
            BuildError: it cannot be built.
            ImageNotFoundError: an image that it stands on cannot be pulled.
        """
        _refuse_what_cannot_be_done(spec)
        if spec in self._restless:
            return self._restless[spec]
        # Once more if the files have changed while they were sent: what was built is of neither state.
        image = self._of_this_state(spec) or self._of_this_state(spec, settle=True)
        assert image is not None  # noqa: S101  - settled
        if stale := [tag for tag in spec.tags if not self._is(tag, image)]:
            for tag in stale:
                self._session.engine.images.tag(image.id, tag)
            # The tag may be a base image that was looked up before.
            self._store.pulls.forget()
            # Looked at again, for its new names.
            facts = self._session.engine.images.find(image.reference) or {}
            image = Image(self._session, facts, image.reference, cached=image.cached, title=image.title)
        key = (image.reference, spec)
        if image.cached and key not in self._builds:
            self._session.note("cached", image.reference)
        self._builds[key] = image
        return image

    def _is(self, reference: str, image: Image) -> bool:
        facts = self._session.engine.images.find(reference)
        return facts is not None and facts["Id"] == image.id

    def _of_this_state(self, spec: ImageSpec, *, settle: bool = False) -> Image | None:
        """Find or build the image of the files as they are now.

        Args:
            spec: what is wanted.
            settle: take what was built though the files have changed meanwhile, for this process alone. Some
                contexts are never at rest: a test run writes its own caches and reports into them.

        Returns:
            the image; None if the files have changed while it was built, and it is not to be taken.
        """
        context = read_context(spec)
        bases = self._base_ids(spec)
        digest = fingerprint(spec, context, bases)
        name = f"{REPOSITORY}:{digest[:32]}"
        image = self._current(name, spec, digest)
        if image is None:
            with image_lock(self._session.settings, digest[:32]):
                image = self._current(name, spec, digest)
                if image is None:
                    image = self._build(spec, context, bases, digest, settle=settle)
        return image

    def _current(self, name: str, spec: ImageSpec, digest: str) -> Image | None:
        """Find an image that can be taken as it is."""
        if self._session.must_rebuild(digest):
            return None
        # What `ADD` takes from elsewhere is in no fingerprint; the builder knows whether it has changed.
        if name not in self._asked and spec.stages().adds_remote(spec.target):
            return None
        return self._find(name, spec)

    def _find(self, name: str, spec: ImageSpec) -> Image | None:
        facts = self._session.engine.images.find(name)
        known = self._builds.get((name, spec))
        if facts is None or (known is not None and known.id == facts["Id"]):
            return None if facts is None else known
        return Image(self._session, facts, name, cached=True, title=_title(spec))

    def _build(
        self, spec: ImageSpec, context: BuildContext, bases: dict[str, str], digest: str, *, settle: bool
    ) -> Image | None:
        engine = self._session.engine
        name = f"{REPOSITORY}:{digest[:32]}"
        # It gets its name last: whoever finds an image of that name takes it for what the fingerprint says.
        unchecked = f"{name}-{self._session.run_id}"
        rebuild = self._session.must_rebuild(digest)
        before = None if rebuild else engine.images.find(name)
        self._session.ledger.making("image", unchecked)
        engine.builder.build(
            BuildRequest(
                title=_title(spec),
                context=context,
                target=spec.target,
                args={key: str(value) for key, value in spec.build_args.items()},
                labels={**spec.labels, FINGERPRINT_LABEL: digest},
                tags=[unchecked],
                platform=spec.platform,
                cache_from=spec.cache_from,
                by_hand=_by_hand(spec),
                nocache=rebuild,
            )
        )
        facts = engine.images.find(unchecked)
        if facts is None:
            raise EngineError(
                f"building {_title(spec)} gave no image",
                saw=f"the engine reports success, but has no {unchecked}",
                mend="look at the engine's log; it may be out of disk space",
            )
        unchanged = fingerprint(spec, read_context(spec), bases) == digest
        if settle and not unchanged:
            # Its name stays the run's own, and goes with it: it is no cache.
            self._session.note("built", unchecked)
            image = Image(self._session, facts, unchecked, cached=False, title=_title(spec))
            self._restless[spec] = image
            return image
        if unchanged:
            engine.images.tag(facts["Id"], name)
        engine.images.remove(unchecked)
        self._session.ledger.gone("image", unchecked)
        if not unchanged:
            return None
        self._asked.add(name)
        same = before is not None and before["Id"] == facts["Id"]
        if not same:
            self._session.note("built", name)
        self._session.was_rebuilt(digest)
        facts = engine.images.find(name) or facts
        return Image(self._session, facts, name, cached=same, title=_title(spec))

    def _base_ids(self, spec: ImageSpec) -> dict[str, str]:
        """Find, and pull if need be, the images that a build stands on: a new base is a new image."""
        policy = self._session.settings.pull if spec.pull == "missing" else spec.pull
        return {
            f"{reference} ({said})" if said else reference: self._store.get(
                reference, pull=policy, platform=_platform(said, spec)
            ).id
            for reference, said in spec.stages().bases(spec.target)
            # What a variable leaves open is for the builder to find.
            if reference and "$" not in reference
        }


def _refuse_what_cannot_be_done(spec: ImageSpec) -> None:
    given = {"build_secrets": spec.build_secrets, "ssh": spec.ssh, "cache_to": spec.cache_to}
    for name, value in given.items():
        if value:
            raise CapabilityError(
                f"{name}= cannot be used over the Engine API, which is all that this version builds with",
                saw=f"{name}= for {_title(spec)}",
                mend="build that image by hand, and name it with image=",
            )


def _platform(said: str | None, spec: ImageSpec) -> str | None:
    """Give the platform of a base image, for what its `FROM` says."""
    if said and "BUILD" in said and "$" in said:
        # Where it is built: the engine's own.
        return None
    return said if said and "$" not in said else spec.platform


def _title(spec: ImageSpec) -> str:
    place = "dockerfile_text" if spec.context is None else spec.context.name or str(spec.context)
    return place + (f" (target {spec.target})" if spec.target else "")


def _by_hand(spec: ImageSpec) -> str:
    argv = ["docker", "build"]
    argv += ["--target", spec.target] if spec.target else []
    for key in spec.build_args:
        # By its name alone, as the command line takes it from the environment: the value may be a secret.
        argv += ["--build-arg", key]
    argv += ["--platform", spec.platform] if spec.platform else []
    argv += ["-f", "-" if spec.dockerfile_text is not None else str(spec.dockerfile)]
    return shlex.join([*argv, str(spec.context or ".")])
