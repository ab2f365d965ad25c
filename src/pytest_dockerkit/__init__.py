"""Container-based testing for pytest: images, containers, networks and readiness as markers and fixtures."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_dockerkit import probes
    from pytest_dockerkit._engine.base import Builder, EngineFacts, Progress
    from pytest_dockerkit._engine.build_request import BuildRequest
    from pytest_dockerkit._poll import Look
    from pytest_dockerkit._runtime.files import FileInfo
    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.image_config import ImageConfig
    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.kit import Kit
    from pytest_dockerkit._runtime.networks import Network, Volume
    from pytest_dockerkit._runtime.reaching import assert_reachable as assert_reachable
    from pytest_dockerkit._runtime.reaching import assert_unreachable as assert_unreachable
    from pytest_dockerkit._runtime.results import ExecResult, Limits, RunResult, Stats
    from pytest_dockerkit._runtime.running_service import RunningService as RunningService
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.healthcheck import HealthCheck
    from pytest_dockerkit._spec.image import ImageSpec
    from pytest_dockerkit._spec.mounts import VolumeSpec
    from pytest_dockerkit._spec.network import NetworkSpec
    from pytest_dockerkit._spec.probe import Probe
    from pytest_dockerkit._spec.refs import external
    from pytest_dockerkit._spec.secret import Secret
    from pytest_dockerkit._spec.service import ServiceSpec as ServiceSpec
    from pytest_dockerkit._spec.service import UpdateConfig as UpdateConfig
    from pytest_dockerkit.errors import (
        BuildError,
        CapabilityError,
        CapacityError,
        ConflictError,
        ContainerError,
        ContainerExitedError,
        ContainerFileError,
        ContainerRemovedError,
        DockerkitError,
        EngineError,
        EngineUnavailableError,
        ExecError,
        ExecTimeoutError,
        ImageError,
        ImageNotFoundError,
        LockError,
        NotOnEngineError,
        NotReadyError,
        OutOfMemoryError,
        PortNotPublishedError,
        PortTakenError,
        SpecError,
        TeardownError,
        UnhealthyError,
    )
    from pytest_dockerkit.errors import ServiceError as ServiceError
    from pytest_dockerkit.fixtures import (
        container_fixture,
        image_fixture,
        network_fixture,
        service_fixture,
        volume_fixture,
    )

__all__ = [
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

# Found when first asked for: pytest imports this package in every run, also in those without a container.
_HOMES = {
    "ContainerSpec": "_spec.container",
    "BuildError": "errors",
    "CapabilityError": "errors",
    "CapacityError": "errors",
    "ConflictError": "errors",
    "ContainerError": "errors",
    "ContainerExitedError": "errors",
    "ContainerFileError": "errors",
    "ContainerRemovedError": "errors",
    "DockerkitError": "errors",
    "EngineError": "errors",
    "EngineUnavailableError": "errors",
    "ExecError": "errors",
    "ExecTimeoutError": "errors",
    "ImageError": "errors",
    "ImageNotFoundError": "errors",
    "LockError": "errors",
    "NotOnEngineError": "errors",
    "NotReadyError": "errors",
    "OutOfMemoryError": "errors",
    "PortNotPublishedError": "errors",
    "PortTakenError": "errors",
    "SpecError": "errors",
    "TeardownError": "errors",
    "UnhealthyError": "errors",
    "BuildRequest": "_engine.build_request",
    "Builder": "_engine.base",
    "EngineFacts": "_engine.base",
    "Progress": "_engine.base",
    "ExecResult": "_runtime.results",
    "FileInfo": "_runtime.files",
    "HealthCheck": "_spec.healthcheck",
    "Image": "_runtime.images",
    "ImageConfig": "_runtime.image_config",
    "ImageSpec": "_spec.image",
    "Kit": "_runtime.kit",
    "Limits": "_runtime.results",
    "Look": "_poll",
    "Network": "_runtime.networks",
    "NetworkSpec": "_spec.network",
    "Probe": "_spec.probe",
    "RunResult": "_runtime.results",
    "RunningContainer": "_runtime.handles",
    "Secret": "_spec.secret",
    "Stats": "_runtime.results",
    "Volume": "_runtime.networks",
    "VolumeSpec": "_spec.mounts",
    "assert_reachable": "_runtime.reaching",
    "assert_unreachable": "_runtime.reaching",
    "container_fixture": "fixtures",
    "external": "_spec.refs",
    "image_fixture": "fixtures",
    "network_fixture": "fixtures",
    "service_fixture": "fixtures",
    "ServiceSpec": "_spec.service",
    "UpdateConfig": "_spec.service",
    "RunningService": "_runtime.running_service",
    "ServiceError": "errors",
    "volume_fixture": "fixtures",
}


def __getattr__(name: str) -> Any:
    if name == "probes":
        return import_module("pytest_dockerkit.probes")
    if name in _HOMES:
        return getattr(import_module(f"pytest_dockerkit.{_HOMES[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return __all__
