"""Images of Dockerfiles: found on the engine by their fingerprint, or built.

The engine is the cache. What a build would give is known by the fingerprint of all that goes into it; an
image of that name is that build's result. Beside it there is only a lock file for each fingerprint.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shlex
import stat
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.context import ContextMovedError, fingerprint, read_context
from pytest_dockerkit._engine.hashes import FileHashes
from pytest_dockerkit._names import FINGERPRINT_LABEL, slug
from pytest_dockerkit._runtime.build_secrets import revealed
from pytest_dockerkit._runtime.build_state import Bases, State, kept_failure, never_at_rest
from pytest_dockerkit._runtime.images import Image
from pytest_dockerkit._runtime.locks import image_lock
from pytest_dockerkit._runtime.progress import note_context, note_image
from pytest_dockerkit._spec.replacing import with_platform
from pytest_dockerkit._spec.settled import BaseFacts
from pytest_dockerkit.errors import DockerkitError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_dockerkit._engine.base import Progress
    from pytest_dockerkit._engine.build_request import BuildRequest
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.store import ImageStore
    from pytest_dockerkit._spec.dockerfile import Dockerfile
    from pytest_dockerkit._spec.image import ImageSpec


#: How often the files of a context are looked at, where some vanish meanwhile.
LOOKS = 4

#: `ONBUILD` instructions whose result is in no fingerprint: `ADD` of a URL, and what is taken from other images.
_TAKES_FROM_ELSEWHERE = re.compile(r"^\s*ADD\s|\bfrom=", re.IGNORECASE)


class Builds:
    """Finds and builds images for one process of a run."""

    def __init__(self, session: Session, store: ImageStore) -> None:
        self._session = session
        self._store = store
        #: By the name that the plugin gave it, and what it was asked for with.
        self._builds: dict[tuple[str, ImageSpec], Image] = {}
        #: Images of contexts that changed while they were built, for this process.
        self._restless: dict[ImageSpec, Image] = {}
        #: The digests of contexts' files, by the context.
        self._hashes: dict[Path, FileHashes] = {}
        self._numbers = itertools.count(1)
        #: The names of those that the builder was asked for.
        self._asked: set[str] = set()

    def get(self, spec: ImageSpec) -> Image:
        """Give the image of a spec, built if need be.

        What a build is made from may change while tests run, so that its files are looked at each time.

        Raises:
            BuildError: it cannot be built.
            ImageNotFoundError: an image that it stands on cannot be pulled.
        """
        if spec in self._restless:
            return self._restless[spec]
        # Once more if the files have changed while they were sent: what was built is of neither state.
        image = self._of_this_state(spec) or self._of_this_state(spec, settle=True)
        assert image is not None  # noqa: S101  - settled
        if stale := [tag for tag in spec.tags if not self._is(tag, image)]:
            for tag in stale:
                self._session.engine.images.tag(image.id, tag)
            # Looked at again, for its new names.
            facts = self._session.engine.images.find(image.reference) or {}
            image = Image(self._session, facts, image.reference, cached=image.cached, title=image.title)
        key = (image.reference, spec)
        if image.cached and key not in self._builds:
            note_image(self._session, "cached", image)
        self._builds[key] = image
        return image

    def _is(self, reference: str, image: Image) -> bool:
        return (self._session.engine.images.find(reference) or {}).get("Id") == image.id

    def _of_this_state(self, spec: ImageSpec, *, settle: bool = False) -> Image | None:
        """Find or build the image of the files as they are now.

        Args:
            spec: what is wanted.
            settle: take what was built though the files have changed meanwhile, for this process alone. Some
                contexts are never at rest: a test run writes its own caches and reports into them.

        Returns:
            the image; None if the files have changed while it was built, and it is not to be taken.
        """
        state = self._state(spec)
        image = self._current(state)
        if image is None:
            with self._lock(state):
                # Whoever held the lock may have built it while we waited.
                image = self._current(state) or self._store.elsewhere.built(state, self._title(state.spec))
                if image is None:
                    failed = self._session.directory / f"not-built-{state.tag}"
                    # Each test that wants it would build it again, and fail in the same way.
                    with nullcontext() if state.unsure else kept_failure(failed):
                        image = self._build(state, settle=settle)
        return image

    @contextmanager
    def _lock(self, state: State) -> Iterator[None]:
        with ExitStack() as held:
            with self._session.progress.task("waiting for another process to build", self._title(state.spec)):
                held.enter_context(image_lock(self._session.settings, state.tag))
            yield

    def _state(self, spec: ImageSpec) -> State:
        """Look at all that goes into an image, once more if a file goes meanwhile.

        Raises:
            SpecError: files have gone each time, or cannot be read.
        """
        for _ in range(LOOKS - 1):
            with suppress(ContextMovedError):
                return self._look(spec)
        try:
            return self._look(spec)
        except ContextMovedError as moved:
            raise never_at_rest(spec, moved) from None

    def _look(self, spec: ImageSpec) -> State:
        # Read once: what is built and what it is called have to be of one text.
        text = spec.text()
        stages = spec.stages(text)
        bases = self._bases(spec, stages)
        context = read_context(spec, bases.facts, bases.replaced, text)
        facts = self._session.engine.facts
        platform = spec.platform or f"{facts.os}/{facts.arch}"
        hashes = None if context.root is None else self._hashes_of(context.root)
        digest = fingerprint(spec, context, bases.ids, bases.facts, hashes=hashes, platform=platform)
        if hashes is not None:
            hashes.save()
        return State(spec, context, digest, unsure=bases.unsure or stages.adds_remote(spec.target))

    def _hashes_of(self, root: Path) -> FileHashes:
        if root not in self._hashes:
            name = hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
            self._hashes[root] = FileHashes(root, self._session.settings.directory("hashes") / f"{name}.json")
        return self._hashes[root]

    def _current(self, state: State) -> Image | None:
        """Find an image that can be taken as it is."""
        if self._must_rebuild(state):
            return None
        if state.name not in self._asked and state.unsure:
            return None
        facts = self._session.engine.images.find(state.name)
        labels = {} if facts is None else (facts.get("Config") or {}).get("Labels") or {}
        if facts is not None and labels.get(FINGERPRINT_LABEL) != state.digest:
            # Somebody has given the name to another image.
            return None
        known = self._builds.get((state.name, state.spec))
        if facts is None or (known is not None and known.id == facts["Id"]):
            return None if facts is None else known
        return Image(self._session, facts, state.name, cached=True, title=self._title(state.spec))

    def _build(self, state: State, *, settle: bool) -> Image | None:
        session, engine, spec = self._session, self._session.engine, state.spec
        # It gets its name last: whoever finds an image of that name takes it for what the fingerprint says.
        unchecked = f"{state.name}-{session.run_id}-{slug(session.process)}-{next(self._numbers)}"
        rebuild = self._must_rebuild(state)
        before = None if rebuild else engine.images.find(state.name)
        note_sizes(session, state)
        session.ledger.making("image", unchecked)
        begin = time.monotonic()
        try:
            with session.progress.task("building", self._title(spec)) as task:
                session.build(self._request(state, unchecked, rebuild=rebuild, tell=task.tell))
        except BaseException as failure:
            self._forget(unchecked)
            if isinstance(failure, ContextMovedError):
                if settle:
                    raise never_at_rest(spec, failure) from None
                return None
            raise
        seconds = time.monotonic() - begin
        facts = engine.images.find(unchecked)
        if facts is None:
            raise EngineError(
                f"building {self._title(spec)} gave no image",
                saw=f"the engine reports success, but has no {unchecked}",
                mend="look at the engine's log; it may be out of disk space",
            )
        unchanged = self._state(spec).is_that_of(state)
        if settle and not unchanged:
            # Its name stays the run's own, and goes with it: it is no cache.
            image = Image(session, facts, unchecked, cached=False, title=self._title(spec))
            note_image(session, "built", image, seconds)
            self._restless[spec] = image
            return image
        if unchanged:
            engine.images.tag(facts["Id"], state.name)
        engine.images.remove(unchecked)
        session.ledger.gone("image", unchecked)
        if not unchanged:
            return None
        self._asked.add(state.name)
        same = before is not None and before["Id"] == facts["Id"]
        if session.settings.rebuild:
            self._rebuilt(state).touch()
        facts = engine.images.find(state.name) or facts
        image = Image(session, facts, state.name, cached=same, title=self._title(spec))
        if not same:
            note_image(session, "built", image, seconds)
        self._store.elsewhere.registry.publish(state.name, state.digest, title=image.title)
        return image

    def _must_rebuild(self, state: State) -> bool:
        """Tell whether an image has to be built though it is there: once in a run, if the user asks for it."""
        return self._session.settings.rebuild and not self._rebuilt(state).exists()

    def _rebuilt(self, state: State) -> Path:
        """Give what stands for that it was built in this run, for all of its processes."""
        return self._session.directory / f"rebuilt-{state.tag}"

    def _forget(self, name: str) -> None:
        """Remove the name of a build that has failed; if the engine is gone, that is left to the end of the run."""
        with suppress(DockerkitError):
            self._session.engine.images.remove(name)
            self._session.ledger.gone("image", name)

    def _request(self, state: State, name: str, *, rebuild: bool, tell: Callable[[Progress], None]) -> BuildRequest:
        # Here, where something is built; most runs only look.
        from pytest_dockerkit._engine.build_request import BuildRequest

        spec = state.spec
        return BuildRequest(
            title=self._title(spec),
            context=state.context,
            target=spec.target,
            args={key: str(value) for key, value in spec.build_args.items()},
            secrets=revealed(spec),
            ssh=None if spec.ssh is None else str(spec.ssh),
            labels={**spec.labels, FINGERPRINT_LABEL: state.digest},
            tags=[name],
            platform=spec.platform,
            cache_from=spec.cache_from,
            cache_to=spec.cache_to,
            by_hand=by_hand(spec),
            nocache=rebuild,
            dockerfile_title=None if spec.dockerfile_text is not None else dockerfile_title(spec),
            tell=tell,
        )

    def _bases(self, spec: ImageSpec, stages: Dockerfile) -> Bases:
        """Find, and pull or build if need be, the images that a build stands on: a new base is a new image."""
        policy = self._session.settings.pull if spec.pull == "missing" else spec.pull
        engine = self._session.engine.facts
        own = f"{engine.os}/{engine.arch}" if engine.arch else None
        ids: dict[str, str] = {}
        facts: dict[str, BaseFacts] = {}
        names: dict[str, str] = {}
        unsure = False
        for reference, said in stages.bases(spec.target):
            if not reference or "$" in reference:
                unsure = True
                continue
            image = self._store.get(reference, pull=policy, platform=_platform(said, spec, own))
            key = with_platform(reference, said)
            ids[key], names[key] = image.id, image.reference
            known = facts.get(reference, BaseFacts(frozenset(), onbuild=False))
            triggers = image.config.onbuild
            facts[reference] = BaseFacts(known.env | set(image.config.env), onbuild=known.onbuild or bool(triggers))
            unsure = unsure or any(_TAKES_FROM_ELSEWHERE.search(each) for each in triggers)
        moved = any(name != key.partition(" ")[0] for key, name in names.items())
        return Bases(ids, facts, names if moved else {}, unsure)

    def _title(self, spec: ImageSpec) -> str:
        """Give what people call an image; the declared ones have names, and often a context in common."""
        images = self._session.settings.images
        return next((name for name, each in images.items() if each == spec), None) or title_of(spec)


def note_sizes(session: Session, state: State) -> None:
    """Note a context that is large, to be told of at the end."""
    root = state.context.root
    if root is not None:
        files = ((path, status.st_size) for path, status in state.context.members if stat.S_ISREG(status.st_mode))
        own = Path(f"{state.spec.dockerfile}.dockerignore")
        note_context(session, root, files, own.name if own.is_file() else ".dockerignore")


def dockerfile_title(spec: ImageSpec) -> str:
    """Give what to call the Dockerfile in messages: its path from the context, as `dockerfile=` has it."""
    return os.path.relpath(spec.dockerfile, spec.context) if spec.context is not None else str(spec.dockerfile)


def _platform(said: str | None, spec: ImageSpec, own: str | None) -> str | None:
    """Give the platform of a base image, for what its `FROM` says; `own` is the engine's."""
    if said and "BUILD" in said and "$" in said:
        # Where it is built.
        return own
    return said if said and "$" not in said else spec.platform


