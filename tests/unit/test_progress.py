"""Progress: what is shown of builds and pulls, when, and by whom."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyte
import pytest
from _pytest._io import TerminalWriter

from pytest_dockerkit import _progress, _run
from pytest_dockerkit._engine.base import Progress
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime import relay
from pytest_dockerkit._runtime.progress import State, Tasks
from pytest_dockerkit._runtime.progress_text import clock_of, ending_of, line_of, telling
from pytest_dockerkit._screens import Live, Output, Plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: How long another thread may take, in seconds.
PATIENCE_S = 30


def state(what: str = "building", title: str = "api", seconds: float = 14, **fields: Any) -> State:
    """Give a task's state; `step=` and the like are its progress."""
    key, ended = fields.pop("key", f"{what} {title}"), fields.pop("ended", "")
    return State(key, what, title, seconds, Progress(**{"step": "", **fields}), ended)


class Heard:
    """A screen that remembers what it was to show."""

    def __init__(self) -> None:
        self.shown: list[list[State]] = []
        self.changed = threading.Event()
        self.fails = False

    def show(self, states: Sequence[State]) -> None:
        self.shown.append(list(states))
        self.changed.set()
        if self.fails:
            raise ValueError

    def close(self) -> None: ...

    def hears(self, wanted: Callable[[list[State]], bool]) -> list[State]:
        """Wait until it is to show something."""

        def look() -> Look:
            return Look(any(wanted(each) for each in self.shown))

        assert until_ready(look, timeout_s=PATIENCE_S).ready, self.shown
        return next(each for each in self.shown if wanted(each))


# What is written


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (state(), "building api   14 s"),
        (state(seconds=0.9), "building api   0 s"),
        (state(step="[build 3/7] RUN make"), "building api: [build 3/7] RUN make   14 s"),
        # BuildKit has counted already, within the stage.
        (state(step="[build 3/7] RUN make", number=9, total=12), "building api: [build 3/7] RUN make   14 s"),
        (state(step="RUN make", number=3, total=7), "building api: [3/7] RUN make   14 s"),
        (state(step="RUN make", number=3), "building api: [3] RUN make   14 s"),
        (state(number=3, total=7), "building api: [3/7]   14 s"),
        (state(step="COPY [a, 1/2]", number=3, total=7), "building api: [3/7] COPY [a, 1/2]   14 s"),
        (state("pulling", "redis:7", done_bytes=0), "pulling redis:7   0 bytes   14 s"),
        (state("pulling", "redis:7", done_bytes=12_345_678), "pulling redis:7   12 MB   14 s"),
        (state("pulling", "redis:7", done_bytes=12e6, total_bytes=82e6), "pulling redis:7   12 of 82 MB   14 s"),
        (
            state("pulling", "redis:7", done_bytes=999_400, total_bytes=82e6),
            "pulling redis:7   999 kB of 82 MB   14 s",
        ),
        # More than was announced is still no more than all.
        (state("pulling", "redis:7", done_bytes=83e6, total_bytes=82e6), "pulling redis:7   82 of 82 MB   14 s"),
        # A heredoc has lines, and a name may have anything.
        (
            state(title="a\x1b[2J\nb", step="RUN <<EOF\n\tmake\n\x07EOF"),
            "building a [2J b: RUN <<EOF make EOF   14 s",
        ),
    ],
)
def test_a_task_is_one_line(task: State, line: str) -> None:
    assert line_of(task, 100) == line


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (79, "building api (target web): [build 3/7] RUN make all   12 of 82 MB   14 s"),
        (72, "building api (target web): [build 3/7] RUN make all   12 of 82 MB   14 s"),
        (71, "building api (target web): [build 3/7] RUN make a…   12 of 82 MB   14 s"),
        # The step rather than the bytes.
        (46, "building api (target web): [build 3/7]…   14 s"),
        (39, "building api (target web): [bui…   14 s"),
        (20, "building api…   14 s"),
        (12, "buil…   14 s"),
    ],
)
def test_a_line_is_cut_to_the_width(width: int, line: str) -> None:
    task = state(title="api (target web)", step="[build 3/7] RUN make all", done_bytes=12e6, total_bytes=82e6)
    assert line_of(task, width) == line
    assert len(line) <= width


