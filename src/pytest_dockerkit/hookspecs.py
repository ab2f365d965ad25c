"""Hooks: what other plugins and conftest files can have a say in.

They are carried by pytest's own plugin manager: a function of the same name in a `conftest.py` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import Builder
    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit.errors import DockerkitError


@pytest.hookspec(firstresult=True)
def pytest_dockerkit_builder(config: pytest.Config, builder: Builder) -> Builder | None:
    """Provide what builds images, such as one that wraps the plugin's own, or a service elsewhere.

    When:   once per process, when the first image has to be built. `builder` is what would build without this hook:
            the way that --dockerkit-builder names, else the ladder of all ways.
    xdist:  in each worker that builds.
    Return: a builder: `name`, `lacks(request)` (what of a request it cannot serve, or None) and `build(request)`,
            which leaves an image on the engine that has all of `request.tags` and `request.labels`; or None to let
            the next plugin answer.
    Raise:  any error fails the asking test with its message. Of `build`, a BuildError tells that an instruction has
            failed.
    """


@pytest.hookspec(firstresult=True)
def pytest_dockerkit_container_spec(spec: ContainerSpec) -> ContainerSpec | None:
    """Replace what is about to be carried out.

    When:   before anything is made for a container; also for those of `image.run`.
    xdist:  in the worker that runs the test; of a container that all workers share in each of them. They share it by
            what was asked for, so that it should be replaced by the same everywhere.
    Return: another spec (`dataclasses.replace(spec, …)`), or None to let the next plugin answer.
    Raise:  any error fails the asking test with its message.
    """


@pytest.hookspec
def pytest_dockerkit_container_ready(container: RunningContainer) -> None:
    """Hear that a container is ready.

    When:   after its probe was satisfied, before the test is given it.
    xdist:  in the worker that runs the test; of a container that all workers share in the first of them alone, while
            the others wait.
    Return: nothing.
    Raise:  any error fails the asking test with its message.
    """


@pytest.hookspec
def pytest_dockerkit_container_failed(spec: ContainerSpec, error: DockerkitError) -> None:
    """Hear that a container could not be had.

    When:   after it was removed, before the asking test fails with the error.
    xdist:  in the worker that runs the test; of a container that all workers share in the first of them alone.
    Return: nothing.
    Raise:  any error takes the place of the container's own.
    """
