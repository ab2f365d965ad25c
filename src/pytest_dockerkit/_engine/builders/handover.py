"""Handing secrets and ssh over to a command line, without a trace of them on the disk or in the list of processes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._spec.image import SSH_AGENT
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.build_request import BuildRequest
    from pytest_dockerkit._spec.secret import Secret


class Handover(NamedTuple):
    """What a command is given beside its own arguments.

    Attributes:
        arguments: that tell where the secrets are.
        open_files: the numbers of the open files that it is to inherit.
    """

    arguments: tuple[str, ...]
    open_files: tuple[int, ...]


@contextmanager
def handed_over(request: BuildRequest) -> Iterator[Handover]:
    """Make the secrets and the ssh of a request readable for a command, until the end of the block.

    Raises:
        SpecError: there is no such agent or key.
    """
    arguments = [] if request.ssh is None else [f"--ssh={_ssh(request.ssh)}"]
    with ExitStack() as until_the_end:
        opened: list[int] = []
        for name, secret in request.secrets.items():
            if hasattr(os, "memfd_create"):
                opened.append(_in_memory(secret, until_the_end))
                # Of the process that reads it, which has inherited it.
                place = f"/proc/self/fd/{opened[-1]}"
            else:
                place = str(_in_file(secret, until_the_end))
            arguments.append(f"--secret=id={name},src={place}")
        yield Handover(tuple(arguments), tuple(opened))


def _in_memory(secret: Secret, until_the_end: ExitStack) -> int:
    number = os.memfd_create("build-secret")
    until_the_end.callback(os.close, number)
    _write(number, secret)
    return number


def _in_file(secret: Secret, until_the_end: ExitStack) -> Path:
    """Write a file that nobody else reads: its directory has the mode 0700."""
    directory = until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="dockerkit-secret-"))
    path = Path(directory) / "value"
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _write(number, secret)
    finally:
        os.close(number)
    return path


def _write(number: int, secret: Secret) -> None:
    value = secret.reveal()
    left = value.encode() if isinstance(value, str) else value
    while left:
        left = left[os.write(number, left) :]


def _ssh(given: str, environment: Mapping[str, str] = os.environ) -> str:
    if given != SSH_AGENT:
        if not Path(given).exists():
            raise SpecError(
                "the key or socket of ssh= does not exist",
                saw=f"ssh={given!r}",
                mend='correct the path, or ssh="default" for the agent that runs',
            )
        return f"{SSH_AGENT}={given}"
    # On Windows it is a pipe with a name of its own.
    if os.name == "posix" and not environment.get("SSH_AUTH_SOCK"):
        raise SpecError(
            "no ssh agent runs",
            saw='ssh="default", and SSH_AUTH_SOCK is not set',
            mend='start one (`eval "$(ssh-agent)" && ssh-add`), or name a key: ssh="path/of/the/key"',
        )
    return SSH_AGENT
