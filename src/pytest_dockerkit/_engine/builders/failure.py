"""What is said of a build that failed: the same, whichever builder it was."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._engine.builders.places import Place, place_of_line
from pytest_dockerkit._names import nearest
from pytest_dockerkit._spec import patterns
from pytest_dockerkit._spec.dockerfile import sources
from pytest_dockerkit._spec.instructions import read
from pytest_dockerkit.errors import BuildError, CapabilityError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.build_request import BuildRequest

#: How many lines of a failing instruction's output an error shows.
SHOWN_LINES = 20

#: How long a line may be before its middle is left out, in characters.
_SHOWN_CHARACTERS = 500
_SHOWN_INSTRUCTION = 120

#: What programs write to a terminal to move, colour or name it. Source: ECMA-48; xterm, Control Sequences.
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

#: What stands before and in a builder's own sentence, and tells nobody anything.
_CHATTER = re.compile(
    r"^(?:ERROR: |failed to build: |failed to solve(?: with frontend [\w.]+)?: |failed to create LLB definition: "
    r"|rpc error: code = \w+ desc = |failed to build LLB: |failed to compute cache key: "
    r"|failed to calculate checksum of ref \S+: )+"
)
_SYNTAX = re.compile(r"dockerfile parse error (?:on )?line (\d+)", re.IGNORECASE)
#: Where BuildKit of old has the context for itself.
_MOUNTED = re.compile(r"/\S*/buildkit-mount\d+")
#: That a source is not there: BuildKit's words, old and new, and the classic builder's.
_NO_FILE = re.compile(r"not found\b|no such file or directory|file does not exist")
_NO_CACHE = re.compile(r"cache export (?:feature )?is (?:currently )?not supported", re.IGNORECASE)
_NO_SESSION = "no active session"
_NO_SPACE = "no space left on device"
#: A `RUN --mount=type=secret,required=true` for which there is none.
_NO_SECRET = re.compile(r"secret ([\w.-]+)(?: not found|: not found)")


class Failure(NamedTuple):
    """What a builder said.

    Attributes:
        said: its own sentence.
        step: the step that failed, in its own words; empty if none did.
        output: what the step has printed, from the end if that was much.
        place: the step's instruction; None where that cannot be told.
    """

    said: str
    step: str = ""
    output: str = ""
    place: Place | None = None


def failed(request: BuildRequest, failure: Failure) -> BuildError | CapabilityError:
    """Make our error out of what a builder said."""
    said = _sentence(failure.said)
    if _NO_CACHE.search(said):
        return _no_cache_export(request, said)
    place = failure.place
    if place is None and (syntax := _SYNTAX.search(said)):
        place = place_of_line(request.context.dockerfile, int(syntax[1]))
    what = f"building {request.title} failed"
    if place is not None:
        stage = f" in stage {place.stage}" if place.stage else ""
        what += f" at {dockerfile_of(request)}:{place.line}{stage}: {_shortened(place.text, _SHOWN_INSTRUCTION)}"
    elif failure.step:
        what += f" at {_shortened(cleaned(failure.step), _SHOWN_INSTRUCTION)}"
    hint, mend = _advice(request, place, said)
    return BuildError(
        what,
        saw="\n".join([*last_lines(failure.output), said, *hint]),
        mend=f"{mend}; by hand: {request.by_hand}",
    )


def dockerfile_of(request: BuildRequest) -> str:
    """Give what to call the Dockerfile in a message."""
    if request.dockerfile_title is not None:
        return request.dockerfile_title
    return "Dockerfile" if request.context.added else request.context.dockerfile_name


def cleaned(text: str) -> str:
    """Take out of a line what only a terminal understands; of what was written over, the last is left."""
    text = _TERMINAL.sub("", text)
    shown = [part for part in text.split("\r") if part.strip()]
    return _CONTROL.sub("", shown[-1] if shown else "").rstrip()


def last_lines(output: str) -> list[str]:
    """Give the last lines of an output, as a person would have seen them."""
    found: deque[str] = deque(maxlen=SHOWN_LINES)
    # Not splitlines(): a carriage return writes over a line, and does not end it.
    for line in output.split("\n"):
        if plain := cleaned(line):
            found.append(_shortened(plain, _SHOWN_CHARACTERS))
    return list(found)


def _sentence(said: str) -> str:
    lines = [plain for line in _MOUNTED.sub("", said).strip().split("\n") if (plain := cleaned(line))]
    return "\n".join(_shortened(_CHATTER.sub("", line), _SHOWN_CHARACTERS) for line in lines) or "it gave no reason"


def _shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    return f"{text[: length * 2 // 3]} … {text[-length // 3 :]}"


def _advice(request: BuildRequest, place: Place | None, said: str) -> tuple[Iterable[str], str]:
    """Give what more was seen, and what mends it."""
    if place is not None and _NO_FILE.search(said) and (missing := _missing_source(request, place)):
        return _about_file(request, missing)
    if _NO_SESSION in said:
        return (), (
            "what the build pulls needs a login, which BuildKit over the Engine API cannot use: pull it first, or "
            f"install {TO_INSTALL}"
        )
    if secret := _NO_SECRET.search(said):
        return (), f'give it: build_secrets={{"{secret[1]}": …}}'
    if _NO_SPACE in said:
        return (
            (),
            "free space where the engine keeps its data (`docker system df` tells of what), or in the container",
        )
    return (), "correct the Dockerfile"


def _missing_source(request: BuildRequest, place: Place) -> str | None:
    """Give the first source of a `COPY` or `ADD` that the context does not have; None where that cannot be told."""
    for instruction in read(place.text).instructions:
        if instruction.keyword not in ("COPY", "ADD") or instruction.flag("from"):
            return None
        plain = [each for each in sources(instruction) if not set("*?[$\\") & set(each)]
        names = ["/".join(patterns.clean(each)) for each in plain]
        return next((each for each in names if each and not _is_member(request, each)), None)
    return None


def _about_file(request: BuildRequest, name: str) -> tuple[Iterable[str], str]:
    """Say why a file that is to be copied is not there: it is ignored, or called otherwise."""
    root = request.context.root
    if root is None:
        return ("there is no context: build= names its directory",), "correct the Dockerfile"
    if (root / name).exists():
        seen = f"{name} is in the context's directory, but its ignore file leaves it out"
        return (seen,), f"let the ignore file keep {name!r}"
    parent = (root / name).parent
    there = sorted(each.name for each in parent.iterdir()) if parent.is_dir() else []
    if best := nearest((root / name).name, there):
        return (), f"did you mean {best!r}? correct the Dockerfile"
    return (), "correct the Dockerfile"


def _is_member(request: BuildRequest, name: str) -> bool:
    return any(each.path == name for each in request.context.members)


def _no_cache_export(request: BuildRequest, said: str) -> CapabilityError:
    kinds = ", ".join(each for each in request.cache_to)
    return CapabilityError(
        f"{request.title}: this engine cannot keep layers elsewhere",
        saw=f"cache_to={kinds}\n{said}",
        mend='switch on the engine\'s containerd image store ("features": {"containerd-snapshotter": true} in its '
        "daemon.json), or name a builder with the docker-container driver in BUILDX_BUILDER; "
        'cache_to=["type=inline"] works with every engine',
    )


#: What there is to install for the command line's BuildKit.
TO_INSTALL = "docker-buildx-plugin (Docker's own packages) or docker-buildx (Debian, Ubuntu, Homebrew)"
