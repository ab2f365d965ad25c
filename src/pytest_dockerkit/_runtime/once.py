"""Containers that are run to their end: `Image.run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_dockerkit._runtime.clock import engine_time
from pytest_dockerkit._runtime.results import RunResult
from pytest_dockerkit._runtime.scope import ONCE, ScopeInstance, end_all
from pytest_dockerkit._runtime.starting import Wanted
from pytest_dockerkit._spec.keywords import make_spec
from pytest_dockerkit._units import show_seconds
from pytest_dockerkit.errors import ExecTimeoutError, NotReadyError
from pytest_dockerkit.probes import exited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.session import Session


def run(session: Session, image: Image, command: str | Sequence[str] | None, fields: Mapping[str, Any]) -> RunResult:
    """Run a container to its end, and remove it with all that was made for it."""
    given = {"network": "bridge", **fields, "image": image, "command": command, "wait": exited(None)}
    spec = make_spec(given)
    if not session.engine.facts.podman:
        # The engine's usual log is JSON, and in it bytes that are no UTF-8 are replaced.
        options = {"LogConfig": {"Type": "local"}, **spec.docker_options}
        spec = make_spec({**given, "docker_options": options})
    endings: list[Callable[[], object]] = []
    scope = ScopeInstance(ONCE, f"run of {image.id}, {id(endings)}", endings.append)
    try:
        container = session.run(Wanted(spec, scope, spec.name or "run"))
        stdout = session.engine.containers.logs(container.id, only="stdout")
        stderr = session.engine.containers.logs(container.id, only="stderr")
        state = container.seen["State"]
        return RunResult(state["ExitCode"], stdout, stderr, _between(state["StartedAt"], state["FinishedAt"]))
    except NotReadyError as failure:
        raise ExecTimeoutError(
            f"a container of {image.reference} has not ended after {show_seconds(spec.timeout_s)}",
            saw=f"command {list(spec.command) if spec.command is not None else 'of the image'}",
            mend="raise timeout=, or give it a command that ends",
            details=failure.details,
        ) from None
    finally:
        end_all(endings)


def _between(start: str, end: str) -> float:
    # For what ends at once, engines may note the start a little after the end.
    return max(1e-6, (engine_time(end) - engine_time(start)).total_seconds())
