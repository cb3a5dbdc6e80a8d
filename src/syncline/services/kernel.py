"""What every service is made of: the database, clock, ids, keys and the ways out of the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from syncline.net.dns import DnsClient
from syncline.net.http import OutboundClient
from syncline.net.policy import AddressPolicy
from syncline.obs.metrics import Metrics
from syncline.services.evaluation_cache import EvaluationCache
from syncline.services.idsource import Clock, IdSource, RandomBytes
from syncline.services.keyring import Keyring
from syncline.services.signals import Signal
from syncline.store.database import Database, T, Work
from syncline.store.database import DatabaseUnavailable as DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class Keep:
    """How long things are kept besides events: attempts by how they ended, kept answers, what was deleted."""

    successes: timedelta = timedelta(days=7)
    failures: timedelta = timedelta(days=30)
    answers: timedelta = timedelta(hours=24)
    deleted: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The parts that are passed in. `base_url` has no trailing slash."""

    database: Database
    clock: Clock
    random: RandomBytes
    ids: IdSource
    keyring: Keyring
    policy: AddressPolicy
    outbound: OutboundClient
    dns: DnsClient
    metrics: Metrics
    base_url: str
    retention: timedelta = timedelta(days=90)
    keep: Keep = field(default_factory=Keep)
    # Notified with the environment id after a commit that put events into the inbox.
    appended: Signal = field(default_factory=Signal)
    # Notified with the environment id after events got their positions.
    sealed: Signal = field(default_factory=Signal)
    # The same for event sinks, which are told whether or not there are webhook endpoints.
    logged: Signal = field(default_factory=Signal)
    evaluations: EvaluationCache = field(default_factory=EvaluationCache)
    # Notified with the environment id after a commit that begins a job of evaluating people again.
    reevaluations: Signal = field(default_factory=Signal)

    def jitter(self) -> float:
        """Return a random number between -1 and 1, to spread repetitions."""
        return int.from_bytes(self.random(2), "big") / 32767.5 - 1

    async def commit(self, environment_id: str, work: Work[T]) -> T:
        """Run a writing transaction that may append events of one environment, then have them sealed.

        Raises what `Database.write` raises.
        """
        result = await self.database.write(work)
        self.appended.notify(environment_id)
        return result
