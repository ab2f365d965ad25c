"""How what is built and pulled is shown in this run: in a terminal, in CI, and from xdist's workers."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from pytest_dockerkit import _options, _run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_dockerkit._runtime.progress import Screen

#: What is to be closed.
_AT_END = pytest.StashKey[contextlib.ExitStack]()
#: Where the controller listens; empty where it cannot.
_ADDRESS = pytest.StashKey[str]()
_HANDED_DOWN = "dockerkit_progress"

#: Any of them says that this is CI. Source: the documentation of GitHub, GitLab and most others (CI), Jenkins
#: (BUILD_NUMBER), Azure Pipelines, TeamCity and AWS CodeBuild.
_CI = ("CI", "GITHUB_ACTIONS", "BUILD_NUMBER", "TF_BUILD", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID")


def begin(config: pytest.Config) -> None:
    """Take hold of the terminal: later, while a test is set up, all output is captured.

    Nothing else happens before something is built or pulled.
    """
    if _run.is_worker(config):
        _begin_in_worker(config)
        return
    reporter = config.pluginmanager.getplugin("terminalreporter")
    file = getattr(getattr(reporter, "_tw", None), "_file", None)
    if file is None:
        return
    how = way(_options.option(config, "progress") or "auto", terminal=file.isatty(), environ=os.environ)
    if how != "off":
        ours = _another(file)

        def screen() -> Screen:
            from pytest_dockerkit._screens import Live, Output, Plain

            workers = config.pluginmanager.hasplugin("dsession")
            output = Output(reporter, ours, config.getoption("capture", "no"), workers=workers)
            return Live(output) if how == "live" else Plain(output)

        _keep(config, screen, None if ours is file else ours)


def _begin_in_worker(config: pytest.Config) -> None:
    given: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]

    def screen() -> Screen:
        from pytest_dockerkit._runtime.relay import Sender

        return Sender(given[_HANDED_DOWN], given["workerid"])

    if _HANDED_DOWN in given:
        _keep(config, screen, None)


def _keep(config: pytest.Config, screen: Callable[[], Screen], file: TextIO | None) -> None:
    """Keep what makes the screen when it is first needed, and what is to be closed at the end."""
    made: list[Screen] = []

    def once() -> Screen:
        if not made:
            made.append(screen())
        return made[0]

    def close() -> None:
        for each in made:
            each.close()
        if file is not None:
            file.close()

    config.stash[_run.SCREEN] = once
    config.stash[_AT_END] = contextlib.ExitStack()
    config.stash[_AT_END].callback(close)


def way(asked: str, *, terminal: bool, environ: Mapping[str, str]) -> str:
    """Decide what is shown: "live", "plain" or "off".

    Args:
        asked: the option: auto, live, plain or off.
        terminal: whether pytest writes to a terminal.
        environ: the environment.
    """
    # Windows' consoles take control sequences only where they were told to.
    can = terminal and os.name != "nt" and environ.get("TERM", "") not in ("", "dumb", "unknown")
    if asked == "live" and not can:
        return "plain"
    if asked != "auto":
        return asked
    # Some CI has a terminal, whose output is read later all the same.
    if any(environ.get(name, "").lower() not in ("", "0", "false") for name in _CI):
        return "plain"
    # What reads from pytest elsewhere is often a program. It should not read another text after a slow build.
    return "off" if not terminal else "live" if can else "plain"


def hand_down(node: Any) -> None:
    """Tell a worker of xdist's where to send what it builds and pulls."""
    config: pytest.Config = node.config
    # Those on other machines have no way to here.
    if _run.SCREEN not in config.stash or not node.gateway.spec.popen:
        return
    if _ADDRESS not in config.stash:
        config.stash[_ADDRESS] = _listen(config)
    if address := config.stash[_ADDRESS]:
        node.workerinput[_HANDED_DOWN] = address


def _listen(config: pytest.Config) -> str:
    from pytest_dockerkit._runtime.relay import Receiver, can_relay

    if not can_relay():
        return ""
    try:
        receiver = Receiver(config.stash[_run.SCREEN]())
    except OSError:
        return ""
    config.stash[_AT_END].callback(receiver.close)
    return receiver.path


def end(config: pytest.Config) -> None:
    """Let go of the terminal."""
    if _run.SCREEN not in config.stash:
        return
    del config.stash[_run.SCREEN]
    if (session := _run.session_if_any(config)) is not None:
        session.progress.close()
    config.stash[_AT_END].close()


def _another(file: Any) -> TextIO:
    """Give another way to where a file is written to; the file itself, if it is nothing of the system's."""
    try:
        number = os.dup(file.fileno())
    except (OSError, AttributeError, io.UnsupportedOperation):
        ours: TextIO = file
        return ours
    return open(number, "w", encoding=file.encoding, errors="replace")  # noqa: PTH123  - closed with the screen
