"""The command line's BuildKit: `docker buildx build`, or the `docker build` of a client before 23."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from pytest_dockerkit._engine.builders import needs
from pytest_dockerkit._engine.builders.failure import Failure, failed
from pytest_dockerkit._engine.builders.handover import handed_over
from pytest_dockerkit._engine.builders.masks import Mask
from pytest_dockerkit._engine.builders.places import place_of_line, place_of_step
from pytest_dockerkit._engine.builders.plain import Plain
from pytest_dockerkit._engine.builders.process import Commands, lines
from pytest_dockerkit._engine.builders.staging import staged
from pytest_dockerkit._engine.builders.tools import OF_THE_ENGINE, Tool, find_tool
from pytest_dockerkit._engine.context import archive
from pytest_dockerkit.errors import CapabilityError, DockerkitError, EngineError, EngineUnavailableError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import EngineFacts
    from pytest_dockerkit._engine.build_request import BuildRequest

#: What would make another image of the same request.
_OF_THE_IMAGE = ("DOCKER_DEFAULT_PLATFORM", "SOURCE_DATE_EPOCH")


#: What a command says that was cut off from the engine while it built.
_ENGINE_LOST = re.compile(
    r"Cannot connect to the Docker daemon|error during connect|code = Unavailable|transport is closing|unexpected EOF"
    r"|connection reset by peer"
)


#: What every shell and program passes on.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Variables that change what the command does, or its credential helpers; or that a shell sets, as which a wrapper
#: around the command may be written. Source: docs.docker.com, "Build variables" and "docker (CLI)"; Go's os,
#: net/http, runtime and crypto/x509.
_READ_BY_THE_COMMAND = re.compile(
    r"(?:DOCKER_|BUILDX_|BUILDKIT_|COMPOSE_|EXPERIMENTAL_BUILDKIT_|OTEL_|XDG_|LD_|GO|SSL_CERT_|LC_|BASH).*"
    r"|(?:PATH|HOME|TMPDIR|SSH_AUTH_SOCK|SOURCE_DATE_EPOCH|TZ|LANG|TERM|NO_COLOR|USER|GNUPGHOME)$"
    r"|(?:_|IFS|PWD|OLDPWD|SHLVL|SHELLOPTS|UID|EUID|PPID|GROUPS|RANDOM|SECONDS|LINENO|OPTIND|PS[0-4])$"
    r"|.*_(?i:proxy)$"
)

#: By which buildx finds the place of caches that are none of a registry's.
_READ_FOR_CACHES = ("AWS_", "ACTIONS_", "AZURE_")


class NotUsableError(EngineError):
    """The command ended before it had begun: it could not reach the engine, or does not know what it was told."""


class CommandBuilder:
    """Builds with the command line.

    Attributes:
        name: what it is called.
    """

    name = "buildx"

    def __init__(self, facts: EngineFacts, variables: Mapping[str, str]) -> None:
        """Keep what leads a command to the engine; nothing is looked for yet.

        Args:
            facts: of the engine.
            variables: by which the docker command line finds it.
        """
        self._facts = facts
        self._variables = variables
        self._commands = Commands()

    @property
    def chosen(self) -> bool:
        """Whether the environment names a builder of buildx's: then no other takes its place."""
        return _chosen_builder() is not None

    @property
    def absent(self) -> str | None:
        """Why it cannot be used here; None if it can."""
        if not self._facts.buildkit:
            return "the engine has no BuildKit"
        found = find_tool()
        return None if found.tool is not None else found.saw

    def lacks(self, request: BuildRequest) -> str | None:
        """Say what of a request it cannot serve."""
        tool = find_tool().tool
        if tool is None:
            return "the command line"
        text = needs.needed_text(request)
        if needs.lacks_heredocs(text, self._facts) and not _chosen_builder():
            return "heredocs"
        return needs.beyond_a_command(request) or (None if tool.buildx else needs.cache_beyond_references(request))

    def build(self, request: BuildRequest) -> None:
        """Build, and give the image its tags.

        Raises:
            BuildError: an instruction failed.
            CapabilityError: the engine cannot keep layers where they are to be kept.
            EngineError: the command was killed, or cannot be used.
        """
        tool = find_tool().tool
        assert tool is not None  # noqa: S101  - the ladder has asked
        mask = Mask(request.secrets)
        heard = Plain(request.tell, mask)
        with handed_over(request) as given, _input(request) as (stdin, where):
            args = request.args if tool.buildx else needs.with_inline_cache(request)
            hidden = {key: value for key, value in args.items() if self._may_be_a_variable(key, request)}
            told = [f"--build-arg={key}" if key in hidden else f"--build-arg={key}={args[key]}" for key in args]
            argv = [*tool.argv, *self._builder(tool), *_options(tool, request), *told, *given.arguments, *where]
            # Everybody on the machine may read the list of processes, and the user alone their variables.
            environment = {**self._environment(mask), **hidden}
            with self._commands.running(
                argv, environment=environment, stdin=stdin, open_files=given.open_files
            ) as child:
                for line in lines(child):
                    heard.hear(line.decode(errors="surrogateescape"))
        if child.returncode != 0:
            failure = _failure(request, heard, child.returncode, tool)
            if isinstance(failure, NotUsableError):
                # One that was ended by us is no reason to build in another way.
                self._commands.refuse_after_the_end()
            raise _masked(failure, mask)

    def stop(self) -> None:
        """End the commands that run, in whichever thread; whoever waits for one gets an EngineError."""
        self._commands.end()

    def _builder(self, tool: Tool) -> tuple[str, ...]:
        """Say which of buildx's builders is to build: the engine itself, whatever `docker buildx use` has chosen."""
        # That of a docker context has its name.
        return (
            (f"--builder={self._variables.get('DOCKER_CONTEXT', 'default')}",)
            if tool.buildx and not self.chosen
            else ()
        )

    def _may_be_a_variable(self, key: str, request: BuildRequest) -> bool:
        """Tell whether the command takes a build arg from a variable, and the variable for nothing else."""
        # On Windows, names that differ in case alone are one variable.
        if os.name != "posix" or not _VARIABLE.fullmatch(key) or key in self._variables:
            return False
        caches = request.cache_from or request.cache_to
        return not (_READ_BY_THE_COMMAND.match(key) or (caches and key.startswith(_READ_FOR_CACHES)))

    def _environment(self, mask: Mask) -> dict[str, str]:
        left_out = (*OF_THE_ENGINE, *_OF_THE_IMAGE)
        # A secret that came from a variable is handed over in another way; nobody else is to see it there.
        kept = {key: value for key, value in os.environ.items() if key not in left_out and not mask.hides(value)}
        # Without attestations the engine gets an image, and no index of one.
        return {**kept, "DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1", **self._variables}


