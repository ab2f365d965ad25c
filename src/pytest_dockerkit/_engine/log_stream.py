"""The log of a container, read as it comes; whoever has had enough hangs up, from any thread."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine import streams
from pytest_dockerkit._engine.streaming import streamed
from pytest_dockerkit._engine.translate import translated
from pytest_dockerkit._engine.wire import CALL_TIMEOUT_S, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_dockerkit._engine.client import Client
    from pytest_dockerkit._engine.wire import Query, Wire


class LogStream:
    """What one container prints, for one reader."""

    def __init__(
        self,
        wire: Wire,
        client: Client,
        container: str,
        *,
        follow: bool = True,
        since_s: float | None = None,
        only: str | None = None,
        tail: int | None = None,
        path: str | None = None,
    ) -> None:
        """Nothing is asked for yet.

        Args:
            wire: the way to the engine.
            client: docker-py's, for engines that are not reached by a local socket.
            container: which.
            follow: whether to go on until the container ends, or until the end of what is there now.
            since_s: from this time on, in seconds since the epoch by the engine's clock.
            only: "stdout" or "stderr"; None for both.
            tail: this many last lines; None for all.
            path: where the log is, if not that of a container.
        """
        self._wire = wire
        self._client = client
        self._path = path_of("containers", container, "logs") if path is None else path
        since = None if since_s is None else f"{since_s:.9f}"
        streams_of = {"stdout": int(only != "stderr"), "stderr": int(only != "stdout")}
        self._query: Query = {"follow": int(follow), **streams_of, "since": since, "tail": tail}
        self._doing = f"{'follow' if follow else 'read'} the log of {container}"
        #: One that is followed may be silent for as long as it likes.
        self._timeout_s = None if follow else CALL_TIMEOUT_S
        self._lock = threading.Lock()
        self._over = False
        #: What carries it, from the moment on that it is asked for.
        self._carrier: Any = None

    def __iter__(self) -> Iterator[bytes]:
        """Give what it has printed and prints, message by message, until the end or until someone hangs up.

        Raises:
            EngineError: the engine does not give it, or hangs up within it.
        """
        with translated(self._doing):
            asked = streamed(
                self._wire,
                self._client,
                self._path,
                self._query,
                timeout_s=self._timeout_s,
                carried_by=self._carried_by,
            )
            try:
                with asked as stream:
                    stream.check()
                    yield from streams.payloads(stream.pieces)
            except Exception:
                # What is read from when it is shut down fails in many ways.
                if not self._over:
                    raise
            finally:
                self.hang_up()

    def hang_up(self) -> None:
        """End it; whoever is reading has come to its end. May be called often, and from any thread."""
        with self._lock:
            self._over = True
            if self._carrier is not None:
                _shut(self._carrier)

    def _carried_by(self, carrier: Any) -> None:
        with self._lock:
            self._carrier = carrier
            if self._over:
                _shut(carrier)


def _shut(carrier: Any) -> None:
    """Make whoever reads it come to its end."""
    with suppress(Exception):
        if isinstance(carrier, socket.socket):
            # TLS's own way to shut down is not for a second thread.
            socket.socket.shutdown(carrier, socket.SHUT_RDWR)
        else:
            # What docker-py has for ssh, and for Windows' pipes.
            carrier.close()
