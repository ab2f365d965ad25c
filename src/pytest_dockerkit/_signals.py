"""SIGTERM and SIGHUP: they end a run as Ctrl-C does, through pytest's own teardown.

Python's own answer to them is to end at once, with no teardown at all. Every run imports this module: whatever is
heavy is imported where it is needed.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import FrameType

#: What a supervisor sends, and what a terminal sends that is closed. The latter is not there on Windows.
_NAMES = ("SIGTERM", "SIGHUP")

_SIGNALS = pytest.StashKey["Signals"]()


class Signals:
    """What has taken the place of Python's own answer to signals, in one process."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._taken: list[int] = []

    def take(self) -> None:
        """Answer those signals that nobody else answers or ignores, as `nohup` does."""
        if threading.current_thread() is not threading.main_thread():
            # Python lets no other thread do so.
            return
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._answer)
                self._taken.append(number)

    def give_back(self) -> None:
        """Let Python answer again, where nobody else has come in between."""
        taken, self._taken = self._taken, []
        for number in taken:
            if signal.getsignal(number) == self._answer:
                signal.signal(number, signal.SIG_DFL)

    def _answer(self, number: int, frame: FrameType | None) -> None:
        del frame
        if _forking.blocked is not None:
            # Python would show what is raised now, and go on: it is to come a moment later.
            threading.Thread(target=os.kill, args=(os.getpid(), number), daemon=True).start()
            return
        if self.received is None:
            self.received = number
        else:
            # A third one ends the process at once, however it is stuck. The watcher removes what is left.
            self.give_back()
        raise KeyboardInterrupt(signal.Signals(number).name)


class _Forking(threading.local):
    """What a thread that forks had blocked before; None as long as it does not fork."""

    blocked: set[int | signal.Signals] | None = None


_forking = _Forking()

#: Those that answer in this process; a child of a fork answers as any process does, so that it can be ended.
_answering: list[Signals] = []


def _hold_back() -> None:
    # Python forgets what comes to a child of a fork before it runs there: it would live on that was told to end.
    if _answering:
        _forking.blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, name) for name in _NAMES])


def _let_come() -> None:
    if _forking.blocked is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _forking.blocked)
        _forking.blocked = None


def _give_back_in_child() -> None:
    while _answering:
        with suppress(ValueError):
            _answering.pop().give_back()
    _let_come()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_back, after_in_parent=_let_come, after_in_child=_give_back_in_child)


def take(config: pytest.Config) -> None:
    """Answer SIGTERM and SIGHUP from now on, as pytest answers Ctrl-C."""
    if _SIGNALS not in config.stash:
        config.stash[_SIGNALS] = signals = Signals()
        signals.take()
        _answering.append(signals)


def give_back(config: pytest.Config) -> None:
    """Answer no more."""
    signals = config.stash.get(_SIGNALS, None)
    if signals is not None:
        signals.give_back()
        if signals in _answering:
            _answering.remove(signals)


def exit_status(config: pytest.Config) -> int | None:
    """Give the exit code of a run that a signal has ended: what a shell shows of a process that it has ended."""
    signals = config.stash.get(_SIGNALS, None)
    return None if signals is None or signals.received is None else 128 + signals.received
