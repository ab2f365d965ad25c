"""References: what their short forms stand for, and what may stand before them."""

from __future__ import annotations

import pytest

from pytest_dockerkit._runtime.settings import read_image_registry, read_mirrors
from pytest_dockerkit._spec.reference import is_id, parse
from pytest_dockerkit.errors import SpecError

DIGEST = "sha256:" + "a1" * 32

FORMS = {
    "redis": ("docker.io", "library/redis", "latest", None),
    "redis:7": ("docker.io", "library/redis", "7", None),
    "docker.io/redis:7": ("docker.io", "library/redis", "7", None),
    "docker.io/library/redis:7": ("docker.io", "library/redis", "7", None),
    "index.docker.io/library/redis:7": ("docker.io", "library/redis", "7", None),
    "bitnami/redis:7": ("docker.io", "bitnami/redis", "7", None),
    "a/b/c": ("docker.io", "a/b/c", "latest", None),
    "ghcr.io/owner/app:1.2": ("ghcr.io", "owner/app", "1.2", None),
    "127.0.0.1:5000/app": ("127.0.0.1:5000", "app", "latest", None),
    "127.0.0.1:5000/a/b:1": ("127.0.0.1:5000", "a/b", "1", None),
    "localhost/app:1": ("localhost", "app", "1", None),
    "localhost:5000": ("docker.io", "library/localhost", "5000", None),
    "REGISTRY/app:1": ("REGISTRY", "app", "1", None),
    "[::1]:5000/app:1": ("[::1]:5000", "app", "1", None),
    f"redis@{DIGEST}": ("docker.io", "library/redis", None, DIGEST),
    f"redis:7@{DIGEST}": ("docker.io", "library/redis", "7", DIGEST),
    f"127.0.0.1:5000/app@{DIGEST}": ("127.0.0.1:5000", "app", None, DIGEST),
}


@pytest.mark.parametrize("written", FORMS)
def test_what_a_short_form_stands_for(written: str) -> None:
    found = parse(written)
    assert (found.registry, found.path, found.tag, found.digest) == FORMS[written]


@pytest.mark.parametrize("written", FORMS)
def test_the_form_that_docker_shows_stands_for_the_same(written: str) -> None:
    found = parse(written)
    assert parse(found.short) == found
    assert parse(f"{found.name}:1") == parse(f"{found.short_name}:1")


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ("docker.io/library/redis", "redis:latest"),
        ("docker.io/bitnami/redis:7", "bitnami/redis:7"),
        ("127.0.0.1:5000/library/redis:7", "127.0.0.1:5000/library/redis:7"),
        (f"docker.io/library/redis:7@{DIGEST}", f"redis:7@{DIGEST}"),
    ],
)
def test_the_form_that_docker_shows(written: str, short: str) -> None:
    assert parse(written).short == short


def test_naming_by_digest_drops_the_tag() -> None:
    assert parse("docker.io/library/redis:7").at(DIGEST) == f"redis@{DIGEST}"
    assert parse("127.0.0.1:5000/app:7").at(DIGEST) == f"127.0.0.1:5000/app@{DIGEST}"


@pytest.mark.parametrize(
    ("mirror", "there"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5000/library/redis:7"),
        ("127.0.0.1:5000/hub", "127.0.0.1:5000/hub/library/redis:7"),
        ("mirror.example.com/a/b", "mirror.example.com/a/b/library/redis:7"),
    ],
)
def test_where_a_mirror_has_it(mirror: str, there: str) -> None:
    assert parse("redis:7").mirrored(mirror).short == there


@pytest.mark.parametrize(
    ("text", "is_one"),
    [(DIGEST, True), ("a1" * 32, True), ("a1" * 6, False), ("redis", False), (f"redis@{DIGEST}", False)],
)
def test_ids(text: str, *, is_one: bool) -> None:
    """A short id may be a name as well."""
    assert is_id(text) is is_one


