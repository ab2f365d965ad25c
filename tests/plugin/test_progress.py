"""What a person sees while images are built and pulled, and afterwards: pytest in a terminal of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._poll import Look, until_ready
from tests.plugin.terminal import PATIENCE_S, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.plugin.conftest import Suite

#: A fixture that takes as long as the outer test wants, and is shown as a build is.
GATED = """
    import os

    import pytest

    from pytest_dockerkit import _run
    from pytest_dockerkit._engine.base import Progress


    @pytest.fixture
    def api(request):
        tasks = _run.session_of(request.config).progress
        tasks._after_s = 0  # for the real two seconds there are tests below
        with tasks.task("building", "api (target web)") as task:
            task.tell(Progress("[web 2/3] RUN make all", 2, 3))
            if "NO_GATE" not in os.environ:
                open(f"gate-{request.node.name}").close()
    """

TESTS = """
    def test_before():
        print("before it")

    def test_slow(api):
        print("in it")

    def test_after():
        print("after it", end="")
    """

LIVE = r"building api \(target web\): \[web 2/3\] RUN make all   \d+ s"


#: What every inner run is told.
ARGUMENTS = ("-p", "no:randomly", "-p", "no:cacheprovider", "-W", "error")


def opens(suite: Suite, test: str, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Let the build of a test end, once it has begun."""

    def look() -> Look:
        meanwhile()
        # There may be no reader yet.
        with contextlib.suppress(OSError):
            os.close(os.open(suite.path / f"gate-{test}", os.O_WRONLY | os.O_NONBLOCK))
            return Look(ready=True)
        return Look(ready=False)

    assert until_ready(look, timeout_s=PATIENCE_S).ready


class Pytest(Terminal):
    """pytest in a terminal, on the suite that was written."""

    def __init__(self, suite: Suite, *args: str, columns: int = 80, lines: int = 24, **environ: str) -> None:
        self._suite = suite
        inherited = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        super().__init__(
            [sys.executable, "-m", "pytest", *ARGUMENTS, *args],
            cwd=suite.path,
            environ={**inherited, "TERM": "xterm-256color", **environ},
            columns=columns,
            lines=lines,
        )

    def opens(self, test: str = "test_slow") -> None:
        """Let the build of a test end."""
        opens(self._suite, test, self.read)

    @property
    def cells(self) -> list[list[tuple[str, str, bool]]]:
        """All that was on the screen with its colours, but for the last line, which has the time."""
        rows = [*self.screen.history.top, *(self.screen.buffer[row] for row in range(self.screen.lines))]
        cells = [[(row[x].data, row[x].fg, row[x].bold) for x in range(self.screen.columns)] for row in rows]
        while all(cell[0] == " " for cell in cells[-1]):
            cells.pop()
        return cells[:-1]


