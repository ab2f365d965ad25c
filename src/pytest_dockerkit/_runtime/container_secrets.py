"""Secrets of a container: files at /run/secrets that its user alone can read, and that are nowhere else."""

from __future__ import annotations

import io
import posixpath
import tarfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._names import secrets_volume
from pytest_dockerkit._runtime import files
from pytest_dockerkit._runtime.accounts import AccountsOf, owner
from pytest_dockerkit._spec.mounts import VolumeSpec
from pytest_dockerkit._spec.secret import MAX_SECRET_BYTES, SECRETS_DIRECTORY, Secret, as_bytes, check_size
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_dockerkit._runtime.accounts import Lines
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._spec.container import ContainerSpec


class ContainerSecrets:
    """The secrets of one container, on their way into a volume of its own.

    A volume takes files before the container starts, also below a root that is read only and on an engine that is far
    away. A tmpfs is only there once the container runs, and empty then.
    """

    def __init__(self, session: Session, container: str, spec: ContainerSpec) -> None:
        """Read them.

        Args:
            session: makes the volume.
            container: the container's name.
            spec: what is wanted.

        Raises:
            SpecError: one cannot be read, or is too large.
        """
        read_now = {name: check_size(f"secret {name!r}", read(name, each)) for name, each in spec.secrets.items()}
        # What they are now: a variable may hold something else when they are to be covered.
        self.values = {name: Secret(name, as_bytes(each.reveal())) for name, each in read_now.items()}
        self._session = session
        self._files = spec.files
        self._volume = secrets_volume(container)

    def mount(self, body: dict[str, Any], labels: Mapping[str, str]) -> None:
        """Make the volume, and mount it in a container that is about to be made.

        Args:
            body: the request that creates the container.
            labels: what the volume carries.
        """
        mount: dict[str, Any] = {"Type": "volume", "Source": self._volume, "Target": SECRETS_DIRECTORY}
        # Else the rights of what the image has there would decide who can come to the files.
        mount["VolumeOptions"] = {"NoCopy": True}
        config = body["HostConfig"]
        # Beside those of docker_options=, which stand in the place of the spec's. The engine takes keys in any case,
        # and the last one counts.
        others = [config.pop(key) for key in [*config] if key.lower() == "mounts"]
        config["Mounts"] = [*(others[-1] or () if others else ()), mount]
        self._session.ledger.making("volume", self._volume)
        self._session.engine.volumes.create(self._volume, VolumeSpec(), labels)

    def put(self, container_id: str, user: str, known: dict[str, Lines]) -> None:
        """Write them into a container that was made and not started.

        Args:
            container_id: which.
            user: who runs it, as the engine has it: empty, `user`, or `user:group`, by names or numbers.
            known: the users and groups of its image, as far as they were read; what is read is added.
        """
        engine = self._session.engine
        if any(_may_say_who(each) for each in self._files):
            known = {}
        uid, gid = owner(user, AccountsOf(engine, container_id, known))
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, secret in self.values.items():
                files.add_bytes(tar, name, as_bytes(secret.reveal()), 0o400, uid, gid)
        engine.containers.put(container_id, SECRETS_DIRECTORY, packed.getvalue())


def _may_say_who(target: str) -> bool:
    return PurePosixPath(posixpath.normpath(target)).parts[1] == "etc"


def read(name: str, value: str | bytes | Path | Secret) -> Secret:
    """Read one secret.

    Args:
        name: what it is called.
        value: as the spec has it.

    Raises:
        SpecError: its file cannot be read.
    """
    if isinstance(value, Secret):
        return value
    if isinstance(value, str | bytes):
        return Secret(name, value)
    try:
        with value.open("rb") as file:
            # No more of one that is too large.
            return Secret(name, file.read(MAX_SECRET_BYTES + 1))
    except OSError as failure:
        raise SpecError(
            f"the file of the secret {name!r} cannot be read",
            saw=f"{value}: {failure.strerror}",
            mend="write the secret there, readable for the user who runs the tests",
        ) from None
