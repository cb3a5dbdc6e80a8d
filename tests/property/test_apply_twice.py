"""Whatever is asked for, alone, twice or all at once, a directory is what a sequential model says it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from syncline.core.commands import Command, Decision
from syncline.core.model import Cause, InactiveUsers
from syncline.core.paging import Order, PageRequest
from syncline.core.scim.errors import ScimError
from syncline.core.scim.resource import GroupView, UserView
from syncline.services.apply import Applied, Writer
from syncline.services.kernel import Kernel
from syncline.services.product import Product, UserQuery
from syncline.services.resources import ResourceQuery, Resources
from syncline.services.sealing import Sealer
from syncline.store import log
from tests.property.core_directory import CoreDirectory
from tests.property.directory_machine import DirectoryMachine, Done, Event, Picture, command
from tests.property.directory_model import Action, DropTeam, MakePerson, MakeTeam, PatchPerson
from tests.support.kernels import kernel, seed

CAUSE = Cause("request_test")
T = TypeVar("T")


class Core:
    """The rules alone: a working set, one command after the other."""

    def __init__(self, policy: InactiveUsers) -> None:
        self._directory = CoreDirectory(policy)
        self._events: list[Event] = []

    def submit(self, commands: Sequence[Command]) -> list[Done]:
        """Carry out the commands."""
        done = []
        for asked in commands:
            outcome = self._directory.submit(asked)
            self._events += outcome.events
            done.append(_done(outcome.result))
        return done

    def events(self) -> list[Event]:
        """Return the events since the last time."""
        found, self._events = self._events, []
        return found

    def picture(self) -> Picture:
        """Return what the working set holds; versions of people's groups are the store's business."""
        rows = self._directory.rows
        people = {id_: user for id_, user in rows.users.items() if user is not None}
        teams = {id_: group for id_, group in rows.groups.items() if group is not None}
        known = people.keys() | teams.keys()
        return Picture(
            {id_: (user.document, sorted(rows.groups_of(id_))) for id_, user in people.items()},
            {
                id_: (str(group.document["displayName"]), sorted(rows.members_of(id_) & known))
                for id_, group in teams.items()
            },
            {id_: group.version for id_, group in teams.items()},
        )


class Stored:
    """The writer over a database, and what its readers see; commands sent together meet in one batch."""

    def __init__(self, runner: asyncio.Runner, parts: Kernel, writer: Writer, policy: InactiveUsers) -> None:
        self._runner, self._kernel, self._writer = runner, parts, writer
        self._place = self._run(seed(parts, inactive_users=policy))
        self._position = 0

    def submit(self, commands: Sequence[Command]) -> list[Done]:
        """Send the commands at once."""

        async def send() -> list[Applied | BaseException]:
            scope = self._place.directory.scope
            asked = (self._writer.submit(scope, command, CAUSE) for command in commands)
            return await asyncio.gather(*asked, return_exceptions=True)

        done = []
        for found in self._run(send()):
            if isinstance(found, BaseException) and not isinstance(found, ScimError):
                raise found
            done.append(_answered(found) if isinstance(found, Applied) else Done(refusal=found))
        return done

    def events(self) -> list[Event]:
        """Return what the log has more than the last time."""
        environment = self._place.environment_id
        wanted = log.LogFilter(after=self._position)

        async def read() -> list[Any]:
            await Sealer(self._kernel).seal_now(environment)
            return await self._kernel.database.read(
                lambda connection: log.read(connection, environment, wanted, 1_000)
            )

        rows = self._run(read())
        assert [row.position for row in rows] == list(
            range(self._position + 1, self._position + 1 + len(rows))
        )
        self._position += len(rows)
        return [(row.type, json.loads(row.body)) for row in rows]

    def picture(self) -> Picture:
        """Return what SCIM and the product view show."""
        people, teams, shown = self._run(self._read())
        return Picture(
            {view.id: (view.document, sorted(group.id for group in view.groups)) for view in people},
            {
                view.id: (str(view.document["displayName"]), sorted(one.id for one in view.members or ()))
                for view in teams
            },
            {**{view.id: view.version for view in people}, **{view.id: view.version for view in teams}},
            shown,
        )

    async def _read(self) -> tuple[Sequence[UserView], Sequence[GroupView], dict[str, list[str]]]:
        reads, everything = Resources(self._kernel), ResourceQuery(count=1000)
        scope, environment = self._place.directory.scope, self._place.environment_id
        people = await reads.users(scope, everything)
        teams = await reads.groups(scope, everything)
        assert (people.total, teams.total) == (len(people.items), len(teams.items))
        product = await Product(self._kernel).users(
            environment, UserQuery(), PageRequest(limit=100, order=Order.ASC)
        )
        shown = {user.id: sorted(group.id for group in user.groups or ()) for user in product.items}
        return people.items, teams.items, shown

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)


def _done(result: Decision | ScimError) -> Done:
    if isinstance(result, ScimError):
        return Done(refusal=result)
    held = result.user or result.group
    return Done(id=held.id if held is not None else None, changed=result.changed)


def test_the_rules_agree_with_a_sequential_model() -> None:
    class Machine(DirectoryMachine):
        make = Core

    run_state_machine_as_test(Machine, settings=settings(max_examples=60, stateful_step_count=12))


def test_the_writer_agrees_with_a_sequential_model(database_url: str) -> None:
    with asyncio.Runner() as runner:
        opened = kernel(database_url)
        parts = runner.run(_enter(opened))
        writer = Writer(parts)
        runner.run(writer.start())
        try:

            class Machine(DirectoryMachine):
                def make(self, policy: InactiveUsers) -> Stored:
                    return Stored(runner, parts, writer, policy)

            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=15,
                    stateful_step_count=10,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(writer.close())
            runner.run(_leave(opened))


def _answered(applied: Applied) -> Done:
    done, view = _done(applied.decision), applied.view
    if not isinstance(view, UserView):
        return done
    return replace(done, shown=(view.version, (view.document, sorted(group.id for group in view.groups))))


async def _enter(context: Any) -> Kernel:
    entered: Kernel = await context.__aenter__()
    return entered


async def _leave(context: Any) -> None:
    await context.__aexit__(None, None, None)


async def test_a_version_that_an_answer_carried_stands_for_what_it_showed(database_url: str) -> None:
    """A new title and the end of the group met in one batch: one version, with the group and without."""
    async with kernel(database_url) as parts:
        writer = Writer(parts)
        await writer.start()
        scope = (await seed(parts)).directory.scope

        async def do(action: Action) -> Applied:
            return await writer.submit(scope, command(action), CAUSE)

        person = (await do(MakePerson({"userName": "ada"}))).view
        assert isinstance(person, UserView)
        team = (await do(MakeTeam("Staff", (person.id,)))).view
        assert isinstance(team, GroupView)
        changed, _ = await asyncio.gather(
            do(PatchPerson(person.id, (("title", "Pilot"),))), do(DropTeam(team.id))
        )
        now = await Resources(parts).user(scope, person.id)
        await writer.close()
    assert isinstance(changed.view, UserView)
    assert now is not None
    assert [group.id for group in changed.view.groups] == [team.id]
    assert now.groups == ()
    assert now.version != changed.view.version
