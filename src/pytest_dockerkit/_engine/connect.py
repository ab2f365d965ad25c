"""Finding an engine and asking what it can do."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit._engine.base import EngineFacts
from pytest_dockerkit._engine.client import Client, ClientWire, import_docker
from pytest_dockerkit._engine.translate import of_client
from pytest_dockerkit._engine.wire import AnswerError, SilenceError, SocketWire, Wire, ask
from pytest_dockerkit.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

#: The socket of docker's default context. Source: docker/cli, cli/context/docker; moby/client, client_unix.go.
_DEFAULT_SOCKET = Path("/var/run/docker.sock")

#: An address that stands for a local socket without any doubt. What else docker-py may take for one is left to it.
_LOCAL = re.compile(r"unix://(?P<path>/[^?#;%\t\r\n]*[^?#;%/\s])")

#: What leads the docker command line to an engine.
_OF_COMMAND = ("DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")

#: What makes docker-py look for certificates, and fail if there are none.
_CERTIFICATES = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")

_GIVEN = "given as --dockerkit-host"


class Place(NamedTuple):
    """Where an engine is to be.

    Attributes:
        options: what docker-py is told; `base_url` is the address.
        how: how it was found, for errors.
        variables: those by which the docker command line finds it.
    """

    options: Json
    how: str
    variables: dict[str, str]

    @property
    def address(self) -> str:
        """What it is called."""
        return str(self.options.get("base_url") or self.how)

    @property
    def socket(self) -> str | None:
        """The path of its socket, if it is one of this machine's that can be spoken to without docker-py."""
        local = _LOCAL.fullmatch(self.address)
        return None if local is None or os.name == "nt" else local["path"]


class Reached(NamedTuple):
    """An engine that answers.

    Attributes:
        wire: the light way to it.
        client: the way by docker-py.
        facts: what it says of itself.
        variables: those by which the docker command line finds the same engine, as things were then.
    """

    wire: Wire
    client: Client
    facts: EngineFacts
    variables: dict[str, str]


def connect(host: str | None = None, context: str | None = None) -> Reached:
    """Reach the engine: the one that is named, else the one that the docker command line would use.

    Order: `host`, `context`, DOCKER_HOST, the active docker context, the usual sockets. What each of them means is
    for docker-py to say; it is not imported where a local socket is the only thing that can be meant.

    Raises:
        EngineUnavailableError: none answers.
    """
    settings = _settings()
    place = _plain_place(host, context, settings) or _place(host, context)
    headers = _headers(settings)
    try:
        if place.socket is not None:
            return _by_socket(place, SocketWire(place.socket, headers))
        return _by_client(place, headers)
    except Exception as failure:
        if not (isinstance(failure, AnswerError | SilenceError | OSError | ValueError) or of_client(failure)):
            raise
        another = f"name another: --dockerkit-host, DOCKER_HOST ({place.how})"
        raise EngineUnavailableError(
            f"no Docker engine answers at {place.address}",
            saw=_reason(failure),
            mend=f"start it (`docker info` should answer), or {another}",
        ) from None


def called(host: str | None = None, context: str | None = None) -> str:
    """Say which engine `connect` would reach, without reaching it: two runs that are told the same reach the same."""
    settings = _settings()
    if (place := _plain_place(host, context, settings)) is not None:
        return place.address
    if named := host or (not context and os.environ.get("DOCKER_HOST")):
        return named
    return f"context {context or os.environ.get('DOCKER_CONTEXT') or (settings or {}).get('currentContext')}"


def usual_sockets() -> list[Path]:
    """Give the sockets that engines listen on."""
    candidates = [_DEFAULT_SOCKET]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(Path(runtime) / "docker.sock")
    return [*candidates, _home() / ".docker/run/docker.sock", _home() / ".docker/desktop/docker.sock"]


def usual_socket() -> Path:
    """Give the first of the sockets that engines listen on which is there, else the first."""
    candidates = usual_sockets()
    return next((each for each in candidates if os.access(each, os.F_OK)), candidates[0])


def place_of(host: str | None = None, context: str | None = None) -> Place:
    """Say where `connect` would look for an engine, without asking it.

    Raises:
        EngineUnavailableError: what is written there makes no sense.
    """
    return _plain_place(host, context, _settings()) or _place(host, context)