def test_wide_characters_take_two_cells() -> None:
    assert line_of(state(title="图像图像图像"), 22) == "building 图像…   14 s"
    assert line_of(state(title="a\u0301" * 6), 22) == "building " + "a\u0301" * 6 + "   14 s"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 00 s"),
        (125.4, "2 min 05 s"),
        (3600, "1 h 00 min"),
        (7384, "2 h 03 min"),
    ],
)
def test_time_is_written_as_people_say_it(seconds: float, written: str) -> None:
    assert clock_of(seconds) == written


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (state(ended="done"), "built api   14 s"),
        (state("pulling", "redis:7", ended="done"), "pulled redis:7   14 s"),
        (state("loading", "api", ended="done"), "loading api: done   14 s"),
        (state(ended="failed"), "building api: failed   14 s"),
        (state("waiting for another process to build", ended="done"), ""),
        (state("waiting for another process to build", ended="failed"), ""),
    ],
)
def test_the_end_is_one_line_too(task: State, line: str) -> None:
    assert ending_of(task) == line


def test_waiting_is_told_once_and_not_beside_what_is_waited_for() -> None:
    waits = "waiting for another process to build"
    here, there = state(waits, "api", 3, key="gw0-1"), state(waits, "api", 5, key="gw1-1")
    web, built = state("building", "web", 4), state("building", "api", 4)
    assert telling([here, there, web]) == [there, web]
    assert telling([here, built, there, web]) == [built, web]
    assert telling([here, built._replace(ended="done")]) == [here]
    # Two builds may have one title.
    twin = built._replace(key="another")
    assert telling([built, twin]) == [built, twin]


# When it is shown


def test_what_is_done_soon_is_not_shown() -> None:
    screen = Heard()
    tasks = Tasks(screen, clock=lambda: 0.0)
    with tasks.task("building", "api") as task:
        task.tell(Progress("RUN make"))
    assert screen.shown == []


def test_what_takes_long_is_shown_until_it_ends() -> None:
    screen = Heard()
    tasks = Tasks(screen, "gw3", after_s=0, each_s=0.001)
    with tasks.task("building", "api") as task:
        task.tell(Progress("RUN make", 2, 5))
        [seen] = screen.hears(lambda states: any(each.progress.step for each in states))
        assert seen[:3] == ("gw3-1", "building", "api")
        assert (seen.progress, seen.ended) == (Progress("RUN make", 2, 5), "")
    # It is gone when the block is: what comes next may print.
    [last] = screen.shown[-1]
    assert (last.key, last.ended) == ("gw3-1", "done")
    assert last.seconds == task.seconds >= seen.seconds


def test_a_failure_is_shown_as_one() -> None:
    screen = Heard()
    tasks = Tasks(screen, after_s=0, each_s=0.001)
    with pytest.raises(KeyboardInterrupt), tasks.task("building", "api"):  # noqa: PT012
        screen.hears(lambda states: len(states) == 1)
        raise KeyboardInterrupt
    assert [each.ended for each in screen.shown[-1]] == ["failed"]


def test_several_are_shown_together() -> None:
    screen = Heard()
    tasks = Tasks(screen, after_s=0, each_s=0.001)
    with tasks.task("building", "api"):
        with tasks.task("pulling", "redis:7"):
            screen.hears(lambda states: [each.title for each in states] == ["api", "redis:7"])
        assert [(each.title, each.ended) for each in screen.shown[-1]] == [("api", ""), ("redis:7", "done")]
        screen.shown.clear()
        screen.hears(lambda states: [each.title for each in states] == ["api"])


def test_nothing_runs_before_a_task_nor_after_the_last() -> None:
    screen = Heard()
    tasks = Tasks(screen, after_s=0, each_s=0.001)
    watchers = [tasks._thread]
    for _ in range(2):
        with tasks.task("building", "api"):
            screen.hears(lambda states: len(states) == 1)
            watcher = tasks._thread
            assert watcher is not None
            assert watcher.daemon
        watcher.join(PATIENCE_S)
        assert not watcher.is_alive()
        watchers.append(tasks._thread)
    assert watchers == [None, None, None]


