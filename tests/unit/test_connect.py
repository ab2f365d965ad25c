"""Where the engine is found: without docker-py only where docker-py finds it as well."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pytest_dockerkit._engine import connect
from pytest_dockerkit._engine.client_places import place_in_environment
from pytest_dockerkit.errors import EngineUnavailableError

DEFAULT = "/var/run/docker.sock"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that says nothing, and a home with nothing in it."""
    for name in ("HOST", "CONTEXT", "CONFIG", "TLS", "TLS_VERIFY", "CERT_PATH"):
        monkeypatch.delenv(f"DOCKER_{name}", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    home = tmp_path / "ho me"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def write(path: Path, said: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")
    return path


def plain(host: str | None = None, context: str | None = None) -> connect.Place | None:
    return connect._plain_place(host, context, connect._settings())


@pytest.mark.parametrize(
    "address",
    ["unix:///var/run/docker.sock", "unix:///a", "unix:///with a space/docker.sock", "unix:///a/./b:c@d,e/ä.sock"],
)
def test_a_local_socket_is_no_matter_for_docker_py(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = plain(host=address)
    assert given is not None
    assert given.socket == address.removeprefix("unix://")
    assert given == ({"base_url": address}, "given as --dockerkit-host", {"DOCKER_HOST": address})
    monkeypatch.setenv("DOCKER_HOST", address)
    found = plain()
    assert found == ({"base_url": address}, "from DOCKER_HOST", {"DOCKER_HOST": address})
    assert found == place_in_environment()


@pytest.mark.parametrize(
    "address",
    [
        "tcp://127.0.0.1:2375",
        "ssh://user@host",
        "npipe:////./pipe/docker_engine",
        "http+unix:///var/run/docker.sock",
        # docker-py knows what these come down to.
        "unix://",
        "unix://var/run/docker.sock",
        "unix:///var/run/docker.sock/",
        " unix:///var/run/docker.sock",
        "unix:///a?b",
        "unix:///a#b",
        "unix:///a;b",
        "unix:///a%20b",
        "unix:///",
        "UNIX:///a",
        "/var/run/docker.sock",
    ],
)
def test_all_else_is(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plain(host=address) is None
    monkeypatch.setenv("DOCKER_HOST", address)
    assert plain() is None


def test_where_nobody_says_anything_it_is_the_usual_socket(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    found = plain()
    assert found is not None
    reference = place_in_environment()
    assert (found.address, found.variables) == (reference.address, reference.variables)
    assert found == ({"base_url": f"unix://{DEFAULT}"}, "the usual socket", {"DOCKER_CONTEXT": "default"})
    # Where that is not there, an engine of the user's own is.
    monkeypatch.setattr(connect, "_DEFAULT_SOCKET", Path("/nonexistent/docker.sock"))
    assert plain() == (
        {"base_url": "unix:///nonexistent/docker.sock"},
        "the usual socket",
        {"DOCKER_CONTEXT": "default"},
    )
    mine = write(home / ".docker/run/docker.sock", "")
    assert plain() == ({"base_url": f"unix://{mine}"}, "the usual socket", {"DOCKER_HOST": f"unix://{mine}"})
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    rootless = write(home / "docker.sock", "")
    assert plain() == (
        {"base_url": f"unix://{rootless}"},
        "the usual socket",
        {"DOCKER_HOST": f"unix://{rootless}"},
    )


def test_a_user_without_a_home_has_the_usual_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    found = plain()
    assert found is not None
    assert found.address == f"unix://{DEFAULT}"


@pytest.mark.parametrize(
    ("said", "goes"),
    [
        ({}, True),
        ({"auths": {}}, True),
        ({"currentContext": ""}, True),
        ({"currentContext": "default"}, True),
        ({"currentContext": "desktop-linux"}, False),
        ({"currentContext": ["odd"]}, False),
        ([], False),
        ("{", False),
        ("", False),
        ("\N{REPLACEMENT CHARACTER}", False),
    ],
)
def test_a_context_is_for_docker_py_and_so_is_a_file_that_makes_no_sense(
    said: object, goes: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(home / ".docker/config.json", said)
    assert (plain() is not None) is goes
    # The same where it is named.
    path.rename(home / "config.json")
    assert plain() is not None
    monkeypatch.setenv("DOCKER_CONFIG", str(home))
    assert (plain() is not None) is goes
    # What names an engine comes before it.
    assert plain(host="unix:///a") is not None
    monkeypatch.setenv("DOCKER_HOST", "unix:///a")
    assert plain() is not None


def test_a_directory_without_a_file_leads_to_the_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for docker-py."""
    write(home / ".dockercfg", {"HttpHeaders": {"X": "old"}})
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "nothing"))
    assert connect._settings() == {"HttpHeaders": {"X": "old"}}
    write(home / ".docker/config.json", {"currentContext": "mine"})
    assert connect._settings() == {"currentContext": "mine"}
    assert plain() is None


def test_the_order_of_what_names_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    assert plain() is None
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert plain() is not None
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    monkeypatch.setenv("DOCKER_HOST", "unix:///from/variable")
    by_variable = plain()
    assert by_variable is not None
    assert by_variable.address == "unix:///from/variable"
    assert plain(context="other") is None
    by_host = plain(host="unix:///from/host", context="other")
    assert by_host is not None
    assert by_host.address == "unix:///from/host"


def test_certificates_are_for_docker_py(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///a")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(home))
    assert plain() is None
    with pytest.raises(EngineUnavailableError) as caught:
        connect.connect()
    assert caught.value.what == "the engine at unix:///a cannot be reached with TLS"
    assert caught.value.saw.startswith("Path to a certificate and key files must be provided")
    assert caught.value.mend == "correct DOCKER_CERT_PATH, or unset it and DOCKER_TLS_VERIFY"


def test_a_context_whose_file_makes_no_sense_is_told(home: Path) -> None:
    write(home / ".docker/config.json", {"currentContext": "mine"})
    write(home / f".docker/contexts/meta/{hashlib.sha256(b'mine').hexdigest()}/meta.json", "{")
    with pytest.raises(EngineUnavailableError) as caught:
        connect.connect()
    assert caught.value.what == "the docker context 'mine' cannot be used"
    assert caught.value.saw.startswith("Detected corrupted meta file for context mine : ")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"X-Meta": "a b"}, {"X-Meta": "a b"}),
        ({"X": "a\r\nEvil: b", "Y": "ä", "Z": 1, "V": "v"}, {"V": "v"}),
        (["X"], {}),
        (None, {}),
    ],
)
def test_the_users_headers_are_sent_unless_they_are_none(given: object, sent: dict[str, str]) -> None:
    assert connect._headers({"HttpHeaders": given}) == sent
    assert connect._headers(None) == {}


@pytest.mark.parametrize(
    "said", [None, [], {}, {"ApiVersion": ""}, {"ApiVersion": "1.41/../"}, {"ApiVersion": "1"}, "x"]
)
def test_what_is_no_engine_is_not_taken_for_one(said: object) -> None:
    with pytest.raises(ValueError, match="it does not say which API it speaks: "):
        connect._facts(said, "unix:///a")
