"""Calls to the engine that fail, each in turn and in each way: a clear error, the others go on, nothing is left."""

from __future__ import annotations

import contextlib
import re
import traceback
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, Kit, NetworkSpec, VolumeSpec, probes
from pytest_dockerkit._engine import log_stream, streaming, wire
from pytest_dockerkit._engine.client import ClientWire
from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime.ledger import open_entries, read
from pytest_dockerkit._runtime.scope import ScopeInstance, end_all
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit._runtime.starting import Wanted
from pytest_dockerkit.errors import (
    ConflictError,
    ContainerRemovedError,
    DockerkitError,
    EngineUnavailableError,
    PortTakenError,
)
from tests.faults.proxy import DONE, FAULTS, Fault, FaultyEngine, Refusal
from tests.plugin.conftest import leftovers
from tests.plugin.listeners import Deaf

if TYPE_CHECKING:
    import docker

    from pytest_dockerkit import Network, RunningContainer, Volume
    from pytest_dockerkit._engine.answers import Answer

#: How long a call may be silent that is never answered, in place of two minutes, in seconds.
SILENCE_S = 0.2


@contextlib.contextmanager
def impatient(call: str) -> Iterator[None]:
    """Wait for the answers to some calls no longer than a moment, in place of two minutes."""

    def hurried(before: Callable[..., Answer]) -> Callable[..., Answer]:
        def ask(self: wire.Wire, method: str, path: str, **given: Any) -> Answer:
            if re.match(call, f"{method} {path}"):
                given["timeout_s"] = SILENCE_S
            return before(self, method, path, **given)

        return ask

    with pytest.MonkeyPatch.context() as patched:
        for each in (wire.SocketWire, ClientWire):
            patched.setattr(each, "call", hurried(each.call))
        for module in (streaming, log_stream):
            patched.setattr(module, "CALL_TIMEOUT_S", SILENCE_S)
        patched.setitem(streaming.streamed.__wrapped__.__kwdefaults__, "timeout_s", SILENCE_S)  # type: ignore[attr-defined]
        yield


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
    """See that an error says what happened, what was seen and what mends it, and no more; give its text."""
    assert isinstance(failure, DockerkitError), repr(failure)
    assert failure.what
    assert failure.saw
    assert failure.mend
    shown = "".join(traceback.format_exception(failure))
    assert not re.search(r"urllib3|requests|http\.client|During handling|direct cause", shown), shown
    return str(failure)


def nothing(test: Test) -> None:
    """Have nothing there before."""


def plain(test: Test) -> RunningContainer:
    """Give a container without a network of its own, which is quick to be had."""
    return test.container(network="none")


def printing(test: Test) -> RunningContainer:
    """Give a container that has printed something."""
    return test.container(network="none", command=["sh", "-c", "echo hello; sleep 1000"], wait=probes.log("hello"))


def with_a_file(test: Test) -> RunningContainer:
    """Give a container that was given a file."""
    return test.container(network="none", files={"/greeting": "hello"})


def healthy(test: Test) -> RunningContainer:
    """Give a container whose health command has passed, before Docker has looked."""
    return test.container(network="none", healthcheck=HealthCheck(test="true", interval="30s"))


def networked(test: Test) -> tuple[Network, RunningContainer]:
    """Give a network, and a container that is not in it."""
    return test.network(), test.container(network="bridge")


def says_hello(container: RunningContainer) -> None:
    """Run a command; all that it says is heard."""
    assert container.exec(["echo", "hello"], check=True).stdout == "hello\n"


class Call(NamedTuple):
    """What a run asks the engine for.

    Attributes:
        pattern: which calls meet a fault: their method and path.
        prepare: makes what is there before.
        do: makes the call.
        again: whether what was prepared is there for one more, though the engine has done it.
        passes: the faults that nobody notices.
    """

    pattern: str
    prepare: Callable[[Test], Any]
    do: Callable[[Test, Any], object]
    again: bool = True
    passes: tuple[Fault, ...] = ("late",)


#: Where a health command cannot be run since the container is not in the state for it, the next look shows why.
_AGAIN: tuple[Fault, ...] = ("late", 409)