def _chosen_builder() -> str | None:
    """Give the builder that the environment names: what it can do is its own."""
    return os.environ.get("BUILDX_BUILDER")


def _options(tool: Tool, request: BuildRequest) -> Iterator[str]:
    yield "--progress=plain"
    if tool.buildx:
        yield "--load"
        yield from (f"--cache-from={each}" for each in request.cache_from)
        yield from (f"--cache-to={each}" for each in request.cache_to)
    else:
        yield from (f"--cache-from={each}" for each in needs.cache_references(request.cache_from))
    yield from (f"--label={key}={value}" for key, value in request.labels.items())
    yield from (f"--tag={tag}" for tag in request.tags)
    yield from (f"--target={request.target}",) if request.target else ()
    yield from (f"--platform={request.platform}",) if request.platform else ()
    yield from ("--no-cache",) if request.nocache else ()


@contextmanager
def _input(request: BuildRequest) -> Iterator[tuple[IO[bytes] | int, tuple[str, ...]]]:
    """Give the command's input, and the arguments that tell where the Dockerfile and the context are.

    The context goes in as an archive. A Dockerfile that is no part of it would be seen by the build, where an
    instruction copies all: then the context lies in a directory for as long, and the Dockerfile outside of it.
    """
    context = request.context
    with archive(context, hide_added=False) as packed:
        if needs.shows_its_dockerfile(request):
            with staged(context, packed) as files:
                yield subprocess.DEVNULL, (f"--file={files.dockerfile}", str(files.context))
        else:
            yield packed, (f"--file={context.dockerfile_name}", "-")


def _failure(request: BuildRequest, heard: Plain, code: int, tool: Tool) -> DockerkitError:
    command = " ".join(tool.argv)
    if code < 0:
        return EngineError(
            f"building {request.title} was ended from outside: `{command}` was killed",
            saw=f"signal {-code}" + (f", while at {heard.last_step}" if heard.last_step else ""),
            mend="look who ended it; the kernel does when memory runs out",
        )
    if heard.began and not heard.failed_step and _ENGINE_LOST.search(heard.reason):
        return EngineUnavailableError(
            f"the engine went away while it was to build {request.title}",
            saw=heard.reason,
            mend="look whether it still runs: `docker info`",
        )
    dockerfile = request.context.dockerfile
    named = None if heard.line is None else place_of_line(dockerfile, heard.line)
    place = named or place_of_step(dockerfile, heard.failed_step)
    failure = failed(request, Failure(heard.reason, heard.failed_step, heard.failed_output, place))
    if heard.began or isinstance(failure, CapabilityError):
        return failure
    # Before any step: another way to build may do.
    return NotUsableError(
        f"`{command}` cannot be used to build {request.title}",
        saw=failure.saw,
        mend="look whether it works by hand: `docker buildx ls`; --dockerkit-builder=buildkit does without it",
    )


def _masked(error: DockerkitError, mask: Mask) -> DockerkitError:
    """Cover the secrets once more, in what did not come from the command."""
    error.saw, error.mend, error.details = mask(error.saw), mask(error.mend), mask(error.details)
    error.what = mask(error.what)
    error.args = (error.what,)
    return error
