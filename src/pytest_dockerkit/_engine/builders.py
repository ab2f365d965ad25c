"""Building over the Engine API: with BuildKit where the engine has it, else with the classic builder."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.buildkit import Trace
from pytest_dockerkit._engine.context import archive
from pytest_dockerkit._engine.translate import translated
from pytest_dockerkit._spec.dockerfile import copies, needs_buildkit, without_unneeded_stages
from pytest_dockerkit.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from pytest_dockerkit._engine.base import BuildRequest, EngineFacts

#: How much of the context is handed to the connection at a time, in bytes.
_PIECE_BYTES = 1024 * 1024

#: How many lines of a failing instruction's output an error shows.
_SHOWN_LINES = 20

#: The classic builder writes standard error in red.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"Step \d+/\d+ : (.*)")


class ApiBuilder:
    """Builds with `POST /build`."""

    name = "buildkit"

    def __init__(self, client: docker.DockerClient, facts: EngineFacts) -> None:
        self._api = client.api
        self._facts = facts

    def lacks(self, request: BuildRequest) -> str | None:
        """Say what of a request it cannot serve."""
        given = {"build_secrets=": request.secrets, "ssh=": request.ssh, "cache_to=": request.cache_to}
        return next((name for name, value in given.items() if value), None)

    def build(self, request: BuildRequest) -> None:
        """Build, and give the image its tags.

        Raises:
            BuildError: an instruction failed.
            EngineError: the engine did.
        """
        if self._facts.buildkit and not _needs_classic(request):
            self._with_buildkit(request)
        else:
            self._classic(request)

    def _with_buildkit(self, request: BuildRequest) -> None:
        trace = Trace()
        with archive(request.context, hide_added=False) as packed:
            for line in self._answers(request, packed, version="2"):
                if line.get("id") == "moby.buildkit.trace":
                    trace.hear(line["aux"])
                elif "error" in line:
                    raise _failure(request, trace.failed_step, trace.failed_output, trace.error or line["error"])

    def _classic(self, request: BuildRequest) -> None:
        step, output = "", ""
        text = without_unneeded_stages(request.context.dockerfile, request.target, request.args)
        with archive(request.context, dockerfile=text, hide_added=request.context.added) as packed:
            for line in self._answers(request, packed, version="1"):
                said = str(line.get("stream", ""))
                if match := _STEP.match(said):
                    step, output = match[1], ""
                else:
                    output += said
                if "error" in line:
                    raise _failure(request, step, output, line["error"])

    def _answers(self, request: BuildRequest, packed: Any, *, version: str) -> Iterator[dict[str, Any]]:
        params: list[tuple[str, str]] = [
            ("version", version),
            ("dockerfile", request.context.dockerfile_name),
            ("buildargs", json.dumps(dict(request.args))),
            ("labels", json.dumps(dict(request.labels))),
            ("rm", "1"),
            ("forcerm", "1"),
            *(("t", tag) for tag in request.tags),
        ]
        if request.target:
            params.append(("target", request.target))
        if request.nocache:
            params.append(("nocache", "1"))
        if request.platform:
            params.append(("platform", request.platform))
        if request.cache_from:
            params.append(("cachefrom", json.dumps(list(request.cache_from))))
        url = f"{self._api.base_url}/v{self._api.api_version}/build"
        with translated(f"build {request.title}"):
            # docker-py's own build() can neither ask for BuildKit nor read its answer.
            response = self._api.post(
                url,
                params=params,
                # In pieces: requests would ask for the file's number, and so force it onto the disk.
                data=iter(lambda: packed.read(_PIECE_BYTES), b""),
                headers={"Content-Type": "application/x-tar"},
                stream=True,
                timeout=None,
            )
            with response:
                if response.status_code >= 400:
                    raise _failure(request, "", "", _message(response.text))
                for line in response.iter_lines():
                    if line:
                        yield json.loads(line)


def _needs_classic(request: BuildRequest) -> bool:
    """Tell whether BuildKit would show an added Dockerfile to the build.

    A context sent as an archive is taken as it is by BuildKit, which heeds no `.dockerignore` in it. Where
    the Dockerfile lies outside of the context and a stage copies the whole context, the classic builder
    gives the image that the command line would.
    """
    context = request.context
    shows_it = context.added and copies(context.dockerfile, context.dockerfile_name)
    return shows_it and not needs_buildkit(context.dockerfile)


def _failure(request: BuildRequest, step: str, output: str, error: str) -> BuildError:
    plain = _COLOUR.sub("", output)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip()][-_SHOWN_LINES:]
    return BuildError(
        f"building {request.title} failed" + (f" at {step}" if step else ""),
        saw="\n".join([*lines, error.strip()]),
        mend=f"correct the Dockerfile; by hand: {request.by_hand}",
    )


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
