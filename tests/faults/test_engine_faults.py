"""Calls to the engine that fail, each in turn and in each way: a clear error, the others go on, nothing is left."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, NetworkSpec, VolumeSpec, probes
from pytest_dockerkit._engine import wire
from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime.scope import ScopeInstance, end_all
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit._runtime.starting import Wanted
from pytest_dockerkit.errors import DockerkitError
from tests.faults.proxy import FAULTS, Fault, FaultyEngine
from tests.plugin.conftest import leftovers
from tests.plugin.listeners import Deaf

if TYPE_CHECKING:
    from pytest_dockerkit import Kit, Network, RunningContainer, Volume

#: How long the plugin's calls may be silent here, in place of two minutes, in seconds.
SILENCE_S = 0.5


@pytest.fixture
def engine(dockerkit: Kit) -> Iterator[FaultyEngine]:
    """The engine behind what makes calls to it fail."""
    host = dockerkit.engine.host
    if not host.startswith("unix:///"):
        pytest.skip("the engine has no local socket")
    made = FaultyEngine(host.removeprefix("unix://"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits two minutes for an engine that says nothing."""
    for function in (wire.ask, wire.SocketWire.call):
        monkeypatch.setitem(function.__kwdefaults__, "timeout_s", SILENCE_S)
    monkeypatch.setattr("pytest_dockerkit._engine.streaming.CALL_TIMEOUT_S", SILENCE_S)


class Test:
    """A test of a run that is all in this process: what it makes is removed when it ends."""

    __test__ = False

    def __init__(self, session: Session) -> None:
        self.session = session
        self._endings: list[Callable[[], object]] = []
        self.scope = ScopeInstance("function", new_run_id(), self._endings.append)

    def network(self) -> Network:
        return self.session.surroundings.network(NetworkSpec(), self.scope)

    def container(self, **fields: Any) -> RunningContainer:
        spec = ContainerSpec(**{"image": "busybox:stable", "command": ["sleep", "1000"], **fields})
        return self.session.run(Wanted(spec.anchored(Path()), self.scope, "box", per_worker=True))

    def volume(self) -> Volume:
        return self.session.surroundings.volume(VolumeSpec(), self.scope)

    def end(self) -> None:
        end_all(self._endings)


@pytest.fixture
def session(engine: FaultyEngine, tmp_path: Path) -> Iterator[Session]:
    """A run through the proxy; whatever its calls have met, nothing of it is left when they pass again."""
    settings = Settings(state_dir=tmp_path / "state", host=engine.address)
    made = Session(settings, new_run_id(), "main", Deaf())
    try:
        yield made
    finally:
        engine.lift()
        made.end()
        made.undo_all()
        left = leftovers(made.run_id)
        made.forget()
        made.close()
    assert left == []


def clear(failure: BaseException) -> str:
    """See that an error says what happened, what was seen and what mends it, and shows nothing else; give its text."""
    assert isinstance(failure, DockerkitError), repr(failure)
    assert failure.what
    assert failure.saw
    assert failure.mend
    shown = "".join(traceback.format_exception(failure))
    assert not re.search(r"urllib3|requests|http\.client|During handling|direct cause", shown), shown
    return str(failure)


def plain(test: Test) -> RunningContainer:
    """Give a container without a network of its own, which is quick to be had."""
    return test.container(network="none")


def networked(test: Test) -> tuple[Network, RunningContainer]:
    """Give a network, and a container that is not in it."""
    return test.network(), test.container(network="bridge")


def nothing(test: Test) -> None:
    """Have nothing there before."""


def printing(test: Test) -> RunningContainer:
    """Give a container that has printed something."""
    return test.container(network="none", command=["sh", "-c", "echo hello; sleep 1000"], wait=probes.log("hello"))


def healthy(test: Test) -> RunningContainer:
    """Give a container whose health command has passed, before Docker has looked."""
    return test.container(network="none", healthcheck=HealthCheck("true", interval="30s"))


