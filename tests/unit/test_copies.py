"""Whether a Dockerfile copies what lies in the top directory of its context."""

from __future__ import annotations

import pytest

from pytest_dockerkit._spec.settled import BaseFacts
from pytest_dockerkit._spec.uses import context_uses

NAME = ".dockerkit.3e9dc887e2ff.Dockerfile"


def copies(text: str, name: str) -> bool:
    bases = {"busybox": BaseFacts(frozenset(), onbuild=False), "build": BaseFacts(frozenset(), onbuild=False)}
    return context_uses(text, None, {}, bases).takes(name)


@pytest.mark.parametrize(
    "instruction",
    [
        "COPY . .",
        "COPY . /app",
        "copy / /app",
        "ADD ./ /app",
        "COPY ./. /app",
        "COPY api/.. /app",
        "COPY a.txt . /app",
        "COPY * /app",
        "COPY ./* /app",
        "COPY .* /app",
        "COPY [^a]* /app",
        "COPY $SOURCE /app",
        "COPY --chown=1:1 . /app",
        'COPY [".", "/app"]',
        'COPY --chown=1 [".", "/app"]',
        "COPY \\\n  . /app",
        "COPY ${SOURCE%/} /app",
        "COPY '.' /app",
        "COPY --from= . /app",
        "COPY .dockerki[a-z].* /app",
        "COPY .dockerkit.?????????????Dockerfile /app",
        "COPY [a /app",
    ],
)
def test_these_may_copy_it(instruction: str) -> None:
    assert copies(f"FROM busybox\n{instruction}\n", NAME)


@pytest.mark.parametrize(
    "instruction",
    [
        "COPY api .",
        "COPY api ./",
        "COPY a b /",
        "COPY api/* /app",
        "COPY *.txt /app",
        'COPY ["api", "."]',
        "COPY --from=build . .",
        "COPY --from=build /app .",
        "RUN cp . /app",
        "COPY <<EOF /app\n.\nEOF",
        "COPY .dockerki[^a-z].* /app",
        "COPY .dockerkit.\\\\* /app",
        "# COPY . .",
    ],
)
def test_these_do_not_copy_it(instruction: str) -> None:
    assert not copies(f"FROM busybox\n{instruction}\n", NAME)
