"""What the engine takes for eight starts in parallel: the start calls alone."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from bench.raw import Engine


def starts_s(image: str, number: int) -> float:
    """Create and start so many containers at once, in seconds; they are removed again."""
    with ThreadPoolExecutor(number) as pool:
        begin = time.perf_counter()
        containers = list(pool.map(lambda _: Engine().start(image), range(number)))
        taken = time.perf_counter() - begin
        list(pool.map(lambda each: Engine().remove(each), containers))
    return taken
