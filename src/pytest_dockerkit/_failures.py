"""What a failing test shows: our error without our frames, and what its containers are and have said."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import _pytest
import pluggy

from pytest_dockerkit._run import containers_of
from pytest_dockerkit.errors import DockerkitError, EngineUnavailableError

if TYPE_CHECKING:
    import pytest

    from pytest_dockerkit._runtime.handles import RunningContainer

_NOT_THE_USERS = (
    *(str(Path(str(each)).parent) for each in (_pytest.__file__, pluggy.__file__, __file__)),
    sysconfig.get_path("stdlib"),
    # The initialisers that dataclasses writes have no file.
    "<string>",
)


def without_our_frames(failure: pytest.ExceptionInfo[BaseException]) -> bool:
    """Leave the frames of the user's own code alone in the traceback of one of our errors.

    Returns:
        whether there are any.
    """
    kept: TracebackType | None = None
    for entry in reversed(failure.traceback):
        if not entry.frame.code.raw.co_filename.startswith(_NOT_THE_USERS):
            raw = entry._rawentry  # noqa: SLF001  - pytest gives no other way to it
            kept = TracebackType(kept, raw.tb_frame, raw.tb_lasti, raw.tb_lineno)
    if kept is None:
        return False
    failure.value.__traceback__ = kept
    failure._excinfo = (failure.type, failure.value, kept)  # noqa: SLF001
    failure._traceback = None  # noqa: SLF001
    return True


def tell(item: pytest.Item, error: DockerkitError, report: pytest.TestReport, *, skip: bool) -> None:
    """Show one of our errors by its words alone.

    Args:
        item: the test.
        error: what happened to it.
        report: pytest's report of it, which is changed.
        skip: whether a missing engine skips the test.
    """
    report.longrepr = str(error)
    if skip and isinstance(error, EngineUnavailableError):
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (str(item.config.rootpath / path), (line or 0) + 1, error.what)


def sections(item: pytest.Item, *, since: float) -> list[tuple[str, str]]:
    """Give a section for each container of a test: its state, its health, and its log since the test began."""
    shown = [each for each in containers_of(item) if not each.removed or each.last_sight is not None]
    return [_section(container, since) for container in shown]


def _section(container: RunningContainer, since: float) -> tuple[str, str]:
    title = f"container {container.alias}"
    try:
        seen = container.last_sight or container.look_at_it(None if container.of_one_test else since)
    except DockerkitError as failure:
        return title, f"{failure.what}\n  saw:  {failure.saw}"
    parts = [container.image.title, str(seen.state["Status"])]
    if seen.state["Status"] == "exited":
        parts.append(f"exit code {seen.state['ExitCode']}" + (", OOM-killed" if seen.state.get("OOMKilled") else ""))
    if seen.health is not None:
        parts.append(seen.health)
    return f"{title}: {', '.join(parts)}", seen.log or "(its log says nothing since the test began)"
