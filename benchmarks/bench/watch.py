"""What a contestant makes and what it leaves, seen on the engine.

The service's image carries a label with this run's id, and so do all containers of it, whoever makes them. Networks
are those that such a container was connected to.
"""

from __future__ import annotations

import json
import threading
import time
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from bench.raw import Engine, RawError

if TYPE_CHECKING:
    from types import TracebackType

LABEL = "dockerkit.benchmark"
#: The networks that every engine has.
_GIVEN = frozenset({"bridge", "host", "none"})
#: How long what a contestant hands over to somebody else may take, in seconds.
HANDOVER_S = 15.0


def filters(**wanted: list[str]) -> str:
    """Write filters as the API wants them in a query."""
    return f"filters={quote(json.dumps(wanted))}"


def sweep(run: str) -> None:
    """Remove all containers of a run, and the networks that they are on: after an interrupted one."""
    engine = Engine()
    found = engine.call("GET", f"/containers/json?all=1&{filters(label=[f'{LABEL}={run}'])}")
    networks = {
        network["NetworkID"]
        for each in found
        for name, network in each["NetworkSettings"]["Networks"].items()
        if name not in _GIVEN
    }
    for each in found:
        _remove(engine, f"/containers/{each['Id']}?force=1&v=1")
    for network in networks:
        _remove(engine, f"/networks/{network}")


def _remove(engine: Engine, path: str) -> None:
    try:
        engine.call("DELETE", path)
    except RawError as error:
        # Somebody else was faster.
        if error.status not in (404, 409):
            raise


class Watch:
    """Reads the engine's events while it is entered."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._engine = Engine()
        self._look = Engine()
        self._last = time.monotonic()
        self._connected: list[tuple[str, str | None]] = []
        self.containers: set[str] = set()

    @property
    def networks(self) -> set[str]:
        """The networks, by id, that its containers were connected to."""
        return {network for network, container in self._connected if container in self.containers}

    def __enter__(self) -> Watch:
        wanted = filters(type=["container", "network"], event=["start", "connect"])
        stream = self._engine.stream(f"/events?{wanted}")
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Events come within milliseconds; they are all in when the stream has been quiet for a while.
        end = time.monotonic() + 1.0
        while time.monotonic() < min(self._last + 0.05, end):
            time.sleep(0.01)
        self._engine.close()

    def _read(self, stream: IO[bytes]) -> None:
        try:
            for line in stream:
                # The stream is chunked; the chunks' sizes stand on lines of their own.
                if line.startswith(b"{"):
                    self._note(json.loads(line))
        except (OSError, ValueError):
            return

    def _note(self, event: dict[str, Any]) -> None:
        self._last = time.monotonic()
        actor = event["Actor"]
        attributes = actor["Attributes"]
        if event["Type"] == "container":
            # Started, not created: the engine's own builder creates containers that are none of ours.
            if attributes.get(LABEL) == self._run:
                self.containers.add(actor["ID"])
        elif attributes["name"] not in _GIVEN:
            # It is connected before it is started.
            self._connected.append((actor["ID"], attributes.get("container")))

    def left(self, wait_s: float = 0.0) -> list[str]:
        """Give what is still there, in words, waiting so long for it to go; then remove it, by its id."""
        end = time.monotonic() + wait_s
        while True:
            containers = self._left_containers()
            networks = [each for each in self.networks if self._there(f"/networks/{each}")]
            if not (containers or networks) or time.monotonic() > end:
                break
            time.sleep(0.05)
        for each in containers:
            _remove(self._look, f"/containers/{each}?force=1&v=1")
        for each in networks:
            _remove(self._look, f"/networks/{each}")
        words = [f"{len(containers)} containers"] * bool(containers) + [f"{len(networks)} networks"] * bool(networks)
        return [" and ".join(words)] if words else []

    def _left_containers(self) -> list[str]:
        found = self._look.call("GET", f"/containers/json?all=1&{filters(label=[f'{LABEL}={self._run}'])}")
        return [each["Id"] for each in found]

    def _there(self, path: str) -> bool:
        try:
            self._look.call("GET", path)
        except RawError as error:
            if error.status == 404:
                return False
            raise
        return True
