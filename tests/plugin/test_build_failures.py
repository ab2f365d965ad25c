"""What is said of a build that failed: the same, whichever way it was built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import BuildError
from tests.plugin.rungs import BASE, RUNGS, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.plugin.conftest import Suite


@pytest.fixture(params=RUNGS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path)
    if made.absent is not None:
        made.end()
        pytest.skip(f"{request.param}: {made.absent}")
    yield made
    made.end()


def failure(bench: Bench, text: str, **fields: object) -> BuildError:
    with pytest.raises(BuildError) as caught:
        bench.build(text, **fields)
    return caught.value


def by_hand(bench: Bench) -> str:
    return f"by hand: docker build '{bench.context}'"


# An instruction


def test_an_instruction_of_several_lines_is_told_with_its_first(bench: Bench) -> None:
    """With variables as they are written: what they stand for may be nobody's business."""
    error = failure(
        bench,
        f"# syntax is not said\nFROM {BASE} AS base\nMARK\n\nFROM base AS api\nARG WHO=nobody\n"
        "# what is made\nRUN echo hello $WHO \\\n    # within\n    && exit 3\n",
        target="api",
        build_args={"WHO": "a person"},
    )
    place = "Dockerfile:8 in stage api: RUN echo hello $WHO && exit 3"
    assert error.what == f"building my app (target api) failed at {place}"
    first, last = error.saw.splitlines()
    assert first == "hello a person"
    # The builder's own words, which differ from release to release.
    assert last.endswith(("exit code: 3", "returned a non-zero code: 3"))
    assert error.mend == f"correct the Dockerfile; {by_hand(bench)}"


def test_the_last_twenty_lines_are_shown_as_a_terminal_would(bench: Bench) -> None:
    """Without colours, and of a line that was written over what was left of it."""
    error = failure(
        bench,
        f"FROM {BASE}\nMARK\n"
        "RUN for i in $(seq 30); do echo line $i; done; printf ' 5%%\\r50%%\\rdone\\n'; "
        "printf '\\033[1;31mred\\033[0m \\033]0;title\\007\\033[2K\\n\\n\\n'; printf 'no end'; exit 1\n",
    )
    *lines, _ = error.saw.splitlines()
    assert lines == [*(f"line {number}" for number in range(14, 31)), "done", "red", "no end"]


@pytest.mark.parametrize("same", ["RUN true", "RUN false"])
def test_of_instructions_that_look_alike_the_right_one_is_told(bench: Bench, same: str) -> None:
    again = "RUN test ! -e /once && touch /once"
    error = failure(bench, f"FROM {BASE}\nMARK\nCOPY unique /\n{again}\nRUN true\n{again}\n")
    assert error.what == f"building my app failed at Dockerfile:6: {again}"


def test_a_stage_without_a_name_is_told_by_its_number(bench: Bench) -> None:
    error = failure(
        bench, f"FROM {BASE}\nMARK\nRUN true\nFROM {BASE}\nMARK\nCOPY --from=0 /etc/passwd /\nRUN exit 4\n"
    )
    assert error.what == "building my app failed at Dockerfile:7 in stage stage-1: RUN exit 4"


def test_the_dockerfile_is_called_what_the_user_calls_it(bench: Bench) -> None:
    (bench.root / "x.Dockerfile").write_text(bench.marked(f"FROM {BASE}\nMARK\nRUN exit 1\n"), encoding="utf-8")
    with pytest.raises(BuildError) as caught:
        bench.build(dockerfile="../x.Dockerfile", dockerfile_title="../x.Dockerfile")
    assert caught.value.what == "building my app failed at ../x.Dockerfile:3: RUN exit 1"


# The Dockerfile


