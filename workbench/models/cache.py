"""Values made on demand, each once; of them those used last stay in memory.

Threads may ask at the same time. Who asks for a value that is being made waits for it and gets the same one; who asks
for another does not wait.
"""

__all__ = ["RecentlyUsed"]

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class RecentlyUsed:
    """A cache that drops what was used least recently.

    Args:
        limit: How many values are kept, from 1.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._values: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key, made now where it is not kept.

        Raises:
            Exception: what `make` raises, to everyone who waits; nothing is kept then, and the next call tries again.
        """
        with self._lock:
            value = self._values.get(key)
            missing = value is None
            if value is None:
                value = self._values[key] = Future()
            self._values.move_to_end(key)
            while len(self._values) > self.limit:
                self._values.popitem(last=False)
        if missing:
            try:
                value.set_result(make())
            except BaseException as error:  # noqa: BLE001 - whoever asked gets it
                with self._lock:
                    if self._values.get(key) is value:
                        del self._values[key]
                value.set_exception(error)
        return value.result()
