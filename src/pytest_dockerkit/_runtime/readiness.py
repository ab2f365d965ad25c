"""Waiting until a container is ready, and saying why it never will be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_dockerkit import probes
from pytest_dockerkit._poll import Bell, Look, until_ready
from pytest_dockerkit._runtime.awaited import ENDED
from pytest_dockerkit._runtime.listening import are_loopback
from pytest_dockerkit._units import show_seconds, show_size
from pytest_dockerkit.errors import (
    ContainerError,
    ContainerExitedError,
    EngineError,
    NotReadyError,
    OutOfMemoryError,
    UnhealthyError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._spec.probe import Probe

#: How many last lines of a log an error shows.
LOG_LINES = 20

_MEND_SLOW = "read its log below; raise timeout= if it is only slow, or wait for something else with wait="

_SIGKILLED = 137

_MEND_BY_CODE = {
    0: "it ended by itself: wait=probes.exited(0) for a one-shot container, else give it a command that stays",
    125: "the engine could not run it; see what it says above",
    126: "its command is no program that can be run; correct command= or entrypoint=",
    127: "its command was not found in the image; correct command= or entrypoint=",
    137: "something killed it: a memory cap of its parent, or a `kill` from outside",
    139: "it crashed (SIGSEGV); often an image for another platform",
    143: "something asked it to stop (SIGTERM)",
}


def default_probe(container: RunningContainer) -> Probe:
    """Choose how to wait when nothing is said: health check, else first published TCP port, else running."""
    check = container.seen["Config"].get("Healthcheck") or {}
    if check.get("Test") and check["Test"][0] != "NONE":
        return probes.healthy()
    for port in container.spec.published_ports:
        if port.protocol == "tcp":
            return probes.port(port.key)
    return probes.running()


def wait(
    container: RunningContainer, probe: Probe, timeout_s: float, go_on: Callable[[], object] | None = None
) -> None:
    """Wait until the probe is satisfied.

    Args:
        container: which.
        probe: what looks at it.
        timeout_s: how long.
        go_on: called before each look; what it raises ends the wait.

    Raises:
        NotReadyError: it was not within `timeout_s` seconds.
        ContainerExitedError: the container has ended.
        OutOfMemoryError: the kernel killed it at its memory cap.
        UnhealthyError: its health check gave up.
    """
    may_end = getattr(probe, "allows_exit", False)

    def look() -> Look:
        if go_on is not None:
            go_on()
        facts = container.refresh()
        if not may_end:
            _refuse_dead(container, facts["State"])
        try:
            return probes.as_look(probe.look(container), probe)
        except EngineError:
            # If it has ended in between, that is the cause, and not what the engine said of it.
            if not may_end:
                _refuse_dead(container, container.state())
            raise

    bell = Bell()
    with container.being_awaited(timeout_s, bell, go_on):
        last = until_ready(look, timeout_s=timeout_s, sleep=bell.pause)
        if last.ready:
            return
        facts = container.refresh()
        if not may_end:
            _refuse_dead(container, facts["State"])
        elif facts["State"]["Status"] in ENDED and (last := look()).ready:
            # It has ended since the last look.
            return
    saw, mend = container.cover(last.seen or f"status {facts['State']['Status']}"), _MEND_SLOW
    if (hidden := _only_for_itself(container, probe)) is not None:
        saw, mend = (
            f"{saw}; {hidden}",
            "have the service listen at 0.0.0.0: nobody else reaches a container's loopback",
        )
    raise NotReadyError(
        f"container {container.alias!r} is not ready after {show_seconds(timeout_s)}",
        saw=saw,
        mend=mend,
        details=last_log(container),
    )


def _only_for_itself(container: RunningContainer, probe: Probe) -> str | None:
    """Say which port is listened on where nobody but the container itself reaches it."""
    for key in probes.tcp_ports_of(probe, container):
        addresses = container.listens_at(int(key.partition("/")[0]))
        if are_loopback(addresses):
            return f"in the container, {key} is listened on at {', '.join(addresses)} only"
    return None


def death(container: RunningContainer, state: dict[str, Any]) -> ContainerError:
    """Make the error for a container that has ended."""
    code = state["ExitCode"]
    said = f"exit code {code}" + (f", {state['Error']}" if state.get("Error") else "")
    cap = container.seen["HostConfig"].get("Memory") or 0
    if state.get("OOMKilled"):
        return OutOfMemoryError(
            f"container {container.alias!r} was killed for reaching its memory cap",
            saw=f"{said}, OOM-killed at memory={show_size(cap) if cap else 'none of its own'}",
            mend="raise memory=, or make it use less",
            details=last_log(container),
        )
    if code == _SIGKILLED and cap and not container.stopped_by_us:
        # On cgroup v1 the engine misses some of the kernel's kills, and has no event of them either: Docker 20.10.24
        # on a busy machine up to 14 of 40, most where the container has just begun.
        return OutOfMemoryError(
            f"container {container.alias!r} was killed, most likely for reaching its memory cap",
            saw=f"{said} at memory={show_size(cap)}; the engine has not seen what killed it",
            mend="raise memory=, or make it use less",
            details=last_log(container),
        )
    return ContainerExitedError(
        f"container {container.alias!r} has ended before it was ready",
        saw=said,
        mend=_MEND_BY_CODE.get(code, "read its log below, and correct its command, env or files"),
        details=last_log(container),
    )


def last_log(container: RunningContainer) -> str:
    """Give the last lines that a container has printed, with a heading."""
    return told_log(container.alias, container.cover(container.logs(tail=LOG_LINES)))


def told_log(alias: str, text: str) -> str:
    """Give the last lines of a log, with a heading."""
    lines = text.rstrip().splitlines()
    if not lines:
        return f"  its log ({alias}) is empty"
    return f"  last lines of its log ({alias}):\n" + "\n".join("    " + line for line in lines)


def _refuse_dead(container: RunningContainer, state: dict[str, Any]) -> None:
    if state["Status"] in ENDED:
        raise death(container, state)
    health = state.get("Health") or {}
    if health.get("Status") == "unhealthy":
        last = (health.get("Log") or [{}])[-1]
        output = container.cover(str(last.get("Output", ""))).strip()
        raise UnhealthyError(
            f"container {container.alias!r} is unhealthy",
            saw=f"its health check failed {health.get('FailingStreak')} times in a row, "
            f"at last with {last.get('ExitCode')}: {output[-500:]}",
            mend="read its log below; correct the service, or the healthcheck= (start_period= for a slow start)",
            details=last_log(container),
        )
