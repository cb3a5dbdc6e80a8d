"""New ids, ascending within a process even when the clock stands still or steps back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

from syncline.core.ids import MAX_TIME_MS, RANDOMNESS_BYTES, Prefix, make_id, new_ulid

Clock = Callable[[], datetime]
RandomBytes = Callable[[int], bytes]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RANDOMNESS_LIMIT = 1 << (8 * RANDOMNESS_BYTES)


class IdSource:
    """Mints ULIDs from a clock and a source of random bytes; may be shared by threads."""

    def __init__(self, clock: Clock, random: RandomBytes) -> None:
        self._clock = clock
        self._random = random
        self._lock = Lock()
        self._time_ms = -1
        self._randomness = 0

    def ulid(self) -> str:
        """Return a ULID greater than every one returned before."""
        now_ms = (self._clock() - _EPOCH) // _MILLISECOND
        fresh = int.from_bytes(self._random(RANDOMNESS_BYTES), "big")
        with self._lock:
            if now_ms > self._time_ms:
                self._time_ms, self._randomness = now_ms, fresh
            else:
                self._step()
            return new_ulid(self._time_ms, self._randomness.to_bytes(RANDOMNESS_BYTES, "big"))

    def new(self, prefix: Prefix) -> str:
        """Return the id of a new object of that kind."""
        return make_id(prefix, self.ulid())

    def _step(self) -> None:
        """Go on from the last ULID, into the next millisecond when its randomness is used up."""
        self._randomness += 1
        if self._randomness == _RANDOMNESS_LIMIT:
            self._time_ms, self._randomness = min(self._time_ms + 1, MAX_TIME_MS), 0
