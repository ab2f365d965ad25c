"""The benchmarks' own arithmetic, verdicts, tables and reading of HTTP, without an engine."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from bench import promises, relay, tables, timeline
from bench.figures import Figures, Results, Series, counts, median_of, per_unit, ratio


def series(label: str, *seconds: float, **fields: object) -> dict[str, Series]:
    made = Series(label, [*seconds])
    for name, value in fields.items():
        setattr(made, name, value)
    return {label: made}


def test_figures_are_the_median_and_the_spread() -> None:
    found = Figures.of([3.0, 1.0, 2.0, 10.0])
    assert found == Figures(median=2.5, minimum=1.0, maximum=10.0)
    assert found.spread == 9.0
    assert Figures.of([]) is None


@pytest.mark.parametrize(
    ("value", "base", "expected"), [(3.0, 2.0, 1.5), (None, 2.0, None), (3.0, None, None), (3.0, 0.0, None)]
)
def test_a_ratio_needs_both(value: float | None, base: float | None, expected: float | None) -> None:
    assert ratio(value, base) == expected


def test_a_unit_costs_what_an_empty_run_does_not() -> None:
    assert per_unit(4.5, 0.5, 20) == 0.2
    assert per_unit(4.0, None, 20) == 0.2
    assert per_unit(None, 0.5, 20) is None
    assert per_unit(4.0, 0.5, 0) is None


def test_who_failed_has_no_median() -> None:
    results: Results = {"session": series("raw", 1.0, 2.0) | series("ours", 1.0, reason="failed: E  no")}
    assert median_of(results, "session", "raw") == 1.5
    assert median_of(results, "session", "ours") is None
    assert median_of(results, "session", "docker-py") is None
    assert median_of(results, "late", "raw") is None


def test_counts_say_when_rounds_differ() -> None:
    assert [counts([]), counts([1, 1]), counts([1, 4, 2])] == ["-", "1", "1-4"]


def test_a_promise_that_is_kept_and_one_that_is_not() -> None:
    kept, missed = (
        promises.session({"session": series("docker-py", 1.0) | series("ours", seconds)})[0]
        for seconds in (0.9, 1.25)
    )
    assert (kept.measured, kept.outcome) == ("0.90 x", "met")
    assert (missed.measured, missed.outcome) == ("1.25 x", "NOT met: 0.25 x over, 25 %")


def test_a_promise_that_was_not_measured_is_neither() -> None:
    assert {each.outcome for each in promises.judge({}, None)} == {"not measured"}
    assert {each.met for each in promises.context(None, 0, 0)} == {None}


def test_importing_is_judged_by_its_time_and_by_what_it_brings() -> None:
    assert [each.met for each in promises.imports(4.9, ())] == [True, True]
    assert [each.met for each in promises.imports(61.0, ("docker", "requests"))] == [False, False]


@pytest.mark.parametrize(("ours", "met"), [(0.470, True), (0.480, False)])
def test_the_tax_of_each_test_is_judged_by_how_much_runs_differ(ours: float, met: bool) -> None:
    """20 ms between runs of pytest alone, 5 ms for the import, and the rest is the plugin's."""
    results: Results = {"unused": series("none", 0.440, 0.450, 0.460) | series("ours", ours)}
    assert promises.unused(results).met is met


@pytest.mark.parametrize(("ours", "met"), [(2.99, True), (3.01, False)])
def test_eight_late_services_are_judged_by_the_floor(ours: float, met: bool) -> None:
    eight = series("raw, ready at once", 5 / 3) | series("ours", ours) | series("ours, handover", 2.5)
    results: Results = {"eight": eight}
    found, stack, handed_over = promises.eight(results)
    assert stack.met is None
    assert found.met is met
    assert handed_over.met is True
    assert found.promised == "whole run <= 3.000 s (1.0 s + 1.2 x 1.667 s)"
    assert promises.eight_strictly(results, 1.0).promised.endswith("2.200 s (1.0 s + 1.2 x 1.000 s)")


def test_workers_are_judged_by_what_they_made_too() -> None:
    ours = series("ours", 1.0, builds=1, containers=[1, 1])
    good: Results = {"workers": series("raw", 1.0) | ours}
    assert [each.met for each in promises.workers(good)] == [True, None, True]
    ours["ours"].containers = [1, 4]
    assert promises.workers(good)[2].measured == "1 builds, 4 containers at most"
    assert promises.workers(good)[2].met is False


def test_a_fresh_container_is_judged_per_test() -> None:
    fresh = series("none", 0.2) | series("ours", 2.2) | series("docker-py", 4.2)
    assert promises.fresh({"fresh": fresh})[0].measured == "0.50 x"


def test_a_table_for_a_terminal_and_for_a_page() -> None:
    table = tables.Table("A title", ["who", "s"], [["raw", "1.5"], ["ours|", "10.5"]], ["a note"])
    assert table.text() == "A title\n  who       s\n  -----  ----\n  raw     1.5\n  ours|  10.5\n  a note"
    page = "## A title\n\n| who | s |\n|---|---:|\n| raw | 1.5 |\n| ours\\| | 10.5 |\n\na note"
    assert table.markdown() == page


def test_spans_that_overlap_are_counted_once() -> None:
    assert timeline.covered([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.0)]) == 4.0
    assert timeline.covered([]) == 0.0


def fed(data: bytes, *, by: int, answers: deque[bool] | None = None) -> tuple[list[bytes], int]:
    """Give the first lines of the messages that were found, and how many ended, in pieces of so many bytes."""
    messages, heads, ended = relay._Messages(), list[bytes](), 0
    for start in range(0, len(data), by):
        ended += messages.feed(data[start : start + by], heads, answers)
    return [head.split(b"\r\n")[0] for head in heads], ended


@pytest.mark.parametrize("by", [1, 7, 1000])
def test_requests_are_found_however_they_are_cut(by: int) -> None:
    data = b"".join(
        [
            b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n",
            b"POST /containers/create HTTP/1.1\r\nContent-Length: 6\r\n\r\n{\r\n\r\n}",
            b"POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"DELETE /containers/a HTTP/1.1\r\n\r\n",
        ]
    )
    lines = ["GET /_ping", "POST /containers/create", "POST /build", "DELETE /containers/a"]
    assert fed(data, by=by) == ([f"{line} HTTP/1.1".encode() for line in lines], 4)


@pytest.mark.parametrize("by", [1, 7, 1000])
def test_answers_end_where_they_end(by: int) -> None:
    data = b"".join(
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n",  # of a HEAD: no body follows
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nwhatever\r\n\r\nfollows",
        ]
    )
    heads, ended = fed(data, by=by, answers=deque([True, False, False, False, False]))
    assert [head.split()[1] for head in heads] == [b"200", b"200", b"204", b"200", b"101"]
    assert ended == 4


def test_a_request_is_told_without_its_version_and_query() -> None:
    request = relay.Request("POST", "/v1.41/build?t=a", 1, 0.0)
    assert request.plain_path == "/build"
    assert request.is_a("POST", "/build")
