"""How many webhook requests a process has under way, in all and to one host."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from syncline.net.policy import AddressRefused, parse_url

Host = tuple[str, int]


@lru_cache(maxsize=4096)
def host_of(url: str) -> Host:
    """Return the host and port that an address names; what cannot be read is a host of its own."""
    try:
        parsed = parse_url(url)
    except AddressRefused:
        return url, 0
    return parsed.raw_host or "", parsed.port or 0


class Slots:
    """Counts requests: a turn holds one slot, and one more for each request beside its first."""

    def __init__(self, total: int, per_host: int) -> None:
        self._total = total
        self._per_host = per_host
        self._taken = 0
        self._hosts: Counter[Host] = Counter()

    @property
    def free(self) -> int:
        """How many slots are free, whatever the host."""
        return max(self._total - self._taken, 0)

    def free_at(self, host: Host) -> int:
        """Return how many requests one host may still be sent."""
        return max(self._per_host - self._hosts[host], 0)

    def take(self, host: Host) -> None:
        """Take a slot."""
        self._taken += 1
        self._hosts[host] += 1

    def try_take(self, host: Host) -> bool:
        """Take a slot if one is free, and tell whether it was."""
        if not self.free or not self.free_at(host):
            return False
        self.take(host)
        return True

    def give(self, host: Host) -> None:
        """Give a slot back."""
        self._taken -= 1
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
