"""Starting the process that undoes a run when its owner is gone; what it does is in `watching`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_dockerkit
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime import alive, watching
from pytest_dockerkit._runtime.undoing import LOG

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from typing import Any

#: How long the process may take until it has understood what it is to do, in seconds. It takes some hundredths.
ANSWER_TIMEOUT_S = 10.0

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


class NotWatchedError(Exception):
    """There is no process that watches over the run. Its text says why, as the second half of a sentence."""


class Watcher:
    """The watcher of a run, seen from one of its processes: whichever makes something first starts it."""

    def __init__(self, directory: Callable[[], Path], engine: Callable[[], Mapping[str, Any]]) -> None:
        """Begin; there is none yet.

        Args:
            directory: gives the run's directory.
            engine: says how the engine is reached.
        """
        self._directory = directory
        self._engine = engine
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: str | None = None
        self._is_there = False
        self._beginning = threading.Lock()

    def begin(self) -> None:
        """See to it that the run has one; from then on it is undone whatever happens to this process.

        Raises:
            NotWatchedError: it can have none.
            EngineUnavailableError: none answers.
        """
        if self._is_there:
            self._bury_first()
            return
        with self._beginning:
            if self._failure is not None:
                raise NotWatchedError(self._failure)
            try:
                self._is_there = self._is_there or self._begin()
            except NotWatchedError as failure:
                # It is not tried with everything that is made.
                self._failure = str(failure)
                raise

    def _begin(self) -> bool:
        if reason := why_not():
            raise NotWatchedError(reason)
        directory = self._directory().absolute()
        path = directory / alive.WATCHER
        try:
            lock = alive.lock(path)
        except BlockingIOError:
            # Another process of the run has started it; or somebody looks whether it lives, and it is tried again.
            return path.stat().st_size > 0
        except OSError as failure:
            raise NotWatchedError(f"there can be no locks: {failure}") from None
        try:
            os.ftruncate(lock, 0)
            job = {"engine": dict(self._engine()), "path": [str(Path(each).absolute()) for each in sys.path]}
            self._process = _started(directory, lock)
            # Not as an argument, which everybody can read: docker's configuration may have secrets among its headers.
            _send(self._process, json.dumps(job).encode() + b"\n")
        finally:
            # The process has it.
            alive.let_go(lock)
        return True

    def await_understood(self) -> None:
        """Wait until it has understood what it is to do.

        Raises:
            NotWatchedError: it has not; it does nothing.
        """
        path = self._directory() / alive.WATCHER

        def look() -> Look:
            try:
                if path.read_bytes() == watching.READY:
                    return Look(ready=True)
            except OSError:
                return Look(ready=False)
            return Look(ready=not alive.is_locked(path))

        answers = until_ready(look, timeout_s=ANSWER_TIMEOUT_S).ready
        if not answers:
            self._kill()
            raise NotWatchedError("its process does not answer")
        if not alive.is_locked(path):
            raise NotWatchedError(f"its process has ended, and {self._directory() / LOG} may say why")

    def close(self) -> None:
        """Leave it alone; what is left of starting it goes."""
        process, self._process = self._process, None
        if process is None:
            return
        import subprocess

        try:
            process.wait(ANSWER_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._kill(process)

    def _bury_first(self) -> None:
        # The first process of the two, which has ended as soon as there was the other.
        if self._process is not None and self._process.poll() is not None:
            self._process = None

    def _kill(self, process: subprocess.Popen[bytes] | None = None) -> None:
        process = process or self._process
        # As long as it has not been waited for, the group is its own.
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _send(process: subprocess.Popen[bytes], job: bytes) -> None:
    assert process.stdin is not None  # noqa: S101  - it is a pipe
    # What it ends with before it has read is told by its lock.
    with suppress(BrokenPipeError):
        process.stdin.write(job)
        process.stdin.flush()
    with suppress(BrokenPipeError):
        process.stdin.close()


def _started(directory: Path, lock: int) -> subprocess.Popen[bytes]:
    import subprocess

    package = Path(pytest_dockerkit.__file__).absolute().parents[1]
    script = str(Path(watching.__file__).absolute())
    try:
        with (directory / LOG).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *_FLAGS, *_cache_flags(), script, str(package), str(directory), str(lock)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                pass_fds=(lock,),
                # Whoever ends the group of pytest's processes, or closes its terminal, does not end this one.
                start_new_session=True,
            )
    except (OSError, subprocess.SubprocessError) as failure:
        raise NotWatchedError(f"no process can be started: {failure}") from None


def _cache_flags() -> list[str]:
    """Keep to where this Python has its compiled modules, and whether it writes them."""
    prefix = [] if sys.pycache_prefix is None else ["-X", f"pycache_prefix={Path(sys.pycache_prefix).absolute()}"]
    return [*prefix, *(["-B"] if sys.dont_write_bytecode else [])]


def why_not() -> str:
    """Say why there can be no process that outlives this one; nothing if there can."""
    if not hasattr(os, "fork"):
        return "a process cannot be left alone on this system"
    if not sys.executable or getattr(sys, "frozen", False):
        return "there is no Python to start a process with"
    if os.getpid() == 1:
        return "pytest is the first process of a container, and all others end with it"
    return ""