def test_without_a_screen_there_is_no_thread_and_still_a_time() -> None:
    times = iter([1.0, 5.5, 9.0])
    tasks = Tasks(clock=lambda: next(times))
    with tasks.task("building", "api") as task:
        task.tell(Progress("RUN make"))
        assert tasks._thread is None
    assert task.seconds == 4.5


def test_a_screen_that_fails_fails_no_test() -> None:
    screen = Heard()
    screen.fails = True
    tasks = Tasks(screen, after_s=0, each_s=0.001)
    with tasks.task("building", "api"):
        screen.hears(lambda states: len(states) == 1)
    with tasks.task("building", "api"):
        assert tasks._thread is None
    assert len(screen.shown) == 1


def test_nothing_is_shown_after_the_end_of_the_run() -> None:
    screen = Heard()
    tasks = Tasks(screen, after_s=0, each_s=0.001)
    with tasks.task("building", "api"):
        screen.hears(lambda states: len(states) == 1)
        watcher = tasks._thread
        tasks.close()
        assert watcher is not None
        watcher.join(PATIENCE_S)
        assert not watcher.is_alive()
        screen.shown.clear()
    assert screen.shown == []


# Whether, and how


@pytest.mark.parametrize(
    ("asked", "terminal", "environ", "shown"),
    [
        ("auto", True, {"TERM": "xterm"}, "live"),
        ("auto", True, {"TERM": "dumb"}, "plain"),
        ("auto", True, {}, "plain"),
        ("auto", False, {"TERM": "xterm"}, "off"),
        ("auto", False, {"CI": "true"}, "plain"),
        ("auto", False, {"CI": ""}, "off"),
        ("auto", False, {"CI": "false"}, "off"),
        ("auto", False, {"BUILD_NUMBER": "7"}, "plain"),
        ("auto", True, {"TERM": "xterm", "GITHUB_ACTIONS": "true"}, "plain"),
        ("live", True, {"TERM": "xterm", "CI": "1"}, "live"),
        ("live", False, {"TERM": "xterm"}, "plain"),
        ("live", True, {"TERM": "dumb"}, "plain"),
        ("plain", True, {"TERM": "xterm"}, "plain"),
        ("plain", False, {}, "plain"),
        ("off", True, {"TERM": "xterm", "CI": "1"}, "off"),
    ],
)
def test_the_way_depends_on_the_terminal_and_on_ci(
    asked: str, terminal: bool, environ: dict[str, str], shown: str
) -> None:
    assert _progress.way(asked, terminal=terminal, environ=environ) == shown


# From worker to controller


@pytest.fixture
def screen() -> Heard:
    return Heard()


@pytest.fixture
def receiver(screen: Heard) -> Iterator[relay.Receiver]:
    receiver = relay.Receiver(screen)
    yield receiver
    receiver.close()


def test_the_controller_shows_what_all_workers_do(receiver: relay.Receiver, screen: Heard) -> None:
    api = state(step="[2/5] RUN ü", number=2, total=5, done_bytes=1, key="gw0-1")
    web = state(title="web", key="gw1-1")
    first, second = relay.Sender(receiver.path, "gw0"), relay.Sender(receiver.path, "gw1")
    first.show([api])
    second.show([web])
    screen.hears(lambda states: states == [api, web])
    first.show([api._replace(ended="done")])
    screen.hears(lambda states: states == [api._replace(ended="done"), web])
    second.show([web])
    screen.hears(lambda states: states == [web])
    first.close()
    second.close()


def test_what_was_sent_is_shown_before_the_end(receiver: relay.Receiver, screen: Heard) -> None:
    sender = relay.Sender(receiver.path, "gw0")
    for number in range(5):
        sender.show([state(seconds=number)])
    sender.show([state(ended="done")])
    receiver.close()
    assert len(screen.shown) == 6
    assert not Path(receiver.path).parent.exists()
    with pytest.raises(OSError, match=r"refused|No such file"):
        sender.show([state()])
    sender.close()


