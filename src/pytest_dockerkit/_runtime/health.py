"""Knowing that a container is healthy as soon as it is, whatever Docker's interval is.

Docker looks for the first time when the interval is over: 30 s unless the image says otherwise. Engines from
25.0 have a start interval for that; on all others, and where none is set, the container's own health command
is run by exec until it passes for the first time. From then on Docker's word alone counts.

An exec takes the engine 45 ms of one core, whatever the command is: asked twenty times a second, for each of eight
containers that start at once, it would do nothing else. So one exec runs the command several times, with pauses,
where the container has a shell to do that with.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._poll import Look
from pytest_dockerkit.errors import ConflictError, ContainerError, EngineError, NotOnEngineError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_dockerkit._engine.daemon import Daemon

#: Docker itself is quick enough from this interval down, in nanoseconds; and where many are awaited at once, which
#: the execs would take from what they wait for.
_SHORT_NS, _SHORT_AMONG_MANY_NS = 150_000_000, 500_000_000
_MANY = 3
#: Docker's own interval, in nanoseconds. Source: moby, daemon/health.go, defaultProbeInterval.
_DEFAULT_NS = 30_000_000_000
#: For how long a health command is waited for before it is run beside itself, in seconds; each time twice as long.
_PATIENCE_S = 1.0

#: Runs a command so many times, with pauses of so many seconds, until it passes; ends with the code of its last run.
#: Where there is no `sleep`, or none that takes fractions, that is one run.
_LOOP = 'n=$1 p=$2; shift 2; until "$@"; do c=$?; n=$((n - 1)); [ $n -gt 0 ] && sleep $p || exit $c; done'
#: Exit codes of an engine or a shell that has not found its program, or cannot run it.
_NO_PROGRAM = (126, 127)
#: For how long one such exec goes on, in seconds: a wait that ends otherwise leaves nothing behind for longer.
_LOOP_S = 1.0
#: How many of them are begun before the command is run by itself again, as it is the first time: in a container whose
#: caps leave no room for one more process, only that can pass.
_LOOPS = 3
#: The pause between two runs: a twentieth of what was waited already, but within these bounds, in seconds.
_PART = 0.05
_LEAST_S, _MOST_S = 0.02, 0.1
#: A command that takes its time gets as long a pause, up to this many seconds: it takes from what it waits for. On a
#: busy machine each seems to.
_LONGEST_S = 0.25


class Awaited:
    """Counts the containers that are awaited in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one for the block."""
        with self._lock:
            self.count += 1
        try:
            yield
        finally:
            with self._lock:
                self.count -= 1


AWAITED = Awaited()


@dataclass
class _Session:
    """A health command that was begun.

    Attributes:
        id: of the exec.
        began_at: when it had begun, by the monotonic clock.
        runs: how often it is run.
        pause_s: the pause between two runs.
    """

    id: str
    began_at: float
    runs: int = 1
    pause_s: float = 0.0


class HealthWatch:
    """The health of one container, until it has been healthy once."""

    def __init__(self, engine: Daemon, container_id: str) -> None:
        self._engine = engine
        self._id = container_id
        self._sessions: list[_Session] = []
        self._patience_s = _PATIENCE_S
        self._again_at = 0.0
        self._rests_until = 0.0
        self._since = time.monotonic()
        self._begun = 0
        #: How long one run of the command takes, in seconds.
        self._takes_s = 0.0
        self._last_code: int | None = None
        #: Whether the container has what runs a command several times.
        self._loops = True
        self.passed = False

    def look(self, facts: dict[str, Any]) -> Look:
        """Look once: what Docker says, or what the health command says while Docker has not looked yet.

        Args:
            facts: the container as the engine has just described it.

        Raises:
            SpecError: the container has no health check.
        """
        health = facts["State"].get("Health")
        if not health or not health.get("Status"):
            raise SpecError(
                "the container has no health check",
                saw=f"image {facts['Config']['Image']} without HEALTHCHECK, and no healthcheck=",
                mend="healthcheck=HealthCheck(test=…), or wait for something else: probes.port(…)",
            )
        if health["Status"] == "healthy" or self.passed:
            self.passed = True
            return Look(ready=True, seen="healthy")
        seen = f"health {health['Status']}{_last_output(health)}"
        if health["Status"] != "starting" or _interval_ns(facts) <= _short_ns():
            return Look(ready=False, seen=seen)
        return self._try_command(facts, seen)

    def _try_command(self, facts: dict[str, Any], seen: str) -> Look:
        try:
            code = self._ended()
            if self.passed:
                return Look(ready=True, seen=seen)
            # After a command that takes its time, it also rests when none runs.
            if time.monotonic() < (self._again_at if self._sessions and code is None else self._rests_until):
                return Look(ready=False, seen=f"{seen}; {self._told()}")
            # One that hangs keeps no other from passing.
            hangs = bool(self._sessions) and code is None
            self._begin(facts["Config"], alone=hangs)
            self._patience_s = 2 * self._patience_s if hangs else _PATIENCE_S
            self._again_at = time.monotonic() + self._patience_s + (_LOOP_S if self._sessions[-1].runs > 1 else 0)
        except (ConflictError, NotOnEngineError):
            # It has ended between the two calls; the next look at it says how.
            return Look(ready=False, seen=seen)
        return Look(ready=False, seen=f"{seen}; {self._told()}")

    def _told(self) -> str:
        if self._last_code is None:
            return "its health command still runs"
        return f"its health command ended with {self._last_code}"

    def _ended(self) -> int | None:
        """Look after the commands that were begun; give the exit code of one that has ended."""
        code: int | None = None
        for session in tuple(self._sessions):
            ended = self._engine.containers.exec_result(session.id)
            if ended is None:
                continue
            self._sessions.remove(session)
            code = self._last_code = ended
            self.passed = self.passed or ended == 0
            self._takes_s = max(0.0, (time.monotonic() - session.began_at) / session.runs - session.pause_s)
            if session.runs > 1 and ended in _NO_PROGRAM:
                self._loops = False
            if session.runs == 1:
                self._rests_until = time.monotonic() + min(_LONGEST_S, self._takes_s)
        return code

    def _begin(self, config: dict[str, Any], *, alone: bool) -> None:
        """Begin the command: several runs of it, or one."""
        argv = _argv(config)
        pause_s = min(_MOST_S, max(_LEAST_S, _PART * (time.monotonic() - self._since)))
        pause_s = max(pause_s, min(_LONGEST_S, self._takes_s))
        runs = int(_LOOP_S / (pause_s + self._takes_s))
        once = alone or not self._loops or runs < 2 or self._begun % (_LOOPS + 1) == 0
        self._begun += 1
        if not once:
            try:
                id_ = self._engine.containers.begin_exec(
                    self._id, ["/bin/sh", "-c", _LOOP, "sh", str(runs), f"{pause_s:.3f}", *argv]
                )
            except (ConflictError, NotOnEngineError):
                raise
            except (ContainerError, EngineError):
                # It has no shell. Whatever else it is, it is met again below.
                self._loops = False
            else:
                self._sessions.append(_Session(id_, time.monotonic(), runs, pause_s))
                return
        self._sessions.append(_Session(self._engine.containers.begin_exec(self._id, argv), time.monotonic()))


def _short_ns() -> int:
    return _SHORT_NS if AWAITED.count < _MANY else _SHORT_AMONG_MANY_NS


def _interval_ns(facts: dict[str, Any]) -> int:
    check = facts["Config"].get("Healthcheck") or {}
    if check.get("StartInterval") and check.get("StartPeriod"):
        return int(check["StartInterval"])
    return int(check.get("Interval") or _DEFAULT_NS)


def _argv(config: dict[str, Any]) -> list[str]:
    kind, *rest = config["Healthcheck"]["Test"]
    if kind == "CMD-SHELL":
        return [*(config.get("Shell") or ["/bin/sh", "-c"]), *rest]
    return [str(each) for each in rest]


def _last_output(health: dict[str, Any]) -> str:
    log = health.get("Log") or []
    return f", last check: {log[-1].get('Output', '').strip()[-200:]!r}" if log else ""
