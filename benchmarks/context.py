"""A large build context: how long it takes to know that its image is current, beside docker-py.

Each look is made by a pytest of its own, so that nothing is known from before but what is kept on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import uuid
from pathlib import Path

FILES = 2_000
FILE_BYTES = 100_000
ROUNDS = 5

DOCKERFILE = """
FROM busybox:stable
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
        client.images.build(path={context!r}, tag="benchmark-context")
        Path({result!r}).write_text(json.dumps([time.perf_counter() - begin, None]))
        client.close()
"""


def make(context: Path) -> None:
    """Write the context: files that the image has, and one that it has not."""
    for number in range(FILES):
        path = context / "app" / f"part-{number % 40}" / f"file-{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(FILE_BYTES))
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "notes.txt").write_text(uuid.uuid4().hex)
    (context / ".dockerignore").write_text(".git\n**/__pycache__\n*.log\nnode_modules\n")


def look(suite: str, context: Path, *, ours: bool) -> tuple[float, bool | None]:
    """Run one look in a process of its own: its time in milliseconds, and whether nothing was built."""
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory, "result.json")
        text = textwrap.dedent(suite).format(context=str(context), result=str(result))
        Path(directory, "test_look.py").write_text(text)
        plugins = [] if ours else ["-p", "no:dockerkit"]
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *plugins]
        ended = subprocess.run([*argv, directory], capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            sys.exit(f"failed:\n{ended.stdout}{ended.stderr}")
        seconds, cached = json.loads(result.read_text())
        return seconds * 1000, cached


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    size_mb = FILES * FILE_BYTES // 1_000_000
    taken: dict[str, list[float]] = {}
    built: dict[str, list[bool]] = {}

    def step(name: str, *, ours: bool = True) -> None:
        ms, cached = look(OURS if ours else BY_HAND, context, ours=ours)
        taken.setdefault(name, []).append(ms)
        built.setdefault(name, []).append(cached is False)

    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory, "the context")
        make(context)
        look(BY_HAND, context, ours=False)
        look(OURS, context, ours=True)
        # Files that were just written are read once more, when their times say that they have settled.
        look(OURS, context, ours=True)
        for _ in range(rounds):
            step("docker-py, unchanged", ours=False)
            step("unchanged")
            (context / "notes.txt").write_text(uuid.uuid4().hex)
            step("an unused file changed")
            (context / "app/part-0/file-0.bin").write_bytes(os.urandom(FILE_BYTES))
            step("a used file changed")
    base = statistics.median(taken["docker-py, unchanged"])
    print(f"a context of {size_mb} MB in {FILES} files: medians of {rounds} rounds, ms")
    for name, values in taken.items():
        median = statistics.median(values)
        builds = "" if name.startswith("docker-py") else f"  {sum(built[name])} builds in {rounds} looks"
        spread = f"(min {min(values):.1f}, max {max(values):.1f})"
        print(f"  {name:24} {median:8.1f}  {spread}  {median / base:5.3f} x{builds}")


if __name__ == "__main__":
    main()
