"""The past of a directory is what everybody could read then, whatever has happened since."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from syncline.core.commands import Command
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, Page, PageRequest
from syncline.services.apply import Writer
from syncline.services.kernel import Kernel
from syncline.services.product import Product, UserQuery
from syncline.store import log
from tests.property.directory_machine import DirectoryMachine, Done, Event
from tests.property.test_apply_twice import Stored
from tests.support.clocks import SlowClock
from tests.support.kernels import kernel

View = dict[str, dict[str, Any]]


class Remembering(Stored):
    """A directory that keeps what the product view showed after each step."""

    def __init__(
        self,
        clock: SlowClock,
        runner: asyncio.Runner,
        parts: Kernel,
        writer: Writer,
        policy: InactiveUsers,
    ) -> None:
        clock.tick()
        super().__init__(runner, parts, writer, policy)
        self._clock = clock
        self._product = Product(parts)
        self.blurred: set[str] = set()
        self.seen: list[tuple[datetime, View]] = [(clock.now, self._run(self._view(None)))]

    def submit(self, commands: Sequence[Command]) -> list[Done]:
        """Carry out commands in a second of their own, and look at what came of it."""
        self._clock.tick()
        done = super().submit(commands)
        self.seen.append((self._clock.now, self._run(self._view(None))))
        return done

    def events(self) -> list[Event]:
        """Return the events since the last time, and note whose last one says more than that they left."""
        found = super().events()
        before = self.seen[-2][1] if len(self.seen) > 1 else {}
        for name, data in found:
            if name == "dsync.user.deleted":
                known = before.get(data["id"], data)
                if any(known[key] != data[key] for key in data.keys() - {"state", "updated_at"}):
                    self.blurred.add(data["id"])
        return found

    def compare(self, since: datetime, *, whole: bool) -> None:
        """Ask about every moment since then; `whole`: whether the log still holds everything."""
        self._clock.tick()
        for number, (moment, view) in enumerate(self.seen):
            if moment >= since:
                # From the very moment of a change until just before the next.
                at = moment + timedelta(milliseconds=999 * (number % 2))
                blurred = set() if whole else self.blurred
                _same(_without(self._run(self._view(at)), blurred), _without(view, blurred), whole=whole)

    def forget(self, before: datetime) -> bool:
        """Let retention remove what was recorded before a moment; tell whether anything was."""
        work = partial(
            log.trim, environment_id=self._place.environment_id, recorded_before=before, limit=10_000
        )
        return self._run(self._kernel.database.write(work)) > 0

    async def _view(self, at: datetime | None) -> View:
        environment = self._place.environment_id
        people = await self._all(lambda page: self._product.users(environment, UserQuery(), page, at))
        groups = await self._all(lambda page: self._product.groups(environment, page, at=at))
        return people | groups

    async def _all(self, ask: Any) -> View:
        """Read a list to its end, a few at a time, and every object of it by its id as well."""
        found: View = {}
        cursor: str | None = None
        while True:
            page: Page[Any] = await ask(PageRequest(4, Order.ASC, after=cursor))
            found |= {item.id: msgspec.to_builtins(item) for item in page.items}
            if page.after is None:
                assert list(found) == sorted(found)
                return found
            cursor = page.after


def _same(found: View, view: View, *, whole: bool) -> None:
    """The time of the last change is as late as the log can tell, and never later than it was."""
    for id_ in found.keys() & view.keys():
        assert found[id_]["updated_at"] <= view[id_]["updated_at"]
        if whole and id_.startswith("directory_user_"):
            assert found[id_]["updated_at"] == view[id_]["updated_at"], id_
    assert _timeless(found) == _timeless(view)


def _without(view: View, ids: set[str]) -> View:
    """Leave out people of whom only the event is left that says what they were like when they left."""
    return {id_: shown for id_, shown in view.items() if id_ not in ids}


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key != "updated_at"}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


class PastMachine(DirectoryMachine):
    """The commands of the machine that compares a directory with its model, and questions about its past."""

    backend: Remembering

    def teardown(self) -> None:
        """Look back over everything, then over what retention leaves."""
        if not hasattr(self, "backend"):
            return
        self.backend.compare(self.backend.seen[0][0], whole=True)
        middle = self.backend.seen[len(self.backend.seen) // 2][0]
        self.backend.forget(middle)
        self.backend.compare(middle, whole=False)


def test_what_was_shown_can_be_read_again(database_url: str) -> None:
    clock = SlowClock()
    with asyncio.Runner() as runner:
        opened = kernel(database_url, clock=clock)
        parts = runner.run(opened.__aenter__())
        writer = Writer(parts)
        runner.run(writer.start())
        try:

            class Machine(PastMachine):
                def make(self, policy: InactiveUsers) -> Remembering:
                    return Remembering(clock, runner, parts, writer, policy)

            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=5,
                    stateful_step_count=8,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(writer.close())
            runner.run(opened.__aexit__(None, None, None))
