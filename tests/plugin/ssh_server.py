"""The ssh server of a host with an engine, on this machine: it runs what it is told to, for who has one key."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
from paramiko import common

_BYTES = 65536


class SshServer:
    """Listens on 127.0.0.1, and lets in whoever has `key_file`.

    Attributes:
        port: where it listens.
        address: what the plugin is told.
        key_file: the private key.
        commands: what it was asked to run.
    """

    def __init__(self, directory: Path, docker_host: str) -> None:
        self.commands: list[str] = []
        self.key_file = directory / "id"
        self._key = paramiko.ECDSAKey.generate()
        self._key.write_private_key_file(str(self.key_file))
        self._own = paramiko.ECDSAKey.generate()
        self._environment = {**os.environ, "DOCKER_HOST": docker_host}
        self._transports: list[paramiko.Transport] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.address = f"ssh://tests@127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def known_hosts(self) -> str:
        """Give the line for `known_hosts`."""
        return f"[127.0.0.1]:{self.port} {self._own.get_name()} {self._own.get_base64()}\n"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self._own)
                self._transports.append(transport)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=_Session(self))

    def lets_in(self, key: paramiko.PKey) -> bool:
        """Tell whether a key is the right one."""
        return key.get_base64() == self._key.get_base64()

    def run(self, command: str, channel: paramiko.Channel) -> None:
        """Run a command, its streams being the channel's."""
        self.commands.append(command)
        with subprocess.Popen(
            shlex.split(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            feeding = threading.Thread(target=_feed, args=(channel, process.stdin), daemon=True)
            feeding.start()
            with contextlib.suppress(OSError, EOFError):
                while piece := os.read(process.stdout.fileno(), _BYTES):
                    channel.sendall(piece)
            process.kill()
            code = process.wait()
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            channel.send_exit_status(code & 0xFF)
            channel.close()

    def close(self) -> None:
        """Hang up, and listen no more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._transports:
            each.close()


@contextlib.contextmanager
def reached_by_ssh(home: Path, docker_host: str) -> Iterator[SshServer]:
    """Serve for the block, and write into a home what a client needs to get in."""
    directory = home / ".ssh"
    directory.mkdir(mode=0o700, parents=True)
    server = SshServer(directory, docker_host)
    (directory / "known_hosts").write_text(server.known_hosts())
    (directory / "config").write_text(f"Host *\n  IdentityFile {server.key_file}\n")
    try:
        yield server
    finally:
        server.close()


def _feed(channel: paramiko.Channel, file: Any) -> None:
    with contextlib.suppress(OSError, EOFError, ValueError):
        while piece := channel.recv(_BYTES):
            file.write(piece)
            file.flush()
    with contextlib.suppress(OSError, ValueError):
        file.close()


class _Session(paramiko.ServerInterface):
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        del username
        return common.AUTH_SUCCESSFUL if self._server.lets_in(key) else common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del chanid
        return common.OPEN_SUCCEEDED if kind == "session" else common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._server.run, args=(command.decode(), channel), daemon=True).start()
        return True
