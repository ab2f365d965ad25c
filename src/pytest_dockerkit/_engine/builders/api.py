"""BuildKit over the Engine API: `POST /build?version=2`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dockerkit._engine.builders import needs
from pytest_dockerkit._engine.builders.failure import Failure, failed
from pytest_dockerkit._engine.builders.places import place_of_step
from pytest_dockerkit._engine.buildkit import Trace
from pytest_dockerkit._engine.context import archive

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import BuildRequest, EngineFacts
    from pytest_dockerkit._engine.builders.post import Post
    from pytest_dockerkit._engine.images import Images


class ApiBuilder:
    """Builds with BuildKit, and needs nothing beside the engine.

    There is no session with the client beside the request, as the command line has one: whatever comes from the
    client while it builds cannot be had.
    """

    name = "buildkit"

    def __init__(self, post: Post, images: Images, facts: EngineFacts) -> None:
        self._post = post
        self._images = images
        self._facts = facts

    chosen = False

    @property
    def absent(self) -> str | None:
        """Why it cannot be used here; None if it can."""
        return None if self._facts.buildkit else "the engine has no BuildKit"

    def lacks(self, request: BuildRequest) -> str | None:
        """Say what of a request it cannot serve."""
        if request.secrets:
            return "build_secrets="
        if request.ssh is not None:
            return "ssh="
        text = needs.needed_text(request)
        if mount := needs.mount_of_session(text):
            return mount
        if needs.lacks_heredocs(text, self._facts):
            return "heredocs"
        # BuildKit takes an archive as it is, and heeds no `.dockerignore` in it.
        if needs.shows_its_dockerfile(request):
            return needs.ADDED_DOCKERFILE
        return needs.cache_beyond_references(request)

    def build(self, request: BuildRequest) -> None:
        """Build, and give the image its tags.

        Raises:
            BuildError: an instruction failed.
            ImageNotFoundError: the image that its `# syntax=` line names cannot be pulled.
            EngineError: the engine did.
        """
        frontend = needs.frontend(request.context.dockerfile)
        if frontend is not None and self._images.find(frontend) is None:
            # BuildKit would ask a session for the credentials, were they none but an anonymous token.
            self._images.pull(frontend)
        trace = Trace(request.tell)
        args = needs.with_inline_cache(request)
        with archive(request.context, hide_added=False) as packed:
            for line in self._post(request, packed, version="2", args=args):
                if line.get("id") == "moby.buildkit.trace":
                    trace.hear(line["aux"])
                elif "error" in line:
                    step = trace.failed_step
                    place = place_of_step(request.context.dockerfile, step)
                    said = trace.error or str(line["error"])
                    raise failed(request, Failure(said, step, trace.failed_output, place))
