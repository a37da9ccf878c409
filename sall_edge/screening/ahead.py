"""Work on many items by several threads, in order and only a little ahead of who takes the results."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["cores", "streams_for", "worked_ahead"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

AHEAD_PER_THREAD = 2
"""One in work and one that waits: a thread never idles, and a thousand photographs take the memory of a few."""

LEAST_PER_STREAM = 4
"""Photographs for each stream below which a folder is done sooner by all cores on one photograph at a time."""


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def streams_for(photographs: int, *, threads: int = 0) -> int:
    """How many photographs to infer at a time, so that all of them are done soonest.

    Args:
        photographs: How many there are.
        threads: What the target allows the engine; 0 is every core.
    """
    streams = min(threads or cores(), cores())
    return streams if photographs >= LEAST_PER_STREAM * streams else 1


def worked_ahead(
    work: Callable[[ItemT], ResultT], items: Iterable[ItemT], *, threads: int | None = None
) -> Generator[ResultT, None, None]:
    """`work(item)` of each item, in the order of the items; whoever stops asking stops the threads.

    Args:
        work: Called from several threads at a time. What it raises comes out in the place of its result.
        items: Taken as they are needed.
        threads: How many; None takes one for each core.
    """
    count = threads or cores()
    waiting: deque[Future[ResultT]] = deque()
    source = iter(items)
    pool = ThreadPoolExecutor(count, thread_name_prefix="ahead")
    try:
        while True:
            missing = count * AHEAD_PER_THREAD - len(waiting)
            waiting.extend(pool.submit(work, item) for item in islice(source, missing))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
