"""What a failing test shows: our error without our frames, and what its containers are and have said."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import _pytest
import pluggy
import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntryNative, ReprFileLocation, ReprTraceback

from pytest_dockerkit._options import option
from pytest_dockerkit._run import containers_of
from pytest_dockerkit._runtime.awaited import ENDED
from pytest_dockerkit._runtime.deaths import look, sentence
from pytest_dockerkit.errors import CapabilityError, DockerkitError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.deaths import Death
    from pytest_dockerkit._runtime.handles import RunningContainer

_NOT_THE_USERS = (
    *(str(Path(str(each)).parent) for each in (_pytest.__file__, pluggy.__file__, __file__)),
    sysconfig.get_path("stdlib"),
    # The initialisers that dataclasses writes have no file.
    "<string>",
)

#: The containers whose death a report of the test has told.
_TOLD = pytest.StashKey[list["RunningContainer"]]()

_OWN = "The test's own error:"


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


def may_skip(config: pytest.Config, error: object, *, none_answers: bool) -> bool:
    """Tell whether a test is skipped since no engine answers, or since what it wants cannot be done here."""
    if none_answers:
        return option(config, "missing-engine") == "skip"
    return isinstance(error, CapabilityError) and option(config, "missing-capability") == "skip"


def tell(item: pytest.Item, error: DockerkitError, report: pytest.TestReport, *, skip: bool) -> None:
    """Show one of our errors by its words alone.

    Args:
        item: the test.
        error: what happened to it.
        report: pytest's report of it, which is changed.
        skip: whether it skips the test.
    """
    report.longrepr = str(error)
    if skip:
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (str(item.config.rootpath / path), (line or 0) + 1, error.what)


def complete(item: pytest.Item, report: pytest.TestReport, *, since: float) -> None:
    """Add to the report of a failing test what its containers are and have said; first of all which of them has died.

    Args:
        item: the test.
        report: pytest's report of it, which is changed.
        since: when it began, in seconds since the epoch.
    """
    told = item.stash.setdefault(_TOLD, [])
    deaths: list[str] = []
    for container in containers_of(item):
        asked = container.was_asked_to_end
        death = None if asked else _death(container, item.nodeid)
        if death is not None and container not in told:
            told.append(container)
            deaths.append("\n".join(filter(None, (sentence(container, death, item.nodeid), death.log))))
        if not container.removed or container.last_sight is not None:
            report.sections.append(_section(container, since))
            # Whatever it was to be started by again, the test has not come to.
            container.left_stopped = asked and container.seen["State"]["Status"] in ENDED
    if deaths and not _is_said(report, deaths[0]):
        _put_first("\n\n".join(deaths), report)


def _death(container: RunningContainer, test: str) -> Death | None:
    # What was removed by the test itself is not worth a word.
    return None if container.removed and not container.removed_elsewhere() else look(container, test)


def _is_said(report: pytest.TestReport, text: str) -> bool:
    """Tell whether the error of a report says of itself what is to be added."""
    return isinstance(report.longrepr, str) and report.longrepr.startswith(text.partition("\n")[0])


def _put_first(text: str, report: pytest.TestReport) -> None:
    """Let the error of a report begin with a text, also in pytest's summary and on the way from a worker."""
    error = report.longrepr
    if not isinstance(error, ExceptionChainRepr):
        report.longrepr = f"{text}\n\n{_OWN}\n{error}"
        return
    first = ReprTraceback([ReprEntryNative([f"{line}\n" for line in text.split("\n")])], None, style="native")
    *before, (traceback, crash, words) = error.chain
    said = text.partition("\n")[0]
    if crash is not None:
        # What the summary and other reports show; xdist passes on that of the last alone.
        crash = ReprFileLocation(crash.path, crash.lineno, f"{said}; {crash.message}")
    made = ExceptionChainRepr([(first, crash, _OWN), *before, (traceback, crash, words)])
    made.sections = error.sections
    report.longrepr = made


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
