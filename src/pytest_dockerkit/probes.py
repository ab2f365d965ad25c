"""Probes: each looks at a container once and says whether it is ready. Only the plugin waits.

A probe is what `wait=` takes and `container.wait()` awaits. Any object with a method
`look(container) -> Look | bool` is one.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._dialling import ANSWER_S, beginning, hung_up, is_context, ssl_context, try_port
from pytest_dockerkit._poll import Look
from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.ports import port_key
from pytest_dockerkit._spec.probe import OfFields, Probe, check_pattern, check_tcp, several_probes
from pytest_dockerkit.errors import (
    CapabilityError,
    ContainerExitedError,
    DockerkitError,
    EngineError,
    EngineUnavailableError,
    ExecTimeoutError,
    OutOfMemoryError,
    SpecError,
    without_our_frames,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

__all__ = [
    "Look",
    "Probe",
    "all_of",
    "any_of",
    "command",
    "exited",
    "healthy",
    "http",
    "log",
    "port",
    "running",
]

_STATUS = "status=200, or status=(200, 204)"

#: How much of an answer is read where its body counts, and where a wrong one is only shown, in bytes.
_BODY_BYTES = 64 * 1024
_SHOWN_BYTES = 1024

#: How long one run of a command may take, in seconds: as a health check by default, or as long as the wait goes
#: on. Source: moby, daemon/health.go, defaultProbeTimeout.
_COMMAND_S = 30.0
#: For a command that is begun when the wait is about to end.
_LEAST_COMMAND_S = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class _Healthy(OfFields):
    def look(self, container: Any) -> Look:
        look: Look = container.check_health()
        return look


@dataclass(frozen=True, eq=False, repr=False)
class _Running(OfFields):
    def look(self, container: Any) -> Look:
        status = container.status
        return Look(status == "running", f"status {status}")


@dataclass(frozen=True, eq=False, repr=False)
class _Exited(OfFields):
    code: int | None
    allows_exit: bool = field(default=True, init=False)

    def look(self, container: Any) -> Look:
        state = container.state()
        if state["Status"] not in ("exited", "dead"):
            return Look(ready=False, seen=f"status {state['Status']}")
        if self.code is not None and state["ExitCode"] != self.code:
            raise container.death()
        return Look(ready=True, seen=f"exit code {state['ExitCode']}")


@dataclass(frozen=True, eq=False, repr=False)
class _Port(OfFields):
    port: int | str

    def look(self, container: Any) -> Look:
        if getattr(container, "is_out_of_reach", False):
            look: Look = container.look_inside(self.port)
            return look
        seen = ""
        for address, proxied in container.ways_to(self.port):
            outcome = try_port(address, proxied=proxied)
            seen = f"port {self.port} at {address[0]}:{address[1]} {outcome}"
            if outcome in ("open", "refused"):
                # The service's own word; there is nothing that another way could add.
                return Look(outcome == "open", seen)
        return Look(ready=False, seen=seen)


@dataclass(frozen=True, eq=False, repr=False)
class _Http(OfFields):
    path: str
    port: int | str | None
    status: int | tuple[int, ...]
    headers: Mapping[str, str]
    tls: bool | ssl.SSLContext
    body: str | None

    def look(self, container: Any) -> Look:
        import http.client

        host, port = container.address(self.port if self.port is not None else container.first_port())
        connection: http.client.HTTPConnection
        if self.tls:
            connection = http.client.HTTPSConnection(host, port, timeout=ANSWER_S, context=ssl_context(self.tls))
        else:
            connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
        where = f"{'https' if self.tls else 'http'}://{host}:{port}{self.path}"
        try:
            connection.connect()
            with hung_up(connection.sock) as late:
                connection.request("GET", self.path, headers=dict(self.headers))
                with contextlib.closing(connection.getresponse()) as answer:
                    if late.is_set():
                        # A header that is cut short is taken for whole.
                        raise TimeoutError(f"no whole header after {ANSWER_S:g} s")
                    right = answer.status in self._wanted
                    limit = _SHOWN_BYTES if not right else _BODY_BYTES if self.body is not None else 0
                    text = beginning(answer, limit).decode(errors="replace")
        except (OSError, http.client.HTTPException) as failure:
            return Look(ready=False, seen=f"{where}: {type(failure).__name__}: {failure}")
        finally:
            connection.close()
        return self._judge(answer.status, text, where)

    @property
    def _wanted(self) -> tuple[int, ...]:
        return (self.status,) if isinstance(self.status, int) else self.status

    def _judge(self, status: int, text: str, where: str) -> Look:
        if status not in self._wanted:
            return Look(ready=False, seen=f"{where}: status {status}: {text[:200]}")
        if self.body is not None and not re.search(self.body, text):
            return Look(ready=False, seen=f"{where}: status {status}, a body without {self.body!r}: {text[:200]}")
        return Look(ready=True, seen=f"{where}: status {status}")


@dataclass(frozen=True, eq=False, repr=False)
class _Log(OfFields):
    pattern: str
    times: int

    def look(self, container: Any) -> Look:
        found = container.count_in_log(self.pattern, self.times)
        return Look(found >= self.times, f"{self.pattern!r} {found} times in its log, of {self.times}")


@dataclass(frozen=True, eq=False, repr=False)
class _Command(OfFields):
    argv: tuple[str, ...]

    def look(self, container: Any) -> Look:
        left_s = getattr(container, "time_left_s", None)
        timeout_s = _COMMAND_S if left_s is None else min(_COMMAND_S, max(_LEAST_COMMAND_S, left_s))
        try:
            result = container.beside(lambda: container.exec(self.argv, timeout=timeout_s))
        except ExecTimeoutError:
            return Look(ready=False, seen=f"{self.argv[0]} has not ended")
        except (EngineUnavailableError, CapabilityError):
            raise
        except EngineError as failure:
            # It has just ended, or is about to; the next look at the container says how.
            return Look(ready=False, seen=f"{failure.what}: {failure.saw}")
        output = (result.stdout + result.stderr).strip()[-200:]
        return Look(result.exit_code == 0, f"{self.argv[0]} ended with {result.exit_code}: {output}")


@dataclass(frozen=True, eq=False, repr=False)
class _All(OfFields):
    probes: tuple[Probe, ...]

    def look(self, container: Any) -> Look:
        looks = [as_look(probe.look(container), probe) for probe in self.probes]
        return Look(all(each.ready for each in looks), "; ".join(each.seen for each in looks if not each.ready))

    @property
    def allows_exit(self) -> bool:
        return any(getattr(probe, "allows_exit", False) for probe in self.probes)


@dataclass(frozen=True, eq=False, repr=False)
class _Any(OfFields):
    probes: tuple[Probe, ...]

    def look(self, container: Any) -> Look:
        looks: list[Look] = []
        failures: list[DockerkitError] = []
        for probe in self.probes:
            try:
                looks.append(as_look(probe.look(container), probe))
            except DockerkitError as failure:
                # It may be one that cannot apply, while another is satisfied.
                failures.append(failure)
        ready = any(each.ready for each in looks)
        ends = [each for each in failures if not looks or isinstance(each, ContainerExitedError | OutOfMemoryError)]
        if ends and not ready:
            raise ends[0]
        return Look(ready, "; ".join([*(each.seen for each in looks), *(each.what for each in failures)]))

    @property
    def allows_exit(self) -> bool:
        return any(getattr(probe, "allows_exit", False) for probe in self.probes)


def healthy() -> Probe:
    """Ready when the health check of the container or its image passes."""
    return _Healthy()


def running() -> Probe:
    """Ready when its process runs."""
    return _Running()


@without_our_frames
def port(number: int | str) -> Probe:
    """Ready when the service itself accepts connections on a TCP port: `6379` or `"6379/tcp"`.

    That the engine's port proxy accepts is not enough: it does so before the service listens.

    Raises:
        SpecError: it is no port, or no TCP port.
    """
    check_tcp(number)
    return _Port(number)


@without_our_frames
def http(
    path: str = "/",
    *,
    port: int | str | None = None,
    status: int | Sequence[int] = 200,
    headers: Mapping[str, str] | None = None,
    tls: bool | ssl.SSLContext = False,
    body: str | None = None,
) -> Probe:
    """Ready when an HTTP request is answered as it should be.

    Args:
        path: what is asked for, beginning with "/".
        port: the container's port; None takes the first published one.
        status: the right status, or several.
        headers: headers of the request.
        tls: ask over TLS; True takes any certificate, a context is used as it is.
        body: a regular expression that the answer's body must hold.

    Raises:
        SpecError: a value is wrong.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise SpecError("an HTTP path begins with '/'", saw=repr(path), mend='probes.http("/health", port=3080)')
    if not re.fullmatch(r"[!-~]+", path):
        raise SpecError(
            "an HTTP path is ASCII without spaces", saw=repr(path), mend="urllib.parse.quote() writes it so"
        )
    if port is not None:
        check_tcp(port)
    if body is not None:
        check_pattern(body)
    if not (isinstance(tls, bool) or is_context(tls)):
        raise checks.wrong_type("tls", tls, "tls=True, or tls= an ssl.SSLContext")
    wanted = checks.sequence("status", (status,) if isinstance(status, int) else status, _STATUS)
    if not wanted:
        raise checks.wrong_type("status", status, _STATUS)
    codes = tuple(checks.whole_number("status", each, least=100) for each in wanted)
    asked = checks.text_mapping("headers", {} if headers is None else headers, 'headers={"Host": "shop.test"}')
    return _Http(path, port, codes[0] if isinstance(status, int) else codes, asked, tls, body)


