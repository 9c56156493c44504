"""Several items at a time, whose results come in the order of the items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], callers: int) -> Generator[Result, None, None]:
    """What `work` gives for each item, in the order of the items. Close it to end early.

    An exception of the work is raised in the place of its result, and one of the items after the results of those
    before it. Either ends it. What is in hand is waited for then, and what waits is dropped.

    Args:
        work: may be called by several threads at a time.
        items: are taken in the thread that iterates, at most one more than are worked on.
        callers: how many threads work; one is the thread that iterates, with one item at a time.
    """
    if callers == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    failure: Exception | None = None
    source = iter(items)
    with ThreadPoolExecutor(callers, thread_name_prefix="side-by-side") as pool:
        try:
            while True:
                try:
                    item = next(source)
                except StopIteration:
                    break
                except Exception as error:  # raised below, after the results of the items before
                    failure = error
                    break
                waiting.append(pool.submit(work, item))
                while waiting and (len(waiting) > callers or waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
    if failure is not None:
        raise failure