# Settings


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", ()),
        ("  ", ()),
        ("docker.io=127.0.0.1:5000/hub", (("docker.io", "127.0.0.1:5000/hub"),)),
        ("docker.io=127.0.0.1:5000/hub/", (("docker.io", "127.0.0.1:5000/hub"),)),
        ("docker.io=localhost", (("docker.io", "localhost"),)),
        ("docker.io=[::1]:5000", (("docker.io", "[::1]:5000"),)),
        (
            "docker.io=a.example\nghcr.io=b.example/g, docker.io=c.example:1/h",
            (("docker.io", "a.example"), ("ghcr.io", "b.example/g"), ("docker.io", "c.example:1/h")),
        ),
        ("registry-1.docker.io=a.example index.docker.io=a.example", (("docker.io", "a.example"),)),
        ("127.0.0.1:5000=127.0.0.1:5001", (("127.0.0.1:5000", "127.0.0.1:5001"),)),
    ],
)
def test_mirrors(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    """In their order, each once, Docker Hub by its one name."""
    assert read_mirrors(text) == pairs


_MIRRORS = "docker.io=mirror.example.com/hub; several are separated by spaces"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "mirror.example.com",
            (
                "a mirror is given in another form than registry=mirror\n"
                "  saw:  dockerkit_mirrors: 'mirror.example.com'\n"
                f"  mend: {_MIRRORS}"
            ),
        ),
        (
            "docker.io=",
            (
                "a mirror is given in another form than registry=mirror\n"
                f"  saw:  dockerkit_mirrors: 'docker.io='\n  mend: {_MIRRORS}"
            ),
        ),
        (
            "docker.io=https://a.example/hub",
            (
                "dockerkit_mirrors: what stands behind the '=' of 'docker.io=https://a.example/hub' "
                "does not begin with the host of a registry\n"
                "  saw:  'https://a.example/hub'\n  mend: a.example/hub, without https://"
            ),
        ),
        (
            "docker.io=hub",
            (
                "dockerkit_mirrors: what stands behind the '=' of 'docker.io=hub' "
                f"does not begin with the host of a registry\n  saw:  'hub'\n  mend: {_MIRRORS}"
            ),
        ),
        (
            "docker=a.example",
            (
                "dockerkit_mirrors: what stands before the '=' of 'docker=a.example' is not the host of a registry\n"
                f"  saw:  'docker'\n  mend: {_MIRRORS}"
            ),
        ),
        (
            "docker.io/library=a.example",
            (
                "dockerkit_mirrors: what stands before the '=' of 'docker.io/library=a.example' "
                f"is not the host of a registry\n  saw:  'docker.io/library'\n  mend: {_MIRRORS}"
            ),
        ),
    ],
)
def test_mirrors_that_make_no_sense(text: str, error: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_mirrors(text)
    assert str(caught.value) == error


@pytest.mark.parametrize("text", ["", "  ", None])
def test_no_image_registry(text: str | None) -> None:
    assert read_image_registry(text) is None


@pytest.mark.parametrize(
    "text", ["registry.example.com/ci", "127.0.0.1:5000/a/b-c", "localhost/x", "docker.io/me/cache", "ghcr.io/o/r"]
)
def test_an_image_registry(text: str) -> None:
    assert read_image_registry(text) == text
    assert read_image_registry(f" {text}/ ") == text


_HOST = "dockerkit_image_registry does not begin with the host of a registry"
_NAME = "dockerkit_image_registry cannot be the beginning of an image's name"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "127.0.0.1:5000",
            (
                "dockerkit_image_registry names a registry, and no place in it\n"
                "  saw:  '127.0.0.1:5000'\n  mend: registry.example.com/ci"
            ),
        ),
        ("ci/images", f"{_HOST}\n  saw:  'ci/images'\n  mend: registry.example.com/ci"),
        (
            "https://registry.example.com/ci",
            f"{_HOST}\n  saw:  'https://registry.example.com/ci'\n  mend: registry.example.com/ci, without https://",
        ),
        (
            "127.0.0.1:5000/ci:latest",
            f"{_NAME}\n  saw:  '127.0.0.1:5000/ci:latest'\n  mend: lower case, no tag: registry.example.com/ci",
        ),
        (
            "127.0.0.1:5000/Team/CI",
            f"{_NAME}\n  saw:  '127.0.0.1:5000/Team/CI'\n  mend: lower case, no tag: 127.0.0.1:5000/team/ci",
        ),
        ("a..b/ci", f"{_HOST}\n  saw:  'a..b/ci'\n  mend: registry.example.com/ci"),
        ("127.0.0.1:port/ci", f"{_HOST}\n  saw:  '127.0.0.1:port/ci'\n  mend: registry.example.com/ci"),
        (
            "a.example/" + "x" * 250,
            (
                f"dockerkit_image_registry is longer than 255 characters\n  saw:  'a.example/{'x' * 50}…'\n"
                "  mend: registry.example.com/ci"
            ),
        ),
    ],
)
def test_an_image_registry_that_makes_no_sense(text: str, error: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_image_registry(text)
    assert str(caught.value) == error
