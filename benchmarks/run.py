"""Runs each scenario with each contestant in turn, and prints medians and ratios."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

TRIVIAL = "def test_nothing(): pass\n"

SERVE = """["sh", "-c", "echo hello > /tmp/index.html; {wait}exec httpd -f -p 80 -h /tmp"]"""

OURS = """
    import pytest
    from urllib.request import urlopen

    @pytest.mark.parametrize("number", range({count}))
    @pytest.mark.container("busybox:stable", ports=[80], scope="{scope}", command={command}{more})
    def test_it(container, number):
        assert urlopen(container.url(80)).read() == b"hello\\n"
"""

BY_HAND = """
    import time
    from urllib.request import urlopen

    import docker
    import pytest

    @pytest.fixture(scope="{scope}")
    def url():
        client = docker.from_env()
        ports = {{"80/tcp": ("127.0.0.1", None)}}
        container = client.containers.run("busybox:stable", {command}, ports=ports, detach=True)
        container.reload()
        url = "http://127.0.0.1:" + container.ports["80/tcp"][0]["HostPort"]
        deadline = time.monotonic() + 30
        while True:
            try:
                urlopen(url).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        yield url
        container.remove(force=True)
        client.close()

    @pytest.mark.parametrize("number", range({count}))
    def test_it(url, number):
        assert urlopen(url).read() == b"hello\\n"
"""

AT_ONCE = SERVE.format(wait="")
LATE = SERVE.format(wait="sleep 1; ")
HEALTH = ', healthcheck="wget -q -O /dev/null http://127.0.0.1/"'


def scenarios() -> dict[str, dict[str, str]]:
    """Give the suites, by scenario and contestant."""

    def both(scope: str, count: int, command: str, more: str = "") -> dict[str, str]:
        fields = {"scope": scope, "count": count, "command": command, "more": more}
        return {"none": TRIVIAL, "ours": OURS.format(**fields), "docker-py": BY_HAND.format(**fields)}

    return {
        "unused": {"none": TRIVIAL, "ours": TRIVIAL},
        "session": both("session", 1, AT_ONCE),
        "late": both("session", 1, LATE, HEALTH),
        "fresh": both("function", 10, AT_ONCE),
    }


def seconds(contestant: str, suite: str) -> float:
    """Run a suite once as a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "test_suite.py").write_text(textwrap.dedent(suite))
        plugins = [] if contestant == "ours" else ["-p", "no:dockerkit"]
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            *plugins,
            directory,
        ]
        begin = time.perf_counter()
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
        passed = time.perf_counter() - begin
        if ended.returncode != 0:
            sys.exit(f"{contestant} failed:\n{ended.stdout}{ended.stderr}")
        return passed


def import_ms() -> float:
    """Measure what importing the plugin adds to pytest, in milliseconds."""
    code = (
        "import time, pytest; begin = time.perf_counter(); import pytest_dockerkit.plugin;"
        "print((time.perf_counter() - begin) * 1000)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("scenario", nargs="*", choices=[[], *scenarios()], help="all, if none is named")
    given = parser.parse_args()
    imports = [import_ms() for _ in range(given.rounds)]
    print(
        f"importing the plugin: {statistics.median(imports):.1f} ms (min {min(imports):.1f}, max {max(imports):.1f})"
    )
    for name, contestants in scenarios().items():
        if given.scenario and name not in given.scenario:
            continue
        taken: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for _ in range(given.rounds):
            for contestant, suite in contestants.items():
                taken[contestant].append(seconds(contestant, suite))
        base = "docker-py" if "docker-py" in taken else "none"
        print(f"\n{name}: medians of {given.rounds} rounds, s")
        for contestant, values in taken.items():
            median = statistics.median(values)
            ratio = median / statistics.median(taken[base])
            spread = f"(min {min(values):.3f}, max {max(values):.3f})"
            print(f"  {contestant:10} {median:7.3f}  {spread}  {ratio:5.2f} x {base}")


if __name__ == "__main__":
    main()
