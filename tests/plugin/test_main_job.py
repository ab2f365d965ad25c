"""The main job, from the marker to a clean machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

DOCKERFILE = """
    FROM busybox:stable AS base
    RUN mkdir /www
    FROM base AS broken
    RUN false
    FROM base AS api-build
    COPY index.html /www/
    EXPOSE 3080
    HEALTHCHECK CMD wget -q -O /dev/null http://127.0.0.1:3080/
    CMD ["httpd", "-f", "-p", "3080", "-h", "/www"]
"""


def test_a_marker_gives_a_built_started_healthy_container(suite: Suite) -> None:
    """The design's first example, with a target; the stage that it does not need would fail."""
    suite.write({"Dockerfile.multi": DOCKERFILE, "index.html": "hello"})
    outcome = suite.run(
        """
        from urllib.request import urlopen
        import pytest

        @pytest.mark.container(build=".", dockerfile="Dockerfile.multi", target="api-build",
                               ports=[3080], cpus=0.5, memory="256m", network="isolated")
        def test_api(container):
            assert urlopen(container.url(3080, "/")).read() == b"hello"
            assert container.health == "healthy"
        """
    )
    outcome.ended(passed=1)
    assert outcome.containers[0]["HostConfig"]["Memory"] == 256 * 1024**2
