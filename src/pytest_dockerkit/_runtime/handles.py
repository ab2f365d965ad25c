"""The handle of a running container."""

from __future__ import annotations

import contextlib
import io
import posixpath
import time
from contextlib import contextmanager
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar
from urllib.parse import urlsplit

from pytest_dockerkit import probes
from pytest_dockerkit._runtime import files, readiness
from pytest_dockerkit._runtime.clock import engine_time
from pytest_dockerkit._runtime.health import HealthWatch
from pytest_dockerkit._runtime.results import ExecResult, Limits, Sight, Stats
from pytest_dockerkit._runtime.scope import end_all
from pytest_dockerkit._runtime.transfer import put_files
from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.ports import LOOPBACK, port_key
from pytest_dockerkit._spec.refs import ContainerHandle
from pytest_dockerkit._units import parse_seconds, show_seconds
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import (
    ContainerError,
    ContainerFileError,
    ContainerRemovedError,
    DockerkitError,
    ExecError,
    ExecTimeoutError,
    NotOnEngineError,
    NotReadyError,
    PortNotPublishedError,
    SpecError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docker.models.containers import Container

    from pytest_dockerkit._engine.daemon import Daemon
    from pytest_dockerkit._poll import Look
    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.networks import Network
    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.probe import Probe

#: How many last lines of each container a failing test shows.
REPORTED_LINES = 100

_ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  - read from the engine, not bound to
_LOOPBACKS = (LOOPBACK, "::1", "localhost")

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _by_alias(
    method: Callable[Concatenate[RunningContainer, _P], _R],
) -> Callable[Concatenate[RunningContainer, _P], _R]:
    """Call a container that is gone by its alias; the engine knows it by its id."""

    @wraps(method)
    def call(container: RunningContainer, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        __tracebackhide__ = True
        try:
            return method(container, *args, **kwargs)
        except ContainerRemovedError as gone:
            raise container.gone(gone) from None

    return call


class RunningContainer(ContainerHandle):
    """A container that has been started and was ready.

    As a context manager it is removed at the end of the block; else at the end of its scope.

    Attributes:
        id: the engine's id for it.
        name: its name on the engine.
        alias: what other containers find it by.
        image: its image.
        spec: what was asked for.
        removed: whether it was removed, by a `with` or `remove()`.
    """

    def __init__(
        self,
        engine: Daemon,
        spec: ContainerSpec,
        image: Image,
        *,
        container_id: str,
        name: str,
        alias: str,
        networks: Sequence[Network],
        remove: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._remove = remove
        self._networks = list(networks)
        self._watch = HealthWatch(engine, container_id)
        self.removed = False
        #: Whether it was sent a signal through this handle: then that is why it has ended.
        self.stopped_by_us = False
        #: What it was when its `with` block ended with an exception.
        self.last_sight: Sight | None = None
        #: When the wait for it is over, by the monotonic clock.
        self.deadline: float | None = None
        #: Called when it was removed, whoever did that through this handle.
        self.on_removed: list[Callable[[], object]] = []
        #: The containers that were given to it as what it depends on.
        self.stands_on: list[RunningContainer] = []
        self._log_since: float | None = None
        self.spec = spec
        self.image = image
        self.id = container_id
        self.name = name
        self.alias = alias
        self.seen = engine.containers.inspect(container_id)

    # What it is

    @property
    def network(self) -> Network:
        """The first of its networks.

        Raises:
            ContainerError: it is cut off from all of them.
        """
        if not self._networks:
            raise ContainerError(
                f"container {self.alias!r} is in no network",
                saw="it was disconnected from all of them",
                mend="network.connect(container), or look at it after the disconnect() block",
            )
        return self._networks[0]

    @property
    def networks(self) -> tuple[Network, ...]:
        """All of its networks."""
        return tuple(self._networks)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, the plugin's own among them."""
        return dict(self.seen["Config"]["Labels"])

    @property
    def status(self) -> str:
        """What it does now: created, running, paused, restarting, removing, exited or dead."""
        return str(self.state()["Status"])

    @property
    def health(self) -> str | None:
        """Its health now: starting, healthy or unhealthy; None without a health check.

        `healthy` also from the moment on when its own health command has passed while the plugin waited
        for it, though Docker may not have looked yet.
        """
        said = (self.state().get("Health") or {}).get("Status") or None
        return "healthy" if said == "starting" and self._watch.passed else said

    @property
    def limits(self) -> Limits:
        """The caps that the engine holds it to."""
        config = self.seen["HostConfig"]
        ulimits = {each["Name"]: (each["Soft"], each["Hard"]) for each in config.get("Ulimits") or ()}
        return Limits(
            cpus=config["NanoCpus"] / 1e9 if config.get("NanoCpus") else None,
            memory_bytes=config.get("Memory") or None,
            memory_swap_bytes=config.get("MemorySwap") or None,
            pids=config.get("PidsLimit") or None,
            shm_bytes=config.get("ShmSize") or None,
            ulimits=FrozenMapping(ulimits),
        )

    @property
    @_by_alias
    def docker(self) -> Container:
        """docker-py's own object for it, for what has no method here."""
        return self._engine.docker_container(self.id)

    def inspect(self) -> dict[str, Any]:
        """Give all that the engine knows of it now."""
        return self.refresh()

    @_by_alias
    def refresh(self) -> dict[str, Any]:
        """Ask the engine anew, and keep what it says for what is derived from it."""
        self.seen = self._engine.containers.inspect(self.id)
        return self.seen

    def state(self) -> dict[str, Any]:
        """Give the `State` of its description as the engine has it now."""
        state: dict[str, Any] = self.refresh()["State"]
        return state

    # How it is reached

    @property
    def host(self) -> str:
        """The address that its published ports are reached at."""
        return LOOPBACK if self._engine.facts.local else urlsplit(self._engine.facts.host).hostname or LOOPBACK

    @property
    def ip(self) -> str:
        """Its address in the first of its networks; the host's own on the host network, empty without one."""
        if self._on_host:
            return self.host
        if not self._networks:
            return ""
        endpoint = self.seen["NetworkSettings"]["Networks"].get(self.network.name) or {}
        return str(endpoint.get("IPAddress") or "")

    def address(self, port: int | str) -> tuple[str, int]:
        """Give the host and the port that a port of it is reached at.

        Args:
            port: the container's port: `6379` or `"53/udp"`.

        Raises:
            PortNotPublishedError: it does not publish that port.
            SpecError: it is no port.
        """
        key = port_key(port)
        number = int(key.partition("/")[0])
        if self._on_host:
            return self.host, number
        bound = self._bound(key)
        if bound is not None:
            return bound
        if self._only_internal and any(each.key == key for each in self.spec.published_ports):
            # The engine publishes nothing there, but the host itself is in the network.
            return self.ip, number
        published = [each.key for each in self.spec.published_ports]
        raise PortNotPublishedError(
            f"container {self.alias!r} does not publish port {key}",
            saw=f"published: {', '.join(published) or 'none'}; status {self.seen['State']['Status']}",
            mend=f"ports=[{number if key.endswith('/tcp') else repr(key)}]",
        )

    def port(self, port: int | str) -> int:
        """Give the host's port that a port of it is reached at.

        Raises:
            PortNotPublishedError: it does not publish that port.
            SpecError: it is no port.
        """
        return self.address(port)[1]

    def url(self, port: int | str, path: str = "/", *, scheme: str = "http") -> str:
        """Give the URL of a path that it serves.

        Args:
            port: the container's port.
            path: the path, with or without its first "/".
            scheme: http, https, redis, …

        Raises:
            PortNotPublishedError: it does not publish that port.
            SpecError: it is no port.
        """
        host, number = self.address(port)
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}:{number}/{path.lstrip('/')}"

    def first_port(self) -> int | str:
        """Give the first port that it publishes.

        Raises:
            PortNotPublishedError: it publishes none.
        """
        if self.spec.published_ports:
            return self.spec.published_ports[0].key
        raise PortNotPublishedError(
            f"container {self.alias!r} publishes no port",
            saw="ports=[]",
            mend="ports=[3080], or name the port",
        )

    def ways_to(self, port: int | str) -> Iterator[tuple[tuple[str, int], bool]]:
        """Give the addresses of a port, best first, and whether a proxy may answer there for it."""
        number = int(port_key(port).partition("/")[0])
        direct = bool(self.ip) and self._engine.facts.local
        if direct:
            yield (self.ip, number), False
        address = self.address(port)
        if address != (self.ip, number):
            yield address, True

    # What can be done with it

    @_by_alias
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
        result = ExecResult(code, stdout, stderr)
        if check and code != 0:
            raise ExecError(
                f"{argv[0]!r} in container {self.alias!r} ended with exit code {code}",
                saw=f"{list(argv)}\n{(result.stderr or result.stdout).strip()[-2000:]}".rstrip(),
                mend="correct the command, or read exit_code without check=True",
            )
        return result

    @_by_alias
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
            stdout=stream != "stderr",
            stderr=stream != "stdout",
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

    def read_file(self, path: str) -> str:
        """Give a file's content as UTF-8 text; links are followed, no program in the image is needed.

        Raises:
            ContainerFileError: it does not exist, is no regular file, or is not UTF-8.
        """
        content = self.read_bytes(path)
        try:
            return content.decode()
        except UnicodeDecodeError as failure:
            raise ContainerFileError(
                f"{path} is no UTF-8 text", saw=str(failure), mend=f"container.read_bytes({path!r})"
            ) from None

    @_by_alias
    def read_bytes(self, path: str) -> bytes:
        """Give a file's content; links are followed, no program in the image is needed.

        Raises:
            ContainerFileError: it does not exist, or is no regular file.
        """
        real = self._engine.containers.real_path(self.id, checks.container_path("path", path))
        self._refuse_tmpfs(self._through_links(real))
        found = self._file(real)
        if found.content is not None:
            return found.content
        saw = "it is no regular file"
        if not found.exists:
            saw = "it does not exist" if real == path else f"it leads to {real}, which does not exist"
        directory = posixpath.dirname(path)
        raise ContainerFileError(
            f"{path} cannot be read",
            saw=saw,
            mend=f'container.exec(["ls", "-la", {directory!r}]) shows what is there',
        )

    @_by_alias
    def write_file(self, path: str, content: str | bytes) -> None:
        """Write a file, owned by root, with the mode 0644; missing directories are made.

        Raises:
            SpecError: the path is not absolute.
            EngineError: the engine refuses, as for a read-only root.
        """
        self._put({checks.container_path("path", path): content})

    @_by_alias
    def copy_in(self, source: str | Path, target: str) -> None:
        """Copy a file or a directory of this machine into it, as the path `target`, or into `target/` under its name.

        Raises:
            ContainerFileError: the source does not exist.
            SpecError: the target is not absolute.
        """
        path = Path(source)
        if not path.exists():
            raise ContainerFileError(f"{path} cannot be copied in", saw="it does not exist", mend="correct the path")
        whole = checks.container_path("target", target)
        self._put({whole + path.name if whole.endswith("/") else whole: path.resolve()})

    @_by_alias
    def copy_out(self, source: str, target: str | Path) -> Path:
        """Copy a file or a directory out of it; nothing is written outside of `target`.

        Args:
            source: the path in the container; if it is a link, what that leads to is copied.
            target: where to; if that is a directory, the copy lies in it.

        Returns:
            the path of the copy.

        Raises:
            ContainerFileError: the source does not exist, or holds something that is not safe to unpack.
        """
        real = self._engine.containers.real_path(self.id, checks.container_path("source", source))
        self._refuse_tmpfs(self._through_links(real))
        with self._engine.containers.get(self.id, real) as pieces:
            if pieces is None:
                raise ContainerFileError(
                    f"{source} cannot be copied out", saw="it does not exist", mend="correct the path"
                )
            return files.unpack(pieces, Path(target), posixpath.basename(posixpath.normpath(source)) or "root")

    @_by_alias
    def stop(self, timeout: float | str | None = None) -> None:
        """Ask it to stop, and kill it when it has not after `timeout` seconds (else its spec's, else 10 s)."""
        timeout_s = self.spec.stop_timeout_s if timeout is None else parse_seconds("timeout", timeout)
        self.stopped_by_us = True
        self._engine.containers.stop(self.id, timeout_s)
        self.refresh()

    @_by_alias
    def start(self) -> None:
        """Start it again after it has ended, and wait until it is ready."""
        self.stopped_by_us = False
        # What it prints from now on comes after the end of the run before. Its start is noted only when the first
        # lines may have been printed already.
        ended = engine_time(self.state()["FinishedAt"])
        self._log_since = ended.timestamp() if ended.year > 1 else None  # the year 1 stands for what never was
        self._engine.containers.start(self.id)
        self.await_ready()

    @_by_alias
    def restart(self, timeout: float | str | None = None) -> None:
        """Stop it as `stop()` does, start it again, and wait until it is ready."""
        self.stop(timeout)
        self.start()

    @_by_alias
    def kill(self, signal: str = "SIGKILL") -> None:
        """Send it a signal."""
        self.stopped_by_us = True
        self._engine.containers.kill(self.id, signal)

    @_by_alias
    def pause(self) -> None:
        """Freeze all of its processes."""
        self._engine.containers.pause(self.id)

    @_by_alias
    def unpause(self) -> None:
        """Let its processes go on."""
        self._engine.containers.unpause(self.id)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze all of its processes for the block."""
        self.pause()
        try:
            yield
        finally:
            self.unpause()

    @contextmanager
    def disconnect(self, network: Network | None = None) -> Iterator[None]:
        """Cut it off from a network (the first of its own) for the block, then connect it as it was."""
        wanted = self.network if network is None else network
        place = next((place for place, each in enumerate(self._networks) if each.id == wanted.id), None)
        if place is None:
            raise ContainerError(
                f"container {self.alias!r} is not in the network {wanted.name!r}",
                saw=f"its networks: {', '.join(each.name for each in self._networks) or 'none'}",
                mend="disconnect() without a network takes the first of its own",
            )
        cut = self._networks[place]
        endpoint = self.refresh()["NetworkSettings"]["Networks"].get(cut.name) or {}
        # Engines before 26 name the container's own short id among them.
        aliases = [each for each in endpoint.get("Aliases") or () if not self.id.startswith(each)]
        cut.disconnect(self)
        try:
            yield
        finally:
            cut.connect(self, aliases)
            self._networks.remove(cut)
            self._networks.insert(place, cut)

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
        readiness.wait(self, probe, timeout_s)

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
        return int(self.seen["State"]["ExitCode"])

    @_by_alias
    def stats(self) -> Stats:
        """Measure what it uses; takes about a second, which the engine measures over."""
        measured = self._engine.containers.stats(self.id)
        memory = measured.get("memory_stats") or {}
        cache = memory.get("stats") or {}
        inactive = cache.get("total_inactive_file", cache.get("inactive_file", 0))
        return Stats(
            cpu_percent=_cpu_percent(measured),
            memory_bytes=max(0, memory.get("usage", 0) - inactive),
            peak_memory_bytes=memory.get("max_usage"),
            pids=(measured.get("pids_stats") or {}).get("current") or 0,
        )

    def remove(self) -> None:
        """Remove it with its unnamed volumes; once it is gone, nothing happens."""
        self._remove()
        self.removed = True
        end_all(self.on_removed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            # The report of the failing test is made when it is gone.
            with contextlib.suppress(DockerkitError):
                self.last_sight = self.look_at_it()
        self.remove()

    def __repr__(self) -> str:
        return f"<RunningContainer {self.alias} {self.id[:12]}>"

    # For probes and for the plugin's own use

    @property
    def time_left_s(self) -> float | None:
        """How long it is still waited for, in seconds; None if it is not."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def look_at_it(self, since: float | None = None) -> Sight:
        """Take down what it is and has said, for a report.

        Args:
            since: lines from this time on, in seconds since the epoch.
        """
        return Sight(self.state(), self.health, self.logs(since=since, tail=REPORTED_LINES).rstrip())

    def gone(self, failure: ContainerRemovedError) -> ContainerRemovedError:
        """Make the error that it was removed out of the engine's answer."""
        return ContainerRemovedError(
            f"container {self.alias!r} was removed", saw=failure.saw, mend=failure.mend, details=failure.details
        )

    def check_health(self) -> Look:
        """Look at its health once, sooner than Docker does.

        Raises:
            SpecError: it has no health check.
        """
        return self._watch.look(self.seen)

    def log_of_this_run(self) -> str:
        """Give what it has printed since it was last started; the engine keeps the log over a restart."""
        return self.logs(since=self._log_since)

    def death(self) -> DockerkitError:
        """Make the error that says how it ended."""
        return readiness.death(self, self.state())

    def await_ready(self) -> None:
        """Wait as its spec says.

        Raises:
            ContainerError: it is not ready in time, or never will be.
        """
        self._watch = HealthWatch(self._engine, self.id)
        self.refresh()
        probe = self.spec.wait if self.spec.wait is not None else readiness.default_probe(self)
        readiness.wait(self, probe, self.spec.timeout_s)
        self.refresh()

    def joined(self, network: Network) -> None:
        """Note that it was connected to a network."""
        if network not in self._networks:
            self._networks.append(network)
        self.refresh()

    def left(self, network: Network) -> None:
        """Note that it was disconnected from a network."""
        self.forget(network)
        self.refresh()

    def forget(self, network: Network) -> None:
        """Note that a network of it is gone."""
        if network in self._networks:
            self._networks.remove(network)

    @property
    def _only_internal(self) -> bool:
        return bool(self._networks) and all(network.internal for network in self._networks)

    @property
    def _on_host(self) -> bool:
        return any(network.name == "host" for network in self._networks)

    def _bound(self, key: str) -> tuple[str, int] | None:
        for binding in self.seen["NetworkSettings"]["Ports"].get(key) or ():
            address = binding["HostIp"]
            if address in _LOOPBACKS and not self._engine.facts.local and self.host not in _LOOPBACKS:
                number = key if not key.endswith("/tcp") else key.removesuffix("/tcp")
                raise PortNotPublishedError(
                    f"port {key} of container {self.alias!r} is published on the engine's own machine alone",
                    saw=f"{address}:{binding['HostPort']} there, and the engine is at {self._engine.facts.host}",
                    mend=f'ports=["0.0.0.0::{number}"]',
                )
            return self.host if address in _ANY_ADDRESS else address, int(binding["HostPort"])
        return None

    def _file(self, path: str) -> files.FileInfo:
        with self._engine.containers.get(self.id, path) as pieces:
            return files.FileInfo(path, exists=False) if pieces is None else files.first_file(pieces, path)

    def _through_links(self, path: str) -> str:
        """Follow the links on the way to a path, as far as that matters: to know whether it leads into a tmpfs."""
        if not self.spec.tmpfs:
            return path
        real = "/"
        for part in PurePosixPath(posixpath.normpath(path)).parts[1:]:
            # The engine resolves the links above a path silently, and names where only its last part leads.
            real = self._engine.containers.real_path(self.id, posixpath.join(real, part))
        return real

    def _refuse_tmpfs(self, path: str) -> None:
        # The engine copies from and to what lies below the mount, and reports success.
        if (tmpfs := self.spec.tmpfs_above(path)) is not None:
            raise ContainerFileError(
                f"{path} lies in a tmpfs, which only the container itself can see",
                saw=f"tmpfs={tmpfs!r}",
                mend=f'container.exec(["cat", {path!r}]) to read it, exec(["tee", {path!r}], stdin=…) to write it',
            )

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
            yield self._engine.containers.logs(self.id)[passed:]

    def _put(self, content: Mapping[str, str | bytes | Path]) -> None:
        for target in content:
            # A link at the target itself is replaced.
            above, _, name = posixpath.normpath(target).rpartition("/")
            self._refuse_tmpfs(posixpath.join(self._through_links(above or "/"), name))
        put_files(self._engine, self.id, content)


def _cpu_percent(measured: dict[str, Any]) -> float:
    now, before = measured.get("cpu_stats") or {}, measured.get("precpu_stats") or {}
    used = now.get("cpu_usage", {}).get("total_usage", 0) - before.get("cpu_usage", {}).get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cores = now.get("online_cpus") or 1
    return 100.0 * cores * used / passed if passed > 0 and used > 0 else 0.0