@pytest.fixture
def started(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pytest]]:
    """Starts pytest in terminals, on one suite, and ends what is left of it."""
    for name in ("GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    terminals: list[Pytest] = []

    def start(*args: str, columns: int = 80, lines: int = 24, **environ: str) -> Pytest:
        terminals.append(Pytest(suite, *args, columns=columns, lines=lines, **environ))
        return terminals[-1]

    yield start
    for each in terminals:
        each.close()


@pytest.fixture
def gated(suite: Suite) -> Suite:
    """The suite with a slow build that the outer test lets end."""
    suite.write({"conftest.py": GATED, "test_inner.py": TESTS})
    os.mkfifo(suite.path / "gate-test_slow")
    return suite


def matches(rows: list[str], *patterns: str) -> bool:
    """Tell whether the last rows are these."""
    last = rows[-len(patterns) :]
    return all(re.fullmatch(pattern, row) for pattern, row in zip(patterns, last, strict=False))


#: Arguments, the terminal's size, and the last rows while it is built.
WAYS: dict[str, tuple[list[str], int, int, list[str]]] = {
    "dots": ([], 80, 24, [r"test_inner\.py \.", LIVE]),
    "names": (["-v"], 80, 24, [r"test_inner\.py::test_before PASSED +\[ 33%\]", r"test_inner\.py::test_slow", LIVE]),
    "quiet": (["-q"], 80, 24, [r"\.", LIVE]),
    "quieter": (["-qq"], 80, 24, [r"\.", LIVE]),
    "narrow": ([], 40, 24, [r"test_inner\.py \.", r"building api \(target web\): \[web…   \d+ s"]),
    "narrow names": (["-v"], 40, 24, [r"test_inner\.py::test_slow", r"building api \(target web\): \[web…   \d+ s"]),
    "low": (["-v"], 80, 5, [r"test_inner\.py::test_slow", LIVE]),
    "uncaptured": (["-s"], 80, 24, [r"test_inner\.py before it", r"\.", LIVE]),
    "captured by sys": (["--capture=sys"], 80, 24, [r"test_inner\.py \.", LIVE]),
    "captured and shown": (["--capture=tee-sys"], 80, 24, [r"\.", LIVE]),
    "coloured": (["--color=yes", "-v"], 80, 24, [r"test_inner\.py::test_slow", LIVE]),
    "set up shown": (["--setup-show"], 80, 24, [LIVE]),
    "one process": (["-n0"], 80, 24, [r"test_inner\.py \.", LIVE]),
    "a worker": (["-n1", "-v"], 80, 24, [r"\[gw0\] \[ 33%\] PASSED .*", r"test_inner\.py::test_slow", LIVE]),
    "workers": (["-n2"], 80, 24, [r"\.\.", LIVE]),
    "workers and little room": (["-n2"], 40, 6, [r"\.\.", r"building api \(target web\): \[web…   \d+ s"]),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_slow_build_is_shown_below_and_leaves_no_trace(
    gated: Suite, started: Callable[..., Pytest], name: str
) -> None:
    """What pytest writes is as it would be without, during and after."""
    args, columns, lines, last = WAYS[name]
    alone = started("--dockerkit-progress=off", *args, columns=columns, lines=lines, NO_GATE="")
    beside = started(*args, columns=columns, lines=lines)
    beside.sees(lambda rows: matches(rows, *last))
    # The seconds go on.
    beside.sees(lambda rows: re.search(r"   [1-9]\d* s$", rows[-1]) is not None)
    assert matches(beside.rows, *last)
    beside.opens()
    assert beside.ends() == 0
    assert alone.ends() == 0
    assert beside.cells == alone.cells
    assert "building" not in beside.text
    assert b"building" not in alone.raw


def test_nothing_is_captured_and_nothing_shown_as_output(gated: Suite, started: Callable[..., Pytest]) -> None:
    gated.write({"test_inner.py": "def test_slow(api):\n    print('mine')\n    assert False\n"})
    terminal = started("--tb=line", "-rN")
    terminal.sees("RUN make all")
    terminal.opens()
    assert terminal.ends() == 1
    assert "building" not in terminal.text
    started_again = started("--tb=short", "-rN", lines=60)
    started_again.opens()
    assert started_again.ends() == 1
    shown = started_again.rows
    at = next(number for number, row in enumerate(shown) if "Captured stdout call" in row)
    assert shown[at + 1] == "mine"
    assert "Captured stdout setup" not in started_again.text


def test_dots_of_other_workers_come_in_beside_it(suite: Suite, started: Callable[..., Pytest]) -> None:
    """The controller writes whenever it likes."""
    suite.write({"conftest.py": GATED, "test_inner.py": TESTS})
    os.mkfifo(suite.path / "gate-test_slow")
    os.mkfifo(suite.path / "gate-test_beside")
    suite.write(
        {
            "test_other.py": """
                def test_beside():
                    open("gate-test_beside").close()

                def test_last(): pass
                """
        }
    )
    terminal = started("-n2", "--dist=loadfile")
    terminal.sees(lambda rows: matches(rows, r"\.", LIVE))
    terminal.opens("test_beside")
    terminal.sees(lambda rows: matches(rows, r"\.\.\.", LIVE))
    terminal.opens("test_slow")
    assert terminal.ends() == 0
    assert any(re.fullmatch(r"\.{5} +\[100%\]", row) for row in terminal.rows), terminal.text
    assert "building" not in terminal.text


def test_an_interruption_leaves_no_trace(gated: Suite, started: Callable[..., Pytest]) -> None:
    terminal = started()
    terminal.sees("RUN make all")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ends() == 2
    assert "KeyboardInterrupt" in terminal.text
    assert "building" not in terminal.text


@pytest.mark.parametrize("args", [["-p", "no:terminal"], ["--dockerkit-progress=off"], ["-n1", "-p", "no:terminal"]])
def test_nothing_is_shown_without_a_terminal_reporter_or_when_it_is_off(
    gated: Suite, started: Callable[..., Pytest], args: list[str]
) -> None:
    terminal = started(*args)
    terminal.opens()
    assert terminal.ends() == 0
    assert b"building" not in terminal.raw


@pytest.mark.parametrize(
    ("args", "environ"),
    [(["-v"], {"CI": "true"}), (["-v"], {"TERM": "dumb"}), (["-v", "--dockerkit-progress=plain"], {})],
    ids=["CI", "a dumb terminal", "asked for"],
)
def test_lines_stay_where_they_cannot_change(
    gated: Suite, started: Callable[..., Pytest], args: list[str], environ: dict[str, str]
) -> None:
    terminal = started(*args, **environ)
    terminal.sees(lambda rows: matches(rows, r"test_inner\.py::test_slow", LIVE))
    terminal.opens()
    assert terminal.ends() == 0
    at = next(number for number, row in enumerate(terminal.rows) if row == "test_inner.py::test_slow")
    assert re.fullmatch(LIVE, terminal.rows[at + 1])
    assert re.fullmatch(r"built api \(target web\)   \d+ s", terminal.rows[at + 2])
    assert re.fullmatch(r"test_inner\.py::test_slow PASSED +\[ 66%\]", terminal.rows[at + 3])
    assert re.fullmatch(r"test_inner\.py::test_after PASSED +\[100%\]", terminal.rows[at + 4])


class Logged:
    """pytest that writes into a file, as in CI."""

    def __init__(self, suite: Suite, *args: str, **environ: str) -> None:
        self.path = suite.path / "log.txt"
        with self.path.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *ARGUMENTS, *args],
                cwd=suite.path,
                env={**os.environ, **environ},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def sees(self, wanted: str) -> None:
        """Wait until something was written."""
        assert until_ready(lambda: Look(wanted in self.text), timeout_s=PATIENCE_S).ready, self.text


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        ([], [r"test_inner\.py \.", "<lines>", r"test_inner\.py \.\. +\[100%\]"]),
        (["-q"], [r"\.", "<lines>", r"\.\. +\[100%\]"]),
        (["-s"], [r"test_inner\.py before it", r"\.", "<lines>", r"test_inner\.py in it", r"\.after it\."]),
        (["-n1"], [r"\.", "<lines>", r"\.\. +\[100%\]"]),
        (
            ["-n1", "-v"],
            [r"\[gw0\] \[ 33%\] PASSED .*", r"test_inner\.py::test_slow ", "<lines>", r"\[gw0\] \[ 66%\] PASSED .*"],
        ),
    ],
    ids=["dots", "quiet", "uncaptured", "a worker", "a worker and names"],
)
def test_lines_stay_in_a_log(gated: Suite, args: list[str], lines: list[str]) -> None:
    """Each on a line of its own, and pytest goes on in a fresh one."""
    log = Logged(gated, *args, CI="true")
    log.sees("RUN make all")
    opens(gated, "test_slow")
    assert log.process.wait(PATIENCE_S) == 0
    build = f"{LIVE}\n(?:{LIVE}\n)*built api \\(target web\\)   \\d+ s"
    wanted = "\n".join(build if line == "<lines>" else line for line in lines)
    assert re.search(f"(?m)^{wanted}$", log.text), log.text
    assert "\x1b" not in log.text


