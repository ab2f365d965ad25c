"""The handle of a service of a swarm, and when it has converged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit._poll import Look, retried, until_ready
from pytest_dockerkit._runtime.addresses import url_of
from pytest_dockerkit._runtime.cover import Cover
from pytest_dockerkit._runtime.readiness import LOG_LINES, told_log
from pytest_dockerkit._runtime.scope import EndsWithBlock
from pytest_dockerkit._spec.ports import LOOPBACK, port_key
from pytest_dockerkit._units import parse_seconds, show_seconds
from pytest_dockerkit.errors import EngineError, NotReadyError, PortNotPublishedError, ServiceError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_dockerkit._engine.daemon import Daemon
    from pytest_dockerkit._spec.service import ServiceSpec

#: Task states that are an end. Source: swarmkit, api/types.proto, TaskState.
_ENDED = ("complete", "failed", "rejected", "orphaned", "shutdown", "remove")
_FAILED = ("failed", "rejected")
#: How many tasks have to fail before a service that has not converged is given up.
_GIVEN_UP = 3
#: States of an update that will not go on by itself. Source: Engine API, Service.UpdateStatus.
_STOPPED = ("paused", "rollback_paused")
#: For how long a task has to run before it counts where it has no health check, in seconds: one whose command fails
#: at once is running for a moment. The docker command line waits for five.
_SETTLES_S = 1.0
#: How often a change is tried that comes in between one of the swarm's own, and the first pause between, in seconds.
_TRIES, _PAUSE_S = 5, 0.05


class Task(NamedTuple):
    """One task of a service.

    Attributes:
        id: the swarm's id for it.
        slot: which of the replicas it is; 0 in a global service.
        node: the id of the node that it is on; empty as long as it has none.
        state: what it does: new, pending, assigned, preparing, starting, running, complete, failed, rejected, …
        desired: what the swarm wants it to do: running, or shutdown where another has come in its place.
        container_id: its container; empty as long as it has none.
        error: why it has failed, or cannot be placed.
        exit_code: of its container; None while that runs, or if there was none.
    """

    id: str
    slot: int
    node: str
    state: str
    desired: str
    container_id: str
    error: str
    exit_code: int | None


class RunningService(EndsWithBlock):
    """A service that has converged.

    As a context manager it is removed at the end of the block; else at the end of its scope.

    Attributes:
        id: the swarm's id for it.
        name: its name in the swarm.
        alias: what others find it by in its networks.
        spec: what was asked for.
    """

    def __init__(
        self,
        engine: Daemon,
        spec: ServiceSpec,
        service_id: str,
        name: str,
        alias: str,
        *,
        is_checked: bool,
        remove: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._remove = remove
        #: For how long a task has to run before it counts, in seconds, and since when each was seen to run.
        self._settles_s = 0.0 if is_checked else _SETTLES_S
        self._seen: dict[str, float] = {}
        #: Covers its secrets in a text that is about to be shown.
        self._cover = Cover(spec, None)
        self.spec = spec
        self.id = service_id
        self.name = name
        self.alias = alias

    @property
    def replicas(self) -> int:
        """How many tasks there are to be now."""
        mode = self.inspect()["Spec"]["Mode"]
        if "Replicated" in mode:
            return int(mode["Replicated"].get("Replicas") or 0)
        return len([each for each in self.tasks if each.desired == "running"])

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its tasks, those that have ended among them, the newest of each slot first."""
        found = sorted(self._engine.swarm.tasks(self.id), key=lambda each: str(each["CreatedAt"]), reverse=True)
        return tuple(map(_task, found))

    def inspect(self) -> dict[str, Any]:
        """Give all that the swarm knows of it now."""
        return self._engine.swarm.inspect(self.id)

    def logs(self, *, tail: int | None = None) -> str:
        """Give what all of its tasks have printed, as UTF-8 text; what cannot be decoded is replaced."""
        return self._engine.swarm.logs(self.id, tail=tail).decode(errors="replace")

    def address(self, port: int | str) -> tuple[str, int]:
        """Give the host and the port that a port of it is reached at: of the routing mesh, or of a node.

        Raises:
            PortNotPublishedError: it does not publish that port.
        """
        key = port_key(port)
        for each in (self.inspect().get("Endpoint") or {}).get("Ports") or ():
            if f"{each['TargetPort']}/{each['Protocol']}" == key and each.get("PublishedPort"):
                return LOOPBACK, int(each["PublishedPort"])
        raise PortNotPublishedError(
            f"service {self.alias!r} does not publish port {key}",
            saw=f"published: {', '.join(each.key for each in self.spec.published_ports) or 'none'}",
            mend=f"ports=[{key.removesuffix('/tcp')}]",
        )

    def url(self, port: int | str, path: str = "/", *, scheme: str = "http") -> str:
        """Give the URL of a path that it serves.

        Raises:
            PortNotPublishedError: it does not publish that port.
        """
        return url_of(*self.address(port), path, scheme)

    def scale(self, replicas: int) -> None:
        """Change how many tasks there are to be, and wait until there are.

        Raises:
            SpecError: it is a global service.
            ServiceError: its tasks fail.
        """

        def edit(spec: dict[str, Any]) -> None:
            if "Replicated" not in spec["Mode"]:
                raise SpecError("a global service is not scaled", saw=f"mode={self.spec.mode!r}", mend="placement=")
            spec["Mode"]["Replicated"]["Replicas"] = replicas

        self._change(edit)

    def update(self, *, image: str | None = None, env: dict[str, str] | None = None) -> None:
        """Change it, task by task as its `update=` says, and wait until all are new.

        Args:
            image: another image.
            env: variables in place of those that it has.

        Raises:
            ServiceError: the new tasks fail.
        """

        def edit(spec: dict[str, Any]) -> None:
            container = spec["TaskTemplate"]["ContainerSpec"]
            if image is not None:
                container["Image"] = image
            if env is not None:
                container["Env"] = [f"{key}={value}" for key, value in env.items()]

        self._change(edit)

    def rollback(self) -> None:
        """Take it back to what it was before the last change, and wait until it is.

        Raises:
            ServiceError: it has not been changed, or its tasks fail.
        """
        self._change(lambda _: None, rollback=True)

    def _change(self, edit: Callable[[dict[str, Any]], None], *, rollback: bool = False) -> None:
        """Change its spec, and wait until it has converged."""

        def carry_out() -> None:
            found = self.inspect()
            edit(found["Spec"])
            self._engine.swarm.update(self.id, found["Spec"], found["Version"]["Index"], rollback=rollback)

        # The swarm itself notes in it how an update goes on, and refuses what was made from what it was before.
        retried(carry_out, passes=_is_late, tries=_TRIES, first_s=_PAUSE_S)
        self.wait()

    def wait(self, timeout: float | str | None = None) -> None:
        """Wait until it has converged: as many tasks run as there are to be, and none that an update has replaced.

        Args:
            timeout: how long, seconds or "30s"; None takes the spec's.

        Raises:
            ServiceError: its tasks fail, or its update was given up.
            NotReadyError: it has not converged in time.
        """
        timeout_s = self.spec.timeout_s if timeout is None else parse_seconds("timeout", timeout)
        last = until_ready(self._look, timeout_s=timeout_s)
        if not last.ready:
            raise NotReadyError(
                f"service {self.alias!r} has not converged after {show_seconds(timeout_s)}",
                saw=last.seen,
                mend="read its log below; raise timeout= if it is only slow",
                details=self._last_log(),
            )

    def _look(self) -> Look:
        found = self.inspect()
        tasks = self.tasks
        self._refuse_failed(tasks, found)
        wanted = self._wanted(found, tasks)
        # Those of before an update are to be shut down, and may still run.
        now = time.monotonic()
        running = [each for each in tasks if each.state == "running" and each.desired == "running"]
        since = [self._seen.setdefault(each.id, now) for each in running]
        settled = not since or now - max(since) >= self._settles_s
        leaving = [each for each in tasks if each.state == "running" and each.desired != "running"]
        updating = (found.get("UpdateStatus") or {}).get("State") in ("updating", "rollback_started")
        seen = f"{len(running)} of {wanted} tasks run{', an update goes on' if updating else ''}"
        waits = sorted({each.error for each in tasks if each.desired == "running" and each.error})
        return Look(
            wanted is not None and len(running) == wanted and settled and not leaving and not updating,
            "; ".join([seen, *waits]),
        )

    def _wanted(self, found: dict[str, Any], tasks: Sequence[Task]) -> int | None:
        """Say how many tasks there are to be; of a global service that is known once the swarm has made them."""
        mode = found["Spec"]["Mode"]
        if "Replicated" in mode:
            return int(mode["Replicated"].get("Replicas") or 0)
        return len([each for each in tasks if each.desired == "running"]) or None

    def _refuse_failed(self, tasks: Sequence[Task], found: dict[str, Any]) -> None:
        update = found.get("UpdateStatus") or {}
        failed = [each for each in tasks if each.state in _FAILED]
        if update.get("State") in _STOPPED:
            what = f"the update of service {self.alias!r} was given up"
        elif len(failed) >= _GIVEN_UP * max(1, len({each.slot for each in failed})):
            what = f"the tasks of service {self.alias!r} keep failing"
        elif any(each.state == "rejected" for each in failed):
            what = f"tasks of service {self.alias!r} were rejected"
        else:
            return
        reasons = dict.fromkeys(
            f"{each.error or each.state}" + (f" (exit code {each.exit_code})" if each.exit_code else "")
            for each in failed
        )
        raise ServiceError(
            what,
            saw=self._cover("; ".join(filter(None, [str(update.get("Message") or ""), *reasons])))
            or "no reason is told",
            mend="read its log below, and correct its image, command or healthcheck",
            details=self._last_log(),
        )

    def _last_log(self) -> str:
        return told_log(self.alias, self._cover(self.logs(tail=LOG_LINES)))

    def remove(self) -> None:
        """Remove it, with its secrets and configs, and wait until its containers on this node are gone."""
        self._remove()

    def __repr__(self) -> str:
        return f"<RunningService {self.alias} {self.id[:12]}>"


def _is_late(failure: Exception) -> bool:
    return isinstance(failure, EngineError) and "out of sequence" in failure.saw


def _task(found: dict[str, Any]) -> Task:
    status = found.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    code = container.get("ExitCode")
    ended = status.get("State") in _ENDED
    return Task(
        id=str(found["ID"]),
        slot=int(found.get("Slot") or 0),
        node=str(found.get("NodeID") or ""),
        state=str(status.get("State") or "new"),
        desired=str(found.get("DesiredState") or ""),
        container_id=str(container.get("ContainerID") or ""),
        error=str(status.get("Err") or ""),
        exit_code=int(code) if ended and code is not None and container.get("ContainerID") else None,
    )