def says_hello(container: RunningContainer) -> None:
    """Run a command; all that it says is heard."""
    assert container.exec(["echo", "hello"], check=True).stdout == "hello\n"


def has_printed(container: RunningContainer) -> None:
    """Read the log, all of it."""
    assert container.logs() == "hello\n"


def caught(do: Callable[[], object]) -> BaseException | None:
    """Give what something raises; None if nothing."""
    try:
        do()
    except Exception as failure:  # noqa: BLE001  - all of them are to be looked at
        return failure
    return None


#: What a run asks the engine for, by the words of the table in docs/reference/faults.md: the call that meets a fault,
#: what is there before, and what makes the call.
CALLS: dict[str, tuple[str, Callable[[Test], Any], Callable[[Test, Any], object]]] = {
    "find an image": ("GET /images/", nothing, lambda test, _: plain(test)),
    "make a network": ("POST /networks/create", nothing, lambda test, _: test.network()),
    "look at a network": ("GET /networks/", nothing, lambda test, _: test.network()),
    "make a volume": ("POST /volumes/create", nothing, lambda test, _: test.volume()),
    "make a container": ("POST /containers/create", nothing, lambda test, _: plain(test)),
    "put files into it": (
        "PUT /containers/.*/archive",
        nothing,
        lambda test, _: test.container(network="none", files={"/greeting": "hello"}),
    ),
    "start it": ("POST /containers/[^/]+/start", nothing, lambda test, _: plain(test)),
    "look at it": ("GET /containers/[^/]+/json", nothing, lambda test, _: plain(test)),
    "begin its health command": ("POST /containers/[^/]+/exec", nothing, lambda test, _: healthy(test)),
    "look after its health command": ("GET /exec/[^/]+/json", nothing, lambda test, _: healthy(test)),
    "begin a command": ("POST /containers/[^/]+/exec", plain, lambda _, made: says_hello(made)),
    "hear a command": ("POST /exec/[^/]+/start", plain, lambda _, made: says_hello(made)),
    "ask for an exit code": ("GET /exec/[^/]+/json", plain, lambda _, made: says_hello(made)),
    "read a log": ("GET /containers/[^/]+/logs", printing, lambda _, made: has_printed(made)),
    "copy a file out": ("GET /containers/[^/]+/archive", plain, lambda _, made: made.read_text("/etc/passwd")),
    "connect": ("POST /networks/[^/]+/connect", networked, lambda _, made: made[0].connect(made[1])),
    "disconnect": ("POST /networks/[^/]+/disconnect", networked, lambda _, made: made[0].disconnect(made[1])),
    "send a signal": ("POST /containers/[^/]+/kill", plain, lambda _, made: made.kill("SIGWINCH")),
    "remove a container": ("DELETE /containers/", plain, lambda _, made: made.remove()),
    "look at a network that is to go": ("GET /networks/", Test.network, lambda _, made: made.remove()),
    "remove a network": ("DELETE /networks/", Test.network, lambda _, made: made.remove()),
    "remove a volume": ("DELETE /volumes/", Test.volume, lambda _, made: made.remove()),
}


@pytest.mark.parametrize("call", CALLS)
def test_each_call_meets_each_fault(call: str, engine: FaultyEngine, session: Session, impatient: None) -> None:
    """A clear error for whoever asks; the next one has what it asks for; nothing is left."""
    pattern, prepare, do = CALLS[call]
    for fault in FAULTS:
        test, next_test = Test(session), Test(session)
        made = prepare(test)
        rule = engine.fail(pattern, fault)
        failure = caught(lambda test=test, made=made: do(test, made))
        assert rule.met, fault
        engine.lift()
        test.end()
        if fault == "late":
            assert failure is None
        else:
            assert failure is not None
            print(f"{call} | {fault} | {clear(failure)}")
        do(next_test, prepare(next_test))
        next_test.end()
