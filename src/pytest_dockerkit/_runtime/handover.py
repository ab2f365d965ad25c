"""Handing over: what is left of a run is removed by a process of its own, and pytest need not wait."""

from __future__ import annotations

import json
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_dockerkit
from pytest_dockerkit._runtime.undoing import LOG, TAKEN

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

#: The value of the setting.
HANDOVER = "handover"

#: How long the process may take until it has understood what it is to do, in seconds. It takes 60 ms, and has begun
#: when the tests ended.
START_TIMEOUT_S = 10.0

#: The whole program, so that no package need be found by Python's own ways: those read files that the user may have
#: in the directory, and take longer than all the rest.
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from pytest_dockerkit._runtime.undoing import main; main()"
#: Without `site`; nothing is written beside the modules; no directory of the user's comes first.
_FLAGS = ("-S", "-s", "-P", "-B")

#: What a process needs to run at all, and to reach an engine: by its address, over ssh, through a proxy, with TLS.
_KEPT = (
    *("HOME", "PATH", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME"),
    *("DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
    *("SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)


class NotHandedOverError(Exception):
    """The run cannot be handed over, and pytest has to wait. Its text says why, as the second half of a sentence."""


class Handover:
    """The process that undoes a run, seen from the run."""

    def __init__(self, directory: Path) -> None:
        """Start the process. It does nothing yet, and ends if it is given nothing to do.

        Args:
            directory: the run's.

        Raises:
            NotHandedOverError: it cannot be started.
        """
        self._directory = directory
        self._process = _started(directory)

    def complete(self, engine: Mapping[str, Any]) -> None:
        """Let it undo what the run's ledgers have open by now, and leave it alone.

        Args:
            engine: how the engine is reached.

        Raises:
            NotHandedOverError: it has not understood; it does nothing.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101  - both are pipes
        assert stdout is not None  # noqa: S101
        job = {
            "directory": str(self._directory.absolute()),
            "engine": dict(engine),
            "path": [str(Path(each).absolute()) for each in sys.path],
        }
        try:
            # Not as an argument, which everybody can read: docker's configuration may have secrets among its headers.
            stdin.write(json.dumps(job).encode() + b"\n")
            stdin.flush()
            ready, _, _ = select.select([stdout], [], [], START_TIMEOUT_S)
            answer = stdout.readline() if ready else b""
        except OSError as failure:
            raise NotHandedOverError(f"its process has ended: {failure}") from None
        finally:
            self.close()
        if answer != TAKEN:
            raise NotHandedOverError(f"its process {'has ended' if ready else 'does not answer'}")

    def close(self) -> None:
        """Hang up; it ends if it has nothing to do."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        # Only the first of the two, which has ended when the other began.
        self._process.wait()


def _started(directory: Path) -> subprocess.Popen[bytes]:
    import subprocess

    if why_not := _why_not():
        raise NotHandedOverError(why_not)
    program = [sys.executable, *_FLAGS, "-c", _PROGRAM, str(Path(pytest_dockerkit.__file__).parents[1]), str(directory)]
    try:
        with (directory / LOG).open("ab") as log:
            return subprocess.Popen(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                # A group of its own: whoever ends pytest's does not end this.
                start_new_session=True,
            )
    except (OSError, subprocess.SubprocessError) as failure:
        raise NotHandedOverError(f"no process can be started: {failure}") from None


def _why_not() -> str:
    """Say why there can be no process that outlives this one; nothing if there can."""
    if not hasattr(os, "fork"):
        return "processes of this system end with the one that has started them"
    if not sys.executable or getattr(sys, "frozen", False):
        return "there is no Python to start a process with"
    if os.getpid() == 1:
        return "the container ends with pytest, and every process in it"
    return ""
