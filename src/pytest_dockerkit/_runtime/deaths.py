"""How a container has ended that nobody has asked to end, and what is told of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit._runtime.awaited import ENDED
from pytest_dockerkit._runtime.readiness import last_log
from pytest_dockerkit._units import show_size
from pytest_dockerkit.errors import ContainerExitedError, ContainerRemovedError, DockerkitError, OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit.errors import ContainerError

_SIGKILLED = 137

#: The cause of what was removed behind our back.
REMOVED = "removed by something else"

#: The signals that end programs. Docker gives 128 and the number for a program that one has ended. They are Linux's
#: numbers, wherever pytest runs. Source: signal(7), its first table.
_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
}

#: What in a command says that it is to end the container, or a program in it: `kill 1`, `redis-cli shutdown`,
#: `nginx -s stop`, `debug segfault`. A word too many costs a crash that is not told of a test that passes.
_ENDS = re.compile(
    r"\b(kill|pkill|killall|killall5|shutdown|poweroff|halt|reboot|stop|quit|exit|abort|crash|segfault|panic|oom)\b",
    re.IGNORECASE,
)

_MEND = "mend the service; if the test means it to end, have the test wait for that: container.wait_exit()"


class Death(NamedTuple):
    """How a container ended.

    Attributes:
        cause: exit code, signal, what the kernel did.
        log: its last lines, with a heading; empty where there is nothing to read any more.
        test: the test during which it was noticed.
        before: whether it had ended before that test began.
        is_crash: whether it ended by a failure of its own, and was not removed or at the end of its work.
        is_oom: whether it reached its memory cap.
    """

    cause: str
    log: str = ""
    test: str = ""
    before: bool = False
    is_crash: bool = False
    is_oom: bool = False

    @property
    def is_final(self) -> bool:
        """Whether what comes next is to have another: it has failed, or is not there any more."""
        return self.is_crash or self.cause == REMOVED


def cause_of(state: Mapping[str, Any], cap_bytes: int) -> str:
    """Say how a container ended.

    Args:
        state: the `State` of its description.
        cap_bytes: its memory cap, in bytes; 0 without one.
    """
    code = state["ExitCode"]
    cap = f"cap {show_size(cap_bytes)}" if cap_bytes else "no cap of its own"
    parts = [f"exit code {code}"]
    if state.get("OOMKilled"):
        killed = "killed by" if code == _SIGKILLED else "a process of it was killed by"
        parts.append(f"{killed} the kernel: out of memory ({cap})")
    elif code == _SIGKILLED and cap_bytes:
        # See `readiness.death`: engines on cgroup v1 miss some of the kernel's kills.
        parts.append(f"most likely killed by the kernel: out of memory ({cap})")
    elif (signal := _SIGNALS.get(code - 128)) is not None:
        parts.append(f"ended by {signal}")
    if state.get("Error"):
        parts.append(str(state["Error"]))
    return ", ".join(parts)


def ends(argv: Iterable[str]) -> bool:
    """Tell whether a command that a test runs in a container may be meant to end it."""
    return any(_ENDS.search(each) for each in argv)


def look(container: RunningContainer, test: str, *, before: bool = False) -> Death | None:
    """Look once whether a container has ended, though nobody has asked it to; notes it with the container.

    Of one that runs it is forgotten what a test has asked of it before, or seen.

    Args:
        container: which.
        test: the test that runs.
        before: whether the test is about to begin.

    Returns:
        how it ended; None if it runs, was asked to end, is at the end of its work, or the engine does not answer.
    """
    if container.known_death is None:
        container.known_death = _look(container, test, before=before)
    return container.known_death


def _look(container: RunningContainer, test: str, *, before: bool) -> Death | None:
    if container.removed or getattr(container.spec.wait, "allows_exit", False):
        return _seen_elsewhere(container, test, before=before)
    try:
        state = container.state()
        if state["Status"] not in ENDED:
            if container.stopped_by_us or container.end_seen:
                container.ask_to_end(asked=False)
            return None
        if container.was_asked_to_end:
            return None
        cap_bytes = container.seen["HostConfig"].get("Memory") or 0
        oom = bool(state.get("OOMKilled")) or (state["ExitCode"] == _SIGKILLED and bool(cap_bytes))
        crash = state["ExitCode"] != 0
        return Death(cause_of(state, cap_bytes), last_log(container), test, before, crash, oom)
    except ContainerRemovedError:
        return _seen_elsewhere(container, test, before=before) or Death(REMOVED, "", test, before)
    except DockerkitError:
        # The engine's trouble is not the container's.
        return None


def _seen_elsewhere(container: RunningContainer, test: str, *, before: bool) -> Death | None:
    """Give what another worker has seen of its end, before it has removed it; None if none has."""
    told = container.death_elsewhere()
    return None if told is None else told._replace(test=test, before=before)


def written_death(death: Death | None) -> str:
    """Write down for other processes how a container ended."""
    return "" if death is None else json.dumps(death)


def read_death(text: str) -> Death | None:
    """Read what another process has written; None if it has not."""
    return Death(*json.loads(text)) if text else None


def called(container: RunningContainer) -> str:
    """Give what a person knows a container by: `db (redis:latest)`."""
    return f"{container.alias} ({container.image.title})"


def sentence(container: RunningContainer, death: Death, test: str = "") -> str:
    """Say in one line that a container has ended, and when.

    Args:
        container: which.
        death: how.
        test: the test that this is told to; empty at the end of the run.
    """
    when = f"{'before' if death.before else 'during'} {death.test}"
    if test == death.test:
        when = "before this test" if death.before else "during this test"
    elif test:
        when = f"before this test, {when}"
    if death.cause == REMOVED:
        return f"container {called(container)} was removed {when}, by something else"
    return f"container {called(container)} {'died' if death.is_crash else 'ended'} {when}: {death.cause}"


def error_for(container: RunningContainer, death: Death, test: str) -> ContainerError:
    """Make the error for a test that has passed while its container died."""
    kind = OutOfMemoryError if death.is_oom else ContainerExitedError
    saw = "the test itself has passed"
    mend = f"raise memory=, or make it use less; {_MEND}" if death.is_oom else _MEND
    return kind(sentence(container, death, test), saw=saw, mend=mend, details=death.log)
