"""What an engine is asked for a person to read: what it is made of, what lies on it, and how large that is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit._engine.labelled import labelled
from pytest_dockerkit._engine.translate import ConflictError, NotOnEngineError, translated
from pytest_dockerkit._engine.wire import ask, path_of
from pytest_dockerkit._names import FINGERPRINT_LABEL

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import EngineFacts
    from pytest_dockerkit._engine.labelled import Labelled
    from pytest_dockerkit._engine.wire import Wire

Json = dict[str, Any]

#: Since when the sizes of volumes alone can be asked for, without those of all images: Docker 23.0.
#: Source: Engine API 1.42, SystemDataUsage, `type`.
_SIZES_OF_VOLUMES = (1, 42)

_NO_NAME = "<none>:<none>"


class CachedImage(NamedTuple):
    """An image with our fingerprint.

    Attributes:
        id: its id.
        names: all of its names; none of one that is dangling.
        fingerprint: what is written on it.
        created_at: when it was built, in seconds since the epoch.
        size_bytes: its size, with what it has in common with others.
        is_used: whether a container stands on it, whatever that does.
    """

    id: str
    names: tuple[str, ...]
    fingerprint: str
    created_at: float
    size_bytes: int
    is_used: bool


@dataclass(frozen=True)
class Survey:
    """Asks an engine.

    Attributes:
        wire: the way to it.
        facts: what it says of itself.
    """

    wire: Wire
    facts: EngineFacts

    def info(self) -> Json:
        """Give all that it says of itself and its machine; see `GET /info`."""
        with translated("say what it is"):
            said: Json = ask(self.wire, "GET", "/info")
            return said

    def labelled(self, label: str) -> list[Labelled]:
        """Give the containers, networks and volumes that have a label, with the containers' sizes."""
        return labelled(self.wire, label, sizes=True)

    def volume_sizes(self) -> dict[str, int]:
        """Give the sizes of volumes by their names, in bytes; nothing where the engine cannot say it soon."""
        if self.facts.api < _SIZES_OF_VOLUMES or self.facts.podman:
            return {}
        with translated("say how large its volumes are"):
            said = ask(self.wire, "GET", "/system/df", query={"type": "volume"})
        sizes = {
            str(each["Name"]): (each.get("UsageData") or {}).get("Size", -1) for each in said.get("Volumes") or ()
        }
        return {name: int(size) for name, size in sizes.items() if size >= 0}

    def cached_images(self) -> list[CachedImage]:
        """Give the images that have our fingerprint."""
        wanted = json.dumps({"label": [FINGERPRINT_LABEL]})
        with translated("say which images it has"):
            images = ask(self.wire, "GET", "/images/json", query={"filters": wanted})
            # Asked last: what has come to stand on an image meanwhile is seen.
            containers = ask(self.wire, "GET", "/containers/json", query={"all": 1})
        used = {str(each.get("ImageID")) for each in containers or ()}
        return [
            CachedImage(
                str(each["Id"]),
                tuple(name for name in each.get("RepoTags") or () if name != _NO_NAME),
                str((each.get("Labels") or {}).get(FINGERPRINT_LABEL, "")),
                float(each.get("Created") or 0),
                int(each.get("Size") or 0),
                each["Id"] in used,
            )
            for each in images or ()
        ]

    def remove_unused_image(self, name: str) -> bool:
        """Remove an image's name, and the image if that was its last and nothing stands on it.

        Returns:
            whether it is gone; False if something stands on it.
        """
        try:
            with translated(f"remove the image {name}"):
                ask(self.wire, "DELETE", path_of("images", name))
        except NotOnEngineError:
            return True
        except ConflictError:
            return False
        return True

    def subnets(self) -> dict[str, list[str]]:
        """Give the subnets of all networks, by the networks' names."""
        with translated("say which networks it has"):
            networks = ask(self.wire, "GET", "/networks")
        return {
            str(each["Name"]): [
                str(one["Subnet"]) for one in (each.get("IPAM") or {}).get("Config") or () if one.get("Subnet")
            ]
            for each in networks or ()
        }