@pytest.mark.parametrize("args", [[], ["-n1"]])
def test_what_is_no_terminal_gets_nothing_unless_it_is_asked_for(suite: Suite, args: list[str]) -> None:
    """What reads it is often a program."""
    suite.write(
        {
            "conftest.py": """
                import pytest
                from pytest_dockerkit import _run

                @pytest.fixture
                def api(request):
                    assert _run.session_of(request.config).progress._screen is None
                """,
            "test_inner.py": TESTS,
        }
    )
    suite.run_files(*args, subprocess=True).ended(passed=3)


# Real images


def build(*lines: str) -> str:
    """Write a test of an image that was never built before."""
    text = "\n".join(["FROM busybox:stable", f"RUN echo {uuid.uuid4().hex} > /never", *lines])
    return f"""
        import pytest
        from pytest_dockerkit import ImageSpec, image_fixture

        built = image_fixture(ImageSpec(dockerfile_text={text!r}))

        def test_it(built): pass
        def test_again(built): pass
        """


def test_a_build_is_shown_with_its_stage_and_instruction(suite: Suite, started: Callable[..., Pytest]) -> None:
    """And afterwards, with -v, what has become of each image."""
    suite.write({"test_inner.py": build("RUN sleep 4")})
    terminal = started("-v")
    terminal.sees(
        lambda rows: matches(
            rows, r"test_inner\.py::test_it", r"building dockerfile_text: \[\d/\d\] RUN sleep 4   \d+ s"
        )
    )
    assert terminal.ends() == 0
    assert "building" not in terminal.text
    assert re.search(r"(?m)^built +dockerfile_text +\d+\.\d s   [\d.]+ MB$", terminal.text), terminal.text
    assert "images: 1 built, 0 from cache; all removed, images kept" in terminal.text