def configuration() -> Json | None:
    """Give docker's configuration; {} if there is none, None if it makes no sense. There may be secrets in it."""
    return _settings()


def variables_of_environment() -> dict[str, str]:
    """Give those by which the docker command line finds the engine that DOCKER_HOST names."""
    return {name: os.environ[name] for name in _OF_COMMAND if name in os.environ}


def _plain_place(host: str | None, context: str | None, settings: Json | None) -> Place | None:
    """Find the engine where no more than a local socket can be meant."""
    if host:
        place = Place({"base_url": host}, _GIVEN, {"DOCKER_HOST": host})
    elif context:
        return None
    elif named := os.environ.get("DOCKER_HOST"):
        if any(name in os.environ for name in _CERTIFICATES):
            return None
        place = Place({"base_url": named}, "from DOCKER_HOST", variables_of_environment())
    elif settings is None or not _is_default(os.environ.get("DOCKER_CONTEXT") or settings.get("currentContext")):
        return None
    else:
        found = usual_socket()
        default = {"DOCKER_CONTEXT": "default"} if found == _DEFAULT_SOCKET else {"DOCKER_HOST": f"unix://{found}"}
        place = Place({"base_url": f"unix://{found}"}, "the usual socket", default)
    return None if place.socket is None else place


def _is_default(context: object) -> bool:
    return context in (None, "", "default")


def _place(host: str | None, context: str | None) -> Place:
    """Find the engine as docker-py does."""
    import_docker()
    from pytest_dockerkit._engine.client_places import place_in_environment, place_of_context

    if host:
        return Place({"base_url": host}, _GIVEN, {"DOCKER_HOST": host})
    return place_of_context(context) if context else place_in_environment()


def _by_socket(place: Place, wire: SocketWire) -> Reached:
    facts = _facts(ask(wire, "GET", "/version"), place.address)
    wire.prefix = f"/v{_version(facts)}"
    return Reached(wire, Client(place.options, _version(facts)), facts, place.variables)


def _by_client(place: Place, headers: Mapping[str, str]) -> Reached:
    import_docker()
    from pytest_dockerkit._engine.client_places import say_version

    facts = _facts(say_version(place.options), place.address)
    client = Client(place.options, _version(facts))
    return Reached(ClientWire(client, headers, f"/v{_version(facts)}"), client, facts, place.variables)


def _settings() -> Json | None:
    """Read docker's configuration where docker-py reads it; {} if there is none, None if it makes no sense."""
    given = os.environ.get("DOCKER_CONFIG")
    for path in (
        *([Path(given) / "config.json"] if given else ()),
        _home() / ".docker/config.json",
        _home() / ".dockercfg",
    ):
        try:
            found = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None
    return {}


def _headers(settings: Json | None) -> dict[str, str]:
    """Give what the user wants to be sent with every request, as the docker command line and docker-py send it."""
    given = (settings or {}).get("HttpHeaders")
    pairs = given.items() if isinstance(given, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, str) and _plain(key + value)}


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _home() -> Path:
    # Path.home() fails for a user without one, as that of a container may be.
    return Path(os.path.expanduser("~"))  # noqa: PTH111


def _facts(said: Any, host: str) -> EngineFacts:
    if not isinstance(said, dict) or not re.fullmatch(r"\d+\.\d+", str(said.get("ApiVersion"))):
        raise ValueError(f"it does not say which API it speaks: {said!r:.200}")
    major, _, minor = str(said["ApiVersion"]).partition(".")
    parts = [str(each.get("Name", "")) for each in said.get("Components") or ()]
    return EngineFacts(
        host=host,
        version=str(said.get("Version", "")),
        api=(int(major), int(minor)),
        os=str(said.get("Os", "linux")),
        podman=any("podman" in each.lower() for each in parts),
        arch=str(said.get("Arch", "")),
    )


def _version(facts: EngineFacts) -> str:
    return ".".join(map(str, facts.api))


def _reason(failure: Exception) -> str:
    """Take the last link of the chain that docker-py wraps around what the socket said."""
    if isinstance(failure, AnswerError):
        return f"status {failure.status}: {failure.said}"
    cause: BaseException = failure
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return f"{type(cause).__name__}: {cause}"