def test_a_worker_that_is_gone_is_shown_no_more(
    receiver: relay.Receiver, screen: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_SILENT_S", 0.05)
    sender = relay.Sender(receiver.path, "gw0")
    sender.show([state()])
    sender.close()
    screen.hears(lambda states: states == [state()])
    screen.hears(lambda states: states == [])


def test_a_datagram_is_never_too_long(receiver: relay.Receiver, screen: Heard) -> None:
    """Of texts the beginning is sent, and of too many tasks the first."""
    sender = relay.Sender(receiver.path, "gw0")
    sender.show([state(title="图" * 1000, step="\udcff" * 1000, key=f"gw0-{number}") for number in range(50)])
    states = screen.hears(lambda states: bool(states))
    assert 1 <= len(states) < 50
    assert states[0].title == "图" * 200
    sender.close()


def test_a_screen_that_fails_makes_no_worker_wait(screen: Heard) -> None:
    screen.fails = True
    receiver = relay.Receiver(screen)
    sender = relay.Sender(receiver.path, "gw0")
    sender.show([state()])
    receiver._thread.join(PATIENCE_S)
    with pytest.raises(ConnectionRefusedError):
        sender.show([state()])
    sender.close()
    receiver.close()
    assert not Path(receiver.path).parent.exists()


def test_where_there_is_no_place_to_listen_nothing_is_left(
    screen: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a socket has to be short."""
    place = tmp_path / ("long" * 30)
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with pytest.raises(OSError, match="too long"):
        relay.Receiver(screen)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("here", [True, False], ids=["on this machine", "elsewhere"])
def test_only_workers_on_this_machine_are_told_where_to_send(screen: Heard, here: bool) -> None:
    config = SimpleNamespace(stash=pytest.Stash())
    config.stash[_run.SCREEN] = lambda: screen
    config.stash[_progress._AT_END] = contextlib.ExitStack()
    node = SimpleNamespace(config=config, gateway=SimpleNamespace(spec=SimpleNamespace(popen=here)), workerinput={})
    with config.stash[_progress._AT_END]:
        _progress.hand_down(node)
        assert [Path(path).is_socket() for path in node.workerinput.values()] == [True] * here


# What a screen does


class Display(io.StringIO):
    """A terminal that is written to as to a file."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        # As a terminal driver does.
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def isatty(self) -> bool:
        return True

    @property
    def rows(self) -> list[str]:
        """All that one sees, also when one scrolls back, without the empty rows below."""
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        return "\n".join(row.rstrip() for row in [*above, *self.screen.display]).rstrip("\n").split("\n")


class Reporter:
    """As much of pytest's reporter as a screen needs."""

    def __init__(self, file: io.StringIO, place: object = None) -> None:
        self._tw = TerminalWriter(file)
        self.currentfspath = place
        self.startpath = Path("/project")


def output(file: io.StringIO, *, capture: str = "fd", place: object = None, workers: bool = False) -> Output:
    return Output(Reporter(file, place), file, capture, workers)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Display]:
    """Makes displays; what asks for the terminal's size is told theirs."""

    def make(columns: int = 40, lines: int = 10) -> Display:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))
        return Display(columns, lines)

    return make


#: What pytest may write: unfinished lines, full ones, several at once, returns, colours, one of the width.
WRITES = {
    "dots": ["test_a.py ", ".", ".", "   [ 50%]", "\n", "test_b.py ", "."],
    "names": ["test_a.py::test_1 ", "PASSED", "          [ 50%]", "\n", "test_a.py::test_2 ", "FAILED", "\n"],
    "full lines": ["=" * 40 + "\n", "one\ntwo\n", "three\n"],
    "a line of the width": ["x" * 39 + " ", "PASSED\n", "y" * 40, "\n", "z" * 80, "!", "\n"],
    "returns": ["2 workers", "\r2 workers [6 items]", "\n", "..."],
    "colours": ["\x1b[32m.\x1b[0m", "\x1b[31mF\x1b[0m", "\n\x1b[1mend\x1b[0m"],
    "many": [f"line {number}\n" for number in range(5)],
}


