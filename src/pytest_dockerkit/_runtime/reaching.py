"""Whether one container reaches another: what a test asserts about networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._runtime.known import KnownContainer
from pytest_dockerkit._runtime.networks import named
from pytest_dockerkit._spec.ports import port_key
from pytest_dockerkit._units import parse_seconds, show_seconds
from pytest_dockerkit.errors import ContainerError, ExecError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_dockerkit._runtime.handles import RunningContainer

#: Connects with whatever the container has for that, and says what became of it; what has none of them says so.
_TRY = """
host=$1 port=$2 most=$3
if command -v python3 >/dev/null; then
  python3 -c 'import socket, sys
try: socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
except OSError as failure: sys.exit(str(failure))' "$host" "$port" "$most" 2>&1 && echo reached
elif command -v nc >/dev/null; then
  # A small busybox has no scanning, but runs a command once there is a connection.
  case $(nc -h 2>&1 </dev/null) in
    *-z*) set -- -z -w "$most" "$host" "$port" ;;
    *) set -- -w "$most" "$host" "$port" -e true ;;
  esac
  nc "$@" 2>&1 </dev/null && echo reached
elif command -v bash >/dev/null && command -v timeout >/dev/null; then
  timeout "$most" bash -c '</dev/tcp/$0/$1' "$host" "$port" 2>&1 && echo reached
elif command -v perl >/dev/null; then
  perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1],
    Timeout => $ARGV[2]) or die "$@\\n"' "$host" "$port" "$most" 2>&1 && echo reached
else
  exit 127
fi
exit 0
"""
#: Exit codes of an engine or a shell that has not found its program, or cannot run it.
_NO_PROGRAM = (126, 127)
#: How much longer than the connection itself its command may take, in seconds: names that nobody knows are looked
#: for as long as the container's resolver likes.
_LONGER_S = 20.0


class _Try(NamedTuple):
    """How it was tried to reach something.

    Attributes:
        address: where.
        failure: why that failed; None if it did not.
    """

    address: str
    failure: str | None = None

    @property
    def reached(self) -> bool:
        """Whether there was a connection."""
        return self.failure is None

    def __str__(self) -> str:
        return f"{self.address}: {self.failure or 'connected'}"


def assert_reachable(
    source: RunningContainer,
    target: RunningContainer | str,
    port: int | None = None,
    *,
    timeout: float | str = 5,
) -> None:
    """Fail the test unless one container can connect to another one's TCP port, by its name or by an address.

    The connection is made in the source's container, with what it has for that: python3, nc, bash or perl.

    Args:
        source: from where.
        target: a container, or the name or address of a host.
        port: the port in the target; None for the first one that it publishes.
        timeout: how long each way may take, seconds or "5s".

    Raises:
        AssertionError: it cannot.
        ContainerError: the source has nothing to connect with.
        SpecError: a value is wrong.
    """
    __tracebackhide__ = True
    number, tries = _port(target, port), []
    for tried in _tries(source, target, number, timeout):
        if tried.reached:
            return
        tries.append(str(tried))
    what = f"container {source.alias!r} does not reach {_called(target)} at port {number}"
    raise AssertionError(_sentence(what, tries, "see that it listens there at 0.0.0.0; ", source, target))


def assert_unreachable(
    source: RunningContainer,
    target: RunningContainer | str,
    port: int | None = None,
    *,
    timeout: float | str = 1,
) -> None:
    """Fail the test if one container can connect to another one's TCP port, by its name or by any of its addresses.

    Args:
        source: from where.
        target: a container, or the name or address of a host.
        port: the port in the target; None for the first one that it publishes.
        timeout: how long each way may take, seconds or "1s".

    Raises:
        AssertionError: it can.
        ContainerError: the source has nothing to connect with.
        SpecError: a value is wrong.
    """
    __tracebackhide__ = True
    number = _port(target, port)
    for tried in _tries(source, target, number, timeout):
        if tried.reached:
            what = f"container {source.alias!r} reaches {_called(target)} at port {number}"
            raise AssertionError(_sentence(what, [str(tried)], "", source, target))


def _tries(
    source: RunningContainer, target: RunningContainer | str, port: int, timeout: float | str
) -> Iterator[_Try]:
    timeout_s = parse_seconds("timeout", timeout)
    for address in _addresses(source, target):
        yield _try(source, address, port, timeout_s)


def _sentence(
    what: str, tries: Sequence[str], hint: str, source: RunningContainer, target: RunningContainer | str
) -> str:
    known = [each for each in (source, target) if isinstance(each, KnownContainer)]
    networks = "; of ".join(f"{each.alias}: {named(each.networks)}" for each in known)
    saw = "\n        ".join(tries)
    return f"{what}\n  saw:  {saw}\n  mend: {hint}networks of {networks}"


def _port(target: RunningContainer | str, port: int | None) -> int:
    if port is None and not isinstance(target, KnownContainer):
        raise SpecError("port= is missing", saw=f"target={target!r}", mend="name the port: 5432")
    key = port_key(target.first_port() if port is None and isinstance(target, KnownContainer) else port or 0)
    number, _, protocol = key.partition("/")
    if protocol != "tcp":
        raise SpecError("only TCP ports can be connected to", saw=f"port={key}", mend="name a TCP port")
    return int(number)


def _addresses(source: RunningContainer, target: RunningContainer | str) -> Iterator[str]:
    if isinstance(target, str):
        yield target
        return
    if any(network.has_names or network.names is not None for network in source.networks):
        yield target.alias
    endpoints = target.refresh()["NetworkSettings"]["Networks"]
    # The network in common first: others may swallow what is sent to them.
    own = {network.name for network in source.networks}
    for name in sorted(endpoints, key=lambda each: each not in own):
        if address := endpoints[name].get("IPAddress"):
            yield str(address)


def _try(source: RunningContainer, host: str, port: int, timeout_s: float) -> _Try:
    # nc and timeout take whole seconds.
    argv = ["sh", "-c", _TRY, "sh", host, str(port), str(max(1, math.ceil(timeout_s)))]
    address = f"{host}:{port}"
    try:
        done = source.exec(argv, timeout=timeout_s + _LONGER_S)
    except (ContainerError, ExecError) as failure:
        if not source.is_alive():
            raise
        raise _cannot(source, failure.saw) from None
    if done.exit_code in _NO_PROGRAM:
        raise _cannot(source, done.stderr.strip() or f"exit code {done.exit_code}")
    said = done.stdout.strip()
    if said.endswith("reached"):
        return _Try(address)
    return _Try(address, " ".join(said.split())[-200:] or f"no connection within {show_seconds(timeout_s)}")


def _cannot(source: RunningContainer, saw: str) -> ContainerError:
    return ContainerError(
        f"container {source.alias!r} has nothing to connect with",
        saw=saw,
        mend="ask from an image that has a shell, and python3, nc, bash or perl",
    )


def _called(target: RunningContainer | str) -> str:
    return repr(target if isinstance(target, str) else target.alias)
