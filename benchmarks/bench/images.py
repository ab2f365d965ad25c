"""The images of the services, made before anything is measured, and removed with all that was built on them."""

from __future__ import annotations

import io
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.raw import Engine, RawError
from bench.watch import LABEL, filters, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "dockerkit-benchmark"

#: The time at which the service is ready is its file's own, to the nanosecond; busybox's `date` has only seconds.
#: The server listens a few milliseconds after it, so that what is measured is, if anything, too long.
SERVE = "touch /srv/at && stat -c %y /srv/at > /srv/ready && exec httpd -f -p 80 -h /srv"

#: Its test does not trust the port: it asks for the file.
CHECK = "wget -q -O /dev/null http://127.0.0.1/ready"

#: What each service says of itself.
SERVICES = {
    "at-once": ("", ""),
    "late": ("sleep 1; ", f"HEALTHCHECK --interval=30s CMD {CHECK}"),
    # Its health check fails four times before the service is there: that is not yet unhealthy.
    "late-looked-at": ("sleep 1; ", f"HEALTHCHECK --interval=250ms --retries=40 CMD {CHECK}"),
}


def dockerfile(service: str, run: str) -> str:
    """Write the Dockerfile of a service."""
    delay, check = SERVICES[service]
    command = f'CMD ["sh", "-c", "{delay}{SERVE}"]'
    # Whoever stops a container before removing it does not wait for one that takes no SIGTERM.
    stop = "STOPSIGNAL SIGKILL"
    return "\n".join(["FROM busybox:stable", f"LABEL {LABEL}={run}", "RUN mkdir /srv", stop, check, command, ""])


def tag(service: str, run: str) -> str:
    """Give the name of a service's image in this run."""
    return f"{NAME}:{run}-{service}"


@contextmanager
def provided(run: str) -> Iterator[None]:
    """Have the images for as long as it is entered."""
    engine = Engine()
    try:
        for service in SERVICES:
            engine.build(_tar({"Dockerfile": dockerfile(service, run)}), tag(service, run))
        yield
    finally:
        sweep(run)
        remove(run)


def remove(run: str) -> None:
    """Remove all images of this run, also those that contestants built."""
    engine = Engine()
    # An image goes when those that are built on it are gone.
    for _ in range(4):
        found = engine.call("GET", f"/images/json?all=1&{filters(label=[f'{LABEL}={run}'])}")
        for image in found:
            names = [name for name in image["RepoTags"] or [] if name != "<none>:<none>"]
            for name in [*names, image["Id"]]:
                try:
                    engine.call("DELETE", f"/images/{name}?force=1")
                except RawError as error:
                    if error.status not in (404, 409):
                        raise


def _tar(files: dict[str, str]) -> bytes:
    with io.BytesIO() as memory:
        with tarfile.open(fileobj=memory, mode="w") as tar:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
        return memory.getvalue()
