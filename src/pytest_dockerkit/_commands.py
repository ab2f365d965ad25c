"""What the commands of `dockerkit` do.

They take the settings from where pytest takes them: their own options, then the environment, then the ini file.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from pytest_dockerkit import _given, _options, _progress, _run, _screens, _summary
from pytest_dockerkit._references import References, collect
from pytest_dockerkit._runtime import ledger, locking
from pytest_dockerkit._runtime.image_registry import WARNING, ImageRegistry
from pytest_dockerkit._runtime.locks import image_lock
from pytest_dockerkit._runtime.matrix import build_all
from pytest_dockerkit._runtime.progress import Tasks
from pytest_dockerkit._runtime.settings import declared_images
from pytest_dockerkit._spec import lockfile
from pytest_dockerkit._spec.declared import check_declared
from pytest_dockerkit._units import show_bytes
from pytest_dockerkit.errors import BuildError, DockerkitError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_dockerkit._runtime.matrix import Result
    from pytest_dockerkit._runtime.progress import Screen, State
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit._runtime.settings import Settings


#: What pytest is told. The plugin by its name, so that it is there also where PYTEST_DISABLE_PLUGIN_AUTOLOAD is set.
#: It is imported already, which an ini file may turn into an error where asserts are to be rewritten in it.
_PYTEST = ("-p", "dockerkit", "--assert=plain", "-W", "ignore")


def configured(arguments: argparse.Namespace) -> pytest.Config:
    """Let pytest find its ini file and read it, and add what the command line says; no conftest.py is loaded.

    Args:
        arguments: the command line's. Those of the plugin's own options have their names in pytest.

    Raises:
        SpecError: the directory is none, or pytest refuses something.
    """
    if (directory := getattr(arguments, "directory", None)) is not None:
        try:
            os.chdir(directory)
        except OSError as failure:
            raise SpecError("-C names no directory to go to", saw=str(failure), mend="another one") from None
    given = {key: value for key, value in vars(arguments).items() if key.startswith("dockerkit_") and value}
    words = [*_PYTEST, "--noconftest"]
    if (file := getattr(arguments, "config_file", None)) is not None:
        words += ["-c", file]
    try:
        config = pytest.Config.fromdictargs(given, words)
        _take_addopts(config)
        _given.checked(config)
        _run.keep_nothing(config)
    except pytest.UsageError as failure:
        raise SpecError(str(failure)) from None
    return config


def _take_addopts(config: pytest.Config) -> None:
    """Take the plugin's options from where pytest takes some beside its command line.

    The others are left alone: they may belong to plugins that are not there where images are built.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--dockerkit-rebuild", action="store_true", default=None)
    for name, *_ in _options.OPTIONS:
        parser.add_argument(f"--dockerkit-{name}")
    words = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    for key, value in vars(parser.parse_known_args(words)[0]).items():
        if value is not None and not config.getoption(key):
            setattr(config.option, key, value)


# dockerkit build


def build(config: pytest.Config, names: Sequence[str], *, quiet: bool, push: bool) -> int:
    """Build the images that the project declares, and print what has become of them.

    Args:
        config: the settings.
        names: those to build, with what they stand on; none is all.
        quiet: whether their references alone are printed.
        push: whether one that the image registry does not take is a failure.

    Returns:
        the exit code.

    Raises:
        SpecError: there is nothing to build, or nowhere to push to.
        EngineUnavailableError: no engine answers.
    """
    settings = _given.settings(config)
    wanted = _names(config, settings, names)
    if push and settings.image_registry is None:
        raise SpecError(
            "there is nowhere to push to",
            saw="--push without an image registry",
            mend="--image-registry=registry.example.com/ci, or dockerkit_image_registry in the ini file",
        )
    console = _Console(sys.stderr, "off" if quiet else _options.option(config, "progress") or "auto")
    session = _run.session_of(config)
    session.progress = console.tasks
    warned = False
    try:
        results = {name: _kept(session, each) for name, each in build_all(session, wanted, tell=console.tell).items()}
        if settings.image_push:
            _publish(session, results.values())
        warned = any(line.get("what") == WARNING for line in ledger.read(session.directory))
    finally:
        console.close()
        told, left = _summary.finish(session)
        session.close()
    if quiet:
        _print_references([results[name] for name in wanted])
    else:
        _print_table([_row(result) for result in results.values()])
    sys.stdout.flush()
    for result in results.values():
        if result.error is not None:
            console.line(f"\n{result.name}: {_text(result.error)}")
    # The first says in short what the table has said.
    for line in told[0 if left else 1 :]:
        console.line(line)
    made = all(result.image is not None for result in results.values())
    return 0 if made and not left and not (push and warned) else 1


def _kept(session: Session, result: Result) -> Result:
    """See whether an image outlives the run: one whose files never rest is kept for a run's tests alone."""
    if result.image is None or not session.ledger.is_open("image", result.image.reference):
        return result
    failure = BuildError(
        f"{result.image.title} was built, and not kept",
        saw="its files have changed while it was built, twice",
        mend="leave out what is written there meanwhile, in .dockerignore",
    )
    return dataclasses.replace(result, how="failed", image=None, error=failure)


def _publish(session: Session, results: Iterable[Result]) -> None:
    """Push those that were on the engine already; what has just been built was pushed then."""
    registry = ImageRegistry(session)
    for result in results:
        image = result.image
        if image is not None and result.how == "cached" and image.fingerprint is not None:
            with image_lock(session.settings, image.fingerprint[:32]):
                registry.publish(image.reference, image.fingerprint, title=result.name)


