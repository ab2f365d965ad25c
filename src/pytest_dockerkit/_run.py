"""This run in pytest's own terms: its options, its session, and the containers of its tests.

Every run imports this module: whatever is heavy is imported where it is needed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import _signals, _workers
from pytest_dockerkit._behind import behind_fixtures
from pytest_dockerkit._given import engine_of, handed_down, settings
from pytest_dockerkit._parts import part_for, part_without, parts_of, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_dockerkit._parts import Config
    from pytest_dockerkit._runtime.early import Early
    from pytest_dockerkit._runtime.handles import RunningContainer
    from pytest_dockerkit._runtime.kept import Kept
    from pytest_dockerkit._runtime.progress import Screen
    from pytest_dockerkit._runtime.scope import ScopeInstance
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.sharing import Sharing

_SESSION = pytest.StashKey["Session"]()
_RUN_ID = pytest.StashKey[str]()
_EARLY: pytest.StashKey[Early] = pytest.StashKey()
_KEPT: pytest.StashKey[Kept | None] = pytest.StashKey()
_NOT_KEPT: pytest.StashKey[str | None] = pytest.StashKey()
#: Gives what shows builds and pulls, where anything does.
SCREEN: pytest.StashKey[Callable[[], Screen]] = pytest.StashKey()
#: The containers that a test has started or shares, in that order.
CONTAINERS = pytest.StashKey[list["RunningContainer"]]()


def is_worker(config: Config) -> bool:
    """Tell whether this is a worker of xdist's."""
    return hasattr(config, "workerinput")


def hand_down(node: Any) -> None:
    """Tell an xdist worker of the run that it belongs to."""
    _signals.take(node.config)
    config = part_for(node)
    _workers.live(config, lambda: settings(config).directory("runs", run_id(config)))
    kept = kept_of(config)
    secret = _workers.secret_of(config, None if kept is None else kept.secret)
    _workers.hand_down(node, run_id(config), settings(config).state_dir, engine_of(config), secret)
    node.workerinput["dockerkit_kept"] = "" if kept is None else str(kept.directory)


def is_alone(config: Config) -> bool:
    """Tell whether this process clears up after itself: no xdist worker, or one on another machine."""
    return handed_down(config, "run") is None


def run_id(config: Config) -> str:
    """Give the run's id; an xdist worker has the controller's."""
    if _RUN_ID not in config.stash:
        from pytest_dockerkit._names import new_run_id

        # One on another machine makes a run of its own.
        config.stash[_RUN_ID] = handed_down(config, "run") or new_run_id()
    return config.stash[_RUN_ID]


def session_of(config: Config) -> Session:
    """Give the run's session in this process, made when it is first needed; no engine is asked yet."""
    before = config.stash.get(_SESSION, None)
    if before is None or before.is_forked:
        from pytest_dockerkit._runtime.progress import Tasks
        from pytest_dockerkit._runtime.session import Session

        process = str(getattr(config, "workerinput", {}).get("workerid", "main"))
        if before is not None:
            # What a child of a fork makes, it removes; whatever it leaves, its parent does, by a ledger of its own.
            process = f"{process}-{os.getpid()}"
        owns = before is None and is_alone(config)
        place = settings(config).directory
        alive = _workers.alive_of(config, lambda: place("runs", run_id(config)), None if owns else process)
        session = Session(settings(config), run_id(config), process, _Hooks(whole(config)), _sharing(config), alive)
        screen = whole(config).stash.get(SCREEN, None)
        session.progress = Tasks(screen and screen(), process)
        session.removals.at_once = before is not None
        config.stash[_SESSION] = session
        if before is None:
            _signals.take(whole(config))
    return config.stash[_SESSION]


def live_no_more(config: pytest.Config) -> None:
    """Show that the run is over; where no process has made anything of it, nothing of it stays."""
    for part in parts_of(config):
        if _RUN_ID in part.stash:
            _workers.live_no_more(part, _place(part))


def _place(config: Config) -> Path:
    return settings(config).state_dir / "runs" / run_id(config)


def kept_of(config: Config) -> Kept | None:
    """Give what is kept from run to run, held by the process that owns this run; None if nothing is, or may be."""
    if not settings(config).reuse or not is_alone(config):
        return None
    if _KEPT not in config.stash:
        from pytest_dockerkit._runtime.kept import take

        config.stash[_KEPT], config.stash[_NOT_KEPT] = take(settings(config))
    return config.stash[_KEPT]


def keep_nothing(config: Config) -> None:
    """Take nothing of what is kept from run to run, whatever the settings say: no test is to run."""
    config.stash[_KEPT] = None


def release_kept(config: pytest.Config) -> None:
    """Let other runs have what is kept."""
    for part in parts_of(config):
        if (kept := part.stash.get(_KEPT, None)) is not None:
            kept.release()


def _sharing(config: Config) -> Sharing | None:
    from pathlib import Path

    from pytest_dockerkit._runtime.sharing import Sharing

    if (kept := kept_of(config)) is not None:
        # The controller of workers makes nothing itself.
        return Sharing(kept.secret, kept.directory)
    secret = handed_down(config, "secret")
    directory = handed_down(config, "kept")
    return None if secret is None else Sharing(bytes.fromhex(secret), Path(directory) if directory else None)


