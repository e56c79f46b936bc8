"""The cache of values: made once for all threads, errors reach everyone who waits and are not kept."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.models.cache import RecentlyUsed


def test_threads_that_ask_at_once_get_one_value():
    cache, made, ready = RecentlyUsed(2), [], threading.Barrier(8)

    def ask(_):
        ready.wait(10)
        return cache.get("a", lambda: made.append(1) or object())

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(ask, range(8)))
    assert len(made) == 1
    assert all(value is values[0] for value in values)


def test_a_slow_value_holds_up_nobody_who_wants_another():
    cache, begun, go_on = RecentlyUsed(2), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(10)
        return "slow"

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.get, "slow", slow)
        assert begun.wait(10)
        assert cache.get("quick", lambda: "quick") == "quick"
        assert not waiting.done()
        go_on.set()
        assert waiting.result(10) == "slow"
    assert cache.get("slow", lambda: "again") == "slow"


def test_an_error_reaches_everyone_who_waits_and_the_next_call_tries_again():
    cache, begun, go_on = RecentlyUsed(2), threading.Event(), threading.Event()

    def fail():
        begun.set()
        assert go_on.wait(10)
        raise ValueError("damaged")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "a", fail)
        assert begun.wait(10)
        second = pool.submit(cache.get, "a", fail)
        go_on.set()
        for one in (first, second):
            with pytest.raises(ValueError, match="damaged"):
                one.result(10)
    assert len(cache) == 0
    assert cache.get("a", lambda: "mended") == "mended"


def test_what_was_used_least_recently_goes_first():
    cache = RecentlyUsed(2)
    for key in "aba":
        cache.get(key, key.upper)
    cache.get("c", lambda: "C")
    assert len(cache) == 2
    assert cache.get("a", lambda: "made again") == "A"
    assert cache.get("b", lambda: "made again") == "made again"
