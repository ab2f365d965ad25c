"""What every suite uses: what the harness asks of it, and the one request that a test makes.

Light on purpose: its import is part of what is measured, for all contestants alike.
"""

from __future__ import annotations

import json
import os
import time
from calendar import timegm
from urllib.request import ProxyHandler, build_opener

#: The image of the service, which the engine has.
IMAGE = os.environ.get("BENCH_IMAGE", "")
#: How many session containers the suite has, each with a test.
CONTAINERS = int(os.environ.get("BENCH_CONTAINERS", "1"))
#: How many tests there are, where each has the same or a fresh container.
TESTS = int(os.environ.get("BENCH_TESTS", "1"))
#: What to build, where the suite builds: a directory with a Dockerfile.
CONTEXT = os.environ.get("BENCH_CONTEXT", "")
#: A name for what is built that no other run has.
TAG = os.environ.get("BENCH_TAG", "")
#: How the contestant waits, where it has several ways: "health" or "poll".
WAIT = os.environ.get("BENCH_WAIT", "health")
#: The version of the API, so that a client by hand need not ask.
API_VERSION = os.environ.get("BENCH_API_VERSION", "")

_OPEN = build_opener(ProxyHandler({})).open


def answer(url: str) -> None:
    """Make one request without a retry, and write down how long ago the service became ready.

    The service writes that time down itself, on the clock that containers and the host share.
    """
    began = time.time()
    with _OPEN(f"{url.rstrip('/')}/ready", timeout=10) as response:
        text = response.read().decode()
    record = os.environ.get("BENCH_RECORD")
    if record:
        line = json.dumps({"lag_s": began - _seconds(text)}) + "\n"
        with open(record, "a", encoding="utf-8") as file:  # noqa: PTH123 - one write, for several workers
            file.write(line)


def until_answers(url: str, every_s: float = 0.01, timeout_s: float = 60.0) -> str:
    """Poll until the service answers: for contestants that leave the waiting to the user."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            with _OPEN(f"{url.rstrip('/')}/ready", timeout=1):
                return url
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(every_s)


def _seconds(text: str) -> float:
    """Read what `stat -c %y` prints in a container, whose time zone is UTC: `2026-01-31 12:00:00.250000000 +0000`."""
    day, clock, *_ = text.split()
    whole, _, part = clock.partition(".")
    return timegm(time.strptime(f"{day} {whole}", "%Y-%m-%d %H:%M:%S")) + float(f"0.{part}")
