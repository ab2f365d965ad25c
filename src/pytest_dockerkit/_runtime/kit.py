"""The kit: for tests that decide at run time what they need."""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._names import check_alias, slug
from pytest_dockerkit._runtime.scope import ScopeInstance, end_all
from pytest_dockerkit._runtime.starting import Wanted
from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit._spec.image import ImageRequest, ImageSpec, check_image
from pytest_dockerkit._spec.keywords import make_spec, spec_from
from pytest_dockerkit._spec.mounts import VolumeSpec
from pytest_dockerkit._spec.network import NetworkSpec
from pytest_dockerkit.errors import DockerkitError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_dockerkit._engine.base import EngineFacts
    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.networks import Network, Volume
    from pytest_dockerkit._runtime.running_service import RunningService
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.service import ServiceSpec


class _Group:
    """The containers that one test has made, and the networks that go with the last of them.

    A kit lives as long as the session, but networks are few: Docker's own pools hold about thirty.
    """

    def __init__(self, key: str) -> None:
        self._endings: list[Callable[[], object]] = []
        self._alive = 0
        self.scope = ScopeInstance("kit", key, self._endings.append)

    def run(self, start: Callable[[], RunningContainer]) -> RunningContainer:
        """Start one more container."""
        self._alive += 1
        try:
            container = start()
        except BaseException:
            # What cannot be removed now stays in the ledger, and must not hide why there is no container.
            with suppress(DockerkitError, ExceptionGroup):
                self._removed()
            raise
        container.on_removed.append(self._removed)
        return container

    def _removed(self) -> None:
        self._alive -= 1
        if self._alive == 0:
            end_all(self._endings)


class Kit:
    """Makes containers, images, networks and volumes at run time.

    All is removed at the end of the session, or earlier with `with`. Containers that one test makes share
    an isolated network, unless they are given another. Relative paths start from the file of the caller.
    """

    def __init__(
        self,
        session: Session,
        scope: ScopeInstance,
        current_test: Callable[[], tuple[str, list[RunningContainer], list[RunningContainer]]],
    ) -> None:
        self._session = session
        self._scope = scope
        self._current_test = current_test
        self._groups: dict[str, _Group] = {}

    @property
    def engine(self) -> EngineFacts:
        """What the engine says of itself: version, API, operating system.

        Raises:
            EngineUnavailableError: none answers.
        """
        return self._session.engine.facts

    def run(self, spec: ContainerSpec | ImageRequest | None = None, **fields: Any) -> RunningContainer:
        """Start a container, and wait until it is ready.

        Args:
            spec: what is wanted: a spec, or an image with the spec's fields as keywords.
            **fields: fields of `ContainerSpec`; `image=` is one of them.

        Raises:
            DockerkitError: it cannot be had, or never became ready.
        """
        base = _caller()
        if isinstance(spec, ContainerSpec):
            wanted = make_spec({**_given(spec), **fields}) if fields else spec
        elif spec is not None and "image" in fields:
            raise SpecError(
                "the image is given twice", saw=f"{spec!r} and image={fields['image']!r}", mend="give it once"
            )
        else:
            wanted = make_spec(fields if spec is None else {**fields, "image": spec})
        test, peers, mine = self._current_test()
        alive = [each.alias for each in peers if not each.removed]
        alias = wanted.name or _free_alias(wanted, alive)
        for need in wanted.depends_on:
            if isinstance(need, str) and need not in alive:
                raise SpecError(
                    f"a container of the kit depends on {need!r}, which the test does not have yet",
                    saw=f"running: {', '.join(alive) or 'none'}",
                    mend="run that one first, or give its container: depends_on=[db]",
                )
        group = self._groups.setdefault(test, _Group(f"kit {test}"))
        # What one container has written is there for the next of the test: volumes outlive the last one.
        volumes = ScopeInstance("kit", f"kit volumes {test}", self._scope.at_end)
        container = group.run(
            lambda: self._session.run(
                Wanted(wanted.anchored(base), group.scope, alias, per_worker=True),
                peers=peers,
                volumes_scope=volumes,
                at_end=self._scope.at_end,
            )
        )
        mine.append(container)
        return container

    def build(self, spec: ImageRequest | None = None, **fields: Any) -> Image:
        """Build or pull an image, from a reference, a spec, or the fields of one; images stay, they are the cache.

        Raises:
            ImageError: it cannot be had.
        """
        request = check_image(spec) if not fields else spec_from(ImageSpec, spec, fields)
        return self._session.images.get(request.anchored(_caller()) if isinstance(request, ImageSpec) else request)

    def network(self, spec: NetworkSpec | None = None, **fields: Any) -> Network:
        """Make a network, from a spec or from the fields of one.

        Raises:
            EngineError: the engine refuses.
        """
        return self._session.surroundings.network(spec_from(NetworkSpec, spec, fields), self._scope)

    def service(self, spec: ServiceSpec | ImageRequest | None = None, **fields: Any) -> RunningService:
        """Start a service on the swarm that the engine manages, and wait until it has converged.

        Args:
            spec: what is wanted: a spec, or an image with the spec's fields as keywords.
            **fields: fields of `ServiceSpec`.

        Raises:
            DockerkitError: it cannot be had, or its tasks fail.
        """
        from pytest_dockerkit._runtime.services import Services
        from pytest_dockerkit._spec.service import service_from

        wanted = service_from(fields if spec is None else {**fields, "image": spec}).anchored(_caller())
        return Services(self._session).start(wanted, self._scope, wanted.name or "service")

    def volume(self, spec: VolumeSpec | None = None, *, name: str = "volume", **fields: Any) -> Volume:
        """Make a volume, from a spec or from the fields of one.

        Args:
            spec: what is wanted.
            name: a word that its name on the engine has in it.
            **fields: fields of `VolumeSpec`.

        Raises:
            EngineError: the engine refuses.
        """
        wanted = spec_from(VolumeSpec, spec, fields)
        return self._session.surroundings.volume(wanted, self._scope, check_alias("name", name))


def _free_alias(spec: ContainerSpec, taken: Collection[str]) -> str:
    """Choose a name after the image; the second of its kind beside a running one is numbered."""
    base = "container"
    if isinstance(spec.image, str):
        base = slug(spec.image.partition("@")[0].rpartition("/")[2].partition(":")[0])
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _given(spec: ContainerSpec) -> dict[str, Any]:
    return {key: value for key, value in vars(spec).items() if key in spec.__dataclass_fields__}


def _caller() -> Path:
    """Give the directory of the file that called the kit."""
    return Path(sys._getframe(2).f_code.co_filename).parent  # noqa: SLF001  - there is no other way to know it
