"""P5: a large build context: how long it takes to know that its image is current, beside docker-py.

Each look is made by a pytest of its own, so that nothing is known from before but what is kept on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from bench import images, report
from bench.watch import LABEL, sweep

FILES = 2_000
FILE_BYTES = 100_000
ROUNDS = 5

DOCKERFILE = """
FROM busybox:stable
LABEL {label}
COPY app /app
"""

OURS = """
    import json
    import time
    from pathlib import Path

    from pytest_dockerkit import ImageSpec

    def test_look(dockerkit, docker_client):
        docker_client.ping()
        begin = time.perf_counter()
        image = dockerkit.build(ImageSpec(build={context!r}))
        taken = time.perf_counter() - begin
        Path({result!r}).write_text(json.dumps([taken, image.cached]))
"""

BY_HAND = """
    import json
    import time
    from pathlib import Path

    import docker

    def test_look():
        client = docker.from_env()
        client.ping()
        begin = time.perf_counter()
        client.images.build(path={context!r}, tag={tag!r}, rm=True)
        Path({result!r}).write_text(json.dumps([time.perf_counter() - begin, None]))
        client.close()
"""


@dataclass
class Looks:
    """What each kind of look took, in milliseconds, and whether it built."""

    taken: dict[str, list[float]] = field(default_factory=dict)
    built: dict[str, list[bool]] = field(default_factory=dict)


def make(context: Path, run: str) -> None:
    """Write the context: files that the image has, and one that it has not."""
    for number in range(FILES):
        path = context / "app" / f"part-{number % 40}" / f"file-{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(FILE_BYTES))
    (context / "Dockerfile").write_text(DOCKERFILE.format(label=f"{LABEL}={run}"))
    (context / "notes.txt").write_text(uuid.uuid4().hex)
    (context / ".dockerignore").write_text(".git\n**/__pycache__\n*.log\nnode_modules\n")


def look(suite: str, context: Path, run: str, *, ours: bool) -> tuple[float, bool | None]:
    """Run one look in a process of its own: its time in milliseconds, and whether nothing was built."""
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory, "result.json")
        tag = images.tag("context", run)
        text = textwrap.dedent(suite).format(context=str(context), result=str(result), tag=tag)
        Path(directory, "test_look.py").write_text(text)
        plugins = ["-p", "dockerkit"] if ours else []
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, directory]
        kept = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "XDG_CACHE_HOME": str(context.parent / "cache")}
        environment = {**os.environ, **kept}
        ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise RuntimeError(f"failed:\n{ended.stdout}{ended.stderr}")
        seconds, cached = json.loads(result.read_text())
        return seconds * 1000, cached


def measure(rounds: int) -> Looks:
    """Make the context, look at it, change it, and look again."""
    found = Looks()
    run = uuid.uuid4().hex[:8]

    def step(name: str, *, ours: bool = True) -> None:
        ms, cached = look(OURS if ours else BY_HAND, context, run, ours=ours)
        found.taken.setdefault(name, []).append(ms)
        found.built.setdefault(name, []).append(cached is False)

    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory, "the context")
        make(context, run)
        try:
            look(BY_HAND, context, run, ours=False)
            look(OURS, context, run, ours=True)
            # Files that were just written are read once more, when their times say that they have settled.
            look(OURS, context, run, ours=True)
            for _ in range(rounds):
                step("docker-py, unchanged", ours=False)
                step("unchanged")
                (context / "notes.txt").write_text(uuid.uuid4().hex)
                step("an unused file changed")
                (context / "app/part-0/file-0.bin").write_bytes(os.urandom(FILE_BYTES))
                step("a used file changed")
        finally:
            sweep(run)
            images.remove(run)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    looks = measure(parser.parse_args().rounds)
    print(report.context_table(looks.taken, looks.built).text())


if __name__ == "__main__":
    main()
