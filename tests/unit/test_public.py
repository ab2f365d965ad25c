"""The doors: the names that are promised, and what they cost to open."""

from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys

import pytest

import pytest_dockerkit
from pytest_dockerkit import errors

#: What users may import; a name that goes from here is a breaking change.
PUBLIC = [
    "BuildError",
    "BuildRequest",
    "Builder",
    "CapabilityError",
    "CapacityError",
    "ConflictError",
    "ContainerError",
    "ContainerExitedError",
    "ContainerFileError",
    "ContainerRemovedError",
    "ContainerSpec",
    "DockerkitError",
    "EngineError",
    "EngineFacts",
    "EngineUnavailableError",
    "ExecError",
    "ExecResult",
    "ExecTimeoutError",
    "FileInfo",
    "HealthCheck",
    "Image",
    "ImageConfig",
    "ImageError",
    "ImageNotFoundError",
    "ImageSpec",
    "Kit",
    "Limits",
    "LockError",
    "Look",
    "Network",
    "NetworkSpec",
    "NotOnEngineError",
    "NotReadyError",
    "OutOfMemoryError",
    "PortNotPublishedError",
    "PortTakenError",
    "Probe",
    "Progress",
    "RunResult",
    "RunningContainer",
    "RunningService",
    "Secret",
    "ServiceError",
    "ServiceSpec",
    "SpecError",
    "Stats",
    "TeardownError",
    "UnhealthyError",
    "UpdateConfig",
    "Volume",
    "VolumeSpec",
    "assert_reachable",
    "assert_unreachable",
    "container_fixture",
    "external",
    "image_fixture",
    "network_fixture",
    "probes",
    "service_fixture",
    "volume_fixture",
]


def test_the_public_names_are_these() -> None:
    assert pytest_dockerkit.__all__ == PUBLIC
    assert dir(pytest_dockerkit) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(importlib.import_module("pytest_dockerkit"), name)
    assert value.__doc__
    if name != "probes":
        assert value.__name__ == name


def test_a_star_import_gives_exactly_these() -> None:
    names: dict[str, object] = {}
    exec("from pytest_dockerkit import *", names)
    assert sorted(set(names) - {"__builtins__"}) == PUBLIC


def test_what_there_is_not_is_missing_in_the_usual_words() -> None:
    with pytest.raises(AttributeError, match=r"^module 'pytest_dockerkit' has no attribute 'ContainerSpecs'$"):
        pytest_dockerkit.ContainerSpecs  # noqa: B018  - that is what is tested
    assert not hasattr(pytest_dockerkit, "docker")


@pytest.mark.parametrize("name", pytest_dockerkit.probes.__all__)
def test_each_probe_can_be_imported(name: str) -> None:
    assert getattr(pytest_dockerkit.probes, name).__doc__


def test_errors_are_pickled_by_their_public_name() -> None:
    assert pickle.loads(pickle.dumps(errors.SpecError)) is errors.SpecError


def imported_by(statement: str) -> set[str]:
    """Give the top-level modules that are loaded after a statement in a new process."""
    script = (
        f"import sys, json; {statement}; print(json.dumps(sorted({{each.split('.')[0] for each in sys.modules}})))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import pytest_dockerkit.plugin",
        "import pytest_dockerkit",
        "from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, NetworkSpec, Secret, external, probes",
        "from pytest_dockerkit import container_fixture, image_fixture, network_fixture, volume_fixture",
        "from pytest_dockerkit.errors import SpecError",
    ],
)
def test_no_door_loads_docker(statement: str) -> None:
    loaded = imported_by(statement)
    assert "pytest_dockerkit" in loaded
    assert loaded & {"docker", "requests", "urllib3"} == set()


def test_the_names_that_speak_no_pytest_load_none() -> None:
    assert "pytest" not in imported_by("from pytest_dockerkit import ContainerSpec, errors, probes")


@pytest.mark.parametrize("factory", ["container_fixture", "image_fixture", "network_fixture", "volume_fixture"])
def test_a_factory_refuses_a_scope_that_there_is_not(factory: str) -> None:
    given = () if factory in ("network_fixture", "volume_fixture") else ("busybox:stable",)
    with pytest.raises(errors.SpecError) as caught:
        getattr(pytest_dockerkit, factory)(*given, scope="modul")
    assert str(caught.value) == (
        "scope= is not one of its values\n"
        "  saw:  'modul'\n"
        "  mend: one of: 'session', 'package', 'module', 'class', 'function'"
    )


def test_a_container_fixture_without_an_image_is_told() -> None:
    with pytest.raises(errors.SpecError) as caught:
        pytest_dockerkit.container_fixture(network="none")
    assert str(caught.value) == (
        "no image is given\n"
        "  saw:  keywords: network\n"
        '  mend: an image such as "redis:7", or build=; a decorated function puts them into its ContainerSpec'
    )
