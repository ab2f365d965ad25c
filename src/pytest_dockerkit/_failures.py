"""What a failing test shows: our error without our frames, and what its containers are and have said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import _pytest
import pluggy

from pytest_dockerkit._run import containers_of
from pytest_dockerkit.errors import DockerkitError, EngineUnavailableError

if TYPE_CHECKING:
    import pytest

    from pytest_dockerkit._runtime.handles import RunningContainer

_NOT_THE_USERS = tuple(str(Path(str(each)).parent) for each in (_pytest.__file__, pluggy.__file__, __file__))

#: How many last lines of each container a failing test shows.
_SHOWN_LINES = 100


def shorten(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, *, skip: bool) -> None:
    """Show one of our errors with the frames of the user's own code alone, and without any if there are none.

    Args:
        item: the test.
        call: what was called, and how it ended.
        report: pytest's report of it, which is changed.
        skip: whether a missing engine skips the test.
    """
    failure = call.excinfo
    if failure is None or not isinstance(failure.value, DockerkitError) or not report.failed:
        return
    if skip and isinstance(failure.value, EngineUnavailableError):
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (str(item.config.rootpath / path), (line or 0) + 1, failure.value.what)
        return
    theirs = [entry for entry in failure.traceback if not str(entry.path).startswith(_NOT_THE_USERS)]
    if not theirs:
        report.longrepr = str(failure.value)
        return
    failure.traceback = type(failure.traceback)(theirs)
    report.longrepr = item.repr_failure(failure)


def sections(item: pytest.Item, *, since: float) -> list[tuple[str, str]]:
    """Give a section for each container of a test: its state, its health, and its log since the test began."""
    return [_section(container, since) for container in containers_of(item)]


def _section(container: RunningContainer, since: float) -> tuple[str, str]:
    title = f"container {container.alias}"
    try:
        state = container.state()
        said = container.logs(since=since, tail=_SHOWN_LINES).rstrip()
    except DockerkitError as failure:
        return title, f"{failure.what}\n  saw:  {failure.saw}"
    parts = [container.image.reference, state["Status"]]
    if state["Status"] == "exited":
        parts.append(f"exit code {state['ExitCode']}" + (", OOM-killed" if state.get("OOMKilled") else ""))
    if container.health is not None:
        parts.append(container.health)
    return f"{title}: {', '.join(parts)}", said or "(its log says nothing since the test began)"
