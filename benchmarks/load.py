"""Load: many containers in one run and at once, many workers, two runs side by side; what grows, and what is left."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine
from bench.raw import Engine
from bench.tables import Table
from bench.watch import filters

LABEL = "pytest.dockerkit.run"
KINDS = {"containers": "/containers/json?all=1&", "networks": "/networks?", "volumes": "/volumes?"}
#: How long the watcher may take after the end, in seconds: the promise for a run that is killed.
PATIENCE_S = 5.0

CONFTEST = """
    import json, os
    from pathlib import Path

    def pytest_runtest_logfinish():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        kib = pages * os.sysconf("SC_PAGE_SIZE") // 1024
        seen = [kib, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))]
        with Path(__file__).with_name(f"grown-{os.getpid()}").open("a") as file:
            file.write(json.dumps(seen) + "\\n")
"""

FRESH = """
    import pytest

    @pytest.mark.container("busybox:stable", command=["sleep", "1000"])
    @pytest.mark.parametrize("number", range({number}))
    def test_it(container, number):
        assert container.exec(["true"]).exit_code == 0
"""

AT_ONCE = """
    import pytest
    from pytest_dockerkit import container_fixture

    for number in range({number}):
        globals()[f"box_{{number}}"] = container_fixture("busybox:stable", command=["sleep", "1000"], scope="session")

    @pytest.mark.usefixtures(*(f"box_{{number}}" for number in range({number})))
    def test_it(box_0):
        for number in range({number}):
            assert box_0.exec(["nslookup", f"box_{{number}}"]).exit_code == 0
"""


PAGE = """# Load

What becomes of many containers: whether anything is left, and whether the processes of pytest grow. `make load`
measures it on your machine, and `make load ARGS='--scale 0.1'` a tenth of it.

- Each *fresh* container is that of one test alone, in an isolated network, and a command is run in it.
- Those *at once* are of the session, in one network, and each is looked up by its name.
- Memory, open files and threads are those at the end of each test. The first few tests load what all need, and do not
  count. Of the others the first and the last tenth are held against each other, for the process that has grown most.
- What is *left* is looked for on the engine by the plugin's label, when pytest has ended.

This page was written by `python benchmarks/load.py --markdown docs/reference/load.md`.
"""


@dataclass
class Seen:
    """What the engine told of while it was watched."""

    made: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    there: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    most: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def note(self, event: dict[str, Any]) -> None:
        """Count one event."""
        kind, actor = event["Type"], event["Actor"]
        if kind == "container" and LABEL not in actor["Attributes"]:
            return
        if kind == "network" and not actor["Attributes"]["name"].startswith("dockerkit-"):
            return
        there = self.there[kind]
        if event["Action"] == "create":
            self.made[kind] += 1
            there.add(actor["ID"])
            self.most[kind] = max(self.most[kind], len(there))
        else:
            there.discard(actor["ID"])


def watched(engine: Engine) -> Seen:
    """Begin to watch."""
    seen = Seen()
    stream = engine.stream(f"/events?{filters(type=['container', 'network'], event=['create', 'destroy'])}")

    def read() -> None:
        try:
            for line in stream:
                # The stream is chunked; the chunks' sizes stand on lines of their own.
                if line.startswith(b"{"):
                    seen.note(json.loads(line))
        except (OSError, ValueError):
            return

    threading.Thread(target=read, daemon=True).start()
    return seen


def left() -> list[str]:
    """Give what is there with our label, in words."""
    engine = Engine()
    words = []
    for kind, path in KINDS.items():
        found = engine.call("GET", f"{path}{filters(label=[LABEL])}")
        found = found["Volumes"] or [] if kind == "volumes" else found
        words += [f"{len(found)} {kind}"] * bool(found)
    return words


def begun(root: Path, source: str, *options: str) -> subprocess.Popen[str]:
    """Begin a run."""
    root.mkdir(parents=True)
    (root / "conftest.py").write_text(textwrap.dedent(CONFTEST))
    (root / "test_load.py").write_text(textwrap.dedent(source))
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *options]
    environment = {**os.environ, "XDG_CACHE_HOME": str(root.parent / "state"), "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.Popen(argv, cwd=root, env=environment, text=True, stdout=subprocess.PIPE)


def grown(root: Path) -> list[str]:
    """Say of the process that has grown most from its first to its last tests: MB, descriptors, threads."""
    rows = []
    for path in root.glob("**/grown-*"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        # The first few load what all need; after them nothing should grow.
        lines = lines[min(5, len(lines) - 1) :]
        few = max(1, len(lines) // 10)
        rows.append([(median(column[:few]), median(column[-few:])) for column in zip(*lines, strict=True)])
    worst = [max(column, key=lambda each: each[1] - each[0]) for column in zip(*rows, strict=True)]
    (first_kib, last_kib), *rest = worst
    return [f"{first_kib / 1024:.1f} -> {last_kib / 1024:.1f}", *(f"{a:.0f} -> {b:.0f}" for a, b in rest)]


def row(title: str, runs: list[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Carry runs out side by side, and say what came of them.

    Raises:
        SystemExit: one failed.
    """
    engine = Engine()
    seen = watched(engine)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        begin = time.monotonic()
        processes = [begun(root / f"run-{number}", run[0], *run[1]) for number, run in enumerate(runs)]
        said = [each.communicate()[0] for each in processes]
        seconds = time.monotonic() - begin
        if any(each.returncode for each in processes):
            raise SystemExit("\n".join(said))
        end = time.monotonic() + PATIENCE_S
        while (remains := left()) and time.monotonic() < end:
            time.sleep(0.1)
        growth = grown(root)
    engine.close()
    made, most = seen.made, seen.most
    counted = [str(each) for each in (made["container"], most["container"], made["network"], most["network"])]
    return [title, f"{seconds:.0f}", *counted, *growth, ", ".join(remains) or "nothing"]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the load, such as 0.1")
    parser.add_argument("--markdown", type=Path, help="a file to write the table to")
    arguments = parser.parse_args()
    if words := left():
        raise SystemExit(f"there are containers of runs already: {', '.join(words)}; `dockerkit prune` removes them")

    def scaled(number: int) -> int:
        return max(1, round(number * arguments.scale))

    many, some, at_once = scaled(1000), scaled(250), scaled(64)
    rows = [
        row(f"{many} fresh containers, -n 8", [(FRESH.format(number=many), ("-n8",))]),
        row(f"{some} fresh containers, one process", [(FRESH.format(number=some), ())]),
        row(f"{at_once} at once", [(AT_ONCE.format(number=at_once), ())]),
        row(f"two runs side by side, {some} each, -n 4", [(FRESH.format(number=some), ("-n4",))] * 2),
    ]
    header = ["load", "s", "containers", "most at once", "networks", "most at once"]
    header += ["MB of the process that grew most", "descriptors", "threads", "left"]
    table = Table("Load", header, rows, [])
    about = machine.describe()
    print("\n".join(about), table.text(), sep="\n\n")
    if arguments.markdown:
        lines = "\n".join(f"- {each}" for each in about)
        arguments.markdown.write_text(f"{PAGE}\n{lines}\n\n{table.markdown()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
