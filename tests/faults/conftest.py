"""What the tests of faults share: suites that are run by a process of their own, which may be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime import ledger
from tests.faults.proxy import FaultyEngine
from tests.plugin.conftest import Suite, leftovers, suite

if TYPE_CHECKING:
    from pytest_dockerkit import Kit

__all__ = ["Doomed", "doomed", "suite"]

#: How long anything of a run may be there that was killed, in seconds. Source: the promise P8.
LIMIT_S = 5.0
#: How long anything else may take that is waited for, in seconds.
PATIENCE_S = 60.0

#: Says which run it is, so that it is known before the run has made anything. What a shell starts in the background
#: ignores SIGINT, and what nohup starts ignores SIGHUP, and both pass that on; a job of CI may do so too.
_CONFTEST = """
import signal
import threading
from pathlib import Path

import pytest
from pytest_dockerkit import _run

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def mark(name):
    Path(__file__).with_name(f"{name}.mark").touch()


def stay():
    # Again and again: a signal that comes between Python's last look for one and the system's wait for a lock, where
    # threads hand the interpreter over, is heard only after the wait.
    while True:
        threading.Event().wait(0.05)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        path = Path(__file__).with_name("run.new")
        path.write_text(_run.run_id(config))
        path.rename(path.with_name("run.id"))
"""


class Doomed:
    """A run of pytest that is to end in another way than by itself."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._runs: list[str] = []
        self._processes: list[subprocess.Popen[str]] = []
        #: What the last run has printed.
        self.output = ""

    @property
    def path(self) -> Path:
        """Where the suite is; a test in it makes a mark there by `mark` of conftest."""
        return self._suite.path

    @property
    def process(self) -> subprocess.Popen[str]:
        """The last run."""
        return self._processes[-1]

    @property
    def run_id(self) -> str:
        """The id of the last run."""
        return self._runs[-1]

    @property
    def directory(self) -> Path:
        """The directory of the last run."""
        return self.path / "state" / "pytest-dockerkit" / "runs" / self.run_id

    def start(self, source: str, *args: str) -> None:
        """Start pytest in a group of processes of its own, and wait until it has begun.

        Args:
            source: a test module.
            *args: further arguments for pytest.
        """
        self._suite.write({"test_inner.py": source, "conftest.py": _CONFTEST})
        for old in (*self.path.glob("*.mark"), *self.path.glob("run.id")):
            old.unlink()
        options = ["-p", "no:randomly", "-p", "no:cacheprovider", "-W", "error", *args]
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "pytest", *options],
                cwd=self.path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        self.await_file("run.id")
        self._runs.append((self.path / "run.id").read_text(encoding="ascii"))

    def await_file(self, pattern: str) -> None:
        """Wait for files of a pattern, by their path from the suite; the run may end before."""

        def look() -> Look:
            return Look(any(self.path.glob(pattern)) or self.process.poll() is not None)

        assert until_ready(look, timeout_s=PATIENCE_S, shortest_s=0.001, longest_s=0.02).ready
        assert any(self.path.glob(pattern)), self.end()

    def await_ledger(self) -> None:
        """Wait until the run makes something."""
        self.await_file(f"state/pytest-dockerkit/runs/{self.run_id}/*.jsonl")

    def workers(self) -> list[int]:
        """Give the processes that the run has started, as Linux tells them."""
        pid = self.process.pid
        return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())]

    def kill(self, number: int = signal.SIGKILL, *, group: bool = False) -> None:
        """Send a signal to the run, or to all of its group."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self) -> str:
        """Wait for the end of the run, and give what it has printed."""
        self.output, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.output

    def nothing_is_left(self) -> None:
        """See that nothing of the last run is on the engine, within the time that is promised."""
        left: list[str] = []

        def look() -> Look:
            left[:] = leftovers(self.run_id, self._suite.environment)
            return Look(not left)

        until_ready(look, timeout_s=LIMIT_S)
        assert left == [], self.log()

    def nothing_comes_back(self) -> None:
        """See that the watchers end, and that the engine has made nothing more of any run meanwhile."""
        until_ready(lambda: Look(not self._states() + self.watchers()), timeout_s=PATIENCE_S)
        assert (self._states(), self.watchers()) == ([], [])
        assert [each for run in self._runs for each in leftovers(run, self._suite.environment)] == []

    def watchers(self) -> list[str]:
        """Give the command lines of the processes that watch over the suite's runs."""
        listed = subprocess.run(["ps", "-axww", "-o", "command="], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if "watching.py" in line and str(self.path) in line]

    def log(self) -> str:
        """Give what the watcher of the last run has written."""
        try:
            return (self.directory / "undoing.log").read_text(encoding="utf-8")
        except OSError:
            return ""

    def _states(self) -> list[Path]:
        # A run that was killed before it made anything has no watcher; the next one forgets it.
        return [each for each in self.path.glob("state/pytest-dockerkit/runs/*") if _has_made_anything(each)]

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            # Those whose group may be another's by now have been waited for.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _has_made_anything(directory: Path) -> bool:
    try:
        return any(line["do"] == "make" for line in ledger.read(directory))
    except FileNotFoundError:
        # It is being removed.
        return True


@pytest.fixture
def doomed(suite: Suite) -> Iterator[Doomed]:
    """Runs that end in another way than by themselves, in a state directory of their own."""
    made = Doomed(suite)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=["socket"])
def engine(dockerkit: Kit, request: pytest.FixtureRequest) -> Iterator[FaultyEngine]:
    """The engine behind what makes calls to it fail."""
    host = dockerkit.engine.host
    if not host.startswith("unix:///"):
        pytest.skip("the engine has no local socket")
    made = FaultyEngine(host.removeprefix("unix://"), tcp=request.param == "tcp")
    try:
        yield made
    finally:
        made.close()
