"""The command line `dockerkit`: what is done with images beside the tests, and with what these leave."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_dockerkit._names import did_you_mean
from pytest_dockerkit.errors import DockerkitError, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The command line, a setting or the table of the images is wrong.
WRONG = 2
#: There was something to do that could not be done.
FAILED = 1
#: As shells have it for a program that a signal has ended: 128 and the signal's number.
INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; None takes those of the process.

    Returns:
        the exit code: 0; 1 if what was asked for could not be done in full; 2 if it was asked for wrongly.
    """
    # What ends a CI job ends this as Ctrl-C does: with nothing left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        arguments = _parse(sys.argv[1:] if argv is None else argv)
        code = int(arguments.command(arguments))
        sys.stdout.flush()
    except SpecError as failure:
        return _end(failure, WRONG)
    except DockerkitError as failure:
        return _end(failure, FAILED)
    except KeyboardInterrupt:
        return _end("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever reads has had enough, as with `| head`. What is left in the buffer must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


class _Parser(argparse.ArgumentParser):
    """Tells the nearest right word for a wrong one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise SpecError(f"{self.prog}: {message}", mend=f"see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise SpecError(
                f"{self.prog}: {value!r} is no {action.metavar or '/'.join(action.option_strings)}",
                saw=f"there are: {', '.join(map(str, action.choices))}",
                mend=did_you_mean(str(value), map(str, action.choices)),
            )


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="dockerkit", description="Images for tests with pytest-dockerkit, and what tests leave.")
    parser.add_argument("--version", action="store_true", help="show the version")
    _add_place(parser)
    commands = parser.add_subparsers(title="commands", metavar="command", parser_class=_Parser)
    known = {
        "build": _add_build(commands),
        "lock": _add_lock(commands),
        "list": _add_list(commands),
        "prune": _add_prune(commands),
        "doctor": _add_doctor(commands),
        "help": commands.add_parser("help", help="show what a command does"),
    }
    known["help"].add_argument("about", nargs="?", metavar="command", choices=[*known])
    known["help"].set_defaults(command=lambda arguments: _help(known.get(arguments.about, parser)), named="help")
    arguments, unknown = parser.parse_known_args(argv)
    if arguments.version:
        arguments.command = _version
    elif "command" not in arguments:
        parser.error("no command is given")
    elif unknown:
        chosen = known[arguments.named]
        options = [each for action in chosen._actions for each in action.option_strings]  # noqa: SLF001
        raise SpecError(
            f"{chosen.prog}: {unknown[0]} is no argument of this command",
            saw=shlex.join(argv),
            mend=did_you_mean(unknown[0].partition("=")[0], options),
        )
    return arguments


def _add_place(parser: argparse.ArgumentParser) -> None:
    """Add what says which project is meant; it may stand before and behind the command's name."""
    unless_given: Any = argparse.SUPPRESS
    parser.add_argument(
        "-C", dest="directory", metavar="DIR", default=unless_given, help="go to this directory first"
    )
    parser.add_argument(
        "-c", "--config-file", metavar="FILE", default=unless_given, help="pytest's ini file, as with pytest -c"
    )


def _add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add options of the plugin's, each by its name without `dockerkit`."""
    from pytest_dockerkit import _options

    for name, default, choices, text in _options.OPTIONS:
        if name in names:
            shown = f"{text} (default: {default})" if default else text
            word = None if choices else name.rpartition("-")[2].upper()
            parser.add_argument(f"--{name}", choices=choices, metavar=word, dest=_dest(name), help=shown)


def _add_build(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "build",
        help="build the images that the project declares",
        description="Builds the images of [tool.pytest_dockerkit.images] in pyproject.toml, side by side.",
    )
    parser.set_defaults(command=_build, named="build")
    parser.add_argument("names", nargs="*", metavar="NAME", help="those to build, with what they stand on; else all")
    _add_place(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print the images' references alone")
    parser.add_argument("--rebuild", action="store_true", dest=_dest("rebuild"), help="build every image once more")
    _add_settings(parser, "pull", "builder", "image-registry")
    parser.add_argument(
        "--push", action="store_const", const="always", dest=_dest("image-push"), help="push them to that registry"
    )
    _add_settings(parser, "progress", "mirrors", "host", "context")
    return parser


def _add_lock(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "lock",
        help="write down the digests of the images that the tests use",
        description="Collects the tests, without running any, and writes the digests of the images that they and the "
        "project's Dockerfiles name into dockerkit.lock, for pytest --dockerkit-pull=locked.",
    )
    parser.set_defaults(command=_lock, named="lock")
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="the tests, as pytest takes them; else its own default"
    )
    _add_place(parser)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say whether an image is missing in the file"
    )
    _add_settings(parser, "mirrors", "host", "context")
    return parser


