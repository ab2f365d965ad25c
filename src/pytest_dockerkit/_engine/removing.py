"""Removing: all that a process needs which does nothing else, and is to begin at once; this loads little."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.translate import ConflictError, NotOnEngineError, translated
from pytest_dockerkit._engine.wire import CALL_TIMEOUT_S, SocketWire, ask, path_of
from pytest_dockerkit._names import BUILT_IN, RUN_LABEL
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_dockerkit._engine.wire import Query, Wire

#: How engines say that a container is in no network that it is to leave (500). Seen: Docker 20.10.24.
_NOT_CONNECTED = r"is not connected to (the )?network"
#: How engines say that a container is on its way out.
_BEING_REMOVED = r"removal of container \S+ is already in progress"


def wire_by(directions: Mapping[str, Any]) -> Wire:
    """Give the way to an engine that another process of this machine has reached.

    Args:
        directions: `Daemon.directions`.

    Raises:
        EngineUnavailableError: it does not answer.
    """
    if "path" in directions:
        return SocketWire(**directions)
    from pytest_dockerkit._engine.connect import connect

    return connect().wire


def remove(wire: Wire, kind: str, name: str) -> bool:
    """Remove one thing; one that is gone is no failure.

    Args:
        wire: the way to the engine.
        kind: container, network, volume or image.
        name: its name or id.

    Returns:
        whether it was there.

    Raises:
        DockerkitError: it cannot be removed.
    """
    return _VERBS[kind](wire, name)


def remove_container(wire: Wire, name: str) -> bool:
    """Kill and remove a container with its unnamed volumes."""
    try:
        # One call: a stop before it would wait ten seconds for what ignores SIGTERM.
        return _delete(wire, "container", name, {"force": 1, "v": 1})
    except ConflictError as conflict:
        # Somebody else removes it, or the engine itself has not ended with it.
        if not re.search(_BEING_REMOVED, conflict.saw) or not _has_gone(wire, name):
            raise
        return True


def remove_network(wire: Wire, name: str) -> bool:
    """Remove a network, with whatever is connected cut off."""
    if (found := _found(wire, "network", name)) is None:
        return False
    for container in found.get("Containers") or {}:
        cut_off(wire, name, container)
    return _delete(wire, "network", name)


def cut_off(wire: Wire, network: str, container: str) -> None:
    """Disconnect a container from a network; one that is not connected is no failure."""
    body = {"Container": container, "Force": True}
    try:
        with translated(f"disconnect {container} from {network}"):
            ask(wire, "POST", path_of("networks", network, "disconnect"), body=body)
    except NotOnEngineError:
        return
    except EngineError as failure:
        # It has left by itself since it was seen there, as one does that is being removed.
        if not re.search(_NOT_CONNECTED, failure.saw):
            raise


def remove_volume(wire: Wire, name: str) -> bool:
    """Remove a volume."""
    return _delete(wire, "volume", name)


def remove_image(wire: Wire, name: str) -> bool:
    """Remove an image's name, and the image if that was its last."""
    return _delete(wire, "image", name, {"force": 1})


def remove_service(wire: Wire, name: str) -> bool:
    """Remove a service, and wait until its containers on this node are gone: they hold up what they stand on."""
    if (found := _found(wire, "service", name)) is None:
        return False
    removed = _delete(wire, "service", name)
    filters = json.dumps({"label": [f"com.docker.swarm.service.id={found['ID']}"]})

    def look() -> Look:
        with translated(f"list the containers of {name}"):
            return Look(not ask(wire, "GET", "/containers/json", query={"all": 1, "filters": filters}))

    until_ready(look, timeout_s=CALL_TIMEOUT_S)
    return removed


def remove_stored(kind: str, wire: Wire, name: str) -> bool:
    """Remove a secret or a config of the swarm."""
    return _delete(wire, kind, name)


def leave_swarm(wire: Wire, name: str) -> bool:
    """Leave the swarm that a run has made, by the run's id; one that somebody else has made since is theirs.

    Raises:
        ConflictError: containers that are not the run's would lose their names.
    """
    with translated("say whether it is in a swarm"):
        swarm = ask(wire, "GET", "/info").get("Swarm") or {}
    if swarm.get("LocalNodeState") != "active" or not swarm.get("ControlAvailable"):
        return False
    with translated("say which swarm it is in"):
        labels = ask(wire, "GET", "/swarm")["Spec"].get("Labels") or {}
    if labels.get(RUN_LABEL) != name:
        return False
    if others := losing_their_names(wire, name):
        raise ConflictError(
            "the swarm of the run cannot be left now: other containers would not find each other any more",
            saw=f"running: {', '.join(others)}",
            mend="`dockerkit prune` leaves it once they are gone; or docker swarm leave --force",
        )
    with translated("leave the swarm"):
        ask(wire, "POST", "/swarm/leave", query={"force": 1})
    return True


def losing_their_names(wire: Wire, run_id: str) -> list[str]:
    """Give the containers, but for those of a run, that are found by name, and would not be once a swarm was left.

    An engine that leaves a swarm forgets the names of all containers that run, also in its own bridge networks. Seen:
    Docker 20.10.24. Source: moby, libnetwork/controller.go, cleanupServiceDiscovery.
    """
    with translated("list the containers that run"):
        running = ask(wire, "GET", "/containers/json") or ()
    others = []
    for each in running:
        labels, networks = each.get("Labels") or {}, (each.get("NetworkSettings") or {}).get("Networks") or {}
        of_swarm = "com.docker.swarm.service.id" in labels
        if labels.get(RUN_LABEL) != run_id and not of_swarm and any(name not in BUILT_IN for name in networks):
            others.append(str((each.get("Names") or [each["Id"]])[0]).lstrip("/"))
    return others


_VERBS: dict[str, Callable[[Wire, str], bool]] = {
    "service": remove_service,
    "secret": partial(remove_stored, "secret"),
    "config": partial(remove_stored, "config"),
    "swarm": leave_swarm,
    "container": remove_container,
    "network": remove_network,
    "volume": remove_volume,
    "image": remove_image,
}


def _delete(wire: Wire, kind: str, name: str, query: Query | None = None) -> bool:
    try:
        with translated(f"remove the {kind} {name}"):
            ask(wire, "DELETE", path_of(f"{kind}s", name), query=query)
    except NotOnEngineError:
        return False
    return True


def _found(wire: Wire, kind: str, name: str) -> dict[str, Any] | None:
    """Say all that the engine knows of a network or a service; None if it is gone."""
    try:
        with translated(f"inspect the {kind} {name}"):
            found: dict[str, Any] = ask(wire, "GET", path_of(f"{kind}s", name))
            return found
    except NotOnEngineError:
        return None


def _has_gone(wire: Wire, container: str) -> bool:
    def look() -> Look:
        try:
            with translated(f"inspect the container {container}"):
                ask(wire, "GET", path_of("containers", container, "json"))
        except NotOnEngineError:
            return Look(ready=True)
        return Look(ready=False)

    return until_ready(look, timeout_s=CALL_TIMEOUT_S).ready
