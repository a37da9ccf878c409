import threading
import time

import pytest

from sall_edge.screening.ahead import AHEAD_PER_THREAD, LEAST_PER_STREAM, cores, streams_for, worked_ahead

THREADS = 3


def test_results_come_in_the_order_of_the_items_whichever_is_done_first() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 2 == 0 else 0)
        return number

    assert list(worked_ahead(work, range(20), threads=THREADS)) == list(range(20))


def test_several_are_worked_on_at_a_time() -> None:
    together = threading.Barrier(THREADS, timeout=10)  # breaks unless as many threads arrive
    assert len(list(worked_ahead(lambda _: together.wait(), range(THREADS), threads=THREADS))) == THREADS


def test_no_more_are_taken_than_a_few_ahead() -> None:
    taken: list[int] = []

    def items() -> object:
        for number in range(1000):
            taken.append(number)
            yield number

    results = worked_ahead(lambda number: number, items(), threads=THREADS)
    for expected in range(10):
        assert next(results) == expected
        assert len(taken) <= expected + 1 + THREADS * AHEAD_PER_THREAD
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_what_one_raises_comes_in_its_place_and_ends_the_threads() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise LookupError("the third")
        return number

    results = worked_ahead(work, range(10), threads=THREADS)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(LookupError, match="the third"):
        next(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_nothing_gives_nothing() -> None:
    assert list(worked_ahead(lambda number: number, [])) == []


def test_a_few_photographs_are_inferred_by_all_cores_one_at_a_time_and_many_by_a_core_each() -> None:
    assert streams_for(1) == 1
    assert streams_for(LEAST_PER_STREAM * cores()) == cores()


def test_an_engine_gets_no_more_streams_than_its_target_has_threads() -> None:
    assert streams_for(1000, threads=1) == 1
    assert streams_for(1000, threads=999) == cores()