def test_a_build_of_a_worker_is_shown_once_and_told_once(suite: Suite, started: Callable[..., Pytest]) -> None:
    """The other workers wait for it, which is no news."""
    suite.write({"test_inner.py": build("RUN sleep 4")})
    terminal = started("-v", "-n2")
    shown: list[int] = []

    def is_shown(rows: list[str]) -> bool:
        shown.append(sum("dockerfile_text" in row for row in rows))
        return matches(rows, r"building dockerfile_text: \[\d/\d\] RUN sleep 4   \d+ s")

    terminal.sees(is_shown)
    assert max(shown) == 1
    assert terminal.ends() == 0
    told = [row for row in terminal.text.splitlines() if "dockerfile_text" in row]
    assert len(told) == 1, terminal.text
    assert told[0].split()[:2] == ["built", "dockerfile_text"]


def test_who_waits_for_another_process_is_told_so(suite: Suite, started: Callable[..., Pytest]) -> None:
    suite.write(
        {
            "test_inner.py": build(),
            "conftest.py": """
                from pytest_dockerkit._runtime import builds

                real = builds.image_lock

                def image_lock(*args, **fields):
                    open("gate-lock").close()
                    return real(*args, **fields)

                builds.image_lock = image_lock
                """,
        }
    )
    os.mkfifo(suite.path / "gate-lock")
    terminal = started()
    terminal.sees(
        lambda rows: matches(rows, r"test_inner\.py", r"waiting for another process to build dockerfile_text   \d+ s")
    )
    terminal.opens("lock")
    assert terminal.ends() == 0
    assert "waiting" not in terminal.text


def test_each_image_has_its_line_only_with_v(suite: Suite) -> None:
    source = build()
    silent = suite.run(source)
    silent.says("images: 1 built, 0 from cache; all removed, images kept")
    assert "dockerfile_text" not in silent.text
    again = suite.run(source, "-v")
    assert re.search(r"(?m)^cached   dockerfile_text +[\d.]+ MB$", again.text), again.text
    again.says("images: 0 built, 1 from cache; all removed, images kept")


@pytest.mark.parametrize("args", [[], ["-n2"]])
def test_a_large_context_is_told_once_and_is_no_warning(suite: Suite, args: list[str]) -> None:
    """However many images are made of it."""
    suite.write(
        {
            # For this test nobody writes a hundred megabytes.
            "conftest.py": """
                from pytest_dockerkit._engine import context_size

                was, context_size.LARGE_BYTES = context_size.LARGE_BYTES, 1000

                def pytest_unconfigure():
                    context_size.LARGE_BYTES = was
                """,
            "app/Dockerfile": f"""
                FROM busybox:stable AS one
                LABEL never={uuid.uuid4().hex}
                COPY . /srv
                FROM one AS two
                RUN true
                """,
            "app/src/a.py": "pass",
            "app/node_modules/x/y.js": "y" * 3000,
            "test_inner.py": """
                from pytest_dockerkit import image_fixture

                one = image_fixture(build="app", target="one")
                two = image_fixture(build="app", target="two")

                def test_one(one): pass
                def test_two(two): pass
                """,
        }
    )
    outcome = suite.run_files(*args, subprocess=bool(args)).ended(passed=2)
    told = [line for line in outcome.text.splitlines() if line.startswith("large context")]
    assert len(told) == 1, outcome.text
    assert re.fullmatch(
        r"large context: app is 3\.\d kB in 3 files: node_modules 3\.0 kB; in \.dockerignore: node_modules", told[0]
    )