@without_our_frames
def log(pattern: str, times: int = 1) -> Probe:
    """Ready when a regular expression is found so many times in its log, on standard output or error.

    `^` and `$` stand for the ends of a line. A match may go over several lines, and may be 65,536 characters long: a
    log of any size is read as it comes, and not kept.

    Raises:
        SpecError: it is no regular expression, or `times` is below 1.
    """
    check_pattern(pattern)
    return _Log(pattern, checks.whole_number("times", times, least=1))


@without_our_frames
def command(argv: str | Sequence[str]) -> Probe:
    """Ready when a command in the container ends with exit code 0.

    Raises:
        SpecError: it is no command.
    """
    taken = checks.argv("command", argv)
    if not taken:
        raise SpecError("the command is empty", saw=repr(argv), mend='probes.command(["redis-cli", "ping"])')
    return _Command(taken)


@without_our_frames
def exited(code: int | None = 0) -> Probe:
    """Ready when the container has ended with this exit code; None takes any. For one-shot containers."""
    return _Exited(None if code is None else checks.whole_number("code", code, least=0))


@without_our_frames
def all_of(*several: Probe) -> Probe:
    """Ready when all of the probes are."""
    return _All(several_probes("all_of", several))


@without_our_frames
def any_of(*several: Probe) -> Probe:
    """Ready when one of the probes is."""
    return _Any(several_probes("any_of", several))


def as_look(outcome: Look | bool, probe: Probe) -> Look:  # noqa: FBT001  - what a probe may return
    """Take what a probe returned: a `Look`, or just whether it is ready."""
    return outcome if isinstance(outcome, Look) else Look(bool(outcome), f"{type(probe).__name__}: {outcome}")


def tcp_ports_of(probe: Probe, container: Any) -> tuple[str, ...]:
    """Say which of a container's ports a probe connects to, such as `80/tcp`."""
    if isinstance(probe, _Port):
        return (port_key(probe.port),)
    if isinstance(probe, _Http):
        return (port_key(probe.port if probe.port is not None else container.first_port()),)
    if isinstance(probe, _All | _Any):
        several = (tcp_ports_of(each, container) for each in probe.probes)
        return tuple(dict.fromkeys(key for keys in several for key in keys))
    return ()