def _names(config: pytest.Config, settings: Settings, names: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(check_declared(settings.images, name) for name in names or settings.images))
    if not wanted:
        raise SpecError(
            "the project declares no images",
            saw=f"no [tool.pytest_dockerkit.images] in {config.rootpath / 'pyproject.toml'}",
            mend='there: [tool.pytest_dockerkit.images], and below it a line such as: api = { target = "api" }',
        )
    return wanted


def _print_references(results: Iterable[Result]) -> None:
    for result in results:
        if result.image is not None:
            print(result.image.reference)


def _row(result: Result) -> tuple[str, ...]:
    if result.missing:
        return (result.name, result.how, "", "", f"it stands on {', '.join(result.missing)}")
    seconds = f"{result.seconds:.1f}"
    if result.image is None:
        return (result.name, result.how, seconds, "", "see below")
    return (result.name, result.how, seconds, show_bytes(result.image.size_bytes), result.image.reference)


def _print_table(rows: list[tuple[str, ...]]) -> None:
    table = [("image", "", "seconds", "size", "reference"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    for name, how, seconds, size, reference in table:
        line = f"{name:{widths[0]}}  {how:{widths[1]}}  {seconds:>{widths[2]}}  {size:>{widths[3]}}  {reference}"
        print(line.rstrip())


def _text(error: Exception) -> str:
    if isinstance(error, DockerkitError):
        return str(error)
    # Not one of ours: where it comes from is all that helps.
    return "".join(traceback.format_exception(error)).rstrip()


# dockerkit lock


def lock(config: pytest.Config, paths: Sequence[str], *, check: bool) -> int:
    """Write down the digests of the images that the tests use.

    Args:
        config: the settings.
        paths: the tests; none is pytest's own default.
        check: whether nothing is written, and no registry asked: what is missing in the file is told.

    Returns:
        the exit code.

    Raises:
        SpecError: pytest refuses its arguments, or the file cannot be read or written.
    """
    path = config.rootpath / "dockerkit.lock"
    # Whatever the environment says: the file is for all runs.
    references = References(declared_images(config.rootpath, {}))
    where = [f"--rootdir={config.rootpath}", *([] if config.inipath is None else ["-c", str(config.inipath)])]
    code, printed = collect(references, [*_PYTEST, *where, *paths])
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR):
        raise SpecError("pytest cannot collect the tests", saw=printed.strip(), mend="see pytest --collect-only")
    for problem in references.problems:
        print(problem, file=sys.stderr)
    # What could not be looked at may use what stands there.
    partly = bool(paths or references.problems)
    done = (
        _check(path, references.found, partly=partly)
        if check
        else _write(config, path, references.found, partly=partly)
    )
    return 0 if done and not references.problems else 1


def _check(path: Path, found: Mapping[str, str], *, partly: bool) -> bool:
    known = lockfile.read(path).digests if path.exists() else {}
    for name in sorted(known.keys() - found.keys()):
        if not partly:
            print(f"{name} is not used any more")
    missing = sorted(found.keys() - known.keys())
    for name in missing:
        print(f"{name} is missing ({found[name]})", file=sys.stderr)
    print(f"{path}: {len(found) - len(missing)} of {len(found)} images")
    return not missing


def _write(config: pytest.Config, path: Path, found: Mapping[str, str], *, partly: bool) -> bool:
    if partly and path.exists():
        # What it says of other images is kept, and so it has to be readable.
        lockfile.read(path)
    session = _run.session_of(config)
    try:
        locked = locking.lock(session, found)
    finally:
        _summary.finish(session)
        session.close()
    digests = {**locked.before, **locked.digests} if partly else locked.digests
    for name, digest in digests.items():
        before = locked.before.get(name)
        change = "" if before == digest else " (new)" if before is None else f" (was {before})"
        print(f"{name} {digest}{change}")
    # An empty file would say that no image is used.
    if digests or not locked.failed:
        changed = lockfile.write(path, digests)
        print(f"{path}: {len(digests)} images, {'written' if changed else 'as before'}")
    sys.stdout.flush()
    for name, failure in locked.failed.items():
        print(f"\n{found[name]}: {failure}", file=sys.stderr)
    return not locked.failed


# What is shown


class _Console:
    """Writes lines, and between them shows what is being done, as pytest's terminal reporter lets it be shown.

    Attributes:
        tasks: what is being done.
    """

    #: For the screens: this is a writer and its own reporter. No line is ever left unfinished.
    width_of_current_line = 0
    currentfspath = None
    _current_line = ""

    def __init__(self, file: TextIO, progress: str) -> None:
        self._file = file
        self._tw = self
        self._silent = progress == "off"
        way = _progress.way(progress, terminal=file.isatty(), environ=os.environ)
        output = _screens.Output(self, file, "fd", workers=False)
        self._screen: Screen | None = None
        if way != "off":
            self._screen = _screens.Live(output) if way == "live" else _Plain(output)
        self.tasks = Tasks(self._screen)

    def tell(self, name: str, result: Result | None) -> None:
        """Say what has become of an image."""
        if result is None or self._silent:
            return
        if result.missing:
            self.line(f"{name}: skipped, since it stands on {', '.join(result.missing)}")
        else:
            self.line(f"{name}: {result.how} ({result.seconds:.1f} s)")

    def close(self) -> None:
        """Show nothing more; lines can still be written."""
        self.tasks.close()
        if self._screen is not None:
            self._screen.close()

    def line(self, text: str) -> None:
        """Write a line, or several."""
        self.write(f"{text}\n", flush=True)

    def write(self, text: str, *, flush: bool = False) -> None:
        self._file.write(text)
        if flush:
            self._file.flush()

    def markup(self, text: str, **_: Any) -> str:
        return text


class _Plain(_screens.Plain):
    """Lines that stay; how something has ended is told by the console."""

    def show(self, states: Sequence[State]) -> None:
        super().show([state for state in states if not state.ended])
