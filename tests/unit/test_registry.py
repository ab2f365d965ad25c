"""What registries answer: the sentences of real engines, and the progress of a pull."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_dockerkit._engine.base import Progress
from pytest_dockerkit._engine.registry import Answer, Kind, RefusedError, follow, read_answer

_HEAD = (
    'failed to resolve reference "127.0.0.1:1/app:1": unexpected status from HEAD request to http://127.0.0.1:1/v2/'
)
_GET = "failed to copy: httpReadSeeker: failed open: unexpected status from GET request to http://127.0.0.1:1/v2/"
_HUB = (
    "pull access denied for nope, repository does not exist or may require 'docker login': "
    "denied: requested access to the resource is denied"
)

#: As Docker 20.10.24, 28.5.2, and 28.5.2 with containerd's image store have said it of a real registry; or others.
SAID = {
    ("toomanyrequests: You have reached your pull rate limit.", 500): Kind.LIMITED,
    ("toomanyrequests: You have reached your pull rate limit.", 429): Kind.LIMITED,
    ("error parsing HTTP 429 response body: invalid character 's' looking for beginning of value", 500): Kind.LIMITED,
    (f"unknown: {_HEAD}app/manifests/1: 429 Too Many Requests", 500): Kind.LIMITED,
    ("error from registry: You have reached your pull rate limit.", None): Kind.LIMITED,
    (f"unknown: {_GET}app/blobs/sha256:dc50: 429 Too Many Requests", None): Kind.LIMITED,
    ("received unexpected HTTP status: 500 Internal Server Error", 500): Kind.BROKEN,
    ("received unexpected HTTP status: 502 Bad Gateway", 500): Kind.BROKEN,
    ("received unexpected HTTP status: 503 Service Unavailable", 500): Kind.BROKEN,
    ("error parsing HTTP 504 response body: unexpected end of JSON input", 500): Kind.BROKEN,
    (f"unknown: {_HEAD}app/manifests/1: 503 Service Unavailable", 500): Kind.BROKEN,
    (f"unknown: {_GET}app/blobs/sha256:dc50: 500 Internal Server Error", None): Kind.BROKEN,
    ("error from registry: unavailable\nunavailable", None): Kind.BROKEN,
    ("error from registry: unknown\nunknown", None): Kind.BROKEN,
    ('Head "http://127.0.0.1:1/v2/app/manifests/1": EOF', 500): Kind.BROKEN,
    ('Put "http://127.0.0.1:1/v2/pushed/x/manifests/1": EOF', None): Kind.BROKEN,
    ("read tcp 10.0.0.1:5->10.0.0.2:443: read: connection reset by peer", 500): Kind.BROKEN,
    ('Get "https://registry-1.docker.io/v2/": net/http: TLS handshake timeout', 500): Kind.BROKEN,
    ("manifest for 127.0.0.1:1/app:2 not found: manifest unknown: manifest unknown", 404): Kind.MISSING,
    ('failed to resolve reference "127.0.0.1:1/app:2": 127.0.0.1:1/app:2: not found', 404): Kind.MISSING,
    ("manifest for 127.0.0.1:1/app:429 not found: manifest unknown: manifest unknown", 404): Kind.MISSING,
    ("manifest for 127.0.0.1:503/app:500 not found: manifest unknown: manifest unknown", 404): Kind.MISSING,
    ("name unknown: The repository with name 'x' does not exist in the registry", 500): Kind.MISSING,
    (_HUB, 404): Kind.DENIED,
    ('Head "http://127.0.0.1:1/v2/app/manifests/1": no basic auth credentials', 500): Kind.DENIED,
    ("unauthorized: authentication required", 500): Kind.DENIED,
    ("unauthorized: authentication required", 401): Kind.DENIED,
    ("denied", 403): Kind.DENIED,
    ("error from registry: denied\ndenied", None): Kind.DENIED,
    (f"unknown: {_HEAD}app/manifests/1: 403 Forbidden", 500): Kind.DENIED,
    (f"unknown: {_HEAD}app/manifests/1: 401 Unauthorized", 500): Kind.DENIED,
    (
        'Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid on 10.0.0.1:53: no such host',
        500,
    ): Kind.UNREACHABLE,
    ('Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', 500): Kind.UNREACHABLE,
    ('Get "https://a.example/v2/": dial tcp 10.0.0.9:443: i/o timeout', 500): Kind.UNREACHABLE,
    (
        (
            'Get "https://a.example/v2/": net/http: request canceled while waiting for connection '
            "(Client.Timeout exceeded while awaiting headers)"
        ),
        500,
    ): Kind.UNREACHABLE,
    ("no matching manifest for linux/arm64 in the manifest list entries", None): Kind.PLATFORM,
    (
        "no matching manifest for linux/arm64 in the manifest list: no match for platform in manifest: not found",
        404,
    ): Kind.PLATFORM,
    ("Cannot overwrite digest sha256:34b5", None): Kind.HELD,
    (
        'Get "https://a.example/v2/": tls: failed to verify certificate: x509: signed by unknown authority',
        500,
    ): Kind.UNTRUSTED,
    (
        'Get "https://10.0.0.2:5000/v2/": http: server gave HTTP response to HTTPS client',
        500,
    ): Kind.UNTRUSTED,
    ("failed to register layer: Error processing tar file: write /x: no space left on device", None): Kind.FULL,
    ("open /var/lib/docker/tmp/x: permission denied", 500): Kind.OTHER,
    ("manifest invalid: manifest invalid", 400): Kind.OTHER,
    ("gone", 404): Kind.MISSING,
    ("Not Found", 404): Kind.UNSUPPORTED,
}


@pytest.mark.parametrize(("said", "status"), SAID)
def test_what_an_answer_comes_down_to(said: str, status: int | None) -> None:
    assert read_answer(f"{said}\n", status) == Answer(SAID[said, status], said)


def test_what_passes_by_itself() -> None:
    assert {kind for kind in Kind if Answer(kind, "it says").passes} == {Kind.LIMITED, Kind.BROKEN}


@pytest.mark.parametrize(("tries", "passes"), [(1, True), (6, False)])
def test_what_the_engine_has_tried_for_long_is_not_tried_again(tries: int, *, passes: bool) -> None:
    """It gives up a layer after six tries and more than a minute, and after one where it is told to come later."""
    said = f"download failed after attempts={tries}: received unexpected HTTP status: 503 Service Unavailable"
    assert read_answer(said).passes is passes


def test_every_kind_has_a_mend() -> None:
    assert all(Answer(kind, "").mend for kind in Kind)


# Progress


def line(layer: str, status: str, current: int | None = None, total: int | None = None) -> dict[str, Any]:
    detail = {key: each for key, each in (("current", current), ("total", total)) if each is not None}
    return {"id": layer, "status": status, "progressDetail": detail}


def test_the_bytes_of_all_layers_are_summed() -> None:
    told: list[Progress] = []
    follow(
        [
            {"id": "7", "status": "Pulling from library/redis"},
            line("a", "Pulling fs layer"),
            line("b", "Already exists"),
            line("c", "Pulling fs layer"),
            line("a", "Downloading", 10, 100),
            line("c", "Downloading", 5, 50),
            line("a", "Downloading", 60, 100),
            line("a", "Verifying Checksum"),
            line("a", "Extracting", 1, 100),
            line("c", "Download complete"),
            line("a", "Pull complete"),
            line("c", "Pull complete"),
            {"status": "Digest: sha256:abc"},
        ],
        told.append,
    )
    assert told == [
        Progress("Pulling fs layer", 1, 1),
        Progress("Already exists", 2, 2),
        Progress("Pulling fs layer", 2, 3),
        Progress("Downloading", 2, 3, 10, 100),
        Progress("Downloading", 2, 3, 15, 150),
        Progress("Downloading", 2, 3, 65, 150),
        Progress("Verifying Checksum", 2, 3, 105, 150),
        Progress("Extracting", 2, 3, 105, 150),
        Progress("Download complete", 2, 3, 150, 150),
        Progress("Pull complete", 3, 3, 150, 150),
        Progress("Pull complete", 3, 3, 150, 150),
    ]


def test_a_push_is_summed_likewise() -> None:
    told: list[Progress] = []
    follow(
        [
            {"status": "The push refers to repository [127.0.0.1:1/app]"},
            line("a", "Preparing"),
            line("a", "Pushing", 512, 1024),
            line("a", "Pushed"),
            line("b", "Mounted from library/base"),
            {"progressDetail": {}, "aux": {"Tag": "1"}},
        ],
        told.append,
    )
    assert told[1:] == [
        Progress("Pushing", 1, 1, 512, 1024),
        Progress("Pushed", 1, 1, 1024, 1024),
        Progress("Mounted from library/base", 2, 2, 1024, 1024),
    ]


def test_a_total_that_is_not_known_grows() -> None:
    told: list[Progress] = []
    follow([line("a", "Downloading", 10), line("a", "Downloading", 30, -1)], told.append)
    assert [(each.done_bytes, each.total_bytes) for each in told] == [(10, 10), (30, 30)]


def test_a_failure_is_a_line_among_others() -> None:
    lines = [line("a", "Pulling fs layer"), {"error": "toomanyrequests: slow down", "errorDetail": {}}]
    with pytest.raises(RefusedError) as caught:
        follow(lines, lambda _: None)
    assert caught.value.answer == Answer(Kind.LIMITED, "toomanyrequests: slow down")
