"""CPU and memory of servers, from /proc."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU seconds that process trees have used, ended children included."""
    total = 0.0
    for process in _trees(pids):
        try:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return total


def resident_mb(pids: Sequence[int]) -> float:
    """Return the resident memory of process trees in MB."""
    total = 0
    for process in _trees(pids):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / 1e6


def own_cpu_seconds() -> float:
    """Return the CPU seconds of the driver."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True, slots=True)
class Meter:
    """CPU counters at one moment."""

    server: float
    driver: float
    busy: float

    @classmethod
    def read(cls, pids: Sequence[int]) -> Meter:
        """Read the counters of a server's process trees, of the driver and of the whole machine."""
        times = psutil.cpu_times()
        busy = times.user + times.system + times.nice + times.irq + times.softirq
        return cls(cpu_seconds(pids), own_cpu_seconds(), busy)


def description() -> str:
    """Return one line about this machine."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = psutil.virtual_memory().total / 2**30
    model = models[0] if models else platform.machine()
    return (
        f"{os.cpu_count()} CPUs ({model}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def _trees(pids: Sequence[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                found[process.pid] = process
        except psutil.Error:
            continue
    return list(found.values())
