"""What the engine has with a label: containers, networks and volumes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit._engine.translate import translated
from pytest_dockerkit._engine.wire import ask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_dockerkit._engine.wire import Wire

Json = dict[str, Any]


class Labelled(NamedTuple):
    """Something that has a label.

    Attributes:
        kind: container, network or volume.
        name: its name.
        labels: all of its labels.
        created_at: when it was made, in seconds since the epoch; None where the engine does not say.
        image: what a container's image is called.
        state: what a container does, such as `running`; empty of all else.
        size_bytes: how much a container has written into its own files; None where that was not asked for.
    """

    kind: str
    name: str
    labels: Mapping[str, str]
    created_at: float | None
    image: str = ""
    state: str = ""
    size_bytes: int | None = None


def labelled(wire: Wire, label: str, value: str | None = None, *, sizes: bool = False) -> list[Labelled]:
    """Give all that has a label, whatever it does; containers first, in the order in which they can be removed.

    Args:
        wire: the way to the engine.
        label: the label.
        value: its value; None is any.
        sizes: whether the engine is to look at the files of each container, which takes a few milliseconds of each.
    """
    wanted = json.dumps({"label": [label if value is None else f"{label}={value}"]})
    with translated(f"say what has the label {label}"):
        containers = ask(wire, "GET", "/containers/json", query={"all": 1, "size": int(sizes), "filters": wanted})
        networks = ask(wire, "GET", "/networks", query={"filters": wanted})
        volumes = ask(wire, "GET", "/volumes", query={"filters": wanted})
    return [
        *map(_container, containers or ()),
        *(_thing("network", each, "Created") for each in networks or ()),
        *(_thing("volume", each, "CreatedAt") for each in (volumes or {}).get("Volumes") or ()),
    ]


def _container(said: Json) -> Labelled:
    # A container that others link to has further names, which have a slash in them.
    names = sorted((str(each).removeprefix("/") for each in said.get("Names") or ()), key=lambda each: "/" in each)
    return Labelled(
        "container",
        names[0] if names else str(said["Id"]),
        said.get("Labels") or {},
        float(said["Created"]) if said.get("Created") else None,
        str(said.get("Image", "")),
        str(said.get("State", "")),
        # Left out where it has written nothing.
        int(said.get("SizeRw") or 0) if "SizeRootFs" in said else None,
    )


def _thing(kind: str, said: Json, created: str) -> Labelled:
    return Labelled(kind, str(said["Name"]), said.get("Labels") or {}, _time(said.get(created)))


def _time(said: object) -> float | None:
    try:
        return datetime.fromisoformat(str(said)).timestamp()
    except ValueError:
        return None
