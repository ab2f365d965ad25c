"""What pytest loads: the marker, the fixtures, the options and the reports.

Every run imports this module, also one without a container: whatever is heavy is imported where it is needed.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import _behind, _given, _options, _parts, _run, _signals, _workers

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import docker

    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.kit import Kit

_MARKER = "container"
_STARTED = pytest.StashKey[float]()
_CURRENT = pytest.StashKey["pytest.Item"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; each is also an ini key (dockerkit_pull) and an environment variable (DOCKERKIT_PULL)."""
    group = parser.getgroup("dockerkit", "containers (pytest-dockerkit)")
    for name, default, choices, text in _options.OPTIONS:
        shown = f"{text} (default: {default})" if default else text
        action = "append" if name == "host" else "store"
        group.addoption(f"--dockerkit-{name}", action=action, default=None, choices=choices, help=shown)
        parser.addini(f"dockerkit_{name.replace('-', '_')}", text, default=None)
    for name, text in _options.FLAGS.items():
        group.addoption(f"--dockerkit-{name}", action="store_true", help=text)
        parser.addini(f"dockerkit_{name}", text, type="bool", default=False)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make our hooks known."""
    from pytest_dockerkit import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and check the options."""
    config.addinivalue_line(
        "markers",
        'container(image, *, build=, target=, name="container", scope="function", ports=, env=, …): '
        "a container that the test needs; every field of ContainerSpec is a keyword.",
    )
    _given.checked(config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which engines are used, where there are several; and which declared images are not built, but given."""
    images, said = _given.settings(config).images, _parts.header(config)
    if not images:
        return said
    from pytest_dockerkit._spec.declared import GivenImage

    given = {name: each for name, each in images.items() if isinstance(each, GivenImage)}
    return said + [f"dockerkit: image {name} is {each.reference} ({each.variable})" for name, each in given.items()]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Take hold of the terminal, before xdist starts its workers and any output is captured."""
    from pytest_dockerkit import _progress

    _progress.begin(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the run's id to an xdist worker; the controller owns the run."""
    from pytest_dockerkit import _progress

    _progress.hand_down(node)
    _run.hand_down(node)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Remove what a worker had for itself that has died, while the tests go on; hear what one elsewhere has done."""
    _workers.hear(node)
    _run.bury(node.config, str(node.gateway.id), died=bool(error))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    """Read the markers of what was collected, so that a wrong one is told before anything runs."""
    report: pytest.CollectReport = yield
    marked = [
        each for each in report.result or () if isinstance(each, pytest.Item) and each.get_closest_marker(_MARKER)
    ]
    if marked:
        from pytest_dockerkit import _markers
        from pytest_dockerkit.errors import SpecError

        failures: dict[str, None] = {}
        for item in marked:
            try:
                _markers.check(item)
            except SpecError as failure:
                failures[str(failure)] = None
        if failures:
            report.outcome = "failed"
            report.longrepr = "\n\n".join(failures)
            report.result = []
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Read the markers that other plugins have added since."""
    for item in items:
        if item.get_closest_marker(_MARKER):
            from pytest_dockerkit import _markers
            from pytest_dockerkit.errors import SpecError

            try:
                _markers.check(item)
            except SpecError as failure:
                raise pytest.UsageError(str(failure)) from None


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin what the tests will ask for, where any of them asks for something."""
    # Neither is there in a run without containers.
    if "pytest_dockerkit._markers" in sys.modules or "pytest_dockerkit._factories" in sys.modules:
        from pytest_dockerkit import _prefetch

        _prefetch.begin(session)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which test runs, and since when: its report shows what its containers have said since."""
    item.stash[_STARTED] = time.time()
    _run.forget(item.config.stash.get(_CURRENT, None), item)
    item.config.stash[_CURRENT] = item
    if (session := _run.session_if_any(item.config)) is not None and session.removals.leaving:
        # Another plugin runs the last test once more.
        session.removals.leave_no_more()
    if _behind.MADE_BY in item.config.stash:
        from pytest_dockerkit import _dying

        _dying.bury(item)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Note which containers stand behind a fixture that serves several tests: they may die before it ends."""
    if fixturedef.scope == "function" or _run.session_if_any(request.config) is None:
        return (yield)
    item: pytest.Item = request._pyfuncitem  # noqa: SLF001  - the test that the fixture is set up for
    before = len(item.stash.get(_run.CONTAINERS, ()))
    value = yield
    from pytest_dockerkit import _dying

    _dying.made_by(fixturedef, item, before)
    return value


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that has passed though a container of it has died."""
    result = yield
    if _run.session_if_any(item.config) is not None:
        from pytest_dockerkit import _dying

        _dying.check(item)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After the last test hand over what is to go, where the user wants that."""
    if nextitem is None or item.session.shouldstop or item.session.shouldfail:
        _run.prepare_handover(item.config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    """Show our errors without our frames, and with a failing test the state and the logs of its containers."""
    error = None if call.excinfo is None else call.excinfo.value
    errors = sys.modules.get("pytest_dockerkit.errors")
    if errors is not None and isinstance(error, errors.DockerkitError):
        report = yield from _report_ours(item, call)
    else:
        report = yield
    if (session := _run.session_if_any(item.config)) is not None:
        if report.failed:
            from pytest_dockerkit import _failures

            _failures.complete(item, report, since=item.stash.get(_STARTED, 0.0))
        if session.keeper.is_wanted and (report.failed or report.when != "setup"):
            session.keeper.decide(item.nodeid, _run.containers_of(item), failed=report.failed)
    return report


def _report_ours(item: pytest.Item, call: Any) -> Generator[None, Any, pytest.TestReport]:
    from pytest_dockerkit import _failures

    theirs = _failures.without_our_frames(call.excinfo)
    report: pytest.TestReport = yield
    # Not where an engine went away in the middle: that is a failure to be looked at.
    session = _run.session_if_any(item.config)
    none_answers = session is not None and session.unreachable is call.excinfo.value
    skip = _failures.may_skip(item.config, call.excinfo.value, none_answers=none_answers)
    if report.failed and (skip or not theirs):
        _failures.tell(item, call.excinfo.value, report, skip=skip)
    return report


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Remove what is left; in the controller also what its workers have left, once they are gone."""
    for mine in _run.sessions(session.config):
        # pytest ends the fixtures of the session now: no test can notice what of them is there for a moment longer.
        mine.removals.ending = True
    _run.begin_end(session)
    try:
        yield
    except KeyboardInterrupt:
        # One more Ctrl-C: the watcher removes what is left.
        _run.prepare_handover(session.config, hurried=True)
        raise
    finally:
        from pytest_dockerkit import _progress

        _progress.end(session.config)
        _end(session)


def _end(session: pytest.Session) -> None:
    try:
        _end_once(session)
    except KeyboardInterrupt:
        # One more Ctrl-C, or a late one.
        _run.prepare_handover(session.config, hurried=True)
        _end_once(session)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
    status = _signals.exit_status(session.config)
    if status is not None and session.exitstatus == pytest.ExitCode.INTERRUPTED:
        session.exitstatus = status


def _end_once(session: pytest.Session) -> None:
    try:
        for mine in _run.sessions(session.config):
            mine.end()
    except Exception:
        _finish(session)
        raise
    _finish(session)


def _finish(session: pytest.Session) -> None:
    told: tuple[list[str], bool] = ([], False)
    if ended := _run.to_finish(session.config):
        from pytest_dockerkit import _summary

        told = _summary.finish_all(ended, _parts.left_out(session.config), verbose=session.config.get_verbosity() > 0)
    session.config.stash[_workers.TOLD] = told = _workers.with_those_elsewhere(session.config, *told)
    if told[1] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was built, started and removed."""
    told = config.stash.get(_workers.TOLD, None)
    if told is not None and told[0]:
        from pytest_dockerkit import _summary

        _summary.show(terminalreporter, told)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the connections."""
    if _run.SCREEN in config.stash:
        from pytest_dockerkit import _progress

        _progress.end(config)
    for session in _run.sessions(config):
        session.close()
    _run.live_no_more(config)
    _run.release_kept(config)
    _signals.give_back(config)


@pytest.fixture
def containers(request: pytest.FixtureRequest) -> Mapping[str, RunningContainer]:
    """The containers of the test's markers, by name, running and ready."""
    from pytest_dockerkit import _markers

    return _markers.run_all(request)


@pytest.fixture
def container(request: pytest.FixtureRequest) -> RunningContainer:
    """The container of the test's one marker, running and ready."""
    from pytest_dockerkit import _markers

    name = _markers.one_request(request.node, "container").name
    return _markers.run_all(request)[name]


@pytest.fixture
def image(request: pytest.FixtureRequest) -> Image:
    """The image of the test's one marker, built or pulled; no container is started for it."""
    from pytest_dockerkit import _markers

    return _markers.image_of(request)


@pytest.fixture(scope="session")
def dockerkit(request: pytest.FixtureRequest) -> Kit:
    """The kit: containers, images, networks and volumes for tests that decide at run time."""
    from pytest_dockerkit._runtime.kit import Kit
    from pytest_dockerkit._runtime.scope import ScopeInstance

    def current_test() -> tuple[str, list[RunningContainer], list[RunningContainer]]:
        item = request.config.stash[_CURRENT]
        return item.nodeid, _run.containers_of(item), item.stash.setdefault(_run.CONTAINERS, [])

    scope = ScopeInstance("session", "session kit", request.session.addfinalizer)
    return Kit(_run.session_of(request.config), scope, current_test)


@pytest.fixture(scope="session")
def docker_client(request: pytest.FixtureRequest) -> docker.DockerClient:
    """docker-py's client of the engine that the plugin uses."""
    return _run.session_of(request.config).engine.client
