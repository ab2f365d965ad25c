"""Knowing that a container is healthy as soon as it is, whatever Docker's interval is.

Docker looks for the first time when the interval is over: 30 s unless the image says otherwise. Engines from
25.0 have a start interval for that; on all others, and where none is set, the container's own health command
is run by exec until it passes for the first time. From then on Docker's word alone counts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._poll import Look
from pytest_dockerkit.errors import ConflictError, NotOnEngineError, SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.daemon import Daemon

#: Docker itself is quick enough from this interval down, in nanoseconds.
_SHORT_NS = 500_000_000
#: Docker's own interval, in nanoseconds. Source: moby, daemon/health.go, defaultProbeInterval.
_DEFAULT_NS = 30_000_000_000
#: For how long a health command is waited for before it is run beside itself, in seconds; each time twice as long.
_PATIENCE_S = 1.0


class HealthWatch:
    """The health of one container, until it has been healthy once."""

    def __init__(self, engine: Daemon, container_id: str) -> None:
        self._engine = engine
        self._id = container_id
        self._sessions: list[str] = []
        self._patience_s = _PATIENCE_S
        self._again_at = 0.0
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
        if health["Status"] != "starting" or _interval_ns(facts) <= _SHORT_NS:
            return Look(ready=False, seen=seen)
        return self._try_command(facts, seen)

    def _try_command(self, facts: dict[str, Any], seen: str) -> Look:
        code: int | None = None
        try:
            for session in tuple(self._sessions):
                ended = self._engine.containers.exec_result(session)
                if ended is not None:
                    self._sessions.remove(session)
                    code = ended
                    self.passed = self.passed or ended == 0
            if self.passed:
                return Look(ready=True, seen=seen)
            if self._sessions and code is None and time.monotonic() < self._again_at:
                return Look(ready=False, seen=f"{seen}; its health command still runs")
            # At once, since its result is not seen before the next look. One that hangs keeps no other from passing.
            self._patience_s = 2 * self._patience_s if self._sessions and code is None else _PATIENCE_S
            self._again_at = time.monotonic() + self._patience_s
            self._sessions.append(self._engine.containers.begin_exec(self._id, _argv(facts["Config"])))
        except (ConflictError, NotOnEngineError):
            # It has ended between the two calls; the next look at it says how.
            return Look(ready=False, seen=seen)
        return Look(ready=False, seen=seen if code is None else f"{seen}; its health command ended with {code}")


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
