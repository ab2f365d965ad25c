"""Handing over: what is left of a run is removed by a process of its own, and pytest need not wait."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_dockerkit
from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.undoing import LOG, TAKEN

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from pytest_dockerkit._runtime.session import Session

#: The value of the setting.
HANDOVER = "handover"

#: How long the process may take until it has understood what it is to do, in seconds. It takes a tenth of one, and is
#: started when the last test ends.
ANSWER_TIMEOUT_S = 10.0

#: The whole program. It finds the package without Python's own ways, which read whatever the user has installed.
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from pytest_dockerkit._runtime.undoing import main; main()"
#: Without `site`, and with no directory of the user's among those where modules are looked for.
_FLAGS = ("-S", "-s", "-P")

#: What a process needs to run at all, and to reach an engine: over ssh, through a proxy, with TLS. The engine's own
#: address is told it.
_KEPT = (
    *("HOME", "PATH", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME"),
    *("DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"),
    *("SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)


class NotHandedOverError(Exception):
    """The run cannot be handed over, and pytest has to wait. Its text says why, as the second half of a sentence."""


class Handover:
    """Hands a run over, seen from one of its processes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._undoer: Undoer | None = None
        self._failure: NotHandedOverError | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether the user wants it."""
        return self._session.settings.teardown == HANDOVER

    def prepare(self, *, owner: bool) -> None:
        """Leave from now on what is to go; no test comes any more.

        Args:
            owner: whether it is this process of the run that hands over, for all.
        """
        removals = self._session.removals
        if removals.leaving or self._failure is not None or not self.is_wanted:
            return
        if not owner:
            # Where containers are bounded, other workers wait for the room of those that this one has.
            removals.leaving = not self._session.places.are_bounded
        elif self._is_anything_left():
            try:
                # It is there by the time that it is needed.
                self._undoer = self._undoer or Undoer(self._session.directory)
            except NotHandedOverError as failure:
                self._failure = failure
            else:
                removals.leaving = True

    def complete(self) -> bool:
        """Let another process remove what any process of the run has made and left, where the user wants that.

        Returns:
            whether it does.

        Raises:
            NotHandedOverError: that cannot be; nothing is removed by it.
            EngineUnavailableError: none answers.
        """
        session = self._session
        self.prepare(owner=True)
        if self._failure is not None:
            raise self._failure
        try:
            if self._undoer is None or not self._is_anything_left():
                return False
            self._undoer.take(session.engine.directions)
        except NotHandedOverError:
            # Those that were begun behind the tests, and that nobody was to wait for.
            session.removals.settle()
            raise
        finally:
            self.close()
        return True

    def _is_anything_left(self) -> bool:
        session = self._session
        return session.has_made_anything and bool(ledger.open_entries(ledger.read(session.directory)))

    def close(self) -> None:
        """Let the process end if it was given nothing to do."""
        if self._undoer is not None:
            self._undoer.close()


class Undoer:
    """The process that undoes a run; what it does is in `undoing`."""

    def __init__(self, directory: Path) -> None:
        """Start it. It does nothing yet, and ends if it is given nothing to do.

        Args:
            directory: the run's.

        Raises:
            NotHandedOverError: it cannot be started.
        """
        self._directory = directory.absolute()
        self._process = _started(self._directory)

    def take(self, engine: Mapping[str, Any]) -> None:
        """Let it undo what the run's ledgers have open by now, and leave it alone.

        Args:
            engine: how the engine is reached.

        Raises:
            NotHandedOverError: it has not understood; it does nothing.
        """
        job = {
            "directory": str(self._directory),
            "engine": dict(engine),
            "path": [str(Path(each).absolute()) for each in sys.path],
        }
        try:
            # After an interruption it is let go on, too.
            answer = self._answer(json.dumps(job).encode() + b"\n")
            if answer != TAKEN:
                self._kill()
        finally:
            self.close()
        if answer != TAKEN:
            said = "does not answer" if answer is None else f"has ended, and {self._directory / LOG} may say why"
            raise NotHandedOverError(f"its process {said}")

    def _answer(self, job: bytes) -> bytes | None:
        """Send a line, and give that which comes back; None if there is none in time."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101  - both are pipes
        assert stdout is not None  # noqa: S101
        # Not as an argument, which everybody can read: docker's configuration may have secrets among its headers.
        with suppress(BrokenPipeError):
            stdin.write(job)
            stdin.flush()
        # Not by select(), which takes no descriptor above 1023.
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            return stdout.readline() if selector.select(ANSWER_TIMEOUT_S) else None

    def _kill(self) -> None:
        # Its first process has not been waited for, so that the group is still its own.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Hang up; it ends if it has nothing to do."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        # The first process of the two, which has ended as soon as there was the other.
        self._process.wait()


def _started(directory: Path) -> subprocess.Popen[bytes]:
    import subprocess

    if why_not := _why_not():
        raise NotHandedOverError(why_not)
    package = Path(pytest_dockerkit.__file__).absolute().parents[1]
    try:
        with (directory / LOG).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *_FLAGS, *_cache_flags(), "-c", _PROGRAM, str(package), str(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                # Whoever ends the group of pytest's processes, or closes its terminal, does not end this one.
                start_new_session=True,
            )
    except (OSError, subprocess.SubprocessError) as failure:
        raise NotHandedOverError(f"no process can be started: {failure}") from None


def _cache_flags() -> list[str]:
    """Keep to where this Python has its compiled modules, and whether it writes them."""
    prefix = [] if sys.pycache_prefix is None else ["-X", f"pycache_prefix={Path(sys.pycache_prefix).absolute()}"]
    return [*prefix, *(["-B"] if sys.dont_write_bytecode else [])]


def _why_not() -> str:
    """Say why there can be no process that outlives this one; nothing if there can."""
    if not hasattr(os, "fork"):
        return "a process cannot be left alone on this system"
    if not sys.executable or getattr(sys, "frozen", False):
        return "there is no Python to start a process with"
    if os.getpid() == 1:
        return "pytest is the first process of a container, and all others end with it"
    return ""
