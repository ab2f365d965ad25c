"""What can go wrong, each error also the nearest builtin.

```
DockerkitError
├── SpecError (ValueError)                  what was asked for makes no sense
├── EngineError (RuntimeError)              the engine refused or failed
│   ├── EngineUnavailableError (ConnectionError)   no engine answers
│   ├── CapabilityError (NotImplementedError)      this engine cannot do it
│   ├── ServiceError                               the tasks of a service fail
│   ├── ConflictError                              in use, or not in the state for it
│   └── NotOnEngineError (LookupError)             the engine does not have it
│       └── ContainerRemovedError                  the container is not there any more
├── ImageError
│   ├── ImageNotFoundError (LookupError)    neither on the engine nor at the registry
│   └── BuildError (RuntimeError)           an instruction of the Dockerfile failed
├── ContainerError
│   ├── NotReadyError (TimeoutError)        it runs, but never became ready
│   ├── ContainerExitedError (RuntimeError) it ended before it was ready
│   ├── OutOfMemoryError (MemoryError)      the kernel killed it at its memory cap
│   ├── UnhealthyError (RuntimeError)       its health check gave up
│   ├── PortTakenError (OSError)            the host port is in use
│   ├── PortNotPublishedError (LookupError) asked for a port that was not declared
│   ├── ContainerFileError (OSError)        a file in it could not be read or written
│   ├── ExecError (RuntimeError)            a command in it failed, with check=True
│   └── ExecTimeoutError (TimeoutError)     a command in it took too long
├── LockError (TimeoutError)                another process held a lock too long
├── CapacityError (RuntimeError)            there can be no room for so many containers at once
└── TeardownError (RuntimeError)            something could not be removed
```

Every error has three parts: what happened, what was seen, and what mends it.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")


class DockerkitError(Exception):
    """The parent of every error of this plugin.

    Attributes:
        what: what happened, in one line.
        saw: what was seen: the value given, the engine's answer.
        mend: what to do about it.
        details: what helps to find out more, such as the last lines of a log; may be empty.
    """

    def __init__(self, what: str, *, saw: str = "", mend: str = "", details: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.saw = saw
        self.mend = mend
        self.details = details

    def __str__(self) -> str:
        lines = [self.what]
        if self.saw:
            lines.append("  saw:  " + _continued(self.saw))
        if self.mend:
            lines.append("  mend: " + _continued(self.mend))
        if self.details:
            lines.append(self.details)
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own recipe passes only what, and an error has to survive the way from an xdist worker.
        return _revive, (type(self), self.what, self.__dict__)


class SpecError(DockerkitError, ValueError):
    """What was asked for makes no sense: a wrong keyword, type or value."""


class EngineError(DockerkitError, RuntimeError):
    """The engine refused a request or failed at it."""


class EngineUnavailableError(EngineError, ConnectionError):
    """No engine answers."""


class CapabilityError(EngineError, NotImplementedError):
    """This engine, or this machine, cannot do what was asked for."""


class ConflictError(EngineError):
    """What was asked for is in use, or not in the state for it, as a container that has to be running."""


class ServiceError(EngineError):
    """The tasks of a service fail, or its update was given up."""


class NotOnEngineError(EngineError, LookupError):
    """The engine does not have what was asked for."""


class ContainerRemovedError(NotOnEngineError):
    """The container is not there any more."""


class ImageError(DockerkitError):
    """Something about an image."""


class ImageNotFoundError(ImageError, LookupError):
    """The image is neither on the engine nor to be had from its registry."""


class BuildError(ImageError, RuntimeError):
    """An image could not be built."""


class ContainerError(DockerkitError):
    """Something about a container."""


class NotReadyError(ContainerError, TimeoutError):
    """It runs, but never became ready."""


class ContainerExitedError(ContainerError, RuntimeError):
    """It has ended, before it was ready or later, though nobody has asked it to."""


class OutOfMemoryError(ContainerError, MemoryError):
    """The kernel killed it for reaching its memory cap."""


class UnhealthyError(ContainerError, RuntimeError):
    """Its health check failed as often as it may."""


class PortTakenError(ContainerError, OSError):
    """The host port that it was to have is in use."""


class PortNotPublishedError(ContainerError, LookupError):
    """A port was asked for that the container does not publish."""


class ContainerFileError(ContainerError, OSError):
    """A file in the container could not be read or written."""


class ExecError(ContainerError, RuntimeError):
    """A command in a container ended with an exit code other than 0, and `check=True` was given."""


class ExecTimeoutError(ContainerError, TimeoutError):
    """A command in a container took longer than its `timeout=`."""


class LockError(DockerkitError, TimeoutError):
    """A lock could not be had: another process held it longer than it may, or its place takes no locks."""


class CapacityError(DockerkitError, RuntimeError):
    """There can be no room for containers, as `--dockerkit-max-containers` and the memory of the engine have it."""


class TeardownError(DockerkitError, RuntimeError):
    """Something that the plugin made could not be removed."""


def without_our_frames(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let errors leave `function` with the caller's frames alone.

    The sentences of an error tell its reader all; the frames that checked a value tell nothing.
    """

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except DockerkitError as error:
            raise error.with_traceback(None) from None

    return call


def _continued(text: str) -> str:
    """Indent the further lines of a part, so that the parts stay told apart."""
    return text.replace("\n", "\n        ")


def _revive(cls: type[DockerkitError], what: str, state: dict[str, object]) -> DockerkitError:
    error = cls(what)
    error.__dict__.update(state)
    return error
