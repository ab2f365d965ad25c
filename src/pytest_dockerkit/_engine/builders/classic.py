"""The classic builder over the Engine API: `POST /build`. Every engine has it, Podman too."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.base import Progress
from pytest_dockerkit._engine.builders import needs
from pytest_dockerkit._engine.builders.failure import Failure, failed
from pytest_dockerkit._engine.builders.hiding import hidden
from pytest_dockerkit._engine.builders.places import Place, place_of_number
from pytest_dockerkit._engine.buildkit import KEPT_OUTPUT
from pytest_dockerkit._engine.context import archive
from pytest_dockerkit.errors import BuildError, EngineError, ImageError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import EngineFacts
    from pytest_dockerkit._engine.build_request import BuildRequest
    from pytest_dockerkit._engine.builders.post import Post
    from pytest_dockerkit._engine.images import Images

_STEP = re.compile(r"(?:STEP|Step) (\d+)/(\d+) ?: (.*)", re.DOTALL)

#: What the builder says of its own work, between what instructions print.
_OWN_WORK = re.compile(r" ---> |(?:Removing|Removed) intermediate container ")

#: How it says that a cached layer cannot be had. Seen with Docker 28.5.2.
_NOT_RESTORED = "failed to restore cached image"


class ClassicBuilder:
    """Builds one instruction after the other."""

    name = "classic"

    def __init__(self, post: Post, images: Images, facts: EngineFacts) -> None:
        self._post = post
        self._images = images
        self._facts = facts

    chosen = False

    @property
    def absent(self) -> str | None:
        """Why it cannot be used here; None if it can, as everywhere."""
        return None

    def lacks(self, request: BuildRequest) -> str | None:
        """Say what of a request it cannot serve."""
        given = {"build_secrets=": request.secrets, "ssh=": request.ssh, "cache_to=": request.cache_to}
        if missing := next((name for name, value in given.items() if value), None):
            return missing
        # Podman's is Buildah, which understands what BuildKit does.
        if not self._facts.podman and (beyond := needs.beyond_classic(needs.needed_text(request), request.args)):
            return beyond
        if needs.scratch_elsewhere(request, self._facts):
            return "platform= of another kind of machine for a stage FROM scratch"
        if hidden(request.context, needs.needed_text(request)) is None:
            return needs.ADDED_DOCKERFILE
        return needs.cache_beyond_references(request)

    def build(self, request: BuildRequest) -> None:
        """Build, and give the image its tags.

        Raises:
            BuildError: an instruction failed.
            EngineError: the engine did.
        """
        self._pull_caches(request)
        try:
            self._build(request)
        except BuildError as failure:
            # An engine with containerd's image store cannot read all of the layers that it offers.
            if not request.cache_from or _NOT_RESTORED not in failure.saw:
                raise
            self._build(replace(request, cache_from=()))

    def _build(self, request: BuildRequest) -> None:
        # It would run every stage before the target, whether the target needs it or not.
        text = needs.needed_text(request)
        sent = hidden(request.context, text)
        assert sent is not None  # noqa: S101  - else something is lacking
        step, output, place = "", "", None
        asked = replace(request, context=sent.context)
        with archive(sent.context, dockerfile=text, hide_added=sent.ignore_file) as packed:
            for line in self._post(asked, packed, version="1", args=request.args):
                said = str(line.get("stream", ""))
                if match := _STEP.match(said):
                    place = place_of_number(text, int(match[1]))
                    step, output = match[3].strip(), ""
                    request.tell(_progress(match, place))
                elif not _OWN_WORK.match(said):
                    output = (output + said)[-KEPT_OUTPUT:]
                if "error" in line:
                    raise failed(request, Failure(str(line["error"]), step, output, place))

    def _pull_caches(self, request: BuildRequest) -> None:
        """Fetch the images that layers may be taken from: unlike BuildKit, it looks only at what is on the engine."""
        for reference in needs.cache_references(request.cache_from):
            # One that is not there is no failure, as for the others.
            with suppress(EngineError, ImageError):
                if self._images.find(reference) is None:
                    request.tell(Progress(f"pull {reference}"))
                    self._images.pull(reference, request.platform)


def _progress(step: re.Match[str], place: Place | None) -> Progress:
    stage = f"{place.stage} " if place is not None and place.stage else ""
    return Progress(f"[{stage}{step[1]}/{step[2]}] {step[3].strip()}", int(step[1]), int(step[2]))
