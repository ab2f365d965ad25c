"""BuildKit over the Engine API: `POST /build?version=2`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dockerkit._engine.builders import needs
from pytest_dockerkit._engine.builders.failure import Failure, failed
from pytest_dockerkit._engine.builders.places import place_of_step
from pytest_dockerkit._engine.buildkit import Trace
from pytest_dockerkit._engine.context import archive
from pytest_dockerkit._engine.registry import RefusedError
from pytest_dockerkit.errors import ImageNotFoundError

if TYPE_CHECKING:
    from pytest_dockerkit._engine.base import EngineFacts
    from pytest_dockerkit._engine.build_request import BuildRequest
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
        self._pull_frontend(request)
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

    def _pull_frontend(self, request: BuildRequest) -> None:
        """Fetch the image that reads the Dockerfile: BuildKit takes the one that the engine has.

        To pull it, BuildKit would ask a session for credentials, be it for those of nobody.
        """
        image = needs.frontend(request.context.dockerfile)
        if image is None or self._images.find(image) is not None:
            return
        try:
            self._images.pull(image, tell=request.tell)
        except RefusedError as failure:
            raise ImageNotFoundError(
                f"the image {image}, which is to read the Dockerfile, is not on the engine and cannot be pulled",
                saw=failure.saw,
                mend=f"correct the Dockerfile's `# syntax=` line, or leave it out; else {failure.mend}",
            ) from None
