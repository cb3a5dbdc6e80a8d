"""A seeded world around the real log and dispatcher: it makes events, breaks things, heals all, and waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context
from datetime import datetime
from typing import TypeVar
from unittest.mock import patch

from syncline.net.dns import DnsClient
from syncline.net.policy import AddressPolicy
from syncline.obs.metrics import Metrics
from syncline.services import delivery, sealing
from syncline.services.apply import Writer
from syncline.services.delivery import Dispatcher
from syncline.services.delivery_settings import DispatchSettings
from syncline.services.endpoints import Endpoints
from syncline.services.idsource import IdSource
from syncline.services.kernel import Kernel
from syncline.services.keyring import Keyring
from syncline.services.sealing import Sealer
from syncline.store.engine import database_now
from syncline.store.types import to_ms
from syncline.workers.supervision import supervise
from tests.reliability.simulation.clock import VirtualLoop, moment
from tests.reliability.simulation.database import MemoryStore, ProcessDatabase, Weather
from tests.reliability.simulation.owner import Owner
from tests.reliability.simulation.plan import Act, Deed, Plan
from tests.reliability.simulation.processes import Process, adopt
from tests.reliability.simulation.receivers import (
    NO_POISON,
    Network,
    ProcessOutbound,
    Request,
)
from tests.reliability.simulation.traffic import Traffic
from tests.reliability.simulation.watch import Watch
from tests.support.kernels import Seeded, seed

T = TypeVar("T")

_QUIET_POLL = 240.0
_LONGEST_SETTLING = 40 * 3_600.0
SECRET_KEY = "a key for simulations that is long enough"


class World:
    """One run of one plan."""

    def __init__(self, store: MemoryStore, plan: Plan, loop: VirtualLoop, *, trace: bool = False) -> None:
        self.plan = plan
        self.store = store
        self.loop = loop
        self.chance = random.Random(f"world {plan.seed}")
        self.watch = Watch(
            store.raw,
            database_ms=lambda: to_ms(store.read(database_now)),
            parked_limit=plan.parked_limit,
            skew=max(abs(skew) for skew in plan.skews),
            trace=trace,
        )
        self.watch.now = loop.time  # type: ignore[method-assign]
        self.network = Network()
        self.metrics = Metrics()
        self.weather = Weather(self.chance, plan.latency)
        self.poll = plan.poll
        self.places: list[Seeded] = []
        self.workers: list[Process] = []
        self.web = Process("web")
        self.committed: set[str] = set()
        self.keyring = Keyring.from_secret(SECRET_KEY, (), random_bytes=self.chance.randbytes)
        self._policy = AddressPolicy(())
        self._stops: dict[str, asyncio.Event] = {}
        self._sealers: dict[str, Kernel] = {}
        self.writer: Writer | None = None
        self._generations = 0
        self._killing_after_send = 0
        self._burials: list[asyncio.Future[None]] = []
        self.admin = self.kernel(Process("admin"), calm=True)
        self.endpoints = Endpoints(self.admin)
        self.owner = Owner(self)
        self.traffic = Traffic(self)

    # The parts.

    def kernel(self, process: Process, *, calm: bool = False) -> Kernel:
        """Make the kernel of a process; only its ways out are simulated."""

        def clock() -> datetime:
            return moment(self.loop.time() + process.skew)

        weather = Weather(self.chance, self.plan.latency) if calm else self.weather
        return Kernel(
            database=ProcessDatabase(self.store, process, weather),
            clock=clock,
            random=self.chance.randbytes,
            ids=IdSource(clock, self.chance.randbytes),
            keyring=self.keyring,
            policy=self._policy,
            outbound=ProcessOutbound(self.network, process),
            dns=DnsClient(None),
            metrics=self.metrics,
            base_url="https://syncline.example",
        )

    def settings(self) -> DispatchSettings:
        """Return how dispatchers pace themselves; the schedule and the database's clock are the product's."""
        return DispatchSettings(
            poll=self.poll,
            sweep=max(30.0, self.poll * 40),
            save_events=self.plan.save_events,
            save_seconds=self.plan.save_seconds,
            turn_seconds=self.plan.turn_seconds,
            parked_limit=self.plan.parked_limit,
        )

    def start_worker(self, number: int) -> Process:
        """Start a process that seals and dispatches."""
        self._generations += 1
        process = Process(f"worker{number}.{self._generations}", skew=self._skew(number + 1))
        stop = asyncio.Event()
        self._stops[process.name] = stop
        with process.inside():
            kernel = self.kernel(process)
            dispatcher, sealer = Dispatcher(kernel, self.settings()), Sealer(kernel)
            for name, loop in (("dispatcher", dispatcher.run), ("sealer", sealer.run)):
                task = asyncio.create_task(supervise(name, loop, stop, self.metrics))
                task.add_done_callback(self._ended)
        self.watch.tell(f"{process.name} starts")
        return process

    async def start_web(self) -> None:
        """Start a process that takes commands and seals."""
        self._generations += 1
        process = Process(f"web.{self._generations}", skew=self._skew(0))
        stop = asyncio.Event()
        self._stops[process.name] = stop
        with process.inside():
            kernel = self.kernel(process)
            self.writer = Writer(kernel)
            await self.writer.start()
            task = asyncio.create_task(supervise("sealer", Sealer(kernel).run, stop, self.metrics))
            task.add_done_callback(self._ended)
        self.web, self.web_kernel = process, kernel

    # The run.

    async def run(self) -> None:
        """Prepare, live through the plan, heal everything, and wait until nothing is left to do."""
        self.loop.on_new_task(adopt)
        self.loop.set_exception_handler(self._unhandled)
        self.network.on_sent = self.watch.sent
        self.network.on_arrival = self.watch.arrived
        self.network.on_answer = self._on_answer
        self.store.after_commit = self.watch.committed
        with self._paced():
            await self._prepare()
            await self._live()
            await self._heal()
            await self._settle()
            await self._stop_all()

    async def _prepare(self) -> None:
        self.places.append(await seed(self.admin))
        environment = self.places[0].environment_id
        for _ in range(self.plan.directories - 1):
            self.places.append(await seed(self.admin, environment_id=environment))
        for number, endpoint in enumerate(self.plan.endpoints):
            await self.owner.make(number, endpoint)
        await self.start_web()
        self.workers = [self.start_worker(number) for number in range(self.plan.workers)]

    async def _live(self) -> None:
        steps: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        for burst in self.plan.bursts:
            steps.append((burst.at, lambda burst=burst: self.traffic.commit(burst)))  # type: ignore[misc]
        for act in self.plan.acts:
            steps.append((act.at, lambda act=act: self._do(act)))  # type: ignore[misc]
        tasks = []
        for at, step in sorted(steps, key=lambda one: one[0]):
            await asyncio.sleep(max(0.0, at - self.loop.time()))
            tasks.append(asyncio.ensure_future(step()))
        await asyncio.sleep(max(0.0, self.plan.horizon - self.loop.time()))
        await asyncio.gather(*tasks, *self._burials)

    async def _heal(self) -> None:
        """Let everything work again; workers come back as one that looks seldom."""
        self.watch.tell("everything is healed")
        self.weather.failures = 0.0
        for receiver in self.network.receivers.values():
            receiver.spells = [spell for spell in receiver.spells if spell.mood == "gone"]
            receiver.poison = NO_POISON
        for worker in self.workers:
            worker.go_on()
            await self._stop_gracefully(worker)
        self.poll = _QUIET_POLL
        self.workers = [self.start_worker(0)]

    async def _settle(self) -> None:
        begun = self.loop.time()
        while not self._is_settled():
            if self.loop.time() - begun > _LONGEST_SETTLING:
                self.watch.complain(
                    f"not settled after {_LONGEST_SETTLING / 3_600:.0f} h: {self._unsettled()}"
                )
                return
            await asyncio.sleep(60.0)

    async def _stop_all(self) -> None:
        for process in (*self.workers, self.web):
            await self._stop_gracefully(process)

    def _is_settled(self) -> bool:
        return not self._unsettled() and not self.store.raw.execute("SELECT 1 FROM event_inbox").fetchone()

    def _unsettled(self) -> list[tuple[object, ...]]:
        return self.store.raw.execute(
            "SELECT e.id, e.state, e.cursor, e.wake, e.next_due_at, e.lease_until, h.position"
            " FROM webhook_endpoints e LEFT JOIN log_heads h ON h.environment_id = e.environment_id"
            " WHERE e.state = 'active' AND (e.wake > 0 OR e.cursor < h.position"
            " OR e.lease_until IS NOT NULL OR e.next_due_at IS NOT NULL)"
        ).fetchall()

    # What happens.

    async def _do(self, act: Act) -> None:
        self.watch.tell(f"act: {act.deed} {act.whom}")
        living = [worker for worker in self.workers if not worker.is_dead]
        worker = living[act.whom % len(living)] if living else None
        match act.deed:
            case Deed.KILL if worker is not None:
                await self._kill(worker, act.seconds)
            case Deed.KILL_AFTER_SEND:
                self._killing_after_send += 1
            case Deed.STOP if worker is not None:
                await self._stop_for(worker, act.seconds)
            case Deed.RESTART if worker is not None:
                await self._replace(worker, self._stop_gracefully(worker))
            case Deed.KILL_WEB:
                self.web.kill()
                await self.start_web()
            case Deed.STORM:
                self.weather.failures = 0.3
                await asyncio.sleep(min(act.seconds, 20.0))
                self.weather.failures = 0.0
            case Deed.SWEEP:
                await Dispatcher(self.admin, self.settings()).sweep()
            case Deed.ADD:
                number = len(self.watch.stories)
                await self.owner.make(number, self.plan.endpoints[act.whom % len(self.plan.endpoints)])
            case _:
                await self.owner.manage(act)

    # Processes that come and go.

    async def _kill(self, worker: Process, away: float) -> None:
        self.watch.disturbances.deaths += 1
        self.watch.tell(f"{worker.name} is killed")
        worker.kill()
        await self._replace(worker, asyncio.sleep(min(away, 120.0)))

    async def _replace(self, worker: Process, meanwhile: Awaitable[object]) -> None:
        await meanwhile
        if worker in self.workers:
            number = self.workers.index(worker)
            self.workers[number] = self.start_worker(number)

    async def _stop_for(self, worker: Process, seconds: float) -> None:
        self.watch.disturbances.stops += 1
        worker.stop()
        await asyncio.sleep(seconds)
        self.watch.tell(f"{worker.name} goes on")
        worker.go_on()

    async def _stop_gracefully(self, process: Process) -> None:
        self._stops[process.name].set()
        if process is self.web and self.writer is not None:
            await self.writer.close()
        await process.wait()

    def _on_answer(self, request: Request) -> None:
        self.watch.answered(request)
        if self._killing_after_send and not request.process.is_dead:
            self._killing_after_send -= 1
            request.process.kill()
            # Not in the context of the dead.
            self.loop.call_soon(self._bury, request.process, context=Context())

    def _bury(self, worker: Process) -> None:
        self._burials.append(asyncio.ensure_future(self._kill(worker, 1.0)))

    def _skew(self, number: int) -> float:
        return self.plan.skews[number % len(self.plan.skews)]

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self.watch.complain(f"a loop ended with {error!r}")

    def _unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, Exception):
            self.watch.complain(f"{context.get('message')}: {error!r}")

    @contextmanager
    def _paced(self) -> Iterator[None]:
        """Let idle loops of the product tick no more often than the plan's polls: the days must be short."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(sealing, "_IDLE_SECONDS", max(5.0, self.plan.poll * 4)))
            stack.enter_context(patch.object(delivery, "_LISTEN_SECONDS", 3_600.0))
            yield