#: By the words of the table in docs/reference/faults.md.
CALLS = {
    "find an image": Call("GET /images/", nothing, lambda test, _: plain(test)),
    "make a network": Call("POST /networks/create", nothing, lambda test, _: test.network()),
    "look at a network": Call("GET /networks/", nothing, lambda test, _: test.network()),
    "make a volume": Call("POST /volumes/create", nothing, lambda test, _: test.volume()),
    "make a container": Call("POST /containers/create", nothing, lambda test, _: plain(test)),
    "put files into it": Call("PUT /containers/[^/]+/archive", nothing, lambda test, _: with_a_file(test)),
    "start it": Call("POST /containers/[^/]+/start", nothing, lambda test, _: plain(test)),
    "look at it": Call("GET /containers/[^/]+/json", nothing, lambda test, _: plain(test)),
    "begin its health command": Call(
        "POST /containers/[^/]+/exec", healthy, lambda _, made: made.await_ready(), passes=_AGAIN
    ),
    "look after its health command": Call(
        "GET /exec/[^/]+/json", healthy, lambda _, made: made.await_ready(), passes=_AGAIN
    ),
    "begin a command": Call("POST /containers/[^/]+/exec", plain, lambda _, made: says_hello(made)),
    "hear a command": Call("POST /exec/[^/]+/start", plain, lambda _, made: says_hello(made)),
    "ask for an exit code": Call("GET /exec/[^/]+/json", plain, lambda _, made: says_hello(made)),
    "read a log": Call("GET /containers/[^/]+/logs", printing, lambda _, made: made.logs()),
    "copy a file out": Call("GET /containers/[^/]+/archive", plain, lambda _, made: made.read_file("/etc/passwd")),
    "connect": Call("POST /networks/[^/]+/connect", networked, lambda _, made: made[0].connect(made[1])),
    "disconnect": Call("POST /networks/[^/]+/disconnect", networked, lambda _, made: made[0].disconnect(made[1])),
    "send a signal": Call("POST /containers/[^/]+/kill", plain, lambda _, made: made.kill("SIGWINCH")),
    "remove a container": Call("DELETE /containers/", plain, lambda _, made: made.remove(), again=False),
    "look at what is to go": Call("GET /networks/", Test.network, lambda _, made: made.remove(), again=False),
    "remove a network": Call("DELETE /networks/", Test.network, lambda _, made: made.remove(), again=False),
    "remove a volume": Call("DELETE /volumes/", Test.volume, lambda _, made: made.remove(), again=False),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_meets_each_fault(name: str, engine: FaultyEngine, session: Session) -> None:
    """A clear error for whoever asks; the next one has what it asks for; nothing is left."""
    call = CALLS[name]
    test = Test(session)
    made = call.prepare(test)
    for fault in FAULTS:
        # A question is asked once more where the connection was an old one.
        rule = engine.fail(call.pattern, fault, times=2 if call.pattern.startswith("GET ") else 1)
        with impatient(call.pattern) if fault == "silent" else contextlib.nullcontext():
            failure = caught(partial(call.do, test, made))
        engine.lift()
        assert rule.met, (fault, failure, engine.calls)
        if fault in call.passes:
            assert failure is None
        else:
            assert failure is not None, fault
            clear(failure)
        if fault in DONE and not call.again:
            made = call.prepare(test)
    test.end()
    session.removals.settle()
    assert open_entries(read(session.directory)) == []


def caught(do: Callable[[], object]) -> Exception | None:
    """Give what something raises; None if nothing."""
    try:
        do()
    except Exception as failure:  # noqa: BLE001  - all of them are to be looked at
        return failure
    return None


@pytest.mark.parametrize("engine", ["tcp"], indirect=True)
def test_by_docker_py_it_is_the_same(engine: FaultyEngine, session: Session) -> None:
    """Where an engine is reached by docker-py, none of its exceptions comes out, nor of those that it stands on."""
    test = Test(session)
    box = printing(test)
    calls: dict[str, Callable[[], object]] = {
        "GET /containers/[^/]+/json": lambda: box.status,
        "POST /exec/[^/]+/start": lambda: says_hello(box),
        "GET /containers/[^/]+/logs": box.logs,
        "GET /containers/[^/]+/archive": lambda: box.read_file("/etc/passwd"),
        "POST /volumes/create": test.volume,
    }
    for pattern, do in calls.items():
        for fault in ("dropped", "cut", "done and dropped", 409, 500):
            engine.fail(pattern, fault)
            failure = caught(do)
            engine.lift()
            assert failure is not None, (pattern, fault)
            clear(failure)
        do()
    test.end()


@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_that_does_not_say_what_it_is_is_none(fault: Fault, engine: FaultyEngine) -> None:
    engine.fail("GET /version", fault)
    with impatient("GET /version") if fault == "silent" else contextlib.nullcontext():
        failure = caught(lambda: Daemon(engine.address).close())
    if fault == "late":
        assert failure is None
    else:
        assert isinstance(failure, EngineUnavailableError)
        assert clear(failure).startswith(f"no Docker engine answers at {engine.address}\n")


def test_an_engine_that_is_stopped_and_started_in_the_middle(engine: FaultyEngine, session: Session) -> None:
    """Tests that need it meanwhile are told; those after it go on with what there was, and with what is new."""
    first, meanwhile, after = Test(session), Test(session), Test(session)
    box = first.container()
    engine.go()
    for do in (lambda: says_hello(box), meanwhile.container, meanwhile.network, lambda: box.status):
        failure = caught(do)
        assert isinstance(failure, EngineUnavailableError)
        clear(failure)
    failure = caught(meanwhile.end)
    assert failure is None or "went away" in repr(failure)
    engine.come()
    says_hello(box)
    says_hello(after.container())
    after.end()
    first.end()


def test_a_failing_removal_hides_no_cause(engine: FaultyEngine, session: Session) -> None:
    """What could not be had, and could not be removed at once either, is told by why it could not be had."""
    engine.fail("POST /containers/[^/]+/start", 500, times=None)
    engine.fail("DELETE ", 500, times=None)
    test = Test(session)
    kit = Kit(session, test.scope, lambda: ("a test", [], []))
    for do in (partial(plain, test), lambda: kit.run("busybox:stable", command=["sleep", "1000"])):
        failure = caught(do)
        assert failure is not None
        assert clear(failure).startswith("the engine could not start the container\n")
    assert len([each for each in open_entries(read(session.directory)) if each.kind == "container"]) == 2


def test_a_removal_that_goes_on_is_waited_for(engine: FaultyEngine, session: Session) -> None:
    """As where somebody else removes a container at the same time."""
    test = Test(session)
    box = plain(test)
    engine.fail(
        "DELETE /containers/", Refusal(409, f"removal of container {box.id} is already in progress", done=True)
    )
    box.remove()
    assert open_entries(read(session.directory)) == []
    test.end()


def test_a_container_that_leaves_a_network_by_itself_is_in_nobodys_way(
    engine: FaultyEngine, session: Session
) -> None:
    """It was seen there when the network was to go, and is not there any more when it is to be cut off."""
    test = Test(session)
    network, box = networked(test)
    for _ in range(2):
        # Once more is no failure.
        network.connect(box)
    said = Refusal(500, f"container {box.id} is not connected to network {network.name}", done=True)
    engine.fail("POST /networks/[^/]+/disconnect", said)
    network.remove()
    assert [each.kind for each in open_entries(read(session.directory))] == ["container"]
    test.end()


def test_a_network_goes_though_a_stranger_is_in_it(
    engine: FaultyEngine, session: Session, docker_client: docker.DockerClient
) -> None:
    """A container that somebody else has put there is cut off, and stays."""
    test = Test(session)
    network = test.network()
    name = f"stranger-{uuid.uuid4().hex[:12]}"
    stranger = docker_client.containers.run("busybox:stable", ["sleep", "1000"], name=name, detach=True)
    try:
        docker_client.networks.get(network.name).connect(stranger)
        test.end()
        session.removals.settle()
        assert open_entries(read(session.directory)) == []
        stranger.reload()
        assert stranger.status == "running"
    finally:
        stranger.remove(force=True)


def test_a_port_that_is_taken_meanwhile_is_another_one_the_next_time(engine: FaultyEngine, session: Session) -> None:
    """The engine has chosen it, and somebody else was there first; a port that the test names is its own affair."""
    said = "driver failed programming external connectivity on endpoint box: Bind for 127.0.0.1:{} failed: {}"
    taken = Refusal(500, said.format(49153, "port is already allocated"))
    test = Test(session)
    engine.fail("POST /containers/[^/]+/start", taken)
    assert test.container(ports=[80], wait=probes.running()).port(80)
    rule = engine.fail("POST /containers/[^/]+/start", taken, times=None)
    failure = caught(lambda: test.container(ports=[80], wait=probes.running()))
    assert isinstance(failure, PortTakenError)
    assert rule.met == 3
    clear(failure)
    engine.lift()
    rule = engine.fail("POST /containers/[^/]+/start", taken, times=None)
    failure = caught(lambda: test.container(ports=["49153:80"], wait=probes.running()))
    assert isinstance(failure, PortTakenError)
    assert rule.met == 1
    engine.lift()
    test.end()


def test_where_no_addresses_are_left_it_is_told_which_were_tried(engine: FaultyEngine, session: Session) -> None:
    none_left = "could not find an available, non-overlapping IPv4 address pool among the defaults to assign"
    taken = Refusal(403, "Pool overlaps with other one on this address space")
    engine.fail('POST /networks/create .*"Subnet"', taken, times=None)
    engine.fail("POST /networks/create", Refusal(404, none_left), times=None)
    test = Test(session)
    failure = caught(test.network)
    assert failure is not None
    assert re.search(
        rf"saw:  {none_left}\n +dockerkit_subnets \(.*\) has none either: .* refused by the engine", clear(failure)
    )
    assert "dockerkit_subnets = base=" in str(failure)


def test_removed_and_killed_behind_its_back(session: Session, docker_client: docker.DockerClient) -> None:
    test = Test(session)
    removed, killed = plain(test), plain(test)
    docker_client.containers.get(removed.id).remove(force=True)
    docker_client.containers.get(killed.id).kill()
    failure = caught(lambda: says_hello(removed))
    assert isinstance(failure, ContainerRemovedError)
    assert clear(failure).startswith("container 'box' was removed\n")
    failure = caught(lambda: says_hello(killed))
    assert isinstance(failure, ConflictError)
    assert clear(failure).startswith("the engine could not run echo in 'box'\n")
    test.end()


def test_on_a_full_disk_nothing_is_made_and_all_is_removed(session: Session) -> None:
    """What was made before is removed as ever."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    test, late = Test(session), Test(session)
    plain(test)
    book, session.ledger.path = session.ledger.path, full
    failure = caught(lambda: plain(late))
    assert failure is not None
    text = clear(failure)
    assert text.startswith("the run's ledger cannot be written, and without it nothing is made\n")
    assert "No space left on device" in text
    late.end()
    test.end()
    session.removals.settle()
    assert len(leftovers(session.run_id)) == 0
    session.ledger.path = book


def test_a_ledger_with_a_torn_last_line_is_carried_out(session: Session) -> None:
    plain(Test(session))
    with session.ledger.path.open("a") as file:
        file.write('{"do": "make", "kind": "contai')
    session.undo_all()
    assert leftovers(session.run_id) == []


def test_where_there_can_be_no_state_nothing_is_made(engine: FaultyEngine, tmp_path: Path) -> None:
    """As in a home that cannot be written to: a file is where the directory is to be."""
    (tmp_path / "state").touch()
    made = Session(Settings(state_dir=tmp_path / "state", host=engine.address), new_run_id(), "main", Deaf())
    failure = caught(lambda: plain(Test(made)))
    assert failure is not None
    assert clear(failure).startswith("the directory for the plugin's state cannot be made\n")
    assert not [each for each in engine.calls if "/create" in each]
    made.close()
