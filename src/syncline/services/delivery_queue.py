"""Endpoints that a look has found and that wait for a free slot: the next slot needs no look of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from syncline.services.delivery_slots import Host, Slots, host_of
from syncline.store.deliveries import Due


class Queue:
    """Waiting endpoints by host, the longest waiting first; the claim decides whether they still wait."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._hosts: dict[Host, deque[Due]] = {}
        self._ids: set[str] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def clear(self) -> None:
        """Forget everything, because a new look begins."""
        self._hosts.clear()
        self._ids.clear()

    def add(self, due: Due) -> None:
        """Put an endpoint behind the others of its host, unless it is there already."""
        if due.id not in self._ids:
            self._ids.add(due.id)
            self._hosts.setdefault(host_of(due.endpoint_url), deque()).append(due)

    @property
    def is_enough(self) -> bool:
        """Whether every free slot can be filled from here."""
        free, found = self._slots.free, 0
        for host, waiting in self._hosts.items():
            found += min(len(waiting), self._slots.free_at(host))
            if found >= free:
                return True
        return free == 0

    def take(self, busy: Container[str]) -> list[Due]:
        """Take as many as there are slots for, from each host in turn; those that are `busy` are dropped."""
        chosen: list[Due] = []
        room = {host: self._slots.free_at(host) for host in self._hosts}
        free = self._slots.free
        open_hosts = [host for host in self._hosts if room[host]]
        while open_hosts and len(chosen) < free:
            for host in open_hosts[: free - len(chosen)]:
                due = self._next(host, busy)
                if due is None:
                    room[host] = 0
                else:
                    chosen.append(due)
                    room[host] -= 1
            open_hosts = [host for host in open_hosts if room[host]]
        return chosen

    def _next(self, host: Host, busy: Container[str]) -> Due | None:
        """Take the first endpoint of a host, which goes behind the other hosts."""
        waiting = self._hosts.pop(host, None)
        while waiting:
            due = waiting.popleft()
            self._ids.remove(due.id)
            if due.id not in busy:
                if waiting:
                    self._hosts[host] = waiting
                return due
        return None
