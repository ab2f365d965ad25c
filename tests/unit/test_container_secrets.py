"""Whose the files of a container's secrets are, and that what is shown of it has none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_dockerkit import ContainerSpec, Secret
from pytest_dockerkit._runtime.accounts import accounts, owner
from pytest_dockerkit._runtime.cover import Cover
from pytest_dockerkit.errors import SpecError
from tests.unit.refusals import refusal


class Known:
    """The users and groups of a container."""

    users = accounts(
        b"root:x:0:0::/:/bin/sh\n\n# no user\nbroken:x\nweb:x:33:34::/:/bin/sh\nagain:x:33:99::/:\n77:x:5:6::/:\n"
    )
    groups = accounts(b"root:x:0:\nstaff:x:50:web\nweb:x:34:")


class Nobody:
    """An image without a list of users; or one that is not to be read."""

    users = accounts(b"")
    groups = accounts(b"")


@pytest.mark.parametrize(
    ("user", "numbers"),
    [
        ("", (0, 0)),
        ("root", (0, 0)),
        ("0", (0, 0)),
        ("web", (33, 34)),
        ("again", (33, 99)),
        ("33", (33, 0)),
        ("1000", (1000, 0)),
        ("1000:1001", (1000, 1001)),
        ("web:staff", (33, 50)),
        ("web:0", (33, 0)),
        ("1000:staff", (1000, 50)),
        ("root:staff", (0, 50)),
        (":staff", (0, 50)),
        # What is written in digits is a number, also where a user is called so.
        ("77", (77, 0)),
        # The engine refuses to start these.
        ("missing", (0, 0)),
        ("web:missing", (33, 34)),
    ],
)
def test_the_user_is_looked_up_as_engines_do(user: str, numbers: tuple[int, int]) -> None:
    assert owner(user, Known()) == numbers


@pytest.mark.parametrize(
    ("user", "numbers"), [("", (0, 0)), ("1000", (1000, 0)), ("5:6", (5, 6)), ("web", (0, 0)), ("5:web", (5, 0))]
)
def test_an_image_may_have_no_users(user: str, numbers: tuple[int, int]) -> None:
    assert owner(user, Nobody()) == numbers


def test_nothing_is_read_where_numbers_say_all() -> None:
    class Unread:
        @property
        def users(self) -> list[list[str]]:
            pytest.fail("read")

        groups = users

    assert [owner(each, Unread()) for each in ("", "root", "0", "0:0", "7:8")] == [(0, 0)] * 4 + [(7, 8)]


def test_what_is_shown_has_none_of_the_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they were given; a file of another process's container as far as it can still be read."""
    (tmp_path / "file").write_text("from-a-file\n")
    monkeypatch.setenv("DOCKERKIT_TEST_SECRET", "from-env \udcff")
    spec = ContainerSpec(
        image="busybox",
        secrets={
            "text": "one line\nanother line",
            "bytes": b"\xffraw",
            "file": tmp_path / "file",
            "gone": tmp_path / "gone",
            "env": Secret.from_env("DOCKERKIT_TEST_SECRET"),
        },
    )
    said = "it is one line, another line, from-a-file, from-env, plain"
    assert Cover(spec, None)(said) == "it is ***, ***, ***, from-env, plain"
    assert Cover(spec, {"x": Secret("x", "plain")})(said) == said.replace("plain", "***")
    assert Cover(spec, None)("from-env \udcff") == "***"
    assert Cover(spec, None)("") == ""


def test_a_variable_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKERKIT_TEST_SECRET", raising=False)
    secret = Secret.from_env("DOCKERKIT_TEST_SECRET")
    spec = ContainerSpec(image="busybox", secrets={"token": secret})
    assert refusal(secret.reveal) == (
        "the environment variable DOCKERKIT_TEST_SECRET is not set, which holds a secret\n"
        "  saw:  Secret.from_env('DOCKERKIT_TEST_SECRET')\n"
        "  mend: export DOCKERKIT_TEST_SECRET, or give the secret as a Path or as Secret('DOCKERKIT_TEST_SECRET', …)"
    )
    assert repr(secret) == "Secret('DOCKERKIT_TEST_SECRET')"
    assert secret == Secret.from_env("DOCKERKIT_TEST_SECRET") != Secret.from_env("DOCKERKIT_TEST_OTHER")
    assert spec == ContainerSpec(image="busybox", secrets={"token": Secret.from_env("DOCKERKIT_TEST_SECRET")})
    monkeypatch.setenv("DOCKERKIT_TEST_SECRET", "kept-from-view")
    assert secret.reveal() == "kept-from-view"
    assert "kept-from-view" not in f"{secret} {spec}"
    # Whether they are the same depends on the moment.
    assert secret != Secret("DOCKERKIT_TEST_SECRET", "kept-from-view")


@pytest.mark.parametrize("name", ["", " ", "A=B", None, b"A"])
def test_a_variable_has_a_name(name: str) -> None:
    with pytest.raises(SpecError):
        Secret.from_env(name)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        *(
            (
                fields,
                (
                    "secrets= are files below /run/secrets, and something else is mounted there\n"
                    f"  saw:  {path!r} in tmpfs= or volumes=\n"
                    "  mend: mount it elsewhere; above it, as tmpfs='/run', is no hindrance"
                ),
            )
            for fields, path in (
                ({"tmpfs": ["/run/secrets"]}, "/run/secrets"),
                ({"volumes": ["/run/secrets/"]}, "/run/secrets/"),
                ({"volumes": ["/run/secrets/a"]}, "/run/secrets/a"),
                ({"volumes": {"/run/./secrets": "data"}}, "/run/./secrets"),
            )
        ),
        (
            {"files": {"/run/secrets/a": "x"}},
            "/run/secrets/a is given twice\n  saw:  files= and secrets= with 'a'\n  mend: name it once",
        ),
    ],
)
def test_their_place_is_theirs(fields: dict[str, object], text: str) -> None:
    assert refusal(lambda: ContainerSpec(image="busybox", secrets={"a": "x"}, **fields)) == text  # type: ignore[arg-type]
    ContainerSpec(image="busybox", **fields)  # type: ignore[arg-type]


def test_what_is_mounted_in_a_tmpfs_is_not_of_it() -> None:
    spec = ContainerSpec(
        image="busybox",
        secrets={"a": "x"},
        tmpfs=["/run"],
        volumes=["/run/data", "d:/srv"],
        files={"/run/secrets/b": "1", "/run/data/c": "2", "/srv/d": "3", "/etc/e": "4"},
        read_only=True,
    )
    assert [spec.tmpfs_above(each) for each in ("/run/x", "/run/data/x", "/run/secrets/a", "/")] == [
        "/run",
        None,
        None,
        None,
    ]
    assert list(spec.files_in_root) == ["/etc/e"]
    assert ContainerSpec(image="busybox", tmpfs=["/run"]).tmpfs_above("/run/secrets/a") == "/run"