@pytest.mark.parametrize(
    ("text", "line"),
    [("RNU echo b", 4), ("COPY --chmmod=3 a b", 4), ("EXPOSE", 4), ("COPY one", 4)],
    ids=["instruction", "flag", "nothing", "arguments"],
)
def test_a_mistake_in_the_dockerfile_is_told_with_its_line(bench: Bench, text: str, line: int) -> None:
    error = failure(bench, f"FROM {BASE}\nRUN true \\\n  && true\n{text}\n")
    assert error.what == f"building my app failed at Dockerfile:{line}: {text}"
    assert text.split()[0] in error.saw or "flag" in error.saw
    assert not error.saw.startswith(("failed to", "rpc error"))
    assert error.mend == f"correct the Dockerfile; {by_hand(bench)}"


# Files


def test_a_file_that_is_not_there(bench: Bench) -> None:
    error = failure(bench, f"FROM {BASE}\nMARK\nCOPY nothing /x\n")
    assert error.what == "building my app failed at Dockerfile:3: COPY nothing /x"
    assert "nothing" in error.saw
    assert "sha256" not in error.saw
    assert error.mend == f"correct the Dockerfile; {by_hand(bench)}"


def test_a_file_that_is_called_otherwise(bench: Bench) -> None:
    bench.write({"src/settings.toml": ""})
    error = failure(bench, f"FROM {BASE}\nMARK\nCOPY src/setings.toml /x\n")
    assert error.mend == f"did you mean 'settings.toml'? correct the Dockerfile; {by_hand(bench)}"


def test_a_file_that_is_ignored(bench: Bench) -> None:
    bench.write({"dist/app.js": "", ".dockerignore": "dist\n"})
    error = failure(bench, f"FROM {BASE}\nMARK\nCOPY dist/app.js /x\n")
    assert error.what == "building my app failed at Dockerfile:3: COPY dist/app.js /x"
    *_, said = error.saw.splitlines()
    assert said == "dist/app.js is in the context's directory, but its ignore file leaves it out"
    assert error.mend == f"let the ignore file keep 'dist/app.js'; {by_hand(bench)}"


def test_a_file_that_another_stage_does_not_have(bench: Bench) -> None:
    """There the context's files are no hint."""
    error = failure(bench, f"FROM {BASE} AS made\nMARK\nRUN true\nFROM {BASE}\nMARK\nCOPY --from=made /unique /x\n")
    assert error.what == "building my app failed at Dockerfile:6 in stage stage-1: COPY --from=made /unique /x"
    assert "unique" in error.saw
    assert error.mend == f"correct the Dockerfile; {by_hand(bench)}"


# Images


def test_a_base_that_cannot_be_reached(bench: Bench) -> None:
    error = failure(bench, "ARG ONE\nFROM 127.0.0.1:1/nobody/here:x AS base\nFROM base\nRUN true\n")
    assert error.what == (
        "building my app failed at Dockerfile:2 in stage base: FROM 127.0.0.1:1/nobody/here:x AS base"
    )
    assert "connection refused" in error.saw


def test_a_cache_that_cannot_be_had_is_not_what_failed(bench: Bench) -> None:
    text = f"FROM {BASE}\nMARK\nCOPY unique /\nRUN exit 1\n"
    error = failure(bench, text, cache_from=["127.0.0.1:1/nobody/here:x"])
    assert error.what == "building my app failed at Dockerfile:4: RUN exit 1"


# In pytest


def test_it_is_read_in_pytest_like_this(suite: Suite, tmp_path: Path) -> None:
    bench = Bench("auto", tmp_path)
    text = bench.marked(f"FROM {BASE} AS base\nMARK\nRUN echo 'why it failed' >&2; exit 3\n")
    suite.write({"app/Dockerfile": text})
    try:
        outcome = suite.run(
            """
            import pytest

            @pytest.mark.container(build="app", target="base")
            def test_image(image): ...
            """
        )
    finally:
        bench.end()
    outcome.ended(errors=1)
    path = suite.path / "app"
    assert (
        "building app (target base) failed at Dockerfile:3 in stage base: RUN echo 'why it failed' >&2; exit 3\n"
        in outcome.text
    )
    assert "  saw:  why it failed\n" in outcome.text
    assert (
        f"  mend: correct the Dockerfile; by hand: docker build --target base -f {path}/Dockerfile {path}\n"
        in outcome.text
    )