def title_of(spec: ImageSpec) -> str:
    """Give what people call an image that has no name: its context, and which of several images of that it is."""
    place = "dockerfile_text" if spec.context is None else spec.context.name or str(spec.context)
    file = Path(spec.dockerfile).name
    parts = [] if file == "Dockerfile" or spec.dockerfile_text is not None else [file]
    parts += [f"target {spec.target}"] if spec.target else []
    return place + (f" ({', '.join(parts)})" if parts else "")


def by_hand(spec: ImageSpec) -> str:
    argv = ["docker", "build"]
    argv += ["--target", spec.target] if spec.target else []
    for key, each in spec.build_secrets.items():
        place = f"env={each}" if isinstance(each, str) else f"src={each if isinstance(each, Path) else 'FILE'}"
        argv += ["--secret", f"id={key},{place}"]
    argv += ["--ssh", spec.ssh if spec.ssh == "default" else f"default={spec.ssh}"] if spec.ssh else []
    for key in spec.build_args:
        # By its name alone, as the command line takes it from the environment: the value may be a secret.
        argv += ["--build-arg", key]
    argv += ["--platform", spec.platform] if spec.platform else []
    argv += ["-f", "-" if spec.dockerfile_text is not None else str(spec.dockerfile)]
    return shlex.join([*argv, str(spec.context or ".")])