@pytest.mark.parametrize("lines", [4, 20], ids=["low", "high"])
@pytest.mark.parametrize(("count", "colour"), [(1, False), (3, True), (7, False)], ids=["one", "some", "many"])
@pytest.mark.parametrize("writes", WRITES.values(), ids=WRITES)
def test_a_live_line_leaves_no_trace(
    display: Callable[..., Display], writes: list[str], count: int, lines: int, colour: bool
) -> None:
    """Wherever it comes in, and however long it stays: what pytest writes is where it would be without."""
    states = [state(title=f"image {number}", step="RUN make") for number in range(count)]
    for begin in range(len(writes)):
        for end in range(begin, len(writes)):
            alone, beside = display(40, lines), display(40, lines)
            there = output(beside)
            there.writer.hasmarkup = colour
            live = Live(there)
            for at, text in enumerate(writes):
                if at == begin:
                    live.show(states)
                TerminalWriter(alone).write(text)
                there.writer.write(text)
                if begin <= at <= end:
                    assert any("image 0" in row for row in beside.rows), beside.rows
                    live.show([each._replace(seconds=each.seconds + at) for each in states])
                if at == end:
                    live.show([states[0]._replace(ended="done")])
                    assert there.writer._file is beside
                    assert beside.rows == alone.rows
            # The cursor is where it would be.
            for each in (alone, beside):
                each.write("<")
            assert beside.rows == alone.rows


def test_live_lines_stand_below_the_unfinished_one(display: Callable[..., Display]) -> None:
    screen = display(50, 10)
    there = output(screen)
    live = Live(there)
    there.writer.write("test_a.py ..")
    live.show([state(step="[2/5] RUN make")])
    assert screen.rows == ["test_a.py ..", "building api: [2/5] RUN make   14 s"]
    there.writer.write("F")
    assert screen.rows == ["test_a.py ..F", "building api: [2/5] RUN make   14 s"]
    there.writer.write("\n")
    # There is nothing in the row of the cursor.
    assert screen.rows == ["test_a.py ..F", "building api: [2/5] RUN make   14 s"]
    live.show([state(), state("pulling", "redis:7", 15)])
    assert screen.rows == ["test_a.py ..F", "pulling redis:7   15 s", "building api   14 s"]
    live.show([state(title=f"image {number}") for number in range(6)])
    assert screen.rows[1:] == [*(f"building image {number}   14 s" for number in range(3)), "and 3 more"]
    live.close()
    live.show([state()])
    assert screen.rows == ["test_a.py ..F"]


def test_whoever_writes_into_lines_above_is_let_alone(display: Callable[..., Display]) -> None:
    """As other reporters do: up, the line anew, and down again, each with a write of its own."""
    now = 0.0
    screen = display(40, 10)
    there = output(screen)
    live = Live(there, clock=lambda: now)
    there.writer.write("test_a.py .\ntest_b.py .")
    live.show([state()])
    for text in ("\x1b[1A", "\rtest_a.py ..", "\x1b[1B"):
        there.writer.write(text)
        live.show([state(seconds=15)])
        assert "building" not in "".join(screen.rows)
    now = 1.0
    live.show([state(seconds=15)])
    assert screen.rows == ["test_a.py ..", "test_b.py .", "building api   15 s"]
    there.writer.write("\rtest_b.py ..")
    assert screen.rows == ["test_a.py ..", "test_b.py ..", "building api   15 s"]
    there.writer.write("\x1b[1A")
    live.show([])
    assert screen.rows == ["test_a.py ..", "test_b.py .."]


def test_a_terminal_that_is_too_narrow_shows_nothing(display: Callable[..., Display]) -> None:
    screen = display(19, 10)
    Live(output(screen)).show([state()])
    assert screen.rows == [""]


