"""The handle of a running container."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Self

from pytest_dockerkit import probes
from pytest_dockerkit._runtime import readiness
from pytest_dockerkit._runtime.addresses import ContainerAddresses
from pytest_dockerkit._runtime.awaited import ENDED, AwaitedContainer
from pytest_dockerkit._runtime.clock import engine_time
from pytest_dockerkit._runtime.container_faults import ContainerFaults
from pytest_dockerkit._runtime.container_files import ContainerFiles
from pytest_dockerkit._runtime.deaths import ends
from pytest_dockerkit._runtime.health import HealthWatch
from pytest_dockerkit._runtime.known import by_alias
from pytest_dockerkit._runtime.log_watch import after
from pytest_dockerkit._runtime.scope import end_all
from pytest_dockerkit._spec import checks
from pytest_dockerkit._units import parse_seconds, show_seconds
from pytest_dockerkit.errors import (
    ContainerRemovedError,
    DockerkitError,
    ExecError,
    ExecTimeoutError,
    NotOnEngineError,
    NotReadyError,
    SpecError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_dockerkit._runtime.results import ExecResult, Sight, Stats
    from pytest_dockerkit._spec.probe import Probe

#: How many last lines of each container a failing test shows.
REPORTED_LINES = 100


class RunningContainer(AwaitedContainer, ContainerAddresses, ContainerFiles, ContainerFaults):
    """A container that has been started and was ready.

    As a context manager it is removed at the end of the block; else at the end of its scope.

    Attributes:
        id: the engine's id for it.
        name: its name on the engine.
        alias: what other containers find it by.
        image: its image.
        spec: what was asked for.
    """

    @by_alias
    def exec(
        self,
        cmd: str | Sequence[str],
        *,
        user: str | int | None = None,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        stdin: str | bytes | None = None,
        timeout: float | str | None = None,
        check: bool = False,
    ) -> ExecResult:
        """Run a command in it, to its end.

        Args:
            cmd: the command: a list, or a text that is split into one; no shell is involved.
            user: who runs it, in place of the container's user.
            env: variables beside the container's.
            workdir: where, in place of the container's working directory.
            stdin: what it reads.
            timeout: how long it may take, seconds or "30s"; None for as long as it likes.
            check: raise when its exit code is not 0.

        Raises:
            ExecError: with `check`, its exit code is not 0.
            ExecTimeoutError: it took longer than `timeout`. It goes on until the container is removed.
            SpecError: a value is wrong.
        """
        argv = checks.argv("cmd", cmd)
        if not argv:
            raise SpecError("the command is empty", saw=repr(cmd), mend='container.exec(["ls", "-l"])')
        timeout_s = None if timeout is None else parse_seconds("timeout", timeout)
        given = stdin.encode() if isinstance(stdin, str) else stdin
        # What a test does itself does not surprise it.
        self.end_seen |= ends(argv)
        try:
            code, stdout, stderr = self._engine.containers.exec(
                self.id,
                argv,
                user="" if user is None else str(user),
                env=env,
                workdir=workdir,
                stdin=given,
                timeout_s=timeout_s,
            )
        except TimeoutError as failure:
            if isinstance(failure, DockerkitError):
                raise
            raise ExecTimeoutError(
                f"{argv[0]!r} in container {self.alias!r} has not ended after {show_seconds(timeout_s or 0)}",
                saw=f"{list(argv)}",
                mend="raise timeout=, or find out what it waits for",
            ) from None
        # Here and below: 3 ms with all that can be measured, and many tests do not.
        from pytest_dockerkit._runtime.results import ExecResult

        result = ExecResult(code, stdout, stderr)
        if check and code != 0:
            said = self.cover(result.stderr or result.stdout).strip()
            raise ExecError(
                f"{argv[0]!r} in container {self.alias!r} ended with exit code {code}",
                saw=f"{self.cover(str(list(argv)))}\n{said[-2000:]}".rstrip(),
                mend="correct the command, or read exit_code without check=True",
            )
        return result

    @by_alias
    def logs(self, *, since: float | None = None, tail: int | None = None, stream: str | None = None) -> str:
        """Give what it has printed, as UTF-8 text; what cannot be decoded is replaced.

        Args:
            since: from this time on, in seconds since the epoch.
            tail: this many last lines.
            stream: "stdout" or "stderr"; None for both.

        Raises:
            SpecError: there is no such stream.
        """
        if stream is not None:
            checks.one_of("stream", stream, ("stdout", "stderr"))
        # The engine counts the lines of both streams, and gives less when one of them is left out.
        count_here = stream is not None and tail is not None
        said = self._engine.containers.logs(
            self.id,
            only=stream,
            since_s=since,
            tail=None if count_here else tail,
        )
        if count_here and tail is not None:
            lines = io.BytesIO(said).readlines()
            said = b"".join(lines[max(0, len(lines) - tail) :])
        return said.decode(errors="replace")

    def follow(self) -> Iterator[str]:
        """Give the lines that it prints, from the first on, as they come, until it ends."""
        rest = b""
        for piece in self._followed():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace").rstrip("\r")
        if rest:
            yield rest.decode(errors="replace")

    @by_alias
    def stop(self, timeout: float | str | None = None) -> None:
        """Ask it to stop, and kill it when it has not after `timeout` seconds (else its spec's, else 10 s)."""
        timeout_s = self.spec.stop_timeout_s if timeout is None else parse_seconds("timeout", timeout)
        self.ask_to_end()
        self._engine.containers.stop(self.id, timeout_s)
        self.refresh()

    @by_alias
    def start(self) -> None:
        """Start it again after it has ended, and wait until it is ready."""
        # What it prints from now on comes after the end of the run before. Its start is noted only when the first
        # lines may have been printed already.
        ended = engine_time(self.state()["FinishedAt"])
        self._log_since = ended.timestamp() if ended.year > 1 else None  # the year 1 stands for what never was
        self._engine.containers.start(self.id)
        self.ask_to_end(asked=False)
        self.known_death = None
        self.await_ready()

    @by_alias
    def restart(self, timeout: float | str | None = None) -> None:
        """Stop it as `stop()` does, start it again, and wait until it is ready."""
        self.stop(timeout)
        self.start()

    @by_alias
    def kill(self, signal: str = "SIGKILL") -> None:
        """Send it a signal."""
        self.ask_to_end()
        self._engine.containers.kill(self.id, signal)

    def wait(self, probe: Probe, timeout: float | str | None = None) -> None:
        """Wait until a probe is satisfied.

        Args:
            probe: what to wait for.
            timeout: how long, seconds or "30s"; None takes the spec's.

        Raises:
            NotReadyError: it was not in time.
            ContainerError: the container has ended or is unhealthy.
        """
        timeout_s = self.spec.timeout_s if timeout is None else parse_seconds("timeout", timeout)
        try:
            readiness.wait(self, probe, timeout_s)
        finally:
            # Whether it was waited for, or came in between: it is told.
            self.end_seen |= self.seen["State"]["Status"] in ENDED

    def wait_exit(self, timeout: float | str | None = None) -> int:
        """Wait for its end, and give its exit code.

        Raises:
            NotReadyError: it has not ended after `timeout` seconds.
        """
        timeout_s = self.spec.timeout_s if timeout is None else parse_seconds("timeout", timeout)
        try:
            readiness.wait(self, probes.exited(None), timeout_s)
        except NotReadyError as failure:
            failure.what = f"container {self.alias!r} has not ended after {show_seconds(timeout_s)}"
            failure.mend = "raise timeout=, or stop() it"
            raise
        self.end_seen = True
        return int(self.seen["State"]["ExitCode"])

    @by_alias
    def stats(self) -> Stats:
        """Measure what it uses; takes about a second, which the engine measures over."""
        from pytest_dockerkit._runtime.results import stats_of

        return stats_of(self._engine.containers.stats(self.id))

    def remove(self) -> None:
        """Remove it with its unnamed volumes; once it is gone, nothing happens."""
        self._end(self._remove)

    def leave(self, remove: Callable[[], object]) -> None:
        """Let it be removed by other means, which need not have come to their end."""
        self._end(remove)

    def _end(self, remove: Callable[[], object]) -> None:
        remove()
        self._removed = True
        end_all(self.on_removed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            # The report of the failing test is made when it is gone.
            with contextlib.suppress(DockerkitError):
                self.last_sight = self.look_at_it()
        self.hold(self, failed=kind is not None)
        self.remove()

    def __repr__(self) -> str:
        return f"<RunningContainer {self.alias} {self.id[:12]}>"

    # For probes and for the plugin's own use

    def look_at_it(self, since: float | None = None) -> Sight:
        """Take down what it is and has said, for a report.

        Args:
            since: lines from this time on, in seconds since the epoch.
        """
        from pytest_dockerkit._runtime.results import Sight

        return Sight(self.state(), self.health, self.cover(self.logs(since=since, tail=REPORTED_LINES)).rstrip())

    def death(self) -> DockerkitError:
        """Make the error that says how it ended."""
        return readiness.death(self, self.state())

    def await_ready(self, go_on: Callable[[], object] | None = None, *, timeout_s: float | None = None) -> None:
        """Wait as its spec says.

        Args:
            go_on: called before each look; what it raises ends the wait.
            timeout_s: for how long, in seconds; None takes the spec's.

        Raises:
            ContainerError: it is not ready in time, or never will be.
        """
        self._watch = HealthWatch(self._engine, self.id)
        self.refresh()
        probe = self.spec.wait if self.spec.wait is not None else readiness.default_probe(self)
        readiness.wait(self, probe, self.spec.timeout_s if timeout_s is None else timeout_s, go_on)
        self.refresh()
        self.awaited = True

    def _followed(self) -> Iterator[bytes]:
        passed = 0
        try:
            for piece in self._engine.containers.follow(self.id):
                passed += len(piece)
                yield piece
        except ContainerRemovedError as gone:
            raise self.gone(gone) from None
        # The engine may hang up before it has passed the last lines on; 20.10.24 often does, `docker logs -f` too.
        with contextlib.suppress(NotOnEngineError):
            yield from after(self._engine.containers.said(self.id), passed)