def bury(config: pytest.Config, process: str, *, died: bool) -> None:
    """Note that an xdist worker has ended, and remove what it had for itself if it has died."""
    part = part_without(config, process)
    if died and _workers.has_ledger(_place(part)):
        from pytest_dockerkit._runtime import clearing

        clearing.bury(session_of(part), process)


def session_if_any(config: Config) -> Session | None:
    """Give the session if anything in this process has needed one."""
    return config.stash.get(_SESSION, None)


def sessions(config: pytest.Config) -> list[Session]:
    """Give the sessions that anything in this process has needed; several where the run has several engines."""
    return [part.stash[_SESSION] for part in parts_of(config) if _SESSION in part.stash]


def to_finish(config: pytest.Config) -> list[tuple[Session, str | None]]:
    """Give the sessions that this process has to clear up after, and for each why nothing of it is kept."""
    found = [(session_to_finish(part), part.stash.get(_NOT_KEPT, None)) for part in parts_of(config)]
    return [(session, why) for session, why in found if session is not None]


def session_to_finish(config: Config) -> Session | None:
    """Give the session if this process has to clear up after the run: after itself, or after its workers."""
    if not is_alone(config):
        return None
    if (early := config.stash.get(_EARLY, None)) is not None:
        early.end()
    if _RUN_ID not in config.stash or _SESSION in config.stash:
        return session_if_any(config)
    return session_of(config) if _workers.has_ledger(_place(config)) else None


def begin_end(session: pytest.Session) -> None:
    """Begin with what need not wait for the end of the session's fixtures, or of xdist's workers."""
    prepare_handover(session.config)
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        for part in parts_of(session.config):
            _begin_end(part)


def _begin_end(config: Config) -> None:
    is_controller = _RUN_ID in config.stash and _SESSION not in config.stash and is_alone(config)
    if not is_controller or not _workers.has_ledger(_place(config)):
        return
    given = settings(config)
    if given.teardown == "wait" and not given.reuse and given.keep == "never":
        # Else something stays, or is left to another process.
        from pytest_dockerkit._runtime.early import Early

        config.stash[_EARLY] = early = Early(_place(config), lambda: session_of(config).undo_all())
        early.begin()


def prepare_handover(config: pytest.Config, *, hurried: bool = False) -> None:
    """Let what is to go from now on be left to another process, if the user wants that; no test is to come.

    Args:
        config: of this process.
        hurried: whether the user does not want to wait any more, whatever the settings say.
    """
    if hurried or settings(config).teardown != "wait":
        for part in parts_of(config):
            session = session_to_finish(part) or session_if_any(part)
            if session is not None:
                session.handover.hurried |= hurried
                session.handover.prepare(owner=is_alone(part))


def scope_of(node: Any, scope: str) -> ScopeInstance:
    """Give the scope that a node of pytest's stands for."""
    from pytest_dockerkit._runtime.scope import ScopeInstance

    return ScopeInstance(scope, scope_key(node, scope), node.addfinalizer)


def scope_key(node: Any, scope: str) -> str:
    """Tell a scope that a node of pytest's stands for from all others."""
    return f"{scope} {node.nodeid}"


def containers_of(item: pytest.Item) -> list[RunningContainer]:
    """Give all containers that a test has to do with: those it has started, and those of wider scopes."""
    from pytest_dockerkit._runtime.handles import RunningContainer

    found: dict[RunningContainer, None] = {}
    asked = getattr(item, "funcargs", {}).values()
    values = (*item.stash.get(CONTAINERS, []), *asked, *behind_fixtures(item))
    waiting = [each for each in values if isinstance(each, RunningContainer)]
    while waiting:
        container = waiting.pop(0)
        if container not in found:
            found[container] = None
            waiting += container.stands_on
    return list(found)


def note(item: pytest.Item, value: object) -> None:
    """Note that a test has to do with a container that it was given by another way than its arguments."""
    from pytest_dockerkit._runtime.handles import RunningContainer

    mine = item.stash.setdefault(CONTAINERS, [])
    if isinstance(value, RunningContainer) and value not in mine:
        mine.append(value)


def forget(before: pytest.Item | None, item: pytest.Item) -> None:
    """Let go of the containers of the test that ran before another: items stay as long as the session does."""
    if before is not None and before is not item and CONTAINERS in before.stash:
        del before.stash[CONTAINERS]


class _Hooks:
    """Passes on to pytest's hooks what the session tells."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._hook = config.hook

    def builder(self, builder: Any) -> Any:
        """Let another plugin build; None if none does."""
        return self._hook.pytest_dockerkit_builder(config=self._config, builder=builder)

    def wanted(self, spec: Any) -> Any:
        """Let other plugins replace a spec."""
        return self._hook.pytest_dockerkit_container_spec(spec=spec) or spec

    def ready(self, container: Any) -> None:
        """Tell other plugins of a container that is ready."""
        self._hook.pytest_dockerkit_container_ready(container=container)

    def failed(self, spec: Any, error: Any) -> None:
        """Tell other plugins of a container that could not be had."""
        self._hook.pytest_dockerkit_container_failed(spec=spec, error=error)
