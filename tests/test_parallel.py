import os
import threading
import time
from collections.abc import Iterator

import pytest

from platemark.parallel import map_in_order, usable_cores


def numbers(count: int, taken: list[int]) -> Iterator[int]:
    for number in range(count):
        taken.append(number)
        yield number


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 * (number % 3 == 0))
        return number * number

    assert list(map_in_order(slow_first, range(20), workers)) == [n * n for n in range(20)]
    assert list(map_in_order(slow_first, [], workers)) == []


def test_two_items_are_done_at_a_time() -> None:
    both = threading.Barrier(2)
    assert list(map_in_order(lambda _: both.wait(60) >= 0, range(6), 2)) == [True] * 6


def test_one_worker_is_the_caller_and_does_nothing_ahead() -> None:
    taken: list[int] = []
    threads = map_in_order(lambda _: threading.current_thread(), numbers(5, taken), 1)
    assert next(threads) is threading.current_thread()
    assert taken == [0]


def test_few_items_are_taken_ahead_however_many_there_are() -> None:
    taken: list[int] = []
    hold = threading.Event()

    def wait_for_the_first(number: int) -> int:
        if number == 0:
            hold.wait(60)
        return number

    results = map_in_order(wait_for_the_first, numbers(1000, taken), 2)
    threading.Timer(0.2, hold.set).start()
    assert next(results) == 0
    assert len(taken) <= 8
    assert list(results) == list(range(1, 1000))


def test_a_result_does_not_wait_for_items_that_come_late() -> None:
    taken: list[int] = []

    def live() -> Iterator[int]:
        for number in numbers(8, taken):
            yield number
            time.sleep(0.2)

    results = map_in_order(lambda number: number, live(), 2)
    assert next(results) == 0
    assert len(taken) < 8
    results.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_raised_in_its_place(workers: int) -> None:
    results = map_in_order(lambda n: 6 // (3 - n), range(9), workers)
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_who_asks_no_more_leaves_no_thread_and_nothing_to_do() -> None:
    started: list[int] = []

    def note(number: int) -> int:
        started.append(number)
        time.sleep(0.01)
        return number

    before = threading.active_count()
    results = map_in_order(note, range(1000), 2)
    next(results)
    results.close()
    assert threading.active_count() == before
    assert len(started) <= 8


def test_no_worker_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="workers is at least 1"):
        map_in_order(str, [1], 0)


def test_usable_cores_are_those_the_process_may_use() -> None:
    cores = usable_cores()
    assert 1 <= cores <= (os.cpu_count() or 1)
