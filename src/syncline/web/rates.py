"""How many requests a caller may make: one bucket of tokens for each, in this process (`api.md` §9).

Every process counts for itself, so N of them let N times as much through. Without overload nobody who is
honest shall notice a limit (`scim.md` §17); most are off unless an operator sets them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

from syncline.core.errors import RateLimited

_MINUTE = 60.0
# More callers than this at a time, and those that were quiet longest begin anew.
_CALLERS = 10_000


class Rate:
    """So many requests a minute for each caller, in one burst or spread; 0 is no limit."""

    def __init__(self, per_minute: int = 0, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is a clock in seconds."""
        self._most = float(per_minute)
        self._now = now
        # How much each caller may still ask for, and when that was so.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count a request. Raises `RateLimited` with the seconds to wait, which are 60 at most."""
        if not self._most:
            return
        now = self._now()
        left, at = self._buckets.get(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._most / _MINUTE)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimited(min(60, max(1, ceil((1 - left) * _MINUTE / self._most))))


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits of a process. SCIM is counted by directory, never by address: clouds share those."""

    scim: Rate = field(default_factory=Rate)
    api_key: Rate = field(default_factory=Rate)
    address: Rate = field(default_factory=Rate)
    directory_users: Rate = field(default_factory=Rate)
    organization_deletions: Rate = field(default_factory=Rate)