def _add_prune(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "prune",
        help="remove what runs have left on the engine",
        description="Removes what dead runs have left, and the containers, networks and volumes that pytest "
        "--dockerkit-reuse and --dockerkit-keep let stay, of all of your projects. What a run uses at the moment "
        "stays, and what others have made.",
    )
    parser.set_defaults(command=_prune, named="prune")
    _add_place(parser)
    parser.add_argument("--dry-run", action="store_true", help="remove nothing; show what would be")
    parser.add_argument(
        "--older-than", metavar="TIME", default="0s", help="only what was not used for so long, such as 2h"
    )
    parser.add_argument("--images", action="store_true", help="the image cache too, but for what containers use")
    _add_settings(parser, "host", "context")
    return parser


def _add_list(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "list",
        help="show the runs, what they have on the engine, and what is kept",
        description="Shows the runs that go on and those that have died, the containers, networks and volumes that "
        "they have on the engine, what is kept, and how large the image cache is.",
    )
    parser.set_defaults(command=_list, named="list")
    _add_place(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    _add_settings(parser, "host", "context")
    return parser


def _add_doctor(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="say what is there to test with, and what would mend what is wrong",
        description="Says which engine is found and how, what it can do, what builds images, where you are logged "
        "in, and how it stands with the plugin's own state. The exit code is 1 if something is wrong.",
    )
    parser.set_defaults(command=_doctor, named="doctor")
    _add_place(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    _add_settings(parser, "builder", "host", "context")
    return parser


def _dest(name: str) -> str:
    return f"dockerkit_{name.replace('-', '_')}"


# The commands. What they need is loaded when they are called.


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 0


def _version(_: argparse.Namespace) -> int:
    from importlib.metadata import version

    print(f"pytest-dockerkit {version('pytest-dockerkit')}")
    return 0


def _build(arguments: argparse.Namespace) -> int:
    from pytest_dockerkit import _commands

    push = getattr(arguments, _dest("image-push")) is not None
    return _commands.build(_commands.configured(arguments), arguments.names, quiet=arguments.quiet, push=push)


def _lock(arguments: argparse.Namespace) -> int:
    from pytest_dockerkit import _commands

    return _commands.lock(_commands.configured(arguments), arguments.paths, check=arguments.check)


def _prune(arguments: argparse.Namespace) -> int:
    from pytest_dockerkit import _commands, _prune
    from pytest_dockerkit._units import parse_seconds

    older_than_s = parse_seconds("--older-than", arguments.older_than)
    config = _commands.configured(arguments)
    return _prune.prune(config, dry_run=arguments.dry_run, older_than_s=older_than_s, images=arguments.images)


def _list(arguments: argparse.Namespace) -> int:
    from pytest_dockerkit import _commands, _listing

    return _listing.show(_commands.configured(arguments), as_json=arguments.json)


def _doctor(arguments: argparse.Namespace) -> int:
    from pytest_dockerkit import _commands, _doctor

    return _doctor.examine(_commands.configured(arguments), as_json=arguments.json)


def _end(why: object, code: int) -> int:
    print(why, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