def test_what_tests_print_past_pytest_makes_no_mess(
    display: Callable[..., Display], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With -s they print to where the live line is."""
    screen = display(40, 10)
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr("sys.stderr", screen)
    live = Live(output(screen, capture="no"))
    screen.write("test_a.py ")
    live.show([state()])
    sys.stdout.write("one\n")
    sys.stderr.write("two")
    live.show([state()])
    assert screen.rows == ["test_a.py one", "two", "building api   14 s"]
    # One that was kept from before does not make way: its line is put right when ours is drawn again.
    screen.write("!\n")
    live.show([state()])
    assert screen.rows == ["test_a.py one", "two!", "", "building api   14 s"]
    live.show([])
    assert screen.rows == ["test_a.py one", "two!"]
    assert sys.stdout is sys.stderr is screen


def test_what_was_put_in_place_of_standard_output_stays(
    display: Callable[..., Display], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, other = display(), io.StringIO()
    monkeypatch.setattr("sys.stdout", screen)
    live = Live(output(screen, capture="no"))
    live.show([state()])
    ours = sys.stdout
    monkeypatch.setattr("sys.stdout", other)
    live.show([])
    assert sys.stdout is other
    # Whoever has it still may use it.
    assert (ours.isatty(), ours.write("x"), screen.rows) == (True, 1, ["x"])


@pytest.mark.parametrize(
    ("place", "workers", "begun", "left"),
    [
        (None, False, "..", "..\n<lines>"),
        (
            Path("/project/a dir/test_a.py"),
            False,
            "a dir/test_a.py ..",
            "a dir/test_a.py ..\n<lines>a dir/test_a.py ",
        ),
        ("test_a.py::test_1 ", False, "test_a.py::test_1 ", "test_a.py::test_1 \n<lines>test_a.py::test_1 "),
        (-2, True, "[gw0] PASSED test_1 ", "[gw0] PASSED test_1 \n<lines>"),
        (None, False, "", "<lines>"),
    ],
)
def test_plain_lines_stand_alone_and_pytest_goes_on(place: object, workers: bool, begun: str, left: str) -> None:
    file = io.StringIO()
    there = output(file, place=place, workers=workers)
    there.writer.write(begun)
    plain = Plain(there)
    plain.show([state(seconds=2, step="RUN make")])
    plain.show([state(seconds=4, ended="done")])
    assert file.getvalue() == left.replace("<lines>", "building api: RUN make   2 s\nbuilt api   4 s\n")
    # It knows where it is.
    assert there.writer.width_of_current_line == len(left.rsplit("\n", 1)[-1].replace("<lines>", ""))
    assert there.writer._file is file


def test_plain_lines_are_few() -> None:
    file = io.StringIO()
    plain = Plain(output(file))
    for second in range(2, 100):
        step = "RUN apt-get" if second < 10 else "RUN make"
        plain.show([state(seconds=second, step=step), state("pulling", "redis:7", second + 0.5)])
    plain.show([state(seconds=100, ended="failed"), state("pulling", "redis:7", 100)])
    assert file.getvalue().splitlines() == [
        "pulling redis:7   2 s",
        "building api: RUN apt-get   2 s",
        "building api: RUN make   12 s",
        "pulling redis:7   1 min 02 s",
        "building api: RUN make   1 min 12 s",
        "building api: failed   1 min 40 s",
    ]


def test_a_plain_line_has_no_end_without_a_beginning() -> None:
    """What was waited for tells its own end."""
    file = io.StringIO()
    plain = Plain(output(file))
    waits = "waiting for another process to build"
    plain.show([state(waits, seconds=2)])
    plain.show([state(waits, seconds=3, ended="done"), state("pulling", "redis:7", ended="done")])
    assert file.getvalue() == "waiting for another process to build api   2 s\n"


def test_plain_lines_of_any_length_are_cut() -> None:
    file = io.StringIO()
    Plain(output(file)).show([state(step="RUN " + "make " * 100)])
    [line] = file.getvalue().splitlines()
    assert len(line) == 120
    assert re.search(r"\.\.\.   14 s$", line)
